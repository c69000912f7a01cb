//! The admin port: what operators and their tools ask a running server, beside its own traffic.
//!
//! | path | what |
//! |---|---|
//! | the probes, the metrics | what they are on the main port, where metrics are no more |
//! | `/statusz` | a page for people: how it is, what it does, what went wrong lately; `?format=json` |
//! | `/configz` | every setting, its value, where it came from and when a change takes effect |
//! | `POST /drain` | what SIGTERM does |
//! | `/` | links to these |
//!
//! Ordinary handlers on read-only handles. Knows neither sockets nor the server; whoever starts both gives it a way to
//! ask for a drain and for what is running. Nothing here shows queries, header fields or bodies of requests.

mod chart;
mod configz;
mod drain;
pub mod errors;
mod history;
mod html;
mod index;
pub mod main_listener;
mod show;
mod status;
mod statusz;

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

use self::errors::RecentErrors;
use self::history::History;
use self::status::Identity;
use super::log_writer::LogHandle;
use super::metrics::Metrics;
use super::probes::Probes;
use crate::app::request::Received;
use crate::app::response::Response;
use crate::app::service::EndpointKind;
use crate::app::{App, get};
use crate::config::Live;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;
use crate::server::vitals::Vitals;

/// What the pages are made of.
#[derive(Debug)]
pub struct Handles {
    /// The configuration in force.
    pub live: Live,
    /// The probes on the admin port.
    pub probes: Arc<Probes>,
    /// The main server's metrics.
    pub metrics: Arc<Metrics>,
    /// The main server's counters.
    pub stats: Arc<Stats>,
    /// The main server's state.
    pub lifecycle: Lifecycle,
    /// What its workers are at.
    pub vitals: Vitals,
    /// What went wrong lately on the main server.
    pub errors: Arc<RecentErrors>,
    /// The writers whose lost lines are shown.
    pub logs: Vec<LogHandle>,
    /// Whether this is a pod, so that the host's name is the pod's.
    pub in_kubernetes: bool,
}

/// The pages of the admin port.
pub struct Admin {
    handles: Handles,
    identity: Identity,
    history: Arc<History>,
    /// Drains the main server, once it runs.
    drain: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Admin {
    /// Pages that show what `handles` tell.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn new(handles: Handles) -> io::Result<Arc<Self>> {
        let history = History::start(handles.metrics.clone(), handles.stats.clone())?;
        let identity = Identity::of_process(handles.in_kubernetes);
        Ok(Arc::new(Admin { handles, identity, history, drain: OnceLock::new() }))
    }

    /// What the pages are made of.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// The main server runs, and `drain` asks it to stop.
    pub fn main_runs(&self, drain: impl Fn() + Send + Sync + 'static) {
        // It starts once.
        let _ = self.drain.set(Box::new(drain));
    }

    /// Adds the pages; probes and metrics are mounted by whoever mounts them on the main port.
    pub fn mount(self: &Arc<Self>, app: App) -> App {
        type Page = fn(&Admin, &Received) -> Response;
        let pages: [(&str, Page); 3] = [
            ("/", |admin, _| index::page(admin)),
            ("/statusz", |admin, received| admin.statusz(&received.head)),
            ("/configz", |admin, received| admin.configz(&received.head)),
        ];
        let app = pages.into_iter().fold(app, |app, (path, page)| {
            let admin = self.clone();
            app.mount(path, get(move |received: Arc<Received>| page(&admin, &received)), EndpointKind::Admin)
        });
        let admin = self.clone();
        let drain = get(drain::only_post).post(move |received: Arc<Received>| admin.drain(&received.head));
        app.mount("/drain", drain, EndpointKind::Admin)
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn respond(status: StatusCode, media_type: &'static str, body: String) -> Response {
    Response::new(status)
        .with_header(CONTENT_TYPE, HeaderValue::from_static(media_type))
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with_body(body)
}

fn text_response(status: StatusCode, text: String) -> Response {
    respond(status, "text/plain; charset=utf-8", text)
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    respond(status, "application/json", format!("{body}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::TestClient;
    use crate::config::{Config, Sources};
    use crate::ops::probes::{Check, Probe, Verdict};
    use crate::ops::telemetry::tests::metrics;

    /// A check that tries to become part of the page.
    struct Hostile;

    impl Check for Hostile {
        fn name(&self) -> &str {
            "<img src=x>"
        }

        fn concerns(&self, probe: Probe) -> bool {
            probe == Probe::Readyz
        }

        fn verdict(&self, _: Probe) -> Verdict {
            Verdict::Fail("</span><script>alert('x')</script>".into())
        }

        fn data(&self) -> serde_json::Map<String, serde_json::Value> {
            [("<u>".to_owned(), "\"<s>\"".into())].into_iter().collect()
        }
    }

    fn pages() -> (Arc<Admin>, TestClient) {
        let config = Config::default();
        let (stats, lifecycle) = (Arc::<Stats>::default(), Lifecycle::default());
        let mut probes = Probes::new(&config, lifecycle.clone(), stats.clone());
        probes.add(Hostile);
        lifecycle.advance(crate::server::lifecycle::State::Ready);
        let admin = Admin::new(Handles {
            live: Live::new(Config::load(&Sources::default()).expect("nothing is set")),
            probes: Arc::new(probes),
            metrics: metrics(),
            stats,
            lifecycle,
            vitals: Vitals::default(),
            errors: Arc::default(),
            logs: Vec::new(),
            in_kubernetes: true,
        });
        let admin = admin.expect("a thread");
        let client = TestClient::new(admin.mount(App::new())).expect("routes that do not clash");
        (admin, client)
    }

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        let (_, client) = pages();
        let page = client.get("/statusz").send().text().to_owned();
        for tag in ["<img", "<u>", "<s>", "alert('x')"] {
            assert!(!page.contains(tag), "{tag} in {page}");
        }
        assert!(page.contains("&lt;img src=x&gt;") && page.contains("<strong>Not ready</strong>"), "{page}");
        assert_eq!(page.matches("<script>").count(), 1, "its own");
    }

    #[test]
    fn a_drain_is_asked_for_once_the_server_runs() {
        let (admin, client) = pages();
        let early = client.post("/drain").send();
        assert_eq!((early.status(), early.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
        let lifecycle = admin.handles().lifecycle.clone();
        admin.main_runs(move || _ = lifecycle.advance(crate::server::lifecycle::State::Draining));
        let accepted = client.post("/drain").send();
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
        assert!(accepted.text().contains(r#""state":"draining""#));
        assert!(client.get("/statusz").send().text().contains("<strong>Draining</strong>"));
    }
}
