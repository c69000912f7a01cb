//! Feeding the parsers the way a network might: whole, byte by byte, and with the next request behind.

use http::Method;

use super::body::BodyDecoder;
use super::error::ProtoError;
use super::framing::BodyLength;
use super::head::{Limits, parse};
use crate::semantics::head::RequestHead;

/// Limits that only the tests of limits reach.
pub(super) const ROOMY: Limits = Limits { max_head_bytes: 16 * 1024, max_headers: 100, max_uri_bytes: 8 * 1024 };

const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n";

/// A head, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) consumed: usize,
    pub(super) method: Method,
    pub(super) version: http::Version,
    pub(super) target: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) host: Option<String>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) raw: Vec<u8>,
}

pub(super) type Outcome = Result<Option<Parsed>, ProtoError>;

/// Parses `input` once, as it is.
pub(super) fn parse_once(input: &[u8], limits: &Limits) -> Outcome {
    let mut head = RequestHead::default();
    let consumed = parse(input, limits, &mut head)?;
    Ok(consumed.map(|consumed| Parsed {
        consumed,
        method: head.method().clone(),
        version: head.version(),
        target: head.target().into(),
        path: head.path().into(),
        query: head.query().map(Into::into),
        host: head.host().map(Into::into),
        fields: head.fields().map(|(name, value)| (name.into(), value.into())).collect(),
        raw: head.raw.clone(),
    }))
}

/// Parses `input` in three ways, which must agree, and returns what they agree on.
pub(super) fn parse_head(input: &[u8], limits: &Limits) -> Outcome {
    let whole = parse_once(input, limits);
    assert_eq!(byte_by_byte(input, limits), whole, "byte by byte: {}", input.escape_ascii());
    if whole != Ok(None) {
        let trailed = parse_once(&[input, NEXT].concat(), limits);
        assert_eq!(trailed, whole, "with trailing bytes: {}", input.escape_ascii());
    }
    whole
}

/// Parses as the server does while bytes trickle in: at the first byte, at each LF, at the limit; and, so that nothing is
/// left unsaid, once more at the end. What a prefix decides is final.
fn byte_by_byte(input: &[u8], limits: &Limits) -> Outcome {
    for len in 0..=input.len() {
        if len <= 1 || input[len - 1] == b'\n' || len >= limits.max_head_bytes || len == input.len() {
            match parse_once(&input[..len], limits) {
                Ok(None) => {}
                decided => return decided,
            }
        }
    }
    Ok(None)
}

/// A body taken apart: its payload and how many bytes it took; `Ok(None)` when it is unfinished.
pub(super) type Payload = Result<Option<(Vec<u8>, usize)>, ProtoError>;

/// Decodes `input` in three ways, which must agree, and returns what they agree on.
pub(super) fn decode_body(length: BodyLength, input: &[u8]) -> Payload {
    let whole = decode_pieces(length, [input].into_iter());
    assert_eq!(decode_pieces(length, input.chunks(1)), whole, "byte by byte: {}", input.escape_ascii());
    if matches!(whole, Ok(Some(_))) {
        let trailed = [input, NEXT].concat();
        assert_eq!(decode_pieces(length, [&trailed[..]].into_iter()), whole, "trailed: {}", input.escape_ascii());
    }
    whole
}

/// Decodes a body that arrives in `pieces`.
pub(super) fn decode_pieces<'a>(length: BodyLength, pieces: impl Iterator<Item = &'a [u8]>) -> Payload {
    let mut decoder = BodyDecoder::new(length);
    let (mut payload, mut consumed, mut buffer) = (Vec::new(), 0, Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let step = decoder.decode(&buffer)?;
            payload.extend_from_slice(&buffer[step.data.clone()]);
            buffer.drain(..step.consumed);
            consumed += step.consumed;
            assert_eq!(step.done, decoder.is_done());
            if step.done {
                return Ok(Some((payload, consumed)));
            }
            if step.consumed == 0 {
                break;
            }
        }
    }
    Ok(None)
}
