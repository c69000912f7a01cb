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

/// Appends a whole head, with the empty line that ends it, to `out`: after the server's fields come `lines`, whole fields
/// as they are sent, none of which is the server's, and then `fields`. Of these, those that are the server's are left out:
/// Content-Length, Transfer-Encoding, Connection, Date, and X-Request-Id if the plan has one.
pub fn head<'f>(
    out: &mut Vec<u8>,
    plan: &HeadPlan<'_>,
    lines: &[u8],
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
    out.extend_from_slice(lines);
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

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn plan() -> HeadPlan<'static> {
        HeadPlan {
            status: StatusCode::OK,
            length: Length::Exact(13),
            connection: Connection::Default,
            date: DATE.as_bytes(),
            request_id: "",
        }
    }

    fn written(plan: &HeadPlan<'_>, fields: &[(HeaderName, &'static str)]) -> String {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let mut out = b"before ".to_vec();
        head(&mut out, plan, b"", fields.iter().map(|(name, value)| (name, value)));
        String::from_utf8(out).expect("ASCII").strip_prefix("before ").expect("appended").to_owned()
    }

    #[test]
    fn a_whole_head() {
        let text = (header::CONTENT_TYPE, "text/plain");
        assert_eq!(
            written(&HeadPlan { request_id: "r-1", connection: Connection::Close, ..plan() }, &[text]),
            format!(
                "HTTP/1.1 200 OK\r\nDate: {DATE}\r\nContent-Length: 13\r\nConnection: close\r\n\
                 X-Request-Id: r-1\r\ncontent-type: text/plain\r\n\r\n"
            )
        );
    }

    #[test]
    fn lines_come_before_the_other_fields() {
        let mut out = Vec::new();
        let value = HeaderValue::from_static("a");
        head(&mut out, &plan(), b"etag: 1\r\nvary: x\r\n", [(&header::SET_COOKIE, &value)].into_iter());
        let text = String::from_utf8(out).expect("ASCII");
        assert!(text.ends_with("Content-Length: 13\r\netag: 1\r\nvary: x\r\nset-cookie: a\r\n\r\n"), "{text}");
    }

    #[test]
    fn lengths() {
        for (length, wanted) in [
            (Length::None, ""),
            (Length::UntilClose, ""),
            (Length::Exact(0), "Content-Length: 0\r\n"),
            (Length::Exact(u64::MAX), "Content-Length: 18446744073709551615\r\n"),
            (Length::Chunked, "Transfer-Encoding: chunked\r\n"),
        ] {
            let wanted = format!("HTTP/1.1 200 OK\r\nDate: {DATE}\r\n{wanted}\r\n");
            assert_eq!(written(&HeadPlan { length, ..plan() }, &[]), wanted);
        }
    }

    #[test]
    fn connections() {
        for (connection, wanted) in [
            (Connection::Default, ""),
            (Connection::KeepAlive, "Connection: keep-alive\r\n"),
            (Connection::Close, "Connection: close\r\n"),
            (Connection::Upgrade, "Connection: Upgrade\r\n"),
        ] {
            let wanted = format!("HTTP/1.1 200 OK\r\nDate: {DATE}\r\n{wanted}\r\n");
            assert_eq!(written(&HeadPlan { connection, length: Length::None, ..plan() }, &[]), wanted);
        }
    }

    #[test]
    fn status_lines() {
        for (code, wanted) in [
            (101, "HTTP/1.1 101 Switching Protocols\r\n"),
            (204, "HTTP/1.1 204 No Content\r\n"),
            (404, "HTTP/1.1 404 Not Found\r\n"),
            (431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            (799, "HTTP/1.1 799 \r\n"),
        ] {
            let status = StatusCode::from_u16(code).expect("a status");
            let head = written(&HeadPlan { status, ..plan() }, &[]);
            assert!(head.starts_with(&format!("{wanted}Date: ")), "{head}");
        }
    }

    #[test]
    fn the_servers_own_fields_are_written_once() {
        let own = [
            (header::CONTENT_LENGTH, "999"),
            (header::TRANSFER_ENCODING, "gzip"),
            (header::CONNECTION, "keep-alive"),
            (header::DATE, "yesterday"),
            (HeaderName::from_static("x-request-id"), "theirs"),
            (header::SET_COOKIE, "a=1"),
            (header::SET_COOKIE, "b=2"),
        ];
        assert_eq!(
            written(&HeadPlan { request_id: "ours", ..plan() }, &own),
            format!(
                "HTTP/1.1 200 OK\r\nDate: {DATE}\r\nContent-Length: 13\r\nX-Request-Id: ours\r\n\
                 set-cookie: a=1\r\nset-cookie: b=2\r\n\r\n"
            )
        );
        assert!(
            written(&plan(), &own).contains("x-request-id: theirs\r\n"),
            "the application's, if the server has none"
        );
    }

    #[test]
    fn what_is_written_can_be_read() {
        let head = written(&HeadPlan { request_id: "r", ..plan() }, &[(header::CONTENT_TYPE, "text/plain")]);
        let mut found = [httparse::EMPTY_HEADER; 8];
        let mut response = httparse::Response::new(&mut found);
        assert_eq!(response.parse(head.as_bytes()), Ok(httparse::Status::Complete(head.len())));
        assert_eq!((response.code, response.headers.len()), (Some(200), 4));
    }
}
