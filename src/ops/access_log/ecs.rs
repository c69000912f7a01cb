//! The `ecs` format: one object a line, with the names of the Elastic Common Schema 8.11.
//!
//! Names have dots and are not nested, as the ECS logging libraries write them: Elasticsearch takes both alike. What ECS
//! has no name for is below `rws.`.
//!
//! | field | when | what |
//! |---|---|---|
//! | @timestamp, log.level, message, ecs.version | always | the message is method, path and status |
//! | event.kind, event.category, event.type, event.dataset | always | `event`, `web`, `access`, `rws.access` |
//! | event.outcome | always | `failure` from status 400 on and for every outcome but ok |
//! | event.duration | always | nanoseconds |
//! | http.response.status_code, http.response.body.bytes, http.request.body.bytes | always | |
//! | http.request.method, http.request.id, http.version, url.path | head understood | |
//! | user.name | somebody was authenticated | |
//! | http.request.referrer, url.query, url.domain, url.port, user_agent.original | the client sent it | secrets replaced |
//! | source.ip, source.port | always | the other end of the connection |
//! | client.ip | always | the client, behind trusted proxies |
//! | trace.id, span.id | valid `traceparent` | the trace and the caller's span |
//! | rws.route, rws.outcome, rws.queue_ms, rws.reason | as in the `json` format | |

use http::{StatusCode, Version};
use memchr::memrchr;

use super::json::{level, millis, string};
use super::redact::Redactor;
use super::{Fields, client_ip, path, summary};
use crate::app::request::Received;
use crate::ops::text;
use crate::ops::timestamp::Clock;
use crate::semantics::trace_context::TraceContext;
use crate::server::observe::{Exchange, Outcome};

/// What is the same for all requests of one route, status and outcome.
pub(super) fn fixed_part(route: Option<&str>, status: StatusCode, outcome: Outcome) -> Vec<u8> {
    let failed = outcome != Outcome::Ok || status.as_u16() >= 400;
    let mut out = br#"","ecs.version":"8.11.0","event.kind":"event","event.category":["web"],"event.type":["access"],"event.dataset":"rws.access","event.outcome":""#.to_vec();
    out.extend_from_slice(if failed { b"failure" } else { b"success" });
    if let Some(route) = route {
        string(&mut out, br#"","rws.route":""#, route.as_bytes());
    }
    out.extend_from_slice(br#"","http.response.status_code":"#);
    text::number(&mut out, status.as_u16());
    string(&mut out, br#","rws.outcome":""#, outcome.name().as_bytes());
    out
}

/// Appends the line of one exchange.
pub(super) fn line(out: &mut Vec<u8>, exchange: &Exchange<'_>, fixed: &[u8], clock: &mut Clock, redactor: &Redactor) {
    let (date, micros) = clock.rfc3339(exchange.now);
    out.extend_from_slice(br#"{"@timestamp":""#);
    out.extend_from_slice(date);
    out.extend_from_slice(&micros);
    string(out, br#"","log.level":""#, level(exchange.status, exchange.outcome).as_bytes());
    out.extend_from_slice(br#"","message":""#);
    summary(out, exchange);
    out.extend_from_slice(fixed);
    // From here on a string is open at the end of every step.
    if let Some(received) = exchange.received {
        request(out, received, redactor);
    }
    if let Some(refused) = exchange.refused {
        string(out, br#"","rws.reason":""#, refused.explain().as_bytes());
    }
    out.extend_from_slice(br#"","client.ip":""#);
    text::ip(out, client_ip(exchange));
    out.extend_from_slice(br#"","source.ip":""#);
    text::ip(out, exchange.remote.ip());
    out.extend_from_slice(br#"","source.port":"#);
    text::number(out, exchange.remote.port());
    out.extend_from_slice(br#","http.request.body.bytes":"#);
    text::number(out, exchange.bytes_in);
    out.extend_from_slice(br#","http.response.body.bytes":"#);
    text::number(out, exchange.bytes_out);
    out.extend_from_slice(br#","event.duration":"#);
    text::number(out, exchange.duration.as_nanos());
    let host = exchange.received.and_then(|received| received.head.host());
    if let Some(port) = host.and_then(|host| domain_and_port(host.as_bytes()).1) {
        out.extend_from_slice(br#","url.port":"#);
        text::number(out, port);
    }
    if let Some(queued) = exchange.queued {
        out.extend_from_slice(br#","rws.queue_ms":"#);
        millis(out, queued);
    }
    out.extend_from_slice(b"}\n");
}

fn request(out: &mut Vec<u8>, received: &Received, redactor: &Redactor) {
    let head = &received.head;
    let fields = Fields::of(head);
    string(out, br#"","http.request.method":""#, head.method().as_str().as_bytes());
    string(out, br#"","url.path":""#, path(head).as_bytes());
    if let Some(query) = head.query() {
        string(out, br#"","url.query":""#, &redactor.query(query.as_bytes()));
    }
    out.extend_from_slice(match head.version() {
        Version::HTTP_10 => br#"","http.version":"1.0"#,
        _ => br#"","http.version":"1.1"#,
    });
    string(out, br#"","http.request.id":""#, received.id.as_bytes());
    if let Some(user) = received.user.get() {
        string(out, br#"","user.name":""#, user.as_bytes());
    }
    if let Some(host) = head.host() {
        string(out, br#"","url.domain":""#, domain_and_port(redactor.authority(host.as_bytes())).0);
    }
    if let Some(context) = fields.traceparent.and_then(TraceContext::parse) {
        string(out, br#"","trace.id":""#, context.trace_id.as_bytes());
        string(out, br#"","span.id":""#, context.parent_id.as_bytes());
    }
    if let Some(certificate) = &received.client_certificate {
        string(out, br#"","tls.client.subject":""#, certificate.subject().as_bytes());
    }
    if let Some(user_agent) = fields.user_agent {
        string(out, br#"","user_agent.original":""#, user_agent);
    }
    if let Some(referer) = fields.referer {
        string(out, br#"","http.request.referrer":""#, &redactor.url(referer));
    }
}

/// The parts of a Host. An IPv6 address keeps its brackets, as ECS wants it.
fn domain_and_port(host: &[u8]) -> (&[u8], Option<u16>) {
    let port = memrchr(b':', host).and_then(|colon| {
        let digits = std::str::from_utf8(&host[colon + 1..]).ok()?;
        Some((&host[..colon], Some(digits.parse().ok()?)))
    });
    port.filter(|(domain, _)| !domain.contains(&b':') || domain.ends_with(b"]")).unwrap_or((host, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_split_at_their_port() {
        let cases: [(&str, &str, Option<u16>); 7] = [
            ("example.com", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("[::1]:80", "[::1]", Some(80)),
            ("[::1]", "[::1]", None),
            ("::1", "::1", None),
            ("a:", "a:", None),
            ("a:99999", "a:99999", None),
        ];
        for (host, domain, port) in cases {
            assert_eq!(domain_and_port(host.as_bytes()), (domain.as_bytes(), port), "{host}");
        }
    }
}
