//! The receiving half of a connection: reading, heads, small bodies, deadlines and the end.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;

use super::answer::{overloaded, refusal};
use super::{Connection, Failure, InFlight, Next, Phase, Waiting};
use crate::app::body::{Body, BodyError};
use crate::app::response::Response;
use crate::app::service::{BodyUse, Resolved};
use crate::proto::cycle::CloseReason;
use crate::proto::encode;
use crate::proto::error::ProtoError;
use crate::proto::framing::BodyLength;
use crate::proto::goodbye;
use crate::proto::head::{Limits, instead_of_tls};
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::reactor::{ROOMY, Reactor};
use crate::server::role::Role;
use crate::server::stats::RejectReason;

/// Bodies of a known length up to this are gathered before the handler runs, even if it could read a stream.
const SMALL_BODY: u64 = 64 * 1024;

/// A request whose body is being gathered.
pub(super) struct Collect {
    in_flight: InFlight,
    resolved: Resolved,
    body: Vec<u8>,
    /// Whether anybody wants it.
    keep: bool,
}

impl Collect {
    /// The request.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }
}

impl Connection {
    /// Whether what has arrived may be served now.
    pub(super) fn may_go_on(&self) -> bool {
        self.closing.is_none()
            && self.finishing.is_none()
            && self.fresh
            && !self.input.is_empty()
            && self.output.waiting() < super::OUTPUT_HIGH
            && matches!(self.phase, Phase::Head | Phase::Collect(_))
    }

    /// Serves what has arrived: a handler to run, or nothing before more comes.
    pub(super) fn receive(&mut self, reactor: &mut Reactor) -> Option<Next> {
        match self.phase {
            Phase::Collect(_) => self.collect(reactor),
            _ => self.head(reactor),
        }
    }

    fn head(&mut self, reactor: &mut Reactor) -> Option<Next> {
        if self.stream.lacks_tls() {
            match instead_of_tls(self.input.unused()) {
                Some(error) => self.refuse_protocol(reactor, error),
                None => self.fresh = false,
            }
            return None;
        }
        let mut received = reactor.take_received();
        let now = reactor.now();
        let parts = Arc::get_mut(&mut received)?;
        match self.cycle.head(self.input.unused(), &reactor.settings().limits, &mut parts.head) {
            Ok(Some(consumed)) => self.input.consume(consumed),
            Ok(None) => {
                self.fresh = false;
                reactor.keep_received(received);
                return None;
            }
            Err(error) => {
                reactor.keep_received(received);
                self.refuse_protocol(reactor, error);
                return None;
            }
        }
        if self.requests == 0 {
            self.take_down_client();
        }
        parts.remote = self.remote;
        parts.client_certificate.clone_from(&self.client_certificate);
        parts.at = now;
        reactor.identify(parts, self.stream.is_secured());
        self.waiting = Waiting::No;
        self.requests += 1;
        self.last_request = self.requests >= reactor.settings().max_requests_per_connection;
        (self.body_bytes, self.body_error) = (0, None);

        let resolved = reactor.shared().service.resolve(&parts.head);
        reactor.shared().drain.request_arrived(reactor.shared(), resolved.endpoint, now);
        let in_flight = InFlight {
            received,
            endpoint: resolved.endpoint,
            reactor: self.reactor,
            queued: None,
            started: now,
            reported: false,
            answered: None,
            upgraded: false,
        };
        match self.cycle.framing().body {
            BodyLength::None | BodyLength::Length(0) => Some(Next::Call(in_flight, resolved, Body::empty())),
            length => self.body(reactor, in_flight, resolved, length),
        }
    }

