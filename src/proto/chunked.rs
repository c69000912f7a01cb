//! The chunked transfer coding (RFC 9112 section 7.1), both ways.
//!
//! Strict where readers have been led apart: CRLF only, hexadecimal digits only, no white space around sizes and
//! extensions. Extensions and trailers are checked, bounded and discarded.

use core::ops::Range;

use super::error::ProtoError;
use crate::semantics::token::{is_tchar, is_value_byte, value_len};

/// The last chunk, without trailers.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// By how many bytes extensions and trailers together may exceed the data received so far. Counting them against the
/// data bounds what a body can cost without bounding how often an honest client may sign its chunks.
const MAX_OVERHEAD: u32 = 8 * 1024;

/// Digits of a chunk size: as many as fit into 64 bits.
const MAX_DIGITS: u8 = 16;

/// What one call has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are dealt with.
    pub consumed: usize,
    /// Where the payload is within the input; may be empty.
    pub data: Range<usize>,
    /// Whether the body is over.
    pub done: bool,
}

/// Takes a chunked body apart, however it is cut into reads.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// The size being read, then the bytes of the chunk that are still to come.
    size: u64,
    overhead: u32,
    state: State,
}

/// What is expected next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    #[default]
    Start,
    /// More digits (so many were read), an extension, or the end of the line.
    Size(u8),
    /// The first byte of an extension's name, after `;`.
    ExtensionStart,
    ExtensionName,
    /// The first byte of an extension's value, after `=`.
    ValueStart,
    ValueToken,
    Quoted,
    /// The byte after a backslash in a quoted string.
    QuotedPair,
    /// The end of the line, after a quoted string, or another extension.
    QuotedEnd,
    /// LF after a size line.
    SizeLf,
    Data,
    /// CR after a chunk's data.
    DataCr,
    DataLf,
    /// The first byte of a trailer's name, or the empty line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// LF of the empty line.
    FinalLf,
    Done,
    Failed(ProtoError),
}

