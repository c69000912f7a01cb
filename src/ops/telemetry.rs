//! The server's observer: for every finished exchange, counts it and writes its access log line.
//!
//! Knows endpoints as the service lists them. All that depends on the endpoint, the method, the status and the outcome
//! is looked up once for each combination and reactor; a request costs a few stores and one append to a buffer.
//!
//! What of the configuration may change while the server runs is one value that [`Telemetry::apply`] replaces; recorders
//! notice by comparing a pointer, and no request ever waits for a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;
use http::StatusCode;

use super::access_log::{self, AccessLog};
use super::admin::errors::RecentErrors;
use super::diagnosis::Diagnosis;
use super::log_writer::LogHandle;
use super::metrics::{Cell, MethodLabel, Metrics, ReactorMetrics, Series};
use crate::app::service::{Endpoint, EndpointKind};
use crate::config::{Config, LogProbes};
use crate::semantics::trace_context::TraceContext;
use crate::server::observe::{Exchange, Observer, Outcome, Recorder};

/// Metrics and access log of a server.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    access_log: LogHandle,
    settings: Arc<ArcSwap<Settings>>,
    diagnosis: Arc<Diagnosis>,
    rows: Arc<[Row]>,
    errors: Option<Arc<RecentErrors>>,
}

/// What may change while the server runs.
#[derive(Debug)]
struct Settings {
    log: access_log::Settings,
    log_probes: LogProbes,
}

impl Settings {
    fn new(config: &Config) -> Arc<Self> {
        Arc::new(Settings { log: access_log::Settings::new(config), log_probes: config.log_probes })
    }
}

/// What is known of an endpoint. Row 0 stands for "refused before routing"; endpoint n is row n + 1.
#[derive(Debug)]
struct Row {
    template: Arc<str>,
    kind: EndpointKind,
    /// The status of a probe's latest answer, on whichever reactor; 0 before the first.
    latest: AtomicU16,
}

impl Telemetry {
    /// An observer for a service with these `endpoints`. Access log lines go to `access_log`, unless
    /// RWS_CONFIG_LOG_FORMAT is `off`.
    pub fn new(config: &Config, metrics: Arc<Metrics>, endpoints: &[Endpoint], access_log: LogHandle) -> Self {
        let row = |template: &Arc<str>, kind| Row { template: Arc::clone(template), kind, latest: AtomicU16::new(0) };
        let unmatched = row(&Arc::from("_unmatched"), EndpointKind::Route);
        let rows = endpoints.iter().map(|endpoint| row(&endpoint.template, endpoint.kind));
        Telemetry {
            diagnosis: Arc::new(Diagnosis::new(config, metrics.misrouted())),
            metrics,
            access_log,
            settings: Arc::new(ArcSwap::new(Settings::new(config))),
            rows: std::iter::once(unmatched).chain(rows).collect(),
            errors: None,
        }
    }

    /// Takes over what may change while the server runs: LOG_FORMAT, LOG_PROBES, LOG_REDACT_QUERY and LOG_GCP_PROJECT. Each
    /// reactor follows with its next request.
    pub fn apply(&self, config: &Config) {
        self.settings.store(Settings::new(config));
    }

    /// Has what it says of health checks fit the port that only redirects to HTTPS, which the pod has on `port`.
    #[must_use]
    pub fn on_redirect_port(mut self, port: u16) -> Self {
        let diagnosis = Arc::get_mut(&mut self.diagnosis);
        diagnosis.expect("no recorder has been made yet").redirects_to(port);
        self
    }

    /// Remembers requests that go wrong in `errors`.
    #[must_use]
    pub fn with_errors(mut self, errors: Arc<RecentErrors>) -> Self {
        self.errors = Some(errors);
        self
    }
}

impl Observer for Telemetry {
    fn recorder(&self, _reactor: usize) -> Box<dyn Recorder> {
        let mut settings = Cache::new(Arc::clone(&self.settings));
        Box::new(ReactorRecorder {
            metrics: self.metrics.reactor(),
            log: AccessLog::new(self.access_log.clone()),
            applied: Arc::clone(settings.load()),
            settings,
            diagnosis: Arc::clone(&self.diagnosis),
            rows: Arc::clone(&self.rows),
            known: self.rows.iter().map(|_| Vec::new()).collect(),
            errors: self.errors.clone(),
        })
    }
}

/// One reactor's part.
struct ReactorRecorder {
    metrics: ReactorMetrics,
    log: AccessLog,
    settings: Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>,
    /// Those that `known` was made with.
    applied: Arc<Settings>,
    diagnosis: Arc<Diagnosis>,
    rows: Arc<[Row]>,
    /// By row: the combinations that have occurred. Few, so a search from the front beats hashing.
    known: Vec<Vec<Combination>>,
    errors: Option<Arc<RecentErrors>>,
}

