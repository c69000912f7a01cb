//! Where the body ends and whether the connection goes on (RFC 9112 sections 6 and 9): every rule against request
//! smuggling, and nothing else.
//!
//! Two parties that disagree about the end of a message let an attacker hide a request in a body. So whatever two
//! implementations have ever read differently is refused here, even where the RFC allows repairing it.

use http::Version;

use super::error::ProtoError;
use crate::semantics::head::RequestHead;
use crate::semantics::token::trim;

/// How long a request body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// Neither Content-Length nor Transfer-Encoding: there is no body.
    #[default]
    None,
    /// Content-Length, in bytes.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// What the fields of a request say about the message and the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// How long the body is.
    pub body: BodyLength,
    /// Whether the client is ready to use the connection again (RFC 9112 section 9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1).
    /// Never without a body, never in HTTP/1.0.
    pub expect_continue: bool,
    /// Whether the client offers to switch protocols: Upgrade, named in Connection (RFC 9110 section 7.8).
    /// Never in HTTP/1.0.
    pub upgrade: bool,
}

/// Reads the framing of a request off its fields.
pub fn framing(head: &RequestHead) -> Result<Framing, ProtoError> {
    let mut found = Found::default();
    for field in &head.fields {
        let name = field.name.of(&head.raw);
        // The length tells nearly all other fields apart from these without looking at their letters.
        if !matches!(name.len(), 6 | 7 | 10 | 14 | 17) {
            continue;
        }
        let value = field.value.of(&head.raw);
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"expect") => found.expect(value, head.version)?,
            7 if name.eq_ignore_ascii_case(b"upgrade") => found.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => found.connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => found.content_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => found.transfer_encoding(value, head.version)?,
            _ => {}
        }
    }
    found.conclude(head.version)
}

/// What has been seen of the fields so far.
#[derive(Default)]
struct Found<'a> {
    content_length: Option<(&'a [u8], u64)>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect: bool,
}

impl<'a> Found<'a> {
    /// Digits only. Repeated lines are accepted when they are the same byte for byte; a list in one line is not.
    fn content_length(&mut self, value: &'a [u8]) -> Result<(), ProtoError> {
        match self.content_length {
            Some((earlier, _)) if earlier != value => Err(ProtoError::ContentLengthConflict),
            Some(_) => Ok(()),
            None => {
                self.content_length = Some((value, decimal(value).ok_or(ProtoError::BadContentLength)?));
                Ok(())
            }
        }
    }

    /// One `chunked`, in any case, and nothing beside it: no other coding, no parameter, no second line.
    fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), ProtoError> {
        if version == Version::HTTP_10 {
            return Err(ProtoError::TransferCodingHttp10);
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(ProtoError::BadTransferCoding);
        }
        self.chunked = true;
        Ok(())
    }

    /// A list of options; those that are not ours to act on are ignored.
    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(trim) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.connection_upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => {}
            }
        }
    }

    fn expect(&mut self, value: &[u8], version: Version) -> Result<(), ProtoError> {
        if version == Version::HTTP_10 {
            return Ok(());
        }
        self.expect = value.eq_ignore_ascii_case(b"100-continue");
        if self.expect { Ok(()) } else { Err(ProtoError::UnknownExpectation) }
    }

    fn conclude(self, version: Version) -> Result<Framing, ProtoError> {
        let body = match (self.content_length, self.chunked) {
            (Some(_), true) => return Err(ProtoError::LengthAndCoding),
            (Some((_, length)), false) => BodyLength::Length(length),
            (None, true) => BodyLength::Chunked,
            (None, false) => BodyLength::None,
        };
        let http10 = version == Version::HTTP_10;
        Ok(Framing {
            body,
            keep_alive: !self.close && (!http10 || self.keep_alive),
            expect_continue: self.expect && !matches!(body, BodyLength::None | BodyLength::Length(0)),
            upgrade: !http10 && self.upgrade && self.connection_upgrade,
        })
    }
}