    /// Decides how a body is taken: not at all, gathered here, or read by the handler.
    fn body(
        &mut self,
        reactor: &mut Reactor,
        in_flight: InFlight,
        resolved: Resolved,
        length: BodyLength,
    ) -> Option<Next> {
        let endpoint = reactor.shared().endpoint(in_flight.endpoint);
        self.body_limit = endpoint.max_body_bytes.unwrap_or(reactor.settings().max_body_bytes);
        let (known, small) = match length {
            BodyLength::Length(n) => (Some(n), n <= SMALL_BODY),
            _ => (None, false),
        };
        if known.is_some_and(|n| n > self.body_limit) {
            self.refuse(reactor, in_flight, BodyError::TooLarge.into(), CloseReason::BodyTooLarge);
            return None;
        }
        let asks = self.cycle.framing().expect_continue;
        match endpoint.body {
            // Whoever asks before it sends need not send what nobody wants.
            BodyUse::Ignored if asks => Some(Next::Call(in_flight, resolved, Body::empty())),
            BodyUse::Stream if asks || !small => Some(Next::Stream(in_flight, resolved)),
            wanted => {
                let keep = wanted != BodyUse::Ignored;
                if self.cycle.take_continue() {
                    self.output.bytes().extend_from_slice(encode::CONTINUE);
                }
                self.phase = Phase::Collect(Box::new(Collect { in_flight, resolved, body: Vec::new(), keep }));
                self.collect(reactor)
            }
        }
    }

    fn collect(&mut self, reactor: &mut Reactor) -> Option<Next> {
        let Phase::Collect(collect) = &mut self.phase else { return None };
        loop {
            let input = self.input.unused();
            let step = match self.cycle.body(input) {
                Ok(step) => step,
                Err(error) => {
                    let Phase::Collect(collect) = std::mem::replace(&mut self.phase, Phase::Head) else { return None };
                    let reason = CloseReason::ProtocolError(error);
                    reactor.shared().stats.error(Failure::Protocol);
                    self.refuse(reactor, collect.in_flight, protocol_refusal(error), reason);
                    return None;
                }
            };
            self.body_bytes += step.data.len() as u64;
            let too_large = self.body_bytes > self.body_limit;
            if collect.keep && !too_large {
                collect.body.extend_from_slice(&input[step.data.clone()]);
            }
            self.input.consume(step.consumed);
            if !step.done && !too_large {
                if step.consumed == 0 {
                    self.fresh = false;
                    return None;
                }
                continue;
            }
            let Phase::Collect(collect) = std::mem::replace(&mut self.phase, Phase::Head) else { return None };
            if too_large {
                self.refuse(reactor, collect.in_flight, BodyError::TooLarge.into(), CloseReason::BodyTooLarge);
                return None;
            }
            return Some(Next::Call(collect.in_flight, collect.resolved, Bytes::from(collect.body).into()));
        }
    }

    /// Refuses bytes that are no request.
    fn refuse_protocol(&mut self, reactor: &mut Reactor, error: ProtoError) {
        reactor.shared().stats.error(Failure::Protocol);
        if error == ProtoError::Http2Preface && self.requests == 0 {
            goodbye::http2(self.output.bytes(), error.explain());
            self.end_unparsed(reactor, error.status(), CloseReason::ProtocolError(error), 0);
        } else {
            self.refuse_unparsed(reactor, protocol_refusal(error), CloseReason::ProtocolError(error));
        }
    }

    /// Refuses what never became a request.
    fn refuse_unparsed(&mut self, reactor: &mut Reactor, response: Response, reason: CloseReason) {
        let status = response.status();
        let sent = self.encode(response, Some(reason), reactor.date(), "");
        self.end_unparsed(reactor, status, reason, sent);
    }

    fn end_unparsed(&mut self, reactor: &mut Reactor, status: StatusCode, reason: CloseReason, bytes_out: u64) {
        self.closing = Some(reason);
        self.input.consume(usize::MAX);
        let outcome = if reason == CloseReason::HeadTimeout { Outcome::Timeout } else { Outcome::Rejected };
        let refused = if let CloseReason::ProtocolError(error) = reason { Some(error) } else { None };
        reactor.record_unparsed(self.remote, refused, status, bytes_out, outcome);
    }

    /// Answers a request that a full server cannot take.
    pub(super) fn refuse_overload(&mut self, reactor: &mut Reactor, in_flight: InFlight) {
        reactor.shared().stats.reject(RejectReason::QueueFull);
        let response = overloaded();
        let unread = (!self.cycle.body_done()).then_some(CloseReason::Overloaded);
        self.answer_refusal(reactor, in_flight, response, unread, Outcome::Rejected);
    }

    /// Refuses a request whose head was fine, and closes.
    fn refuse(&mut self, reactor: &mut Reactor, in_flight: InFlight, response: Response, reason: CloseReason) {
        self.answer_refusal(reactor, in_flight, response, Some(reason), Outcome::Rejected);
    }

