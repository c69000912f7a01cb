//! The `gcp` format: one object a line, with the special fields of Google Cloud's structured logging, from which its
//! agents make a LogEntry with an HttpRequest.
//!
//! | field | when | what |
//! |---|---|---|
//! | time, severity, message | always | the message is method, path and status |
//! | httpRequest.status, .requestSize, .responseSize, .latency, .remoteIp | always | sizes are those of the bodies, as strings, since they are 64 bits wide; the latency in seconds, `"0.012345s"`; the address is the client's |
//! | httpRequest.requestMethod, .requestUrl, .protocol | head understood | |
//! | httpRequest.userAgent, .referer | the client sent it | secrets replaced |
//! | logging.googleapis.com/trace, /spanId, /trace_sampled | valid `traceparent` | the trace, with LOG_GCP_PROJECT as a resource name, and the caller's span |
//! | route, outcome, request_id, user, remote_addr, queue_ms, reason | as in the `json` format | |

use std::time::Duration;

use http::Version;

use super::json::{level, millis, string};
use super::{Fields, Settings, client_ip, path, summary};
use crate::app::request::Received;
use crate::ops::text;
use crate::ops::timestamp::Clock;
use crate::semantics::trace_context::TraceContext;
use crate::server::observe::{Exchange, Outcome};

/// What is the same for all requests of one route and outcome.
pub(super) fn fixed_part(route: Option<&str>, outcome: Outcome) -> Vec<u8> {
    let mut out = br#","outcome":""#.to_vec();
    out.extend_from_slice(outcome.name().as_bytes());
    if let Some(route) = route {
        string(&mut out, br#"","route":""#, route.as_bytes());
    }
    out
}

/// Appends the line of one exchange.
pub(super) fn line(out: &mut Vec<u8>, exchange: &Exchange<'_>, fixed: &[u8], clock: &mut Clock, settings: &Settings) {
    let (date, micros) = clock.rfc3339(exchange.now);
    out.extend_from_slice(br#"{"time":""#);
    out.extend_from_slice(date);
    out.extend_from_slice(&micros);
    string(out, br#"","severity":""#, severity(level(exchange.status, exchange.outcome)).as_bytes());
    out.extend_from_slice(br#"","message":""#);
    summary(out, exchange);
    let fields = exchange.received.map(|received| Fields::of(&received.head)).unwrap_or_default();
    http_request(out, exchange, &fields, settings);
    if let Some(context) = fields.traceparent.and_then(TraceContext::parse) {
        trace(out, &context, settings);
    }
    out.extend_from_slice(fixed);
    // From here on a string is open at the end of every step.
    if let Some(received) = exchange.received {
        string(out, br#"","request_id":""#, received.id.as_bytes());
        if let Some(user) = received.user.get() {
            string(out, br#"","user":""#, user.as_bytes());
        }
    }
    if let Some(refused) = exchange.refused {
        string(out, br#"","reason":""#, refused.explain().as_bytes());
    }
    out.extend_from_slice(br#"","remote_addr":""#);
    text::socket_address(out, exchange.remote);
    out.push(b'"');
    if let Some(queued) = exchange.queued {
        out.extend_from_slice(br#","queue_ms":"#);
        millis(out, queued);
    }
    out.extend_from_slice(b"}\n");
}

/// Ends the string before it, and ends with a closed object.
fn http_request(out: &mut Vec<u8>, exchange: &Exchange<'_>, fields: &Fields<'_>, settings: &Settings) {
    out.extend_from_slice(br#"","httpRequest":{"status":"#);
    text::number(out, exchange.status.as_u16());
    out.extend_from_slice(br#","requestSize":""#);
    text::number(out, exchange.bytes_in);
    out.extend_from_slice(br#"","responseSize":""#);
    text::number(out, exchange.bytes_out);
    out.extend_from_slice(br#"","latency":""#);
    latency(out, exchange.duration);
    out.extend_from_slice(br#"","remoteIp":""#);
    text::ip(out, client_ip(exchange));
    if let Some(received) = exchange.received {
        request(out, received, settings);
    }
    if let Some(user_agent) = fields.user_agent {
        string(out, br#"","userAgent":""#, user_agent);
    }
    if let Some(referer) = fields.referer {
        string(out, br#"","referer":""#, &settings.redactor.url(referer));
    }
    out.extend_from_slice(br#""}"#);
}

fn request(out: &mut Vec<u8>, received: &Received, settings: &Settings) {
    let head = &received.head;
    string(out, br#"","requestMethod":""#, head.method().as_str().as_bytes());
    out.extend_from_slice(br#"","requestUrl":""#);
    match head.host() {
        Some(host) => {
            out.extend_from_slice(settings.scheme.as_bytes());
            text::json(out, settings.redactor.authority(host.as_bytes()));
            // `OPTIONS *` is about the host and has no path (RFC 9112 section 3.3).
            text::json(out, head.path().as_bytes());
        }
        None => text::json(out, path(head).as_bytes()),
    }
    if let Some(query) = head.query() {
        out.push(b'?');
        text::json(out, &settings.redactor.query(query.as_bytes()));
    }
    out.extend_from_slice(match head.version() {
        Version::HTTP_10 => br#"","protocol":"HTTP/1.0"#,
        _ => br#"","protocol":"HTTP/1.1"#,
    });
}

fn trace(out: &mut Vec<u8>, context: &TraceContext<'_>, settings: &Settings) {
    string(out, br#","logging.googleapis.com/trace":""#, settings.trace_prefix.as_bytes());
    out.extend_from_slice(context.trace_id.as_bytes());
    string(out, br#"","logging.googleapis.com/spanId":""#, context.parent_id.as_bytes());
    out.extend_from_slice(br#"","logging.googleapis.com/trace_sampled":"#);
    out.extend_from_slice(if context.sampled { b"true" } else { b"false" });
}

/// The name of a level among those of LogSeverity.
pub(in crate::ops) fn severity(level: &str) -> &'static str {
    match level {
        "error" => "ERROR",
        "warn" => "WARNING",
        "info" => "INFO",
        _ => "DEBUG",
    }
}

/// A duration as protobuf's JSON writes it: seconds with a fraction of 9 digits at most, and an `s`.
fn latency(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.subsec_micros();
    text::number(out, duration.as_secs());
    out.push(b'.');
    out.extend_from_slice(&text::three_digits(micros / 1000));
    out.extend_from_slice(&text::three_digits(micros % 1000));
    out.push(b's');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_seconds() {
        let cases = [
            (Duration::ZERO, "0.000000s"),
            (Duration::from_micros(12_345), "0.012345s"),
            (Duration::new(61, 7_000), "61.000007s"),
        ];
        for (duration, expected) in cases {
            let mut out = Vec::new();
            latency(&mut out, duration);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }
}
