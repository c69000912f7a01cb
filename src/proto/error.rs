//! What the server refuses on the wire. Each variant is one rule and knows its status, its section and its words.

use std::fmt;

use http::StatusCode;

use crate::semantics::target::TargetError;

/// A rule of HTTP/1.1 that the peer broke, or a limit it exceeded. The connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtoError {
    /// More empty lines before the request line than are ignored.
    EmptyLines,
    /// The first bytes are those of a TLS handshake.
    TlsOnPlainPort,
    /// There is no TLS where there should be.
    PlainOnTlsPort,
    /// The request line is the one that opens an HTTP/2 connection.
    Http2Preface,
    /// The first bytes are those a proxy puts before a connection to tell whose it is.
    ProxyProtocol,
    /// A line feed without a carriage return before it.
    BareLf,
    /// A carriage return without a line feed after it.
    BareCr,
    /// The method is not a token followed by one space.
    BadMethod,
    /// A method this server does not know.
    UnknownMethod,
    /// CONNECT, which is for proxies.
    Connect,
    /// The target has none of the four forms, or a scheme other than http and https.
    BadTarget,
    /// The target has a byte that must be percent-encoded.
    BadTargetByte,
    /// The target has a `#`.
    TargetFragment,
    /// The target is an absolute one with a bad host or port.
    BadTargetHost,
    /// The target is an absolute one with user information.
    TargetUserInfo,
    /// The target is `*` and the method not OPTIONS.
    TargetAsterisk,
    /// The target exceeds the limit.
    TargetTooLong,
    /// The request line ends after the target, as in HTTP/0.9.
    MissingVersion,
    /// What follows the target is not `HTTP/1.1` and the end of the line.
    BadVersion,
    /// Well-formed, but not HTTP/1.
    UnsupportedVersion,
    /// The head exceeds the limit.
    HeadTooLarge,
    /// More fields than the limit.
    TooManyFields,
    /// A field line that begins with white space.
    ObsFold,
    /// White space between a field's name and the colon.
    SpaceBeforeColon,
    /// A field line without a colon.
    MissingColon,
    /// A field name that is empty or not a token.
    BadFieldName,
    /// A control byte in a field value.
    BadFieldValue,
    /// HTTP/1.1 without Host.
    MissingHost,
    /// More than one Host.
    DuplicateHost,
    /// Host is not a host with an optional port.
    BadHost,
    /// Content-Length is not a plain decimal number below 2^64.
    BadContentLength,
    /// Several Content-Length fields that differ.
    ContentLengthConflict,
    /// Content-Length together with Transfer-Encoding.
    LengthAndCoding,
    /// Transfer-Encoding is anything but one `chunked`.
    BadTransferCoding,
    /// Transfer-Encoding in HTTP/1.0.
    TransferCodingHttp10,
    /// Expect is anything but `100-continue`.
    UnknownExpectation,
    /// A chunk size that is not 1 to 16 hexadecimal digits.
    BadChunkSize,
    /// A malformed chunk extension.
    BadChunkExtension,
    /// A chunk's data is not followed by the end of a line.
    BadChunkEnd,
    /// A malformed trailer field.
    BadTrailer,
    /// Chunk extensions and trailers that outweigh the data.
    ChunkOverhead,
}

