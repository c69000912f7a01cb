//! The server's observer: for every finished exchange, counts it and writes its access log line.
//!
//! Knows endpoints as the service lists them. All that depends on the endpoint, the method, the status and the outcome
//! is looked up once for each combination and reactor; a request costs a few stores and one append to a buffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use super::access_log::{self, AccessLog};
use super::admin::errors::RecentErrors;
use super::log_writer::LogHandle;
use super::metrics::{Cell, MethodLabel, Metrics, ReactorMetrics, Series};
use crate::app::service::{Endpoint, EndpointKind};
use crate::config::{Config, LogProbes};
use crate::server::observe::{Exchange, Observer, Recorder};

/// Metrics and access log of a server.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Arc<Metrics>,
    log: Option<access_log::Settings>,
    log_probes: LogProbes,
    rows: Arc<[Row]>,
    errors: Option<Arc<RecentErrors>>,
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
            metrics,
            log: access_log::Settings::new(config, access_log),
            log_probes: config.log_probes,
            rows: std::iter::once(unmatched).chain(rows).collect(),
            errors: None,
        }
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
        Box::new(ReactorRecorder {
            metrics: self.metrics.reactor(),
            log: self.log.as_ref().map(AccessLog::new),
            log_probes: self.log_probes,
            rows: Arc::clone(&self.rows),
            known: self.rows.iter().map(|_| Vec::new()).collect(),
            errors: self.errors.clone(),
        })
    }
}

/// One reactor's part.
struct ReactorRecorder {
    metrics: ReactorMetrics,
    log: Option<AccessLog>,
    log_probes: LogProbes,
    rows: Arc<[Row]>,
    /// By row: the combinations that have occurred. Few, so a search from the front beats hashing.
    known: Vec<Vec<Combination>>,
    errors: Option<Arc<RecentErrors>>,
}

/// What requests of one endpoint, method, status and outcome share.
struct Combination {
    key: u32,
    cell: Arc<Cell>,
    /// The part of the log line that is the same for all of them.
    fixed: Box<[u8]>,
    /// Whether they are to be remembered as errors.
    failed: bool,
}

impl Recorder for ReactorRecorder {
    fn record(&mut self, exchange: &Exchange<'_>) {
        let row = exchange.endpoint.map_or(0, |endpoint| endpoint as usize + 1);
        // An index the service never listed would be the server's mistake, and is no reason to stop serving.
        let row = if row < self.rows.len() { row } else { 0 };
        let place = self.place(row, exchange);
        let combination = &self.known[row][place];
        combination.cell.observe(exchange.duration);
        if self.rows[row].kind != EndpointKind::Admin {
            self.metrics.observe(exchange.bytes_in, exchange.bytes_out, exchange.queued);
        }
        if combination.failed
            && let Some(errors) = &self.errors
        {
            errors.note(&self.rows[row].template, exchange);
        }
        if let Some(log) = &mut self.log
            && self.rows[row].is_logged(exchange, self.log_probes)
        {
            log.write(exchange, &combination.fixed);
        }
    }

    fn flush(&mut self, now: Instant) -> Option<Instant> {
        self.log.as_mut()?.flush(now)
    }

    fn finish(&mut self) {
        if let Some(log) = &mut self.log {
            log.hand_over();
        }
    }
}

impl ReactorRecorder {
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
        let route = exchange.endpoint.map(|_| &**template);
        let fixed = self.log.as_ref().map(|log| log.fixed_part(route, method, exchange.status, exchange.outcome));
        let failed = *kind == EndpointKind::Route && RecentErrors::concerns(exchange);
        known.push(Combination { key, cell, fixed: fixed.unwrap_or_default().into_boxed_slice(), failed });
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
        match log_probes {
            LogProbes::All => true,
            LogProbes::None => false,
            LogProbes::Failures => {
                let status = exchange.status.as_u16();
                let before = self.latest.swap(status, Ordering::Relaxed);
                exchange.failed() || (before != 0 && before != status)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
