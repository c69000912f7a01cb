//! The answering half of a connection: calling the handler, framing its response, and telling the observers.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::away::let_go;
use super::feeding::Feeding;
use super::incoming::Lease;
use super::output::{Shrunk, Tail};
use super::upgraded::Speaking;
use super::{Connection, Failure, InFlight, Phase};
use crate::app::body::{Body, Kind, Write};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::app::service::Service;
use crate::app::upgrade::News;
use crate::proto::chunked;
use crate::proto::cycle::CloseReason;
use crate::proto::encode::{self, HeadPlan, Length};
use crate::server::observe::Outcome;
use crate::server::reactor::{Date, Reactor};
use crate::server::shared::Shared;

/// Bodies up to this are copied behind their head, so that both go out in one write; larger ones are not copied.
const COPIED: usize = 16 * 1024;

/// What came of a handler.
pub(super) struct Answered {
    pub(super) response: Response,
    pub(super) panicked: bool,
    /// Whether what the response's body is got from may read on in the request's.
    pub(super) reads_on: bool,
}

impl From<Response> for Answered {
    fn from(response: Response) -> Self {
        Answered { response, panicked: false, reads_on: false }
    }
}

/// An answered request whose response is not all written yet.
pub(in crate::server) struct Finishing {
    pub(in crate::server) in_flight: InFlight,
    pub(in crate::server) status: StatusCode,
    pub(in crate::server) bytes_out: u64,
    pub(in crate::server) outcome: Outcome,
    /// When it ended, if it has.
    pub(in crate::server) ended: Option<Instant>,
}

impl Finishing {
    /// The request, for those who watch what workers are at.
    pub(super) fn watched(&self) -> InFlight {
        let InFlight { ref received, endpoint, reactor, queued, started, upgraded, .. } = self.in_flight;
        let (received, answered) = (Arc::clone(received), Some(self.status));
        InFlight { received, endpoint, reactor, queued, started, reported: false, upgraded, answered }
    }
}

/// A response whose body is read while it is written.
pub(super) struct Pulling {
    pub(super) source: Source,
    /// How many bytes are still to come, if that was promised.
    pub(super) left: Option<u64>,
    pub(super) framing: Length,
    /// Through which the source may read the request's body.
    pub(super) lease: Option<Arc<Lease>>,
}

/// Where its bytes come from.
pub(super) enum Source {
    Reader(Box<dyn io::Read + Send>),
    /// Not called yet.
    Writer(Write),
    /// A writer that was called.
    Gone,
}

/// Runs the handler. A panic is an answer too.
pub(super) fn call(service: &dyn Service, request: Request) -> Answered {
    match catch_unwind(AssertUnwindSafe(|| service.call(request))) {
        Ok(response) => response.into(),
        Err(_) => Answered { panicked: true, ..refusal(StatusCode::INTERNAL_SERVER_ERROR).into() },
    }
}

/// A short answer of the server's own.
pub(super) fn refusal(status: StatusCode) -> Response {
    let text = format!("{} {}\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    Response::new(status)
        .with_header(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
        .with_body(text)
}

/// What a client is told when all workers are busy and the queue is full. Workers come free all the time.
pub(super) fn overloaded() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE).with_header(RETRY_AFTER, HeaderValue::from_static("1"))
}

impl Connection {
    /// Answers a request whose handler ran inline.
    pub(super) fn answer_here(&mut self, reactor: &mut Reactor, in_flight: InFlight, answered: Answered) {
        let finishing = self.answer(in_flight, answered, reactor.shared(), reactor.date());
        self.record_or_keep(reactor, finishing);
    }

    /// Answers a request with something of the server's own.
    pub(super) fn answer_refusal(
        &mut self,
        reactor: &mut Reactor,
        in_flight: InFlight,
        response: Response,
        close: Option<CloseReason>,
        outcome: Outcome,
    ) {
        let finishing = self.respond(in_flight, response.into(), close, outcome, reactor.shared(), reactor.date());
        self.record_or_keep(reactor, finishing);
    }

    /// Frames a handler's response and puts what can be written into the output.
    pub(super) fn answer(
        &mut self,
        in_flight: InFlight,
        answered: Answered,
        shared: &Shared,
        date: &Date,
    ) -> Finishing {
        let (close, outcome) = if answered.panicked {
            shared.stats.handler_panics.fetch_add(1, Ordering::Relaxed);
            (Some(CloseReason::HandlerPanic), Outcome::Panic)
        } else {
            (None, Outcome::Ok)
        };
        self.respond(in_flight, answered, close, outcome, shared, date)
    }

    fn respond(
        &mut self,
        in_flight: InFlight,
        answered: Answered,
        close: Option<CloseReason>,
        outcome: Outcome,
        shared: &Shared,
        date: &Date,
    ) -> Finishing {
        let Answered { mut response, reads_on, .. } = answered;
        let protocol = self.take_protocol(&mut response);
        if protocol.is_none() && response.status().is_informational() {
            // There is no such thing as a final response of that kind; the client would wait for ever.
            tracing::error!(status = response.status().as_u16(), "a handler answered with an interim status");
            let_go(std::mem::replace(&mut response, refusal(StatusCode::INTERNAL_SERVER_ERROR)));
        }
        let status = response.status();
        let close = close.or_else(|| self.reason_to_close(reads_on, shared).filter(|_| protocol.is_none()));
        let bytes_out = self.encode(response, close, date, &in_flight.received.id);
        if let Some(protocol) = protocol {
            // Not the end of the connection, only of HTTP on it.
            self.closing = None;
            self.phase = Phase::Upgraded(Box::new(Speaking::new(protocol, &in_flight, &shared.stats)));
        }
        Finishing { in_flight, status, bytes_out, outcome, ended: None }
    }

