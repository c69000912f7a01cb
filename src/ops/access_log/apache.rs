//! Apache's `common` and `combined` formats, as mod_log_config documents them:
//!
//! ```text
//! 10.0.0.9 - - [02/Jan/2026:03:04:05 +0000] "GET /users?page=2 HTTP/1.1" 200 512 "https://example.com/" "curl/8.5.0"
//! ```
//!
//! The user is who a middleware has authenticated, else `-`. A request refused before its head was understood has `"-"`
//! for its request line. An empty body is `-`. What clients send is escaped as httpd does.

use super::redact::Redactor;
use super::{Fields, client_ip, path};
use crate::ops::text;
use crate::ops::timestamp::Clock;
use crate::semantics::head::RequestHead;
use crate::server::observe::Exchange;

/// Appends a line of the common log format.
pub(super) fn common(out: &mut Vec<u8>, exchange: &Exchange<'_>, clock: &mut Clock, redactor: &Redactor) {
    start(out, exchange, clock, redactor);
    out.push(b'\n');
}

/// Appends a line of the combined log format: the common one, the referer and the user agent.
pub(super) fn combined(out: &mut Vec<u8>, exchange: &Exchange<'_>, clock: &mut Clock, redactor: &Redactor) {
    start(out, exchange, clock, redactor);
    let fields = exchange.received.map(|received| Fields::of(&received.head)).unwrap_or_default();
    out.extend_from_slice(b" \"");
    text::apache(out, &fields.referer.map_or(b"-".into(), |referer| redactor.url(referer)));
    out.extend_from_slice(b"\" \"");
    text::apache(out, fields.user_agent.unwrap_or(b"-"));
    out.extend_from_slice(b"\"\n");
}

fn start(out: &mut Vec<u8>, exchange: &Exchange<'_>, clock: &mut Clock, redactor: &Redactor) {
    text::ip(out, client_ip(exchange));
    out.extend_from_slice(b" - ");
    match exchange.received.and_then(|received| received.user.get()) {
        Some(user) => text::apache_word(out, user.as_bytes()),
        None => out.push(b'-'),
    }
    out.push(b' ');
    out.extend_from_slice(clock.apache(exchange.now));
    out.extend_from_slice(b" \"");
    match exchange.received {
        Some(received) => request_line(out, &received.head, redactor),
        None => out.push(b'-'),
    }
    out.extend_from_slice(b"\" ");
    text::number(out, exchange.status.as_u16());
    out.push(b' ');
    match exchange.bytes_out {
        0 => out.push(b'-'),
        bytes => text::number(out, bytes),
    }
}

fn request_line(out: &mut Vec<u8>, head: &RequestHead, redactor: &Redactor) {
    text::apache(out, head.method().as_str().as_bytes());
    out.push(b' ');
    text::apache(out, path(head).as_bytes());
    if let Some(query) = head.query() {
        out.push(b'?');
        text::apache(out, &redactor.query(query.as_bytes()));
    }
    let version: &[u8] = if head.version() == http::Version::HTTP_10 { b" HTTP/1.0" } else { b" HTTP/1.1" };
    out.extend_from_slice(version);
}
