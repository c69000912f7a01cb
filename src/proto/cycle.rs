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
    /// No keys were agreed on.
    HandshakeFailed,
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
            CloseReason::HandshakeFailed => "the TLS handshake failed",
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

    /// Whether a response with that status has a body to the current request, rather than only a head.
    pub fn sends_body(&self, status: StatusCode) -> bool {
        self.length(status, None).1
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::super::three_ways::ROOMY;
    use super::*;
    use CloseReason::*;

    const OK: StatusCode = StatusCode::OK;

    /// A cycle that has read this head, and what is left of the input.
    fn after(input: &str) -> (Cycle, &[u8]) {
        let mut cycle = Cycle::default();
        let consumed = cycle.head(input.as_bytes(), &ROOMY, &mut RequestHead::default());
        let consumed = consumed.expect("a good head").expect("a whole head");
        (cycle, &input.as_bytes()[consumed..])
    }

    fn request(line: &str, fields: &str) -> String {
        format!("{line}\r\nHost: a\r\n{fields}\r\n")
    }

    fn due(method: &str, version: &str) -> Cycle {
        after(&request(&format!("{method} / HTTP/{version}"), "Connection: keep-alive\r\n")).0
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Cycle>() <= 64, "{} bytes", size_of::<Cycle>());
    }

    #[test]
    fn pipelined_requests_are_taken_one_at_a_time() {
        let get = request("GET /1 HTTP/1.1", "");
        let post = request("POST /2 HTTP/1.1", "Content-Length: 3\r\n");
        let input = format!("{get}{post}abc{get}");
        let (mut cycle, mut rest) = after(&input);
        let mut head = RequestHead::default();
        assert_eq!(cycle.head(rest, &ROOMY, &mut head), Ok(None), "the first is unanswered");
        cycle.respond(OK, Some(1), None);
        assert_eq!(cycle.head(rest, &ROOMY, &mut head), Ok(None), "its response is not written");
        assert_eq!(cycle.finish(), Ok(()));

        rest = &rest[cycle.head(rest, &ROOMY, &mut head).unwrap().unwrap()..];
        assert_eq!((head.path(), cycle.framing().body), ("/2", super::super::framing::BodyLength::Length(3)));
        let step = cycle.body(rest).unwrap();
        assert_eq!((&rest[step.data], step.done), (&b"abc"[..], true));
        cycle.respond(OK, Some(1), None);
        assert_eq!(cycle.finish(), Ok(()));
        rest = &rest[step.consumed..];
        assert_eq!(cycle.head(rest, &ROOMY, &mut head), Ok(Some(rest.len())));
    }

    #[test]
    #[rustfmt::skip]
    fn framing_of_responses() {
        use Length::{Chunked, Exact, None as Nothing, UntilClose};
        let cases = [
            // method, version, status, known length → length, body sent
            ("GET", "1.1", 200, Some(5), Exact(5), true),
            ("GET", "1.1", 200, Some(0), Exact(0), true),
            ("GET", "1.1", 200, None, Chunked, true),
            ("GET", "1.0", 200, Some(5), Exact(5), true),
            ("GET", "1.0", 200, None, UntilClose, true),
            ("GET", "1.1", 404, Some(5), Exact(5), true),
            ("HEAD", "1.1", 200, Some(5), Exact(5), false),
            ("HEAD", "1.1", 200, Some(0), Nothing, false),
            ("HEAD", "1.1", 200, None, Nothing, false),
            ("HEAD", "1.0", 200, None, Nothing, false),
            ("HEAD", "1.1", 404, Some(9), Exact(9), false),
            ("GET", "1.1", 204, Some(5), Nothing, false),
            ("GET", "1.1", 204, None, Nothing, false),
            ("HEAD", "1.1", 204, Some(5), Nothing, false),
            ("GET", "1.1", 205, Some(5), Exact(0), false),
            ("GET", "1.1", 205, None, Exact(0), false),
            ("GET", "1.1", 304, Some(5), Exact(5), false),
            ("GET", "1.1", 304, Some(0), Nothing, false),
            ("GET", "1.0", 304, None, Nothing, false),
            ("GET", "1.1", 103, Some(5), Nothing, false),
        ];
        for (method, version, status, known, length, send_body) in cases {
            let answer = due(method, version).respond(StatusCode::from_u16(status).unwrap(), known, None);
            assert_eq!((answer.length, answer.send_body), (length, send_body), "{method} {version} {status} {known:?}");
        }
    }

    #[test]
    fn whether_the_connection_stays() {
        let cases = [
            ("GET / HTTP/1.1", "", Connection::Default, Ok(())),
            ("GET / HTTP/1.1", "Connection: close\r\n", Connection::Close, Err(ConnectionClose)),
            ("GET / HTTP/1.0", "", Connection::Close, Err(Http10)),
            ("GET / HTTP/1.0", "Connection: keep-alive\r\n", Connection::KeepAlive, Ok(())),
            ("GET / HTTP/1.0", "Connection: close, keep-alive\r\n", Connection::Close, Err(Http10)),
        ];
        for (line, fields, connection, finish) in cases {
            let mut cycle = after(&request(line, fields)).0;
            assert_eq!(cycle.respond(OK, Some(1), None).connection, connection, "{line} {fields}");
            assert_eq!(cycle.finish(), finish, "{line} {fields}");
        }
    }

    #[test]
    fn a_body_without_framing_ends_with_the_connection() {
        let mut cycle = due("GET", "1.0");
        let answer = cycle.respond(OK, None, None);
        assert_eq!((answer.length, answer.connection), (Length::UntilClose, Connection::Close));
        assert_eq!(cycle.finish(), Err(BodyUnframed));
    }

    #[test]
    fn the_callers_reason_comes_first() {
        for reason in [Draining, MaxRequests, HandlerPanic] {
            let mut cycle = after(&request("GET / HTTP/1.1", "Connection: close\r\n")).0;
            assert_eq!(cycle.respond(OK, None, Some(reason)).connection, Connection::Close);
            assert_eq!(cycle.finish(), Err(reason));
        }
    }

    #[test]
    fn an_unread_body_closes() {
        let (mut cycle, _) = after(&request("POST / HTTP/1.1", "Content-Length: 3\r\n"));
        assert_eq!(cycle.respond(OK, Some(1), None).connection, Connection::Default, "it may still be read");
        assert!(!cycle.body_done());
        assert_eq!(cycle.finish(), Err(UnreadBody));
    }

    #[test]
    fn a_body_may_be_read_while_the_response_is_written() {
        let input = request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n";
        let (mut cycle, rest) = after(&input);
        assert_eq!(cycle.body_remaining(), None);
        assert_eq!(cycle.respond(OK, None, None).length, Length::Chunked);
        assert!(cycle.body(rest).is_ok_and(|step| step.done));
        assert_eq!(cycle.finish(), Ok(()));
    }

    #[test]
    fn continue_is_owed_once_and_before_the_body() {
        let input = request("POST / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 3\r\n");
        let mut cycle = after(&input).0;
        assert!(cycle.framing().expect_continue);
        assert!(cycle.take_continue());
        assert!(!cycle.take_continue());
        assert!(cycle.body(b"abc").is_ok_and(|step| step.done));
        assert_eq!(cycle.respond(OK, Some(1), None).connection, Connection::Default);
        assert_eq!(cycle.finish(), Ok(()));

        let mut impatient = after(&input).0;
        assert!(impatient.body(b"").is_ok() && impatient.body(b"a").is_ok());
        assert!(!impatient.take_continue(), "the client did not wait");
        assert!(!after(&request("GET / HTTP/1.1", "")).0.take_continue());
    }

    #[test]
    fn a_client_left_waiting_is_told_that_the_connection_closes() {
        let mut cycle = after(&request("POST / HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 3\r\n")).0;
        assert_eq!(cycle.respond(StatusCode::UNAUTHORIZED, Some(1), None).connection, Connection::Close);
        assert!(!cycle.take_continue(), "the final response has begun");
        assert_eq!(cycle.finish(), Err(UnreadBody));
    }

    #[test]
    fn a_refused_head_is_answered_and_closes() {
        let mut cycle = Cycle::default();
        let mut head = RequestHead::default();
        let error = ProtoError::MissingHost;
        assert_eq!(cycle.head(b"GET / HTTP/1.1\r\n\r\n", &ROOMY, &mut head), Err(error));
        assert_eq!(
            cycle.head(request("GET / HTTP/1.1", "").as_bytes(), &ROOMY, &mut head),
            Err(error),
            "it stays refused"
        );
        assert_eq!(cycle.body(b"x"), Err(error));
        let answer = cycle.respond(error.status(), Some(10), None);
        assert_eq!(answer, Answer { length: Length::Exact(10), connection: Connection::Close, send_body: true });
        assert_eq!(cycle.finish(), Err(ProtocolError(error)));
    }

    #[test]
    fn refused_framing_still_knows_the_method() {
        let mut cycle = Cycle::default();
        let input = request("HEAD / HTTP/1.1", "Content-Length: x\r\n");
        let error = ProtoError::BadContentLength;
        assert_eq!(cycle.head(input.as_bytes(), &ROOMY, &mut RequestHead::default()), Err(error));
        assert!(!cycle.respond(error.status(), Some(10), None).send_body);
        assert_eq!(cycle.finish(), Err(ProtocolError(error)));
    }

    #[test]
    fn a_refused_body_closes_before_and_after_the_answer() {
        let input = request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n");
        let error = ProtoError::BadChunkSize;
        let mut early = after(&input).0;
        assert_eq!(early.body(b"x"), Err(error));
        assert_eq!(early.respond(error.status(), Some(1), None).connection, Connection::Close);
        assert_eq!(early.finish(), Err(ProtocolError(error)));

        let mut late = after(&input).0;
        assert_eq!(late.respond(OK, Some(1), None).connection, Connection::Default);
        assert_eq!(late.body(b"x"), Err(error));
        assert_eq!(late.finish(), Err(ProtocolError(error)));
    }

    #[test]
    fn a_response_without_a_request_closes() {
        let mut idle = Cycle::default();
        assert_eq!(idle.respond(StatusCode::REQUEST_TIMEOUT, Some(1), Some(HeadTimeout)).connection, Connection::Close);
        assert_eq!(idle.finish(), Err(HeadTimeout));
        let mut idle = Cycle::default();
        assert_eq!(idle.respond(OK, Some(1), None).connection, Connection::Close);
        assert_eq!(idle.finish(), Err(OutOfTurn));
        assert_eq!(due("GET", "1.1").finish(), Err(OutOfTurn), "a request without a response");
    }

    #[test]
    fn a_response_may_be_replaced_before_it_is_written() {
        let mut cycle = due("GET", "1.0");
        cycle.respond(OK, None, None);
        let answer = cycle.respond(StatusCode::INTERNAL_SERVER_ERROR, Some(5), None);
        assert_eq!((answer.length, answer.connection), (Length::Exact(5), Connection::Close));
        assert_eq!(cycle.finish(), Err(BodyUnframed), "once closing, always closing");
    }

    #[test]
    fn switching_protocols_hands_the_connection_over() {
        let mut cycle = after(&request("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n")).0;
        assert!(cycle.framing().upgrade);
        let answer = cycle.respond(StatusCode::SWITCHING_PROTOCOLS, None, None);
        assert_eq!(answer, Answer { length: Length::None, connection: Connection::Upgrade, send_body: false });
        assert_eq!(cycle.finish(), Err(Upgraded));
    }

    #[test]
    fn nothing_of_a_request_reaches_the_next() {
        let (mut cycle, _) = after(&request("HEAD / HTTP/1.0", "Connection: keep-alive\r\n"));
        cycle.respond(OK, Some(5), None);
        assert_eq!(cycle.finish(), Ok(()));
        let next = request("GET / HTTP/1.1", "");
        cycle.head(next.as_bytes(), &ROOMY, &mut RequestHead::default()).unwrap().unwrap();
        let answer = cycle.respond(OK, None, None);
        assert_eq!(answer, Answer { length: Length::Chunked, connection: Connection::Default, send_body: true });
    }
}