    /// Reads once. Returns whether the connection goes on.
    pub(super) fn read(&mut self, reactor: &mut Reactor) -> bool {
        if self.input.capacity() < ROOMY {
            self.input.move_into(reactor.take_input());
        }
        let before = self.input.unused().len();
        let handshaking = self.stream.is_handshaking();
        match self.input.fill(|room| self.stream.read(room)) {
            Ok((0, _)) => self.end_of_input(reactor),
            Ok((_, full)) => {
                // A read that did not fill its room has emptied the socket; the poller tells when more comes. It does
                // not tell again that the peer has ended, so then we read on until we see it.
                self.readable = full || self.ending || self.stream.holds_input();
                if matches!(self.phase, Phase::Linger) {
                    self.input.consume(usize::MAX);
                } else {
                    self.fresh = self.fresh || self.is_worth_a_look(before, &reactor.settings().limits);
                }
                self.progressed();
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                self.ending = false;
                if self.stream.holds_input() {
                    // Only a part of a TLS record, but it came.
                    self.progressed();
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if handshaking => {
                self.handshake_failed(reactor, &error);
                true
            }
            Err(error) => {
                self.abort_collect(reactor, Outcome::ClientAbort);
                let is_no_tls = error.kind() == io::ErrorKind::InvalidData;
                // The alert that says so; if it cannot be sent at once, it is not.
                let _ = self.stream.flush();
                self.broke(reactor.shared(), if is_no_tls { Failure::Protocol } else { Failure::Reset }, &error);
                self.readable = false;
                true
            }
        }
    }

    /// Whether what arrived behind the first `before` bytes could complete a head or shows that it is none. Looking at
    /// every byte that trickles in would cost time that grows with the square of the head's length.
    fn is_worth_a_look(&self, before: usize, limits: &Limits) -> bool {
        let unused = self.input.unused();
        !matches!(self.phase, Phase::Head)
            || before < 16
            || unused.len() > limits.max_uri_bytes.min(limits.max_head_bytes)
            || memchr::memchr(b'\n', &unused[before..]).is_some()
    }

    /// The peer will send nothing more.
    fn end_of_input(&mut self, reactor: &mut Reactor) -> bool {
        if self.is_live() {
            self.live_ended(reactor.shared());
            return true;
        }
        self.readable = false;
        if self.abort_collect(reactor, Outcome::ClientAbort) {
            reactor.shared().stats.error(Failure::Reset);
        }
        false
    }

    /// Gives up gathering a body, if it was. Returns whether it was.
    fn abort_collect(&mut self, reactor: &mut Reactor, outcome: Outcome) -> bool {
        let Phase::Collect(_) = self.phase else { return false };
        if let Phase::Collect(collect) = std::mem::replace(&mut self.phase, Phase::Head) {
            // When the time is up it is that of the server, not of the client.
            let is_late = outcome == Outcome::Timeout;
            let status = if is_late { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
            reactor.record_aborted(&collect.in_flight, status, self.body_bytes, outcome);
        }
        true
    }

    /// The time is up: gives up what it is at.
    pub(in crate::server) fn abandon(&mut self, reactor: &mut Reactor) {
        self.abort_collect(reactor, Outcome::Timeout);
        self.abandon_output(Outcome::Timeout);
        self.drop_source();
    }

    /// What the connection waits for, now that there is nothing else to do.
    pub(super) fn wait_for_peer(&mut self, reactor: &Reactor) -> Next {
        let waiting = match self.phase {
            Phase::Feed(_) => return self.wait_for_feed(),
            Phase::Upgraded(_) => return self.wait_upgraded(),
            Phase::Linger => Waiting::Linger,
            Phase::Collect(_) => Waiting::Body,
            _ if self.stream.is_handshaking() => Waiting::Handshake,
            _ if self.input.is_empty() && !self.stream.holds_input() => Waiting::Idle,
            _ => Waiting::Head,
        };
        self.wait(reactor, waiting, false)
    }

    /// Waits with the deadline that belongs to it. It starts anew with `progress`, or when it was not this one before.
    pub(super) fn wait(&mut self, reactor: &Reactor, waiting: Waiting, progress: bool) -> Next {
        if waiting != self.waiting || progress {
            let (settings, role) = (reactor.settings(), reactor.shared().role);
            let is_stopping = || reactor.shared().lifecycle.state() >= State::Stopping;
            let timeout = match waiting {
                Waiting::Handshake if is_stopping() => settings.tls_handshake_timeout.min(role.last_head()),
                Waiting::Handshake => settings.tls_handshake_timeout,
                Waiting::Idle | Waiting::No if is_stopping() => role.last_request(),
                Waiting::Idle | Waiting::No => settings.idle_timeout,
                Waiting::Head if is_stopping() => settings.head_timeout.min(role.last_head()),
                Waiting::Head => settings.head_timeout,
                Waiting::Body => settings.body_timeout,
                // Its client comes again.
                Waiting::Write if self.is_endless() && is_stopping() => settings.write_timeout.min(role.last_head()),
                Waiting::Write => settings.write_timeout,
                Waiting::Linger => role.linger(is_stopping()),
                // It has set its own.
                Waiting::Live => return Next::Wait,
            };
            self.deadline.set(reactor.now() + timeout);
            self.waiting = waiting;
        }
        Next::Wait
    }

    /// A body that arrives has all its time again; a head has not, however slowly it trickles in.
    fn progressed(&mut self) {
        if matches!(self.waiting, Waiting::Body | Waiting::Idle) {
            self.waiting = Waiting::No;
        }
    }

    /// The server is stopping: an idle connection has a moment for one last request, and half a head little more, as has
    /// who does not take what a stream without an end sends.
    pub(in crate::server) fn hurry(&mut self, role: Role, now: Instant) {
        let moment = match self.waiting {
            Waiting::Idle => role.last_request(),
            Waiting::Head | Waiting::Handshake => role.last_head(),
            Waiting::Linger => role.linger(true),
            Waiting::Write if self.is_endless() => role.last_head(),
            _ => return,
        };
        self.deadline.hasten(now + moment);
    }

    /// The deadline has passed: refuses, or ends.
    pub(in crate::server) fn expired(&mut self, reactor: &mut Reactor) {
        let shared = reactor.shared().clone();
        match std::mem::replace(&mut self.waiting, Waiting::No) {
            // Whoever waits that way looks at the clock itself.
            Waiting::No | Waiting::Live => {}
            Waiting::Idle => self.closing = Some(CloseReason::IdleTimeout),
            Waiting::Handshake => {
                self.stream.discard();
                self.handshake_failed(reactor, &io::Error::new(io::ErrorKind::TimedOut, "the time was up"));
            }
            Waiting::Head => {
                shared.stats.error(Failure::HeadTimeout);
                self.refuse_unparsed(reactor, refusal(StatusCode::REQUEST_TIMEOUT), CloseReason::HeadTimeout);
            }
            Waiting::Body => {
                shared.stats.error(Failure::BodyTimeout);
                let Phase::Collect(collect) = std::mem::replace(&mut self.phase, Phase::Head) else { return };
                let (refusal, reason) = (BodyError::Timeout.into(), Some(CloseReason::BodyTimeout));
                self.answer_refusal(reactor, collect.in_flight, refusal, reason, Outcome::Timeout);
            }
            Waiting::Write => {
                shared.stats.error(Failure::WriteTimeout);
                self.abandon_output(Outcome::Timeout);
            }
            Waiting::Linger => self.abandon_output(Outcome::Ok),
        }
    }

    /// Ends the conversation. Returns whether to go on reading until the peer has noticed: closing a socket while
    /// something unread is in it, or arrives, makes a reset of it that can overtake our last bytes (RFC 9112 section 9.6).
    pub(super) fn linger(&mut self, reason: CloseReason) -> bool {
        let direct = match reason {
            CloseReason::ClientClosed | CloseReason::IoError | CloseReason::BodyCutShort => true,
            CloseReason::ConnectionClose | CloseReason::Http10 | CloseReason::BodyUnframed => {
                self.input.is_empty() && !self.stream.is_secured()
            }
            _ => false,
        };
        if direct || self.stream.shut_down_writing().is_err() {
            return false;
        }
        self.input.consume(usize::MAX);
        self.phase = Phase::Linger;
        self.readable = true;
        true
    }
}

/// What a client is told that broke a rule.
fn protocol_refusal(error: ProtoError) -> Response {
    let status = error.status();
    let reason = status.canonical_reason().unwrap_or_default();
    let text = format!("{} {reason}: {} ({})\n", status.as_str(), error.explain(), error.section());
    refusal(status).with_body(text)
}
