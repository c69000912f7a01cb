//! The `json` format: one object a line.
//!
//! | field | when | what |
//! |---|---|---|
//! | time | always | end of the exchange, RFC 3339, UTC, microseconds |
//! | level | always | `warn` for outcomes timeout and rejected, else `error` from status 500 on, else `info` |
//! | msg | always | `request` |
//! | method, path, protocol, request_id | head understood | method and path as received |
//! | user | somebody was authenticated | the name |
//! | route | routed | the template, `_unmatched` if none |
//! | status, outcome, remote_addr, client_ip, bytes_in, bytes_out, duration_ms | always | bodies only; milliseconds with microseconds |
//! | query | there is one | without the `?`, secrets replaced |
//! | host, user_agent, referer | the client sent it | secrets in the referer replaced |
//! | trace_id, span_id | valid `traceparent` | the trace and the *caller's* span |
//! | tls_client_subject | verified client certificate | its subject |
//! | reason | not understood | which rule of HTTP was broken |
//! | queue_ms | waited for a worker | milliseconds with microseconds |
//!
//! What is absent is left out rather than null: the line is shorter, and log stores treat both alike.

use std::time::Duration;

use http::{StatusCode, Version};

use super::redact::Redactor;
use super::{Fields, client_ip, path};
use crate::app::request::Received;
use crate::ops::metrics::MethodLabel;
use crate::ops::text;
use crate::ops::timestamp::Clock;
use crate::semantics::trace_context::TraceContext;
use crate::server::observe::{Exchange, Outcome};

/// Everything after the time that is the same for all requests of one route, method, status and outcome.
pub(super) fn fixed_part(
    route: Option<&str>,
    method: Option<MethodLabel>,
    status: StatusCode,
    outcome: Outcome,
) -> Vec<u8> {
    let mut out = br#"","level":""#.to_vec();
    out.extend_from_slice(level(status, outcome).as_bytes());
    out.extend_from_slice(br#"","msg":"request"#);
    if let Some(method) = method.filter(|&method| method != MethodLabel::Other) {
        string(&mut out, br#"","method":""#, method.name().as_bytes());
    }
    if let Some(route) = route {
        string(&mut out, br#"","route":""#, route.as_bytes());
    }
    out.extend_from_slice(br#"","status":"#);
    text::number(&mut out, status.as_u16());
    out.extend_from_slice(br#","outcome":""#);
    out.extend_from_slice(outcome.name().as_bytes());
    out
}

pub(super) fn level(status: StatusCode, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Timeout | Outcome::Rejected => "warn",
        Outcome::Error => "error",
        Outcome::Ok | Outcome::ClientAbort | Outcome::Panic if status.is_server_error() => "error",
        Outcome::Ok | Outcome::ClientAbort | Outcome::Panic => "info",
    }
}

/// Appends the line of one exchange.
pub(super) fn line(out: &mut Vec<u8>, exchange: &Exchange<'_>, fixed: &[u8], clock: &mut Clock, redactor: &Redactor) {
    let (date, micros) = clock.rfc3339(exchange.now);
    out.extend_from_slice(br#"{"time":""#);
    out.extend_from_slice(date);
    out.extend_from_slice(&micros);
    out.extend_from_slice(fixed);
    // From here on a string is open at the end of every step.
    if let Some(received) = exchange.received {
        request(out, received, redactor);
    }
    if let Some(refused) = exchange.refused {
        string(out, br#"","reason":""#, refused.explain().as_bytes());
    }
    out.extend_from_slice(br#"","remote_addr":""#);
    text::socket_address(out, exchange.remote);
    out.extend_from_slice(br#"","client_ip":""#);
    text::ip(out, client_ip(exchange));
    out.extend_from_slice(br#"","bytes_in":"#);
    text::number(out, exchange.bytes_in);
    out.extend_from_slice(br#","bytes_out":"#);
    text::number(out, exchange.bytes_out);
    out.extend_from_slice(br#","duration_ms":"#);
    millis(out, exchange.duration);
    if let Some(queued) = exchange.queued {
        out.extend_from_slice(br#","queue_ms":"#);
        millis(out, queued);
    }
    out.extend_from_slice(b"}\n");
}

fn request(out: &mut Vec<u8>, received: &Received, redactor: &Redactor) {
    let head = &received.head;
    let fields = Fields::of(head);
    if MethodLabel::of(head.method()) == MethodLabel::Other {
        string(out, br#"","method":""#, head.method().as_str().as_bytes());
    }
    string(out, br#"","path":""#, path(head).as_bytes());
    if let Some(query) = head.query() {
        string(out, br#"","query":""#, &redactor.query(query.as_bytes()));
    }
    out.extend_from_slice(match head.version() {
        Version::HTTP_10 => br#"","protocol":"HTTP/1.0"#,
        _ => br#"","protocol":"HTTP/1.1"#,
    });
    string(out, br#"","request_id":""#, received.id.as_bytes());
    if let Some(user) = received.user.get() {
        string(out, br#"","user":""#, user.as_bytes());
    }
    if let Some(host) = head.host() {
        string(out, br#"","host":""#, redactor.authority(host.as_bytes()));
    }
    if let Some(context) = fields.traceparent.and_then(TraceContext::parse) {
        string(out, br#"","trace_id":""#, context.trace_id.as_bytes());
        string(out, br#"","span_id":""#, context.parent_id.as_bytes());
    }
    if let Some(certificate) = &received.client_certificate {
        string(out, br#"","tls_client_subject":""#, certificate.subject().as_bytes());
    }
    if let Some(user_agent) = fields.user_agent {
        string(out, br#"","user_agent":""#, user_agent);
    }
    if let Some(referer) = fields.referer {
        string(out, br#"","referer":""#, &redactor.url(referer));
    }
}

/// `opening` ends the string before and begins this one.
pub(super) fn string(out: &mut Vec<u8>, opening: &[u8], value: &[u8]) {
    out.extend_from_slice(opening);
    text::json(out, value);
}

/// Milliseconds with three places, as a JSON number.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = duration.subsec_micros();
    text::number(out, duration.as_secs().saturating_mul(1000).saturating_add((micros / 1000).into()));
    out.push(b'.');
    out.extend_from_slice(&text::three_digits(micros % 1000));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_places() {
        let cases = [
            (Duration::ZERO, "0.000"),
            (Duration::from_nanos(1_999), "0.001"),
            (Duration::from_micros(12_345), "12.345"),
            (Duration::new(61, 7_000_000), "61007.000"),
            (Duration::MAX, "18446744073709551615.999"),
        ];
        for (duration, expected) in cases {
            let mut out = Vec::new();
            millis(&mut out, duration);
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn levels() {
        let cases = [
            (200, Outcome::Ok, "info"),
            (404, Outcome::Ok, "info"),
            (500, Outcome::Ok, "error"),
            (500, Outcome::Panic, "error"),
            (200, Outcome::ClientAbort, "info"),
            (400, Outcome::Rejected, "warn"),
            (503, Outcome::Rejected, "warn"),
            (408, Outcome::Timeout, "warn"),
        ];
        for (status, outcome, expected) in cases {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(level(status, outcome), expected, "{status} {outcome:?}");
        }
    }
}
