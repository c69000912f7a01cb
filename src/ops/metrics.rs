//! Metrics: what the server tells about its requests and itself, in Prometheus' terms.
//!
//! Requests are counted in cells that belong to one reactor each; a scrape folds them together. The registry is
//! open: users add their own collectors to it. Knows templates of routes, never paths: nothing a client sends becomes a label.

mod cells;
mod collector;
mod exemplars;
mod exposition;
mod families;
mod process;
mod snapshot;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use http::{Method, StatusCode};
use prometheus::Registry;
use prometheus::proto::MetricFamily;

pub(super) use self::cells::Folded;
use self::cells::{Counter, Durations};
use self::collector::{Reserved, ServerCollector};
use self::exemplars::{Exemplars, Latest};
use self::exposition::Format;
pub(super) use self::process::ProcessSample;
pub(super) use self::snapshot::Snapshot;
use super::diagnosis::Misrouted;
use super::log_writer::LogHandle;
use super::throttle::{Say, Throttle};
use super::timestamp::since_epoch;
use crate::app::compression::Compressor;
use crate::app::response::Response;
use crate::app::service::EndpointKind;
use crate::semantics::accept;
use crate::semantics::accept_encoding::{Accepted, Coding};
use crate::semantics::head::RequestHead;
use crate::semantics::trace_context::TraceContext;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;

/// The level of gzip for a scrape: it runs on a reactor, and names that repeat shrink much at any level.
const FAST: u32 = 1;

/// The server's metrics, and the registries that they are gathered with.
///
/// The server's own collectors are in a registry that nobody else has, so that nothing a user's collector does can take
/// them away.
pub struct Metrics {
    own: Registry,
    users: Vec<Registry>,
    cells: Arc<AllCells>,
    misrouted: Arc<Misrouted>,
    complaints: Throttle,
}

impl Drop for Metrics {
    /// Gives the names back, so that the registries may belong to another server.
    fn drop(&mut self) {
        for registry in &self.users {
            // Nothing can be wrong with names that were registered; those that were not are no loss.
            let reserved = self.reserved().into_iter().flatten();
            reserved.for_each(|reserved| _ = registry.unregister(Box::new(reserved)));
        }
    }
}

impl Metrics {
    /// The server's metrics beside those of `registry`, in which their names are taken from now on. `logs` are the writers
    /// whose dropped lines are counted.
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
        let metrics =
            Metrics { own: Registry::new(), users: Vec::new(), cells, misrouted, complaints: Throttle::default() };
        metrics.own.register(Box::new(collector))?;
        metrics.with_registry(registry)
    }

    /// Exposes the metrics of one more registry. Each is gathered by itself: a collector that panics takes away those of
    /// its own registry, and no others.
    ///
    /// # Errors
    /// When it already has a metric of one of the server's names, or was given before. Another server may have it as well.
    pub fn with_registry(mut self, registry: Registry) -> prometheus::Result<Self> {
        self.users.push(registry.clone());
        for reserved in self.reserved()? {
            let name = reserved.name().to_owned();
            registry.register(Box::new(reserved)).map_err(|error| {
                prometheus::Error::Msg(format!("{name} is there twice, and it is one of the server's: {error}"))
            })?;
        }
        Ok(self)
    }

    /// The server's names, as this one has them.
    fn reserved(&self) -> prometheus::Result<impl Iterator<Item = Reserved> + use<>> {
        // Nobody else has the same while this lives.
        Reserved::all(Arc::as_ptr(&self.cells).addr())
    }

    /// The registry it was made with, for users' own collectors. A name that the server uses is refused there.
    pub fn registry(&self) -> &Registry {
        // There is always the one that it was made with.
        self.users.first().unwrap_or(&self.own)
    }

    /// The registry of the server's own metrics, for the parts of the server that are not known here.
    pub(crate) fn own_registry(&self) -> &Registry {
        &self.own
    }

    /// Answers a scrape: in OpenMetrics 1.0 if `Accept` prefers that, else in Prometheus' text format 0.0.4, and compressed
    /// if `Accept-Encoding` has gzip. What a user's collector yields that cannot be written is left out, with a warning.
    pub fn render(&self, head: &RequestHead) -> Response {
        let weigh = |name, versions| accept::media_type(head.values("accept"), name, versions);
        let open = weigh("application/openmetrics-text", &["1.0.0", "0.0.1"][..]) > weigh("text/plain", &["0.0.4"][..]);
        let format = if open { Format::OpenMetrics } else { Format::Text };
        let exemplars = if open { self.exemplars() } else { Exemplars::default() };
        let body = exposition::write(&self.gather(), format, &exemplars, |name, fault| self.complain(name, fault));
        let response = Response::new(StatusCode::OK)
            .with_header(CONTENT_TYPE, HeaderValue::from_static(format.media_type()))
            .with_header(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if Accepted::of(head.values("accept-encoding")).best(&[Coding::Gzip]).is_none() {
            return response.with_body(body);
        }
        match gzip(&body) {
            Some(short) => response.with_header(CONTENT_ENCODING, HeaderValue::from_static("gzip")).with_body(short),
            None => response.with_body(body),
        }
    }

    /// All families, the server's own first: of two of one name, only the first is written.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let mut families = self.own.gather();
        for registry in &self.users {
            match catch_unwind(AssertUnwindSafe(|| registry.gather())) {
                Ok(more) => families.extend(more),
                Err(_) => self.complain("", "a collector panicked, and its registry is left out"),
            }
        }
        families
    }

    /// What has been kept of traced requests; from now on there is a reason to.
    fn exemplars(&self) -> Exemplars {
        self.cells.wants_exemplars.store(true, Ordering::Relaxed);
        Exemplars::of(&locked(&self.cells.requests))
    }

    fn complain(&self, name: &str, fault: &'static str) {
        if let Say::Now(repeated) = self.complaints.ask(&(name, fault), Instant::now()) {
            tracing::warn!(metric = name, repeated, "a metric is left out of /metrics: {fault}");
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

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("own", &self.own).field("users", &self.users).finish_non_exhaustive()
    }
}

/// How many file descriptors are open, and how many may be, if the system tells.
pub(crate) fn open_descriptors() -> Option<(u64, u64)> {
    process::open_fds().zip(process::max_fds())
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
        let cell = Arc::new(Cell { series, durations: Durations::default(), exemplars: Latest::default() });
        locked(&self.cells.requests).push(Arc::clone(&cell));
        cell
    }

    /// Whether exemplars are of any use.
    pub(super) fn wants_exemplars(&self) -> bool {
        self.cells.wants_exemplars.load(Ordering::Relaxed)
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
    exemplars: Latest,
}

impl Cell {
    /// Counts one request. A few loads and stores; only for the reactor that made the cell.
    pub(super) fn observe(&self, duration: Duration) -> usize {
        self.durations.observe(duration)
    }

    /// Has a request of the bucket stand for it. Only for the reactor that made the cell.
    pub(super) fn exemplify(&self, context: &TraceContext<'_>, bucket: usize, duration: Duration) {
        self.exemplars.note(context, bucket, duration, since_epoch(SystemTime::now()));
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
    /// Whether somebody has scraped in OpenMetrics, which has exemplars.
    wants_exemplars: AtomicBool,
    totals: Mutex<Vec<Arc<Totals>>>,
}

/// The lists are only pushed to and read, so a panic elsewhere cannot have left one half changed.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `text` compressed, if it becomes shorter. Without memory for an encoder the text is still right.
fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    Compressor::each_time(Coding::Gzip).ok()?.level(FAST).ok()?.whole(text).ok()?
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
