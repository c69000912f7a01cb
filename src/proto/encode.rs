//! Writing the head of a response (RFC 9112 section 4, RFC 9110 section 6).
//!
//! Knows which fields are the server's to write and leaves them out of the application's. Decides nothing: how the body is
//! framed and whether the connection stays is [`super::cycle`]'s business.

use http::{HeaderName, HeaderValue, StatusCode};

/// The interim response that invites a waiting client to send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How the head announces the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Not at all: 1xx, 204, 304, or nothing known about what HEAD asked for.
    None,
    /// Content-Length, in bytes.
    Exact(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// The body ends with the connection, for HTTP/1.0.
    UntilClose,
}

/// What the Connection field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Nothing; the version's default holds.
    Default,
    /// `keep-alive`, for HTTP/1.0.
    KeepAlive,
    /// `close`.
    Close,
    /// `Upgrade`, in a 101 response.
    Upgrade,
}

/// What the server puts into a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadPlan<'a> {
    /// The status.
    pub status: StatusCode,
    /// How the body is announced.
    pub length: Length,
    /// The Connection field.
    pub connection: Connection,
    /// The time of the response as IMF-fixdate, 29 bytes (RFC 9110 section 5.6.7).
    pub date: &'a [u8],
    /// X-Request-Id; empty: none. Must not have control characters.
    pub request_id: &'a str,
}

/// Appends a whole head, with the empty line that ends it, to `out`. Of `fields`, those that are the server's are left
/// out: Content-Length, Transfer-Encoding, Connection, Date, and X-Request-Id if the plan has one.
pub fn head<'f>(
    out: &mut Vec<u8>,
    plan: &HeadPlan<'_>,
    fields: impl Iterator<Item = (&'f HeaderName, &'f HeaderValue)>,
) {
    debug_assert!(plan.date.len() == 29 && !plan.request_id.bytes().any(|byte| byte.is_ascii_control()));
    status_line(out, plan.status);
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(plan.date);
    length(out, plan.length);
    out.extend_from_slice(match plan.connection {
        Connection::Default => b"\r\n",
        Connection::KeepAlive => b"\r\nConnection: keep-alive\r\n",
        Connection::Close => b"\r\nConnection: close\r\n",
        Connection::Upgrade => b"\r\nConnection: Upgrade\r\n",
    });
    if !plan.request_id.is_empty() {
        field(out, "X-Request-Id", plan.request_id.as_bytes());
    }
    for (name, value) in fields {
        let name = name.as_str();
        if !is_servers_own(name, plan) {
            field(out, name, value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    // The space stays when there is no phrase to follow it (RFC 9112 section 4).
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn length(out: &mut Vec<u8>, length: Length) {
    match length {
        Length::None | Length::UntilClose => {}
        Length::Chunked => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
        Length::Exact(bytes) => {
            out.extend_from_slice(b"\r\nContent-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
        }
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether only the server writes the field called `name`, which is in lower case.
fn is_servers_own(name: &str, plan: &HeadPlan<'_>) -> bool {
    match name.len() {
        4 => name == "date",
        10 => name == "connection",
        12 => name == "x-request-id" && !plan.request_id.is_empty(),
        14 => name == "content-length",
        17 => name == "transfer-encoding",
        _ => false,
    }
}