impl ProtoError {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        self.rule().0
    }

    /// Where the rule is written, as in "RFC 9112 section 6.3".
    pub fn section(self) -> &'static str {
        self.rule().1
    }

    /// One line for the body of the answer and for the log.
    pub fn explain(self) -> &'static str {
        self.rule().2
    }

    /// The table of all rules: status, section, explanation.
    #[rustfmt::skip]
    fn rule(self) -> (StatusCode, &'static str, &'static str) {
        use ProtoError::*;
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const LARGE: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        const UNKNOWN: StatusCode = StatusCode::NOT_IMPLEMENTED;
        const VERSION: StatusCode = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        match self {
            EmptyLines => (BAD, "RFC 9112 section 2.2", "too many empty lines before the request line"),
            TlsOnPlainPort => (BAD, "RFC 9112 section 3", "a TLS handshake on a port that speaks plain HTTP: use http:// (probes: scheme HTTP)"),
            PlainOnTlsPort => (BAD, "RFC 9110 section 4.2.2", "plain HTTP on a port that speaks HTTPS: use https:// (probes: scheme HTTPS)"),
            Http2Preface => (VERSION, "RFC 9113 section 3.4", "HTTP/2 with prior knowledge is not supported: use HTTP/1.1"),
            ProxyProtocol => (BAD, "RFC 9112 section 3", "a PROXY protocol preface before the request: turn it off in the proxy"),
            BareLf => (BAD, "RFC 9112 section 2.2", "a line ends with LF alone instead of CRLF"),
            BareCr => (BAD, "RFC 9112 section 2.2", "a CR is not followed by LF"),
            BadMethod => (BAD, "RFC 9112 section 3.1", "the request line does not begin with a method and one space"),
            UnknownMethod => (UNKNOWN, "RFC 9110 section 9.1", "the method is unknown (methods are case-sensitive)"),
            Connect => (UNKNOWN, "RFC 9110 section 9.3.6", "CONNECT is not implemented: this is not a proxy"),
            BadTarget => (BAD, "RFC 9112 section 3.2", "the request target is neither a path nor an http URL"),
            BadTargetByte => (BAD, "RFC 9112 section 3.2", "the request target has a byte that must be percent-encoded"),
            TargetFragment => (BAD, "RFC 9110 section 7.1", "the request target has a fragment (#)"),
            BadTargetHost => (BAD, "RFC 9112 section 3.2.2", "the request target's host or port is invalid"),
            TargetUserInfo => (BAD, "RFC 9110 section 4.2.4", "the request target carries user information (user@host)"),
            TargetAsterisk => (BAD, "RFC 9112 section 3.2.4", "the request target * is for OPTIONS only"),
            TargetTooLong => (StatusCode::URI_TOO_LONG, "RFC 9110 section 15.5.15", "the request target exceeds RWS_CONFIG_MAX_URI_BYTES"),
            MissingVersion => (BAD, "RFC 9112 section 3", "the request line has no HTTP version"),
            BadVersion => (BAD, "RFC 9112 section 2.3", "the request target is not followed by HTTP/1.1 and the end of the line"),
            UnsupportedVersion => (VERSION, "RFC 9110 section 15.6.6", "only HTTP/1.1 and HTTP/1.0 are supported"),
            HeadTooLarge => (LARGE, "RFC 6585 section 5", "the request head exceeds RWS_CONFIG_MAX_HEAD_BYTES"),
            TooManyFields => (LARGE, "RFC 6585 section 5", "the request has more fields than RWS_CONFIG_MAX_HEADERS"),
            ObsFold => (BAD, "RFC 9112 section 5.2", "a field line begins with white space (line folding)"),
            SpaceBeforeColon => (BAD, "RFC 9112 section 5.1", "white space between a field name and its colon"),
            MissingColon => (BAD, "RFC 9112 section 5", "a field line has no colon"),
            BadFieldName => (BAD, "RFC 9110 section 5.1", "a field name is empty or has a character that is not allowed"),
            BadFieldValue => (BAD, "RFC 9110 section 5.5", "a field value has a control character"),
            MissingHost => (BAD, "RFC 9112 section 3.2", "the Host field is missing"),
            DuplicateHost => (BAD, "RFC 9112 section 3.2", "there is more than one Host field"),
            BadHost => (BAD, "RFC 9112 section 3.2", "the Host field is not a host with an optional port"),
            BadContentLength => (BAD, "RFC 9112 section 6.3", "Content-Length is not a decimal number"),
            ContentLengthConflict => (BAD, "RFC 9112 section 6.3", "there are several Content-Length fields that differ"),
            LengthAndCoding => (BAD, "RFC 9112 section 6.3", "Content-Length together with Transfer-Encoding"),
            BadTransferCoding => (BAD, "RFC 9112 section 6.1", "Transfer-Encoding is not chunked, once and alone"),
            TransferCodingHttp10 => (BAD, "RFC 9112 section 6.1", "Transfer-Encoding in an HTTP/1.0 request"),
            UnknownExpectation => (StatusCode::EXPECTATION_FAILED, "RFC 9110 section 10.1.1", "Expect is not 100-continue"),
            BadChunkSize => (BAD, "RFC 9112 section 7.1", "a chunk size is not a hexadecimal number on a line of its own"),
            BadChunkExtension => (BAD, "RFC 9112 section 7.1.1", "a chunk extension is malformed"),
            BadChunkEnd => (BAD, "RFC 9112 section 7.1", "a chunk's data is not followed by CRLF"),
            BadTrailer => (BAD, "RFC 9112 section 7.1.2", "a trailer field is malformed"),
            ChunkOverhead => (BAD, "RFC 9112 section 7.1.1", "chunk extensions and trailers are too large"),
        }
    }
}

