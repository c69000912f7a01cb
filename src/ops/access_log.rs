//! The access log of one reactor: lines are formatted into a buffer, and whole buffers go to the writer.
//!
//! Knows exchanges and formats; knows neither the sink nor other reactors. Lines of one reactor are in order; those of
//! different reactors may be up to [`MAX_AGE`] out of order.
//!
//! Header fields other than those a format names are never looked at, so `Authorization` and cookies cannot leak.

mod apache;
mod ecs;
pub(super) mod gcp;
mod json;
mod redact;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::StatusCode;

use self::redact::Redactor;
use super::log_writer::LogHandle;
use super::metrics::MethodLabel;
use super::text;
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

/// How lines are to look. The same for all reactors, and replaced as a whole when the configuration changes.
#[derive(Debug)]
pub(super) struct Settings {
    format: LogFormat,
    redactor: Redactor,
    /// What stands before a trace's id in the `gcp` format.
    trace_prefix: String,
    /// Of the main port.
    scheme: &'static str,
}

impl Settings {
    pub(super) fn new(config: &Config) -> Self {
        Settings {
            format: config.log_format,
            redactor: Redactor::new(&config.log_redact_query),
            trace_prefix: trace_prefix(config),
            scheme: if config.speaks_tls() { "https://" } else { "http://" },
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
            LogFormat::Json => json::fixed_part(route, method, status, outcome),
            LogFormat::Ecs => ecs::fixed_part(route, status, outcome),
            LogFormat::Gcp => gcp::fixed_part(route, outcome),
            LogFormat::Combined | LogFormat::Common | LogFormat::Off => Vec::new(),
        }
    }
}

/// What makes the resource name of a trace of its id, in the `gcp` format; empty without LOG_GCP_PROJECT.
pub(super) fn trace_prefix(config: &Config) -> String {
    match (config.log_format, &*config.log_gcp_project) {
        (LogFormat::Gcp, project) if !project.is_empty() => format!("projects/{project}/traces/"),
        _ => String::new(),
    }
}

/// One reactor's log.
#[derive(Debug)]
pub(super) struct AccessLog {
    clock: Clock,
    /// Whole lines not handed over yet.
    lines: Vec<u8>,
    /// When the first of them was written.
    oldest: Option<Instant>,
    writer: LogHandle,
}

impl AccessLog {
    pub(super) fn new(writer: LogHandle) -> Self {
        AccessLog { clock: Clock::new(system_time), lines: Vec::new(), oldest: None, writer }
    }

    /// Appends the line of one exchange. `fixed` is what [`Settings::fixed_part`] made for its like.
    pub(super) fn write(&mut self, settings: &Settings, exchange: &Exchange<'_>, fixed: &[u8]) {
        let (out, clock, redactor) = (&mut self.lines, &mut self.clock, &settings.redactor);
        if out.capacity() == 0 && settings.format != LogFormat::Off {
            out.reserve(FULL + SLACK);
        }
        match settings.format {
            LogFormat::Json => json::line(out, exchange, fixed, clock, redactor),
            LogFormat::Ecs => ecs::line(out, exchange, fixed, clock, redactor),
            LogFormat::Gcp => gcp::line(out, exchange, fixed, clock, settings),
            LogFormat::Combined => apache::combined(out, exchange, clock, redactor),
            LogFormat::Common => apache::common(out, exchange, clock, redactor),
            LogFormat::Off => return,
        }
        self.oldest.get_or_insert(exchange.now);
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

/// The client's address: what trusted proxies say, else the other end of the connection.
fn client_ip(exchange: &Exchange<'_>) -> IpAddr {
    exchange.received.map_or(exchange.remote.ip(), |received| received.client_ip)
}

/// Method, path and status in one text, for formats whose message is what people read.
fn summary(out: &mut Vec<u8>, exchange: &Exchange<'_>) {
    match exchange.received {
        Some(received) => {
            text::json(out, received.head.method().as_str().as_bytes());
            out.push(b' ');
            text::json(out, path(&received.head).as_bytes());
        }
        None => out.extend_from_slice(b"no request"),
    }
    out.push(b' ');
    text::number(out, exchange.status.as_u16());
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
