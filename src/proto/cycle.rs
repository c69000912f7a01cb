//! One connection's request/response cycles: what may happen when, how each response is framed, and why the connection
//! closes. Knows no bytes of its own; [`super::head`], [`super::framing`] and [`super::body`] read them.
//!
//! | phase | `head` | `body` | `respond` | `finish` |
//! |---|---|---|---|---|
//! | Idle | complete: → Due; refused: → Broken | nothing is due: done | answers without a request, closes → Answering | closes: nothing was answered |
//! | Due | no: the request is still unanswered | reads the request's body | → Answering | closes: nothing was answered |
//! | Answering | no | reads on (a handler may answer while it reads) | no second answer | → Idle, or closes |
//! | Broken | the same error again | the same error again | answers with `Connection: close` → Answering | closes |
//!
//! How `respond` frames the body, first match:
//!
//! | response to | length | body sent | section |
//! |---|---|---|---|
//! | any, 1xx or 204 | none | no | RFC 9110 sections 8.6, 15.2, 15.3.5 |
//! | any, 205 | Content-Length: 0 | no | RFC 9110 section 15.3.6 |
//! | any, 304; HEAD | what GET would have sent, if known and not zero | no | RFC 9110 sections 8.6, 9.3.2, 15.4.5 |
//! | known length | Content-Length | yes | RFC 9112 section 6.3 |
//! | HTTP/1.1 | chunked | yes | RFC 9112 section 6.1 |
//! | HTTP/1.0 | until close | yes | RFC 9112 section 6.3 |
//!
//! Whether the connection stays, first match (RFC 9112 section 9.3): the reason the caller gives; 101 hands it over;
//! a body that only its end can delimit; what the client asked for; a request body that the client was not told to send;
//! and, once the response is written, a request body that was not read to its end.

use http::{Method, StatusCode, Version};

use super::body::BodyDecoder;
use super::chunked::Step;
use super::encode::{Connection, Length};
use super::error::ProtoError;
use super::framing::{Framing, framing};
use super::head::{Limits, parse};
use crate::semantics::head::RequestHead;

/// Why a connection was or will be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client closed it between requests.
    ClientClosed,
    /// The client asked for it with `Connection: close`.
    ConnectionClose,
    /// HTTP/1.0 without `Connection: keep-alive`.
    Http10,
    /// The client broke a rule.
    ProtocolError(ProtoError),
    /// The request's body was not read to its end.
    UnreadBody,
    /// The request's body exceeded the limit.
    BodyTooLarge,
    /// The response's body ends with the connection.
    BodyUnframed,
    /// The response's body was shorter than announced, or failed.
    BodyCutShort,
    /// The connection had as many requests as it may.
    MaxRequests,
    /// The server is about to stop.
    Draining,
    /// The head did not arrive in time.
    HeadTimeout,
    /// No request arrived in time.
    IdleTimeout,
    /// The request's body made no progress in time.
    BodyTimeout,
    /// The client did not read in time.
    WriteTimeout,
    /// The handler panicked.
    HandlerPanic,
    /// The server had no capacity left.
    Overloaded,
    /// Reading or writing failed.
    IoError,
    /// The connection now speaks another protocol.
    Upgraded,
    /// A request ended without a response, or a response was written without a request.
    OutOfTurn,
}

impl CloseReason {
    /// One line for the log.
    pub fn explain(self) -> &'static str {
        match self {
            CloseReason::ClientClosed => "the client closed the connection",
            CloseReason::ConnectionClose => "the client asked for Connection: close",
            CloseReason::Http10 => "the client speaks HTTP/1.0 without Connection: keep-alive",
            CloseReason::ProtocolError(error) => error.explain(),
            CloseReason::UnreadBody => "the request body was not read to its end",
            CloseReason::BodyTooLarge => "the request body exceeded the limit",
            CloseReason::BodyUnframed => "the response body ends with the connection",
            CloseReason::BodyCutShort => "the response body ended before its announced length",
            CloseReason::MaxRequests => "the connection has had its number of requests",
            CloseReason::Draining => "the server is about to stop",
            CloseReason::HeadTimeout => "the request head did not arrive in time",
            CloseReason::IdleTimeout => "no request arrived in time",
            CloseReason::BodyTimeout => "the request body made no progress in time",
            CloseReason::WriteTimeout => "the client did not read the response in time",
            CloseReason::HandlerPanic => "the handler panicked",
            CloseReason::Overloaded => "the server has no capacity left",
            CloseReason::IoError => "reading from or writing to the connection failed",
            CloseReason::Upgraded => "the connection was handed to another protocol",
            CloseReason::OutOfTurn => "a request without a response, or a response without a request",
        }
    }
}

/// How a response is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How its head announces the body.
    pub length: Length,
    /// Its Connection field.
    pub connection: Connection,
    /// Whether the body follows the head.
    pub send_body: bool,
}

/// Where one connection is in its current request/response cycle. Small: every idle connection has one.
#[derive(Clone, Debug, Default)]
pub struct Cycle {
    body: BodyDecoder,
    framing: Framing,
    phase: Phase,
    close: Option<CloseReason>,
    is_head: bool,
    is_http10: bool,
    /// The client waits for 100 Continue, has not got it and has sent nothing of its body.
    owes_continue: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Due,
    Answering,
    Broken(ProtoError),
}