impl fmt::Display for ProtoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.explain(), self.section())
    }
}

impl std::error::Error for ProtoError {}

impl From<TargetError> for ProtoError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Form | TargetError::Scheme => ProtoError::BadTarget,
            TargetError::Byte => ProtoError::BadTargetByte,
            TargetError::Fragment => ProtoError::TargetFragment,
            TargetError::Authority => ProtoError::BadTargetHost,
            TargetError::UserInfo => ProtoError::TargetUserInfo,
            TargetError::Asterisk => ProtoError::TargetAsterisk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_where() {
        let error = ProtoError::LengthAndCoding;
        assert_eq!(error.status(), StatusCode::BAD_REQUEST);
        assert_eq!(error.to_string(), "Content-Length together with Transfer-Encoding (RFC 9112 section 6.3)");
    }

    #[test]
    fn statuses_other_than_400() {
        for (error, status) in [
            (ProtoError::TargetTooLong, 414),
            (ProtoError::UnknownExpectation, 417),
            (ProtoError::HeadTooLarge, 431),
            (ProtoError::TooManyFields, 431),
            (ProtoError::UnknownMethod, 501),
            (ProtoError::Connect, 501),
            (ProtoError::UnsupportedVersion, 505),
            (ProtoError::Http2Preface, 505),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error:?}");
        }
    }

    #[rustfmt::skip]
    const ALL: &[ProtoError] = {
        use ProtoError::*;
        &[
            EmptyLines, TlsOnPlainPort, PlainOnTlsPort, Http2Preface, ProxyProtocol, BareLf, BareCr,
            BadMethod, UnknownMethod, Connect, BadTarget, BadTargetByte,
            TargetFragment, BadTargetHost, TargetUserInfo, TargetAsterisk, TargetTooLong,
            MissingVersion, BadVersion, UnsupportedVersion, HeadTooLarge, TooManyFields,
            ObsFold, SpaceBeforeColon, MissingColon, BadFieldName, BadFieldValue,
            MissingHost, DuplicateHost, BadHost, BadContentLength, ContentLengthConflict,
            LengthAndCoding, BadTransferCoding, TransferCodingHttp10, UnknownExpectation, BadChunkSize,
            BadChunkExtension, BadChunkEnd, BadTrailer, ChunkOverhead,
        ]
    };

    #[test]
    fn the_manual_has_every_rule() {
        assert_eq!(ALL.len(), ProtoError::ChunkOverhead as usize + 1, "a rule is missing above");
        let manual = include_str!("../../docs/HTTP.md");
        for (place, error) in ALL.iter().enumerate() {
            assert_eq!(*error as usize, place);
            let row = format!("| {} | {} | {} |", error.explain(), error.status().as_u16(), error.section());
            assert!(manual.contains(&row), "docs/HTTP.md has no row {row:?}");
        }
    }

    #[test]
    fn an_error_is_a_single_byte() {
        assert_eq!(size_of::<ProtoError>(), 1);
    }
}
