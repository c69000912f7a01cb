//! `POST /drain`: what SIGTERM does, for who cannot send signals.

use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::{Admin, json_response, text_response};
use crate::app::response::Response;
use crate::semantics::head::RequestHead;
use crate::server::lifecycle::State;

/// Says that there is no other way than POST, since a hook of the kubelet can only GET.
pub(super) fn only_post() -> Response {
    let text = "POST drains the server, as SIGTERM does. GET changes nothing, so a preStop httpGet hook does not drain; \
                none is needed, since Kubernetes sends SIGTERM anyway.\n";
    text_response(StatusCode::METHOD_NOT_ALLOWED, text.into()).with_header(ALLOW, HeaderValue::from_static("POST"))
}

impl Admin {
    /// Starts the drain, unless it has begun, and tells the state.
    pub(super) fn drain(&self, head: &RequestHead) -> Response {
        // A browser sends one of these with every POST, whatever page it comes from: no page may stop a server of
        // somebody who has a connection to it, neither by a form nor by a name that was made to mean this address.
        if head.field("origin").is_some() || head.field("sec-fetch-site").is_some() {
            return text_response(StatusCode::FORBIDDEN, "not from a browser\n".into());
        }
        let lifecycle = &self.handles.lifecycle;
        let Some(drain) = self.drain.get() else {
            let body = json!({ "state": lifecycle.state().name(), "accepted": false });
            let later = HeaderValue::from_static("1");
            return json_response(StatusCode::SERVICE_UNAVAILABLE, &body).with_header(RETRY_AFTER, later);
        };
        if lifecycle.state() < State::Draining {
            tracing::info!("drain requested by POST /drain");
            drain();
            self.until_draining();
        }
        let config = &self.handles.live.running().loaded.config;
        let body = json!({
            "state": lifecycle.state().name(),
            "accepted": true,
            "drain_delay_seconds": config.drain_delay.as_secs_f64(),
            "drain_timeout_seconds": config.drain_timeout.as_secs_f64(),
        });
        json_response(StatusCode::ACCEPTED, &body)
    }

    /// The command is on its way to the thread that waits for it; the answer is to tell what came of it.
    fn until_draining(&self) {
        const MOST: u32 = 100;
        for _ in 0..MOST {
            if self.handles.lifecycle.state() >= State::Draining {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }
}
