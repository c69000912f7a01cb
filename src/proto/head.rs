//! The request head: request line and field lines (RFC 9112 sections 2 to 5), bytes to spans.
//!
//! One pass from left to right that stops at the first violation, so the outcome depends on the bytes alone and never on
//! how they were cut into reads: once a prefix is refused or complete, so is everything that begins with it.
//! The tokenizer is our own because a lenient one (bare LF, several spaces) would have to be checked a second time to
//! be strict, and could not say which rule was broken; the tests run `httparse` beside it.
//!
//! Knows Host, because a head without a valid one is refused. Everything about bodies is in [`super::framing`].

use http::{Method, Version};

use super::error::ProtoError;
use crate::semantics::head::{Field, RequestHead, Span};
use crate::semantics::target::{self, Form, Target};
use crate::semantics::token::{is_blank, token_len, value_len};

/// What a head may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest head in bytes, from its first byte (ignored empty lines included) to the empty line that ends it.
    pub max_head_bytes: usize,
    /// Most field lines.
    pub max_headers: usize,
    /// Longest request target in bytes.
    pub max_uri_bytes: usize,
}

/// Empty lines that are ignored before a request line (RFC 9112 section 2.2 asks for at least one).
const MAX_EMPTY_LINES: usize = 4;

/// A method is refused as unknown once it is longer than this (RFC 9112 section 3).
const MAX_METHOD_BYTES: usize = 24;

/// Why parsing stopped before the end of the head.
enum Stop {
    /// The bytes ran out.
    More,
    Refused(ProtoError),
}

impl From<ProtoError> for Stop {
    fn from(error: ProtoError) -> Self {
        Stop::Refused(error)
    }
}

/// Parses one request head from the start of `buffer` into `head`, whose buffers are reused.
///
/// `Ok(Some(consumed))`: complete; `consumed` counts the empty lines that were skipped before it. `Ok(None)`: more bytes are
/// needed, which is only ever the answer while `buffer` is shorter than the limit. `Err`: refuse with the error's
/// status and close. Unless the head is complete, what `head` holds means nothing.
pub fn parse(buffer: &[u8], limits: &Limits, head: &mut RequestHead) -> Result<Option<usize>, ProtoError> {
    // Spans are 32 bits wide.
    let most = limits.max_head_bytes.min(u32::MAX as usize);
    let window = &buffer[..buffer.len().min(most)];
    let no_room = window.len() == most;
    let more_or = |error| if no_room { Err(error) } else { Ok(None) };

    let start = match skip_empty_lines(window) {
        Ok(start) => start,
        Err(Stop::More) => return more_or(ProtoError::HeadTooLarge),
        Err(Stop::Refused(error)) => return Err(error),
    };
    let bytes = &window[start..];
    let (form, line_end) = match request_line(bytes, limits.max_uri_bytes, head) {
        Ok(line) => line,
        Err(Stop::More) => return more_or(ProtoError::TargetTooLong),
        Err(Stop::Refused(error)) => return Err(error),
    };
    let end = match field_lines(bytes, line_end, form, limits.max_headers, head) {
        Ok(end) => end,
        Err(Stop::More) => return more_or(ProtoError::HeadTooLarge),
        Err(Stop::Refused(error)) => return Err(error),
    };
    head.raw.clear();
    head.raw.extend_from_slice(&bytes[..end]);
    Ok(Some(start + end))
}

fn skip_empty_lines(bytes: &[u8]) -> Result<usize, Stop> {
    let mut at = 0;
    while matches!(byte(bytes, at)?, b'\r' | b'\n') {
        if at == 2 * MAX_EMPTY_LINES {
            return Err(ProtoError::EmptyLines.into());
        }
        at = line_end(bytes, at, ProtoError::BadMethod)?;
    }
    Ok(at)
}