impl Decoder {
    /// Deals with as much of `input` as holds at most one run of payload. To be called again with what is left of the
    /// input until a step consumes nothing (more bytes are needed) or is done; an error stays.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, ProtoError> {
        let mut at = 0;
        let mut data = 0..0;
        while at < input.len() && self.state != State::Done {
            match self.state {
                State::Data if !data.is_empty() => break,
                State::Data => {
                    data = at..at + self.take(input.len() - at);
                    at = data.end;
                }
                State::TrailerValue => {
                    let run = value_len(&input[at..]);
                    self.spend(run)?;
                    at += run;
                    if let Some(&byte) = input.get(at) {
                        self.advance(byte)?;
                        at += 1;
                    }
                }
                _ => {
                    self.advance(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Step { consumed: at, data, done: self.is_done() })
    }

    /// Whether the whole body, trailers included, has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes up to `available` bytes of the chunk's data.
    fn take(&mut self, available: usize) -> usize {
        let taken = usize::try_from(self.size).unwrap_or(usize::MAX).min(available);
        self.size -= taken as u64;
        self.overhead = self.overhead.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
        if self.size == 0 {
            self.state = State::DataCr;
        }
        taken
    }

    /// Moves on by one byte that is not data.
    fn advance(&mut self, byte: u8) -> Result<(), ProtoError> {
        match self.next(byte) {
            Ok(next) => {
                self.state = next;
                if next.is_overhead() { self.spend(1) } else { Ok(()) }
            }
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
        }
    }

    /// Counts bytes of extensions and trailers.
    fn spend(&mut self, bytes: usize) -> Result<(), ProtoError> {
        self.overhead = self.overhead.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if self.overhead <= MAX_OVERHEAD {
            return Ok(());
        }
        self.state = State::Failed(ProtoError::ChunkOverhead);
        Err(ProtoError::ChunkOverhead)
    }

    /// The grammar: state and byte to state.
    fn next(&mut self, byte: u8) -> Result<State, ProtoError> {
        Ok(match (self.state, byte) {
            (State::Start, _) => self.digit(byte, 1)?,
            (State::Size(_), b'\r') => State::SizeLf,
            (State::Size(_), b';') => State::ExtensionStart,
            (State::Size(digits), _) if digits < MAX_DIGITS => self.digit(byte, digits + 1)?,

            (State::ExtensionStart | State::ExtensionName, _) if is_tchar(byte) => State::ExtensionName,
            (State::ExtensionName, b'=') => State::ValueStart,
            (State::ValueStart | State::ValueToken, _) if is_tchar(byte) => State::ValueToken,
            (State::ValueStart, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuotedEnd,
            (State::Quoted, b'\\') => State::QuotedPair,
            (State::Quoted | State::QuotedPair, _) if is_value_byte(byte) => State::Quoted,
            (State::ExtensionName | State::ValueToken | State::QuotedEnd, b'\r') => State::SizeLf,
            (State::ExtensionName | State::ValueToken | State::QuotedEnd, b';') => State::ExtensionStart,

            (State::SizeLf, b'\n') if self.size == 0 => State::TrailerStart,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Start,

            (State::TrailerStart, b'\r') => State::FinalLf,
            (State::TrailerStart | State::TrailerName, _) if is_tchar(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::FinalLf, b'\n') => State::Done,

            (state, _) => return Err(state.violation()),
        })
    }

    fn digit(&mut self, byte: u8, digits: u8) -> Result<State, ProtoError> {
        let digit = char::from(byte).to_digit(16).ok_or(ProtoError::BadChunkSize)?;
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size(digits))
    }
}

impl State {
    /// Whether the byte that led here was part of an extension or a trailer.
    fn is_overhead(self) -> bool {
        match self {
            State::TrailerName | State::TrailerValue => true,
            _ => self.is_extension(),
        }
    }

    fn is_extension(self) -> bool {
        use State::*;
        matches!(self, ExtensionStart | ExtensionName | ValueStart | ValueToken | Quoted | QuotedPair | QuotedEnd)
    }

    /// The rule that a byte breaks which this state has no use for.
    fn violation(self) -> ProtoError {
        use State::*;
        match self {
            Failed(error) => error,
            Start | Size(_) | SizeLf => ProtoError::BadChunkSize,
            Data | DataCr | DataLf => ProtoError::BadChunkEnd,
            _ if self.is_extension() => ProtoError::BadChunkExtension,
            _ => ProtoError::BadTrailer,
        }
    }
}

/// Writes the line that opens a chunk of `len` bytes: `1f4` and CRLF. The data and another CRLF follow it.
/// A `len` of zero would end the body: write [`LAST`] for that, and nothing for an empty piece.
pub fn write_size(out: &mut Vec<u8>, len: usize) {
    let mut line = *b"0000000000000000\r\n";
    let mut first = 16;
    let mut rest = len;
    loop {
        first -= 1;
        line[first] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&line[first..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::framing::BodyLength;
    use super::super::three_ways::{Payload, decode_body, decode_pieces};
    use super::*;
    use ProtoError::*;

    fn decode(input: &[u8]) -> Payload {
        decode_body(BodyLength::Chunked, input)
    }

    #[test]
    fn chunked_bodies() {
        let cases: &[(&[u8], &[u8])] = &[
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", b"hello, world"),
            (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            (b"0000000000000005\r\nhello\r\n00\r\n\r\n", b"hello"),
            (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n"),
            (b"3;a\r\nabc\r\n0;b\r\n\r\n", b"abc"),
            (b"3;a=b;c=\"d\"\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"3;a=\"x\\\"y; =\xff\"\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"3;a=\"\"\r\nabc\r\n0\r\n\r\n", b"abc"),
            (b"3\r\nabc\r\n0\r\nTrailer: value\r\nX:\r\n\r\n", b"abc"),
            (b"0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n", b""),
            (b"0\r\nX: a\tb c\xff\r\n\r\n", b""),
        ];
        for (input, wanted) in cases {
            assert_eq!(decode(input), Ok(Some((wanted.to_vec(), input.len()))), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn chunked_bodies_that_are_refused() {
        let cases: &[(&[u8], ProtoError)] = &[
            (b"\r\n", BadChunkSize),
            (b"\n", BadChunkSize),
            (b"g\r\n", BadChunkSize),
            (b"-1\r\n", BadChunkSize),
            (b"+1\r\na\r\n0\r\n\r\n", BadChunkSize),
            (b"0x5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b" 5\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5 \r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5\t\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5 ;a\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5\rhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5\r\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5_0\r\n", BadChunkSize),
            (b"5\0\r\n", BadChunkSize),
            (b";a\r\n", BadChunkSize),
            (b"00000000000000005\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"10000000000000005\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5;\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5; a\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a \r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;=b\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=b=c\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=\"b\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=\"\\\r\n\"\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a=b\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a\0\r\nhello\r\n0\r\n\r\n", BadChunkExtension),
            (b"5;a\r\r\nhello\r\n0\r\n\r\n", BadChunkSize),
            (b"5\r\nhello0\r\n\r\n", BadChunkEnd),
            (b"5\r\nhello!\r\n0\r\n\r\n", BadChunkEnd),
            (b"5\r\nhello\n0\r\n\r\n", BadChunkEnd),
            (b"5\r\nhello\r0\r\n\r\n", BadChunkEnd),
            (b"5\r\nhello\r\r\n0\r\n\r\n", BadChunkEnd),
            (b"4\r\nhello\r\n0\r\n\r\n", BadChunkEnd),
            (b"6\r\nhello\r\n0\r\n\r\n", BadChunkEnd),
            (b"0\n\r\n", BadChunkSize),
            (b"0\r\n\n", BadTrailer),
            (b"0\r\n\r\r\n", BadTrailer),
            (b"0\r\nA\r\n\r\n", BadTrailer),
            (b"0\r\nA : b\r\n\r\n", BadTrailer),
            (b"0\r\n A: b\r\n\r\n", BadTrailer),
            (b"0\r\nA: b\r\n c\r\n\r\n", BadTrailer),
            (b"0\r\n: b\r\n\r\n", BadTrailer),
            (b"0\r\nA: b\n\r\n", BadTrailer),
            (b"0\r\nA: b\rc\r\n\r\n", BadTrailer),
            (b"0\r\nA: b\0\r\n\r\n", BadTrailer),
            (b"0\r\nGET / HTTP/1.1\r\n\r\n", BadTrailer),
        ];
        for (input, wanted) in cases {
            assert_eq!(decode(input), Err(*wanted), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn an_error_stays() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"5\r\nhello\n"), Err(BadChunkEnd));
        assert_eq!(decoder.decode(b"\r\n0\r\n\r\n"), Err(BadChunkEnd));
        assert!(!decoder.is_done());
    }

    #[test]
    fn an_unfinished_body_asks_for_more() {
        let whole = b"5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(decode(&whole[..len]), Ok(None), "{len} bytes");
        }
    }

    #[test]
    fn one_step_takes_a_whole_small_body() {
        let body = b"5\r\nhello\r\n0\r\n\r\n";
        let step = Decoder::default().decode(&[&body[..], b"GET"].concat());
        assert_eq!(step, Ok(Step { consumed: body.len(), data: 3..8, done: true }));
    }

    #[test]
    fn after_the_end_nothing_is_taken() {
        let mut decoder = Decoder::default();
        assert!(decoder.decode(LAST).is_ok_and(|step| step.done));
        assert_eq!(decoder.decode(b"GET /"), Ok(Step { consumed: 0, data: 0..0, done: true }));
    }

    #[test]
    fn a_chunk_may_be_as_large_as_sixteen_digits_say() {
        let mut decoder = Decoder::default();
        let step = decoder.decode(b"ffffffffffffffff\r\nabc");
        assert_eq!(step, Ok(Step { consumed: 21, data: 18..21, done: false }));
        assert_eq!(decoder.size, u64::MAX - 3);
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let most = MAX_OVERHEAD as usize;
        let extension = |len: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(len));
        assert!(matches!(decode(extension(most - 1).as_bytes()), Ok(Some(_))));
        assert_eq!(decode(extension(most).as_bytes()), Err(ChunkOverhead));
        let trailer = |len: usize| format!("0\r\nA:{}\r\n\r\n", "a".repeat(len));
        assert!(matches!(decode(trailer(most - 2).as_bytes()), Ok(Some(_))));
        assert_eq!(decode(trailer(most).as_bytes()), Err(ChunkOverhead));
        assert_eq!(decode(format!("0\r\n{}", "A:\r\n".repeat(most)).as_bytes()), Err(ChunkOverhead));
        assert_eq!(decode("1;abc\r\nx\r\n".repeat(most).as_bytes()), Err(ChunkOverhead), "over many chunks");
    }

    #[test]
    fn a_client_may_sign_every_chunk() {
        let chunk = format!("100;chunk-signature={}\r\n{}\r\n", "f".repeat(64), "x".repeat(256));
        let body = chunk.repeat(1000) + "0\r\n\r\n";
        let pieces = decode_pieces(BodyLength::Chunked, body.as_bytes().chunks(1000));
        assert!(pieces.is_ok_and(|body| body.is_some_and(|(payload, _)| payload.len() == 256_000)));
    }

    #[test]
    fn sizes_are_written_in_hexadecimal() {
        for (len, wanted) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (500, "1f4\r\n"), (65536, "10000\r\n")] {
            let mut out = Vec::new();
            write_size(&mut out, len);
            assert_eq!(out, wanted.as_bytes());
        }
        let mut out = Vec::new();
        write_size(&mut out, usize::MAX);
        assert_eq!(out, format!("{:x}\r\n", usize::MAX).as_bytes());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pieces: Vec<Vec<u8>>, cut in 1..40usize) {
            let mut wire = Vec::new();
            for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
                write_size(&mut wire, piece.len());
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(LAST);
            let wanted = Ok(Some((pieces.concat(), wire.len())));
            prop_assert_eq!(decode(&wire), wanted.clone());
            prop_assert_eq!(decode_pieces(BodyLength::Chunked, wire.chunks(cut)), wanted);
        }

        #[test]
        fn any_bytes_are_answered_the_same_however_they_arrive(input: Vec<u8>) {
            let _ = decode(&input);
        }

        #[test]
        fn so_are_bytes_that_look_like_chunks(input in "([0-9a-f]{1,2}|[;=\"\\\\a ]{1,3}|\r\n|\r|\n|a: b|0\r\n\r\n){0,30}") {
            let _ = decode(input.as_bytes());
        }
    }
}