/// A number of decimal digits and nothing else (`str::parse` would take a plus sign).
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::super::three_ways::{ROOMY, parse_head};
    use super::*;
    use BodyLength::{Chunked, Length};
    use ProtoError::*;

    /// The framing of a POST with these field lines, or why head or framing is refused.
    fn of(version: &str, lines: &[u8]) -> Result<Framing, ProtoError> {
        let input = [format!("POST / HTTP/{version}\r\nHost: a\r\n").as_bytes(), lines, b"\r\n"].concat();
        parse_head(&input, &ROOMY)?.expect("a whole head");
        let mut head = RequestHead::default();
        super::super::head::parse(&input, &ROOMY, &mut head)?;
        framing(&head)
    }

    #[test]
    fn body_lengths() {
        let cases: [(&[u8], BodyLength); 12] = [
            (b"", BodyLength::None),
            (b"Content-Length: 0\r\n", Length(0)),
            (b"Content-Length: 5\r\n", Length(5)),
            (b"CONTENT-length:\t5 \r\n", Length(5)),
            (b"Content-Length: 00005\r\n", Length(5)),
            (b"Content-Length: 18446744073709551615\r\n", Length(u64::MAX)),
            (b"Content-Length: 5\r\nContent-Length: 5\r\n", Length(5)),
            (b"Transfer-Encoding: chunked\r\n", Chunked),
            (b"transfer-ENCODING: ChUnKeD\r\n", Chunked),
            (b"Transfer-Encoding:chunked\t\r\n", Chunked),
            (b"X-Content-Length: 7\r\nTE: trailers, chunked\r\n", BodyLength::None),
            (b"Content_Length: 7\r\nTransfer_Encoding: chunked\r\n", BodyLength::None),
        ];
        for (lines, wanted) in cases {
            assert_eq!(of("1.1", lines).map(|framing| framing.body), Ok(wanted), "{}", lines.escape_ascii());
        }
    }

    #[test]
    #[rustfmt::skip]
    fn smuggling_is_refused() {
        let cases: &[(&str, &[u8], ProtoError)] = &[
            ("CL.TE", b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", LengthAndCoding),
            ("TE.CL", b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", LengthAndCoding),
            ("CL.TE with zero", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", LengthAndCoding),
            ("CL.CL", b"Content-Length: 5\r\nContent-Length: 6\r\n", ContentLengthConflict),
            ("CL.CL far apart", b"Content-Length: 5\r\nA: b\r\nC: d\r\ncontent-length: 6\r\n", ContentLengthConflict),
            ("CL.CL same number, other text", b"Content-Length: 5\r\nContent-Length: 05\r\n", ContentLengthConflict),
            ("CL list", b"Content-Length: 5, 6\r\n", BadContentLength),
            ("CL list of the same", b"Content-Length: 5, 5\r\n", BadContentLength),
            ("CL trailing comma", b"Content-Length: 5,\r\n", BadContentLength),
            ("CL empty", b"Content-Length:\r\n", BadContentLength),
            ("CL plus", b"Content-Length: +5\r\n", BadContentLength),
            ("CL minus", b"Content-Length: -5\r\n", BadContentLength),
            ("CL minus zero", b"Content-Length: -0\r\n", BadContentLength),
            ("CL hexadecimal", b"Content-Length: 0x5\r\n", BadContentLength),
            ("CL hexadecimal digit", b"Content-Length: a\r\n", BadContentLength),
            ("CL fraction", b"Content-Length: 5.0\r\n", BadContentLength),
            ("CL exponent", b"Content-Length: 1e3\r\n", BadContentLength),
            ("CL underscore", b"Content-Length: 1_000\r\n", BadContentLength),
            ("CL space inside", b"Content-Length: 5 5\r\n", BadContentLength),
            ("CL tab inside", b"Content-Length: 5\t5\r\n", BadContentLength),
            ("CL quoted", b"Content-Length: \"5\"\r\n", BadContentLength),
            ("CL parameter", b"Content-Length: 5;q=1\r\n", BadContentLength),
            ("CL other digits", b"Content-Length: \xd9\xa5\r\n", BadContentLength),
            ("CL overflow by one", b"Content-Length: 18446744073709551616\r\n", BadContentLength),
            ("CL overflow", b"Content-Length: 99999999999999999999999999\r\n", BadContentLength),
            ("CL NUL", b"Content-Length: 5\0\r\n", BadFieldValue),
            ("CL vertical tab", b"Content-Length: \x0b5\r\n", BadFieldValue),
            ("CL space before colon", b"Content-Length : 5\r\n", SpaceBeforeColon),
            ("CL folded", b"Content-Length:\r\n 5\r\n", ObsFold),
            ("CL folded name", b"X: y\r\n Content-Length: 5\r\n", ObsFold),
            ("CL behind a bare LF", b"X: y\nContent-Length: 5\r\n", BareLf),
            ("CL behind a bare CR", b"X: y\rContent-Length: 5\r\n", BareCr),
            ("TE identity", b"Transfer-Encoding: identity\r\n", BadTransferCoding),
            ("TE gzip", b"Transfer-Encoding: gzip\r\n", BadTransferCoding),
            ("TE gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", BadTransferCoding),
            ("TE chunked, gzip", b"Transfer-Encoding: chunked, gzip\r\n", BadTransferCoding),
            ("TE chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", BadTransferCoding),
            ("TE chunked twice in a line", b"Transfer-Encoding: chunked, chunked\r\n", BadTransferCoding),
            ("TE chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BadTransferCoding),
            ("TE.TE", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", BadTransferCoding),
            ("TE.TE the other way round", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", BadTransferCoding),
            ("TE empty", b"Transfer-Encoding:\r\n", BadTransferCoding),
            ("TE comma before", b"Transfer-Encoding: ,chunked\r\n", BadTransferCoding),
            ("TE comma after", b"Transfer-Encoding: chunked,\r\n", BadTransferCoding),
            ("TE parameter", b"Transfer-Encoding: chunked;q=0.5\r\n", BadTransferCoding),
            ("TE quoted", b"Transfer-Encoding: \"chunked\"\r\n", BadTransferCoding),
            ("TE misspelt", b"Transfer-Encoding: xchunked\r\n", BadTransferCoding),
            ("TE cut short", b"Transfer-Encoding: chunke\r\n", BadTransferCoding),
            ("TE space inside", b"Transfer-Encoding: chu nked\r\n", BadTransferCoding),
            ("TE byte above ASCII", b"Transfer-Encoding: \xffchunked\r\n", BadTransferCoding),
            ("TE vertical tab", b"Transfer-Encoding: \x0bchunked\r\n", BadFieldValue),
            ("TE vertical tab after", b"Transfer-Encoding: chunked\x0b\r\n", BadFieldValue),
            ("TE NUL", b"Transfer-Encoding: chunked\0\r\n", BadFieldValue),
            ("TE space before colon", b"Transfer-Encoding : chunked\r\n", SpaceBeforeColon),
            ("TE tab before colon", b"Transfer-Encoding\t: chunked\r\n", SpaceBeforeColon),
            ("TE folded", b"Transfer-Encoding:\r\n chunked\r\n", ObsFold),
            ("TE after a space", b" Transfer-Encoding: chunked\r\n", ObsFold),
            ("TE behind a bare LF", b"X: y\nTransfer-Encoding: chunked\r\n", BareLf),
            ("TE behind a bare CR", b"X: y\rTransfer-Encoding: chunked\r\n", BareCr),
        ];
        for (name, lines, wanted) in cases {
            assert_eq!(of("1.1", lines), Err(*wanted), "{name}");
        }
    }

    #[test]
    fn http10_has_no_transfer_codings() {
        let chunked = b"Transfer-Encoding: chunked\r\n";
        assert_eq!(of("1.0", chunked), Err(TransferCodingHttp10));
        assert_eq!(of("1.0", &[chunked, &b"Content-Length: 5\r\n"[..]].concat()), Err(TransferCodingHttp10));
        assert_eq!(of("1.0", b"Content-Length: 5\r\n").map(|framing| framing.body), Ok(Length(5)));
    }

    #[test]
    fn keep_alive() {
        let cases: [(&str, &[u8], bool); 14] = [
            ("1.1", b"", true),
            ("1.1", b"Connection: close\r\n", false),
            ("1.1", b"connection: CLOSE\r\n", false),
            ("1.1", b"Connection: keep-alive\r\n", true),
            ("1.1", b"Connection: keep-alive, close\r\n", false),
            ("1.1", b"Connection: x-a,\tclose ,x-b\r\n", false),
            ("1.1", b"Connection: x\r\nConnection: close\r\n", false),
            ("1.1", b"Connection: closed, x-close, close;x\r\n", true),
            ("1.1", b"Connection:\r\n", true),
            ("1.0", b"", false),
            ("1.0", b"Connection: Keep-Alive\r\n", true),
            ("1.0", b"Connection: TE, keep-alive\r\n", true),
            ("1.0", b"Connection: keep-alive\r\nConnection: close\r\n", false),
            ("1.0", b"Keep-Alive: timeout=5\r\n", false),
        ];
        for (version, lines, wanted) in cases {
            let framing = of(version, lines).expect("good framing");
            assert_eq!(framing.keep_alive, wanted, "{version} {}", lines.escape_ascii());
        }
    }

    #[test]
    fn expectations() {
        let cases: [(&str, &[u8], Result<bool, ProtoError>); 11] = [
            ("1.1", b"Expect: 100-continue\r\nContent-Length: 5\r\n", Ok(true)),
            ("1.1", b"Content-Length: 5\r\nExpect: 100-Continue\r\n", Ok(true)),
            ("1.1", b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", Ok(true)),
            ("1.1", b"Expect: 100-continue\r\nContent-Length: 0\r\n", Ok(false)),
            ("1.1", b"Expect: 100-continue\r\n", Ok(false)),
            ("1.1", b"Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n", Err(UnknownExpectation)),
            ("1.1", b"Expect: x\r\nContent-Length: 5\r\n", Err(UnknownExpectation)),
            ("1.1", b"Expect: 100-continue, x\r\n", Err(UnknownExpectation)),
            ("1.1", b"Expect:\r\n", Err(UnknownExpectation)),
            ("1.0", b"Expect: 100-continue\r\nContent-Length: 5\r\n", Ok(false)),
            ("1.0", b"Expect: x\r\n", Ok(false)),
        ];
        for (version, lines, wanted) in cases {
            let found = of(version, lines).map(|framing| framing.expect_continue);
            assert_eq!(found, wanted, "{version} {}", lines.escape_ascii());
        }
    }

    #[test]
    fn upgrades_need_both_fields() {
        let cases: [(&str, &[u8], bool); 6] = [
            ("1.1", b"Upgrade: websocket\r\nConnection: Upgrade\r\n", true),
            ("1.1", b"Connection: keep-alive, upgrade\r\nupgrade: websocket\r\n", true),
            ("1.1", b"Connection: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", true),
            ("1.1", b"Upgrade: websocket\r\n", false),
            ("1.1", b"Connection: upgrade\r\n", false),
            ("1.0", b"Upgrade: websocket\r\nConnection: upgrade\r\n", false),
        ];
        for (version, lines, wanted) in cases {
            assert_eq!(of(version, lines).map(|framing| framing.upgrade), Ok(wanted), "{}", lines.escape_ascii());
        }
    }
}
