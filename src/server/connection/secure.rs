//! What goes wrong before a secured connection has a request: handshakes that fail, and peers that speak plain HTTP.

use std::fmt::Display;

use http::StatusCode;

use super::answer::refusal;
use super::{Connection, Failure};
use crate::proto::cycle::CloseReason;
use crate::semantics::head::RequestHead;
use crate::server::reactor::Reactor;

/// What a client is told that speaks plain HTTP where HTTPS is spoken.
const WRONG_SCHEME: &str = "400 Bad Request: this port speaks HTTPS, and this was plain HTTP. \
                            Use https:// (in a Kubernetes probe, set httpGet.scheme: HTTPS).\n";

impl Connection {
    /// The handshake came to nothing. If there is an alert that says why, it is still sent.
    pub(super) fn handshake_failed(&mut self, reactor: &Reactor, reason: &dyn Display) {
        let shared = reactor.shared();
        shared.stats.error(Failure::TlsHandshake);
        tracing::debug!(remote = %self.remote, %reason, "TLS handshake failed");
        if let Some(secure) = &shared.secure {
            secure.handshake_failed(reason, reactor.now());
        }
        self.readable = false;
        let reason = if self.stream.has_unsent() { CloseReason::HandshakeFailed } else { CloseReason::IoError };
        self.closing = Some(reason);
    }

    /// Answers plain HTTP, of which `head` is all that could be understood.
    pub(super) fn refuse_plaintext(&mut self, reactor: &mut Reactor, head: Option<&RequestHead>) {
        let shared = reactor.shared();
        shared.stats.error(Failure::PlainHttp);
        let agent = head.and_then(|head| head.field("user-agent")).unwrap_or_default();
        if let Some(secure) = &shared.secure {
            secure.plaintext(agent.starts_with(b"kube-probe/"), reactor.now());
        }
        let response = refusal(StatusCode::BAD_REQUEST).with_body(WRONG_SCHEME);
        self.refuse_unparsed(reactor, response, CloseReason::PlaintextOnTlsPort);
    }
}
