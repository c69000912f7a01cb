//! Metrics: what the server tells about its requests and itself, in Prometheus' terms.
//!
//! Requests are counted in cells that belong to one reactor each; a scrape folds them together. The registry is
//! open: users add their own collectors to it. Knows templates of routes, never paths: nothing a client sends becomes a label.

mod cells;
mod collector;
mod families;
mod process;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use prometheus::proto::MetricType;
use prometheus::{Registry, TextEncoder};

use self::cells::{Counter, Durations};
use self::collector::ServerCollector;
use super::diagnosis::Misrouted;
use super::log_writer::LogHandle;
use crate::app::response::Response;
use crate::app::service::EndpointKind;
use crate::semantics::head::RequestHead;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;

/// The server's metrics and the registry they are gathered from.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    cells: Arc<AllCells>,
    misrouted: Arc<Misrouted>,
}

impl Metrics {
    /// Registers the server's metrics in `registry`. `logs` are the writers whose dropped lines are counted.
    ///
    /// # Errors
    /// When the registry already has a metric of one of the server's names.
    pub fn new(
        registry: Registry,
        stats: Arc<Stats>,
        lifecycle: Lifecycle,
        logs: Vec<LogHandle>,
    ) -> prometheus::Result<Self> {
        let (cells, misrouted) = (Arc::new(AllCells::default()), Arc::new(Misrouted::default()));
        let collector = ServerCollector::new(Arc::clone(&cells), Arc::clone(&misrouted), stats, lifecycle, logs)?;
        registry.register(Box::new(collector))?;
        Ok(Metrics { registry, cells, misrouted })
    }

    /// The registry, for users' own collectors.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Answers `GET /metrics` in Prometheus' text format 0.0.4. A collector that yields what cannot be written
    /// makes it a 500 that says why.
    pub fn render(&self, _head: &RequestHead) -> Response {
        let families = self.registry.gather();
        // The encoder panics on this one type, which the text format knows and the crate does not write.
        let untyped = families.iter().find(|family| family.get_field_type() == MetricType::UNTYPED);
        let text = match untyped {
            Some(family) => Err(format!("the metric {} is untyped", family.name())),
            None => TextEncoder::new().encode_to_string(&families).map_err(|error| error.to_string()),
        };
        match text {
            Ok(text) => response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(error) => {
                tracing::error!(error, "metrics could not be gathered");
                let text = format!("metrics could not be gathered: {error}\n");
                response(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text)
            }
        }
    }

    /// Where probes that go astray are counted.
    pub(super) fn misrouted(&self) -> Arc<Misrouted> {
        Arc::clone(&self.misrouted)
    }

    /// A place to count for one more reactor.
    pub(super) fn reactor(&self) -> ReactorMetrics {
        let totals = Arc::new(Totals::default());
        locked(&self.cells.totals).push(Arc::clone(&totals));
        ReactorMetrics { totals, cells: Arc::clone(&self.cells) }
    }
}

/// How many file descriptors are open, and how many may be, if the system tells.
pub(crate) fn open_descriptors() -> Option<(u64, u64)> {
    process::open_fds().zip(process::max_fds())
}

fn response(status: StatusCode, media_type: &'static str, text: String) -> Response {
    Response::new(status).with_header(CONTENT_TYPE, HeaderValue::from_static(media_type)).with_body(text)
}

/// One reactor's side of the metrics.
#[derive(Debug)]
pub(super) struct ReactorMetrics {
    totals: Arc<Totals>,
    cells: Arc<AllCells>,
}

impl ReactorMetrics {
    /// Makes a cell of this reactor's own and shows it to the scraper. Rare: once for each combination that occurs.
    pub(super) fn cell(&self, series: Series) -> Arc<Cell> {
        let cell = Arc::new(Cell { series, durations: Durations::default() });
        locked(&self.cells.requests).push(Arc::clone(&cell));
        cell
    }

    /// Counts what is not told apart by route. A few stores.
    pub(super) fn observe(&self, bytes_in: u64, bytes_out: u64, queued: Option<Duration>) {
        self.totals.bytes_in.add(bytes_in);
        self.totals.bytes_out.add(bytes_out);
        if let Some(queued) = queued {
            self.totals.queued.observe(queued);
        }
    }
}

/// What requests are told apart by.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) kind: EndpointKind,
    /// The route's template.
    pub(super) route: Arc<str>,
    pub(super) method: MethodLabel,
    pub(super) status: StatusCode,
}

/// One reactor's requests of one series.
#[derive(Debug)]
pub(super) struct Cell {
    series: Series,
    durations: Durations,
}

impl Cell {
    /// Counts one request. A few loads and stores; only for the reactor that made the cell.
    pub(super) fn observe(&self, duration: Duration) {
        self.durations.observe(duration);
    }
}

/// What a reactor counts regardless of routes.
#[derive(Debug, Default)]
struct Totals {
    bytes_in: Counter,
    bytes_out: Counter,
    queued: Durations,
}

/// All reactors' cells. Locked when one is added and when they are read, never for a request.
#[derive(Debug, Default)]
struct AllCells {
    requests: Mutex<Vec<Arc<Cell>>>,
    totals: Mutex<Vec<Arc<Totals>>>,
}

/// The lists are only pushed to and read, so a panic elsewhere cannot have left one half changed.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request method as a label: one of the nine registered ones that OpenTelemetry lists, or `_OTHER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum MethodLabel {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    Other,
}

impl MethodLabel {
    pub(super) fn of(method: &Method) -> Self {
        match *method {
            Method::GET => MethodLabel::Get,
            Method::HEAD => MethodLabel::Head,
            Method::POST => MethodLabel::Post,
            Method::PUT => MethodLabel::Put,
            Method::DELETE => MethodLabel::Delete,
            Method::CONNECT => MethodLabel::Connect,
            Method::OPTIONS => MethodLabel::Options,
            Method::TRACE => MethodLabel::Trace,
            Method::PATCH => MethodLabel::Patch,
            _ => MethodLabel::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            MethodLabel::Get => "GET",
            MethodLabel::Head => "HEAD",
            MethodLabel::Post => "POST",
            MethodLabel::Put => "PUT",
            MethodLabel::Delete => "DELETE",
            MethodLabel::Connect => "CONNECT",
            MethodLabel::Options => "OPTIONS",
            MethodLabel::Trace => "TRACE",
            MethodLabel::Patch => "PATCH",
            MethodLabel::Other => "_OTHER",
        }
    }
}

#[cfg(test)]
mod tests;
