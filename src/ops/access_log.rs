//! The access log of one reactor: lines are formatted into a buffer, and whole buffers go to the writer.
//!
//! Knows exchanges and formats; knows neither the sink nor other reactors. Lines of one reactor are in order; those of
//! different reactors may be up to [`MAX_AGE`] out of order.
//!
//! Header fields other than those a format names are never looked at, so `Authorization` and cookies cannot leak.

mod apache;
mod json;
mod redact;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use self::redact::Redactor;
use super::log_writer::LogHandle;
use super::metrics::MethodLabel;
use super::timestamp::{Clock, system_time};
use crate::config::{Config, LogFormat};
use crate::semantics::head::RequestHead;
use crate::server::observe::{Exchange, Outcome};

/// A buffer of this size is handed over at once. Large enough to make the system call cheap, small enough for the caches.
const FULL: usize = 64 * 1024;
/// Room beyond that for the line that fills it.
const SLACK: usize = 4 * 1024;
/// No line waits longer than this, as long as the reactor runs.
pub(super) const MAX_AGE: Duration = Duration::from_millis(100);

/// What the logs of all reactors have in common.
#[derive(Debug)]
pub(super) struct Settings {
    format: Format,
    redactor: Arc<Redactor>,
    writer: LogHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Combined,
    Common,
}

impl Settings {
    /// `None` when there is to be no access log.
    pub(super) fn new(config: &Config, writer: LogHandle) -> Option<Self> {
        let format = match config.log_format {
            LogFormat::Json => Format::Json,
            LogFormat::Combined => Format::Combined,
            LogFormat::Common => Format::Common,
            LogFormat::Off => return None,
        };
        Some(Settings { format, redactor: Arc::new(Redactor::new(&config.log_redact_query)), writer })
    }
}

/// One reactor's log.
#[derive(Debug)]
pub(super) struct AccessLog {
    format: Format,
    redactor: Arc<Redactor>,
    clock: Clock,
    /// Whole lines not handed over yet.
    lines: Vec<u8>,
    /// When the first of them was written.
    oldest: Option<Instant>,
    writer: LogHandle,
}

impl AccessLog {
    pub(super) fn new(settings: &Settings) -> Self {
        AccessLog {
            format: settings.format,
            redactor: Arc::clone(&settings.redactor),
            clock: Clock::new(system_time),
            lines: Vec::with_capacity(FULL + SLACK),
            oldest: None,
            writer: settings.writer.clone(),
        }
    }

    /// The part of a line that depends on nothing but these; made once, copied for each request.
    pub(super) fn fixed_part(
        &self,
        route: Option<&str>,
        method: Option<MethodLabel>,
        status: StatusCode,
        outcome: Outcome,
    ) -> Vec<u8> {
        match self.format {
            Format::Json => json::fixed_part(route, method, status, outcome),
            Format::Combined | Format::Common => Vec::new(),
        }
    }

    /// Appends the line of one exchange. `fixed` is what [`Self::fixed_part`] made for its like.
    pub(super) fn write(&mut self, exchange: &Exchange<'_>, fixed: &[u8]) {
        self.oldest.get_or_insert(exchange.now);
        let (out, clock, redactor) = (&mut self.lines, &mut self.clock, &*self.redactor);
        match self.format {
            Format::Json => json::line(out, exchange, fixed, clock, redactor),
            Format::Combined => apache::combined(out, exchange, clock, redactor),
            Format::Common => apache::common(out, exchange, clock, redactor),
        }
        if self.lines.len() >= FULL {
            self.hand_over();
        }
    }

    /// Hands over what has waited long enough; returns when the rest will have.
    pub(super) fn flush(&mut self, now: Instant) -> Option<Instant> {
        let due = self.oldest? + MAX_AGE;
        if now < due {
            return Some(due);
        }
        self.hand_over();
        None
    }

    pub(super) fn hand_over(&mut self) {
        self.oldest = None;
        self.writer.send(&mut self.lines);
    }
}

/// The client's address. Forwarding fields are believed only when they come from a trusted proxy, and none is configured:
/// so it is the other end of the connection.
fn client_ip(exchange: &Exchange<'_>) -> IpAddr {
    exchange.remote.ip()
}

/// What a line calls the path: the target itself where it has none, as in `OPTIONS *` and CONNECT.
fn path(head: &RequestHead) -> &str {
    match head.path() {
        "" => head.target(),
        path => path,
    }
}

/// The header fields that log lines are made of, found in one pass.
#[derive(Debug, Default)]
struct Fields<'a> {
    user_agent: Option<&'a [u8]>,
    referer: Option<&'a [u8]>,
    traceparent: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(head: &'a RequestHead) -> Self {
        let mut fields = Fields::default();
        let mut contexts = 0;
        for (name, value) in head.raw_fields() {
            // Comparing lengths first leaves little to compare.
            match name.len() {
                7 if name.eq_ignore_ascii_case(b"referer") => _ = fields.referer.get_or_insert(value),
                10 if name.eq_ignore_ascii_case(b"user-agent") => _ = fields.user_agent.get_or_insert(value),
                11 if name.eq_ignore_ascii_case(b"traceparent") => {
                    contexts += 1;
                    // Two contexts are as good as none: either may be the wrong one.
                    fields.traceparent = (contexts == 1).then_some(value);
                }
                _ => {}
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests;