/// method SP request-target SP HTTP-version CRLF (RFC 9112 section 3). Returns the target's form and where the line ends.
fn request_line(bytes: &[u8], max_uri_bytes: usize, head: &mut RequestHead) -> Result<(Form, usize), Stop> {
    let (method, start) = method(bytes)?;
    let end = start + target_end(&bytes[start..], max_uri_bytes)?;
    let (version, version_len) = version(&bytes[end + 1..])?;
    let Target { form, path, query, authority } =
        target::split_checked(&method, &bytes[start..end]).map_err(|error| Stop::Refused(error.into()))?;
    head.method = method;
    head.version = version;
    head.target = Span::new(start, end);
    head.path = shift(path, start);
    head.query = query.map(|span| shift(span, start));
    head.host = authority.map(|span| shift(span, start));
    Ok((form, end + 1 + version_len))
}

/// The method and where the target begins.
fn method(bytes: &[u8]) -> Result<(Method, usize), Stop> {
    let len = token_len(&bytes[..bytes.len().min(MAX_METHOD_BYTES + 1)]);
    if len > MAX_METHOD_BYTES {
        return Err(ProtoError::UnknownMethod.into());
    }
    match byte(bytes, len)? {
        b' ' if len > 0 => {}
        // A TLS record that carries a handshake: 0x16, then the major version 3.
        0x16 if len == 0 && byte(bytes, 1)? == 3 => return Err(ProtoError::TlsOnPlainPort.into()),
        0 if len == 0 => return Err(after_zero(bytes)?.into()),
        b'\n' => return Err(ProtoError::BareLf.into()),
        _ => return Err(ProtoError::BadMethod.into()),
    }
    let method = match &bytes[..len] {
        b"GET" => Method::GET,
        b"POST" => Method::POST,
        b"HEAD" => Method::HEAD,
        b"PUT" => Method::PUT,
        b"DELETE" => Method::DELETE,
        b"PATCH" => Method::PATCH,
        b"OPTIONS" => Method::OPTIONS,
        b"TRACE" => Method::TRACE,
        b"CONNECT" => return Err(ProtoError::Connect.into()),
        b"PROXY" => return Err(ProtoError::ProxyProtocol.into()),
        b"PRI" => return Err(ProtoError::Http2Preface.into()),
        _ => return Err(ProtoError::UnknownMethod.into()),
    };
    Ok((method, len + 1))
}

/// What it is that came as plain text where a TLS handshake should have begun; `None` while more bytes may tell.
pub fn instead_of_tls(bytes: &[u8]) -> Option<ProtoError> {
    const PREFACES: [(&[u8], ProtoError); 3] = [
        (b"PROXY ", ProtoError::ProxyProtocol),
        (b"\r\n\r\n\0\r\nQUIT\n", ProtoError::ProxyProtocol),
        (b"PRI * HTTP/2", ProtoError::Http2Preface),
    ];
    let may_be = |preface: &[u8]| preface.iter().zip(bytes).all(|(one, other)| one == other);
    match PREFACES.iter().find(|(preface, _)| may_be(preface)) {
        None => Some(ProtoError::PlainOnTlsPort),
        Some((preface, error)) => (bytes.len() >= preface.len()).then_some(*error),
    }
}

/// What begins with a zero: version 2 of the PROXY protocol, whose signature continues so after two empty lines
/// (proxy-protocol.txt section 2.2), or nonsense.
fn after_zero(bytes: &[u8]) -> Result<ProtoError, Stop> {
    for (at, expected) in b"\0\r\nQUIT\n".iter().enumerate() {
        if byte(bytes, at)? != *expected {
            return Ok(ProtoError::BadMethod);
        }
    }
    Ok(ProtoError::ProxyProtocol)
}

/// The length of the target, which a space must end.
fn target_end(bytes: &[u8], max_uri_bytes: usize) -> Result<usize, Stop> {
    let len = target::target_len(&bytes[..bytes.len().min(max_uri_bytes.saturating_add(1))]);
    if len > max_uri_bytes {
        return Err(ProtoError::TargetTooLong.into());
    }
    match byte(bytes, len)? {
        b' ' if len > 0 => Ok(len),
        b' ' => Err(ProtoError::BadTarget.into()),
        b'\r' => Err(ProtoError::MissingVersion.into()),
        b'\n' => Err(ProtoError::BareLf.into()),
        b'#' => Err(ProtoError::TargetFragment.into()),
        _ => Err(ProtoError::BadTargetByte.into()),
    }
}