impl Cycle {
    /// Parses a head and its framing. `Ok(Some(consumed))`: a request is due, its body follows in the input;
    /// otherwise as [`parse`]. To be called when idle; in an unfinished cycle it takes nothing.
    pub fn head(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<Option<usize>, ProtoError> {
        match self.phase {
            Phase::Idle => {}
            Phase::Broken(error) => return Err(error),
            Phase::Due | Phase::Answering => return Ok(None),
        }
        let Some(consumed) = parse(buffer, limits, head).map_err(|error| self.refuse(error))? else {
            return Ok(None);
        };
        self.is_head = *head.method() == Method::HEAD;
        self.is_http10 = head.version() == Version::HTTP_10;
        self.framing = framing(head).map_err(|error| self.refuse(error))?;
        self.body = BodyDecoder::new(self.framing.body);
        self.owes_continue = self.framing.expect_continue;
        self.phase = Phase::Due;
        Ok(Some(consumed))
    }

    /// The framing of the current request.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Takes the next part of the request's body, as [`BodyDecoder::decode`].
    pub fn body(&mut self, input: &[u8]) -> Result<Step, ProtoError> {
        if let Phase::Broken(error) = self.phase {
            return Err(error);
        }
        let step = self.body.decode(input).map_err(|error| self.refuse(error))?;
        self.owes_continue &= step.consumed == 0;
        Ok(step)
    }

    /// Whether the request's body was read to its end (or there is none).
    pub fn body_done(&self) -> bool {
        self.body.is_done()
    }

    /// How many bytes of the request's body are still to come, if that is known.
    pub fn body_remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    /// Whether [`encode::CONTINUE`](super::encode::CONTINUE) must be written before the body is read: true at most once,
    /// and never after a part of the body arrived or the response began (RFC 9110 section 10.1.1).
    pub fn take_continue(&mut self) -> bool {
        self.phase == Phase::Due && std::mem::take(&mut self.owes_continue)
    }

    /// Decides how the response is framed. `body_length` in bytes, if known; `close` closes the connection after the
    /// response, for that reason.
    ///
    /// A client that was not told to continue may or may not send its body, so the connection closes after the response.
    /// Otherwise an unread body does not show in the head: it may still be read while the response is written.
    pub fn respond(&mut self, status: StatusCode, body_length: Option<u64>, close: Option<CloseReason>) -> Answer {
        let (length, send_body) = self.length(status, body_length);
        self.close = close.or_else(|| self.reason_to_close(status, length));
        self.phase = Phase::Answering;
        self.owes_continue = false;
        let connection = match self.close {
            Some(CloseReason::Upgraded) => Connection::Upgrade,
            Some(_) => Connection::Close,
            None if self.is_http10 => Connection::KeepAlive,
            None => Connection::Default,
        };
        Answer { length, connection, send_body }
    }

    /// To be called after the whole response was written. `Ok`: the next cycle may begin; `Err`: close.
    pub fn finish(&mut self) -> Result<(), CloseReason> {
        if let Some(reason) = self.close {
            return Err(reason);
        }
        match self.phase {
            Phase::Broken(error) => Err(CloseReason::ProtocolError(error)),
            Phase::Idle | Phase::Due => Err(CloseReason::OutOfTurn),
            Phase::Answering if !self.body.is_done() => Err(CloseReason::UnreadBody),
            Phase::Answering => {
                *self = Cycle::default();
                Ok(())
            }
        }
    }

    /// The second table of the module's documentation.
    fn length(&self, status: StatusCode, body_length: Option<u64>) -> (Length, bool) {
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            return (Length::None, false);
        }
        if status == StatusCode::RESET_CONTENT {
            return (Length::Exact(0), false);
        }
        if self.is_head || status == StatusCode::NOT_MODIFIED {
            // Zero is what an empty body has because it is not sent, and would be a false statement about the GET.
            let known = body_length.filter(|&bytes| bytes > 0);
            return (known.map_or(Length::None, Length::Exact), false);
        }
        match body_length {
            Some(bytes) => (Length::Exact(bytes), true),
            None if self.is_http10 => (Length::UntilClose, true),
            None => (Length::Chunked, true),
        }
    }

    fn reason_to_close(&self, status: StatusCode, length: Length) -> Option<CloseReason> {
        match self.phase {
            Phase::Broken(error) => Some(CloseReason::ProtocolError(error)),
            Phase::Idle => Some(CloseReason::OutOfTurn),
            Phase::Answering => self.close,
            Phase::Due if status == StatusCode::SWITCHING_PROTOCOLS => Some(CloseReason::Upgraded),
            Phase::Due if length == Length::UntilClose => Some(CloseReason::BodyUnframed),
            Phase::Due if !self.framing.keep_alive && self.is_http10 => Some(CloseReason::Http10),
            Phase::Due if !self.framing.keep_alive => Some(CloseReason::ConnectionClose),
            Phase::Due if self.owes_continue => Some(CloseReason::UnreadBody),
            Phase::Due => None,
        }
    }

    fn refuse(&mut self, error: ProtoError) -> ProtoError {
        self.phase = Phase::Broken(error);
        error
    }
}