    fn reason_to_close(&mut self, reads_on: bool, shared: &Shared) -> Option<CloseReason> {
        if shared.is_draining() {
            return Some(CloseReason::Draining);
        }
        if self.last_request {
            return Some(CloseReason::MaxRequests);
        }
        // A body that a stream of ours will still read is no reason to close; one that nobody will read is.
        (!reads_on && !self.cycle.body_done()).then_some(CloseReason::UnreadBody)
    }

    /// Puts head and body into the output, or sets up what fetches the body. Returns the body's length as far as it is
    /// in the output.
    pub(super) fn encode(
        &mut self,
        response: Response,
        close: Option<CloseReason>,
        date: &Date,
        request_id: &str,
    ) -> u64 {
        let Response { status, headers, body } = response;
        let plan = self.cycle.respond(status, body.length(), close);
        let head = HeadPlan { status, length: plan.length, connection: plan.connection, date, request_id };
        let (lines, fields) = headers.as_sent();
        encode::head(self.output.bytes(), &head, lines, fields);
        let sent = if plan.send_body {
            self.send_body(body, plan.length)
        } else {
            let_go(body);
            0
        };
        if !self.is_sending() {
            self.end_cycle();
        }
        sent
    }

    fn send_body(&mut self, body: Body, framing: Length) -> u64 {
        let length = body.length().unwrap_or(0);
        match body.kind {
            Kind::Empty => {}
            Kind::Bytes(bytes) => self.send_bytes(bytes),
            Kind::File(part) if part.length == 0 => {}
            Kind::File(part) => self.output.set_tail(Tail::File(part)),
            // Only with status 101, which has no body.
            Kind::Upgrade(_) => {}
            Kind::Feed(reader) => {
                self.phase = Phase::Feed(Box::new(Feeding::new(reader, framing)));
                return 0;
            }
            Kind::Reader { reader, length } => {
                let source = Source::Reader(reader);
                self.phase = Phase::Pull(Box::new(Pulling { source, left: length, framing, lease: None }));
                return 0;
            }
            Kind::Writer(write) => {
                let source = Source::Writer(write);
                self.phase = Phase::Pull(Box::new(Pulling { source, left: None, framing, lease: None }));
                return 0;
            }
        }
        length
    }

    fn send_bytes(&mut self, bytes: Bytes) {
        if bytes.len() <= COPIED {
            self.output.bytes().extend_from_slice(&bytes);
        } else {
            self.output.set_tail(Tail::Bytes(bytes));
        }
    }

    /// Whether the response's body is still being got from somewhere.
    pub(super) fn is_sending(&self) -> bool {
        matches!(self.phase, Phase::Pull(_) | Phase::Feed(_))
    }

    /// The response is all in the output: the next cycle may begin, or the connection closes.
    pub(super) fn end_cycle(&mut self) {
        if let Err(reason) = self.cycle.finish() {
            self.closing = Some(reason);
        }
    }

    /// A response that is a few bytes in the output is as good as sent; of any other we wait for the end.
    fn record_or_keep(&mut self, reactor: &mut Reactor, finishing: Finishing) {
        if self.output.tail_length() == 0 && !self.is_sending() {
            reactor.record(finishing, self.body_bytes);
        } else {
            reactor.shared().stats.requests_active.fetch_add(1, Ordering::Relaxed);
            self.finishing = Some(Box::new(finishing));
        }
    }

    /// The output is empty: if a response was being written, that is now over.
    pub(in crate::server) fn finish_response(&mut self, reactor: &mut Reactor) {
        if let Some(finishing) = self.finishing.take() {
            reactor.shared().stats.requests_active.fetch_sub(1, Ordering::Relaxed);
            reactor.record(*finishing, self.body_bytes);
        }
    }

    /// Appends one piece of a streamed body, framed.
    pub(super) fn send_piece(&mut self, piece: &[u8], framing: Length) {
        let out = self.output.bytes();
        if framing == Length::Chunked {
            chunked::write_size(out, piece.len());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(piece);
        }
        if let Some(finishing) = &mut self.finishing {
            finishing.bytes_out += piece.len() as u64;
        }
    }

    /// Reading or writing failed: there is nobody left to talk to, or nothing left to say.
    pub(super) fn broke(&mut self, shared: &Shared, failure: Failure, error: &io::Error) {
        if error.get_ref().is_some_and(|inner| inner.is::<Shrunk>()) {
            tracing::warn!(remote = %self.remote, %error, "a response was cut short");
            return self.abandon_output(Outcome::Error);
        }
        if !self.body_failed {
            shared.stats.error(failure);
        }
        tracing::debug!(remote = %self.remote, %error, "connection failed");
        self.abandon_output(Outcome::ClientAbort);
    }

    /// Gives up what was to be written.
    pub(super) fn abandon_output(&mut self, outcome: Outcome) {
        let unsent = self.output.tail_length();
        if let Some(finishing) = &mut self.finishing {
            finishing.bytes_out = finishing.bytes_out.saturating_sub(unsent);
            if finishing.outcome == Outcome::Ok {
                finishing.outcome = outcome;
            }
        }
        self.output.discard();
        self.stream.discard();
        // It may have a last word for the user.
        if let Phase::Upgraded(speaking) = &mut self.phase
            && speaking.lose(News::Lost)
        {
            return;
        }
        // What the body was read from is the user's; it ends on a worker, where it may block.
        if !matches!(self.phase, Phase::Pull(_)) {
            self.phase = Phase::Head;
        }
        self.closing = Some(CloseReason::IoError);
    }
}