/// The version and the length of what is left of the line. HTTP/1.2 and later are taken as HTTP/1.1 (RFC 9110 section 2.5).
fn version(bytes: &[u8]) -> Result<(Version, usize), Stop> {
    if bytes.starts_with(b"HTTP/1.1\r\n") {
        return Ok((Version::HTTP_11, 10));
    }
    for (at, shape) in b"HTTP/0.0".iter().enumerate() {
        let found = byte(bytes, at)?;
        if found != *shape && !(*shape == b'0' && found.is_ascii_digit()) {
            return Err(ProtoError::BadVersion.into());
        }
    }
    let version = match (bytes[5], bytes[7]) {
        (b'1', b'0') => Version::HTTP_10,
        (b'1', _) => Version::HTTP_11,
        _ => return Err(ProtoError::UnsupportedVersion.into()),
    };
    Ok((version, line_end(bytes, 8, ProtoError::BadVersion)?))
}

/// All field lines and the empty line after them (RFC 9112 section 5). Returns where the head ends.
fn field_lines(bytes: &[u8], mut at: usize, form: Form, max: usize, head: &mut RequestHead) -> Result<usize, Stop> {
    let mut host = None;
    head.fields.clear();
    let end = loop {
        match byte(bytes, at)? {
            b'\r' | b'\n' => break line_end(bytes, at, ProtoError::BareCr)?,
            b' ' | b'\t' => return Err(ProtoError::ObsFold.into()),
            _ if head.fields.len() >= max => return Err(ProtoError::TooManyFields.into()),
            _ => {}
        }
        let (field, next) = field_line(bytes, at)?;
        if field.name.of(bytes).eq_ignore_ascii_case(b"host") {
            check_host(field.value.of(bytes), host)?;
            host = Some(field.value);
        }
        head.fields.push(field);
        at = next;
    };
    match host {
        None if head.version != Version::HTTP_10 => return Err(ProtoError::MissingHost.into()),
        // Empty means that the target has no authority, which no http resource can lack: RFC 9112 section 3.2.
        Some(value) if value.start == value.end && form != Form::Asterisk => return Err(ProtoError::BadHost.into()),
        Some(value) if value.start < value.end => head.host = head.host.or(host),
        _ => {}
    }
    Ok(end)
}

/// field-name ":" OWS field-value OWS CRLF. Returns the field and where the next line begins.
fn field_line(bytes: &[u8], start: usize) -> Result<(Field, usize), Stop> {
    let colon = start + token_len(&bytes[start..]);
    match byte(bytes, colon)? {
        b':' if colon > start => {}
        b' ' | b'\t' => return Err(ProtoError::SpaceBeforeColon.into()),
        b'\r' | b'\n' => return Err(ProtoError::MissingColon.into()),
        _ => return Err(ProtoError::BadFieldName.into()),
    }
    let mut first = colon + 1;
    while is_blank(byte(bytes, first)?) {
        first += 1;
    }
    let stop = first + value_len(&bytes[first..]);
    let next = line_end(bytes, stop, ProtoError::BadFieldValue)?;
    let mut last = stop;
    while last > first && is_blank(bytes[last - 1]) {
        last -= 1;
    }
    Ok((Field { name: Span::new(start, colon), value: Span::new(first, last) }, next))
}

fn check_host(value: &[u8], earlier: Option<Span>) -> Result<(), ProtoError> {
    if earlier.is_some() {
        Err(ProtoError::DuplicateHost)
    } else if value.is_empty() || target::is_authority(value) {
        Ok(())
    } else {
        Err(ProtoError::BadHost)
    }
}

/// Expects CRLF at `at`; returns the place after it. Anything but CR or LF there is `otherwise`.
fn line_end(bytes: &[u8], at: usize, otherwise: ProtoError) -> Result<usize, Stop> {
    match byte(bytes, at)? {
        b'\r' if byte(bytes, at + 1)? == b'\n' => Ok(at + 2),
        b'\r' => Err(ProtoError::BareCr.into()),
        b'\n' => Err(ProtoError::BareLf.into()),
        _ => Err(otherwise.into()),
    }
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, Stop> {
    bytes.get(at).copied().ok_or(Stop::More)
}

fn shift(span: Span, by: usize) -> Span {
    Span { start: span.start + by as u32, end: span.end + by as u32 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