/// What requests of one endpoint, method, status and outcome share.
struct Combination {
    key: u32,
    method: Option<MethodLabel>,
    status: StatusCode,
    outcome: Outcome,
    cell: Arc<Cell>,
    /// The part of the log line that is the same for all of them.
    fixed: Box<[u8]>,
    /// Whether they are to be remembered as errors.
    failed: bool,
}

impl Recorder for ReactorRecorder {
    fn record(&mut self, exchange: &Exchange<'_>) {
        if !Arc::ptr_eq(self.settings.load(), &self.applied) {
            self.follow();
        }
        let row = exchange.endpoint.map_or(0, |endpoint| endpoint as usize + 1);
        // An index the service never listed would be the server's mistake, and is no reason to stop serving.
        let row = if row < self.rows.len() { row } else { 0 };
        let place = self.place(row, exchange);
        let combination = &self.known[row][place];
        let bucket = combination.cell.observe(exchange.duration);
        if self.metrics.wants_exemplars()
            && let Some(context) = exchange.received.and_then(|received| TraceContext::of(&received.head))
            && context.sampled
        {
            combination.cell.exemplify(&context, bucket, exchange.duration);
        }
        let kind = self.rows[row].kind;
        if kind != EndpointKind::Admin {
            self.metrics.observe(exchange.bytes_in, exchange.bytes_out, exchange.queued);
        }
        if combination.failed
            && let Some(errors) = &self.errors
        {
            errors.note(&self.rows[row].template, exchange);
        }
        if self.rows[row].is_logged(exchange, self.applied.log_probes) {
            self.log.write(&self.applied.log, exchange, &combination.fixed);
        }
        if Diagnosis::may_concern(kind, exchange.status) {
            self.diagnosis.look(kind, exchange);
        }
    }

    fn flush(&mut self, now: Instant) -> Option<Instant> {
        self.log.flush(now)
    }

    fn finish(&mut self) {
        self.log.hand_over();
    }
}

impl ReactorRecorder {
    /// Goes on with other settings. What was counted stays; the texts of the log are made anew.
    fn follow(&mut self) {
        self.applied = Arc::clone(self.settings.load());
        for (row, known) in self.known.iter_mut().enumerate() {
            for known in known {
                let route = (row > 0).then(|| &*self.rows[row].template);
                let fixed = self.applied.log.fixed_part(route, known.method, known.status, known.outcome);
                known.fixed = fixed.into_boxed_slice();
            }
        }
    }

    /// Where the exchange's combination is among those of its row; it is added if it is new.
    fn place(&mut self, row: usize, exchange: &Exchange<'_>) -> usize {
        let method = exchange.received.map(|received| MethodLabel::of(received.head.method()));
        let key = key(method, exchange);
        let known = &mut self.known[row];
        if let Some(place) = known.iter().position(|combination| combination.key == key) {
            return place;
        }
        let Row { template, kind, .. } = &self.rows[row];
        let cell = self.metrics.cell(Series {
            kind: *kind,
            route: Arc::clone(template),
            method: method.unwrap_or(MethodLabel::Other),
            status: exchange.status,
        });
        let Exchange { status, outcome, .. } = *exchange;
        let route = (row > 0).then_some(&**template);
        let fixed = self.applied.log.fixed_part(route, method, status, outcome).into_boxed_slice();
        let failed = *kind == EndpointKind::Route && RecentErrors::concerns(exchange);
        known.push(Combination { key, method, status, outcome, cell, fixed, failed });
        known.len() - 1
    }
}

fn key(method: Option<MethodLabel>, exchange: &Exchange<'_>) -> u32 {
    const NO_METHOD: u32 = 15;
    let method = method.map_or(NO_METHOD, |method| method as u32);
    u32::from(exchange.status.as_u16()) << 8 | method << 4 | exchange.outcome as u32
}

impl Row {
    /// Whether the access log has a line for this exchange. Probes come all day long; of them, only failures and the
    /// first success after one are news, unless LOG_PROBES says otherwise.
    fn is_logged(&self, exchange: &Exchange<'_>, log_probes: LogProbes) -> bool {
        match self.kind {
            EndpointKind::Route | EndpointKind::Metrics => return true,
            // A page that refreshes itself is no news; who asks for a change is.
            EndpointKind::Admin => return exchange.failed() || !exchange.is_safe(),
            EndpointKind::Probe => {}
        }
        let status = exchange.status.as_u16();
        // Also while nobody asks: the setting may change.
        let before = self.latest.swap(status, Ordering::Relaxed);
        match log_probes {
            LogProbes::All => true,
            LogProbes::None => false,
            LogProbes::Failures => exchange.failed() || (before != 0 && before != status),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
