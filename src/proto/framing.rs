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
