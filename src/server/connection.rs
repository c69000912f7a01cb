//! One connection: its bytes, its place in the protocol, and the request it is at.
//!
//! [`serve`] is the story: it sees bytes, protocol and handler together. A connection belongs to its reactor while
//! it waits for the peer, and to a worker while its handler or the source of its response's bytes may block.

mod answer;
pub(super) mod away;
mod buffer;
mod feeding;
mod incoming;
mod output;
mod pushing;
mod receive;
mod secure;
pub(super) mod upgraded;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

pub(super) use self::answer::Finishing;
use self::answer::{Pulling, call};
pub(super) use self::buffer::Buffer;
use self::feeding::Feeding;
use self::output::{Flushed, Output};
use self::receive::Collect;
use self::upgraded::Speaking;
use super::accept::Seat;
use super::deadlines::Deadline;
use super::reactor::Reactor;
use super::shared::Shared;
use super::stats::ErrorKind as Failure;
use super::workers::{Job, Work, Worker};
use crate::app::body::Body;
use crate::app::request::{Received, Request};
use crate::app::service::{EndpointKind, Resolved};
use crate::net::stream::Stream;
use crate::proto::cycle::{CloseReason, Cycle};
use crate::semantics::client_certificate::ClientCertificate;

/// How much output may gather before it is written although more requests have arrived.
const OUTPUT_HIGH: usize = 64 * 1024;
/// How many steps one connection may take before others get their turn.
const TURN: u32 = 256;
/// How many reads in a row, for the same reason.
const READS: u32 = 16;

/// A connection, wherever it is.
pub(super) struct Connection {
    /// Its place among those of its address, where they are counted. Before the stream, so that a client which sees the end
    /// and comes again finds its place free.
    pub(super) seat: Option<Seat>,
    pub(super) stream: Stream,
    pub(super) reactor: usize,
    pub(super) token: usize,
    pub(super) deadline: Deadline,
    /// Whether the poller knows it.
    pub(super) watched: bool,
    /// Whether it is among those that wait with their handshake.
    pub(super) waits_for_handshake: bool,
    waiting: Waiting,
    remote: SocketAddr,
    /// Taken down with the first request, when the handshake is over.
    client_certificate: Option<ClientCertificate>,
    cycle: Cycle,
    input: Buffer,
    output: Output,
    phase: Phase,
    /// The answered request whose response is not all written yet.
    finishing: Option<Box<Finishing>>,
    /// Why the connection ends once everything is written.
    closing: Option<CloseReason>,
    /// Requests so far, and whether the current one is the last that may be.
    requests: u64,
    last_request: bool,
    /// Bytes of the current request's body so far, and how many it may have.
    body_bytes: u64,
    body_limit: u64,
    /// That body failed, and it was counted as the end of the connection that it is.
    body_failed: bool,
    /// There may be something to read.
    readable: bool,
    /// The peer may have sent all it will send: read on until there is an end or nothing more.
    ending: bool,
    /// Something arrived that could complete the head.
    fresh: bool,
}

/// What a connection is at.
enum Phase {
    /// Between requests, or in the middle of a head.
    Head,
    /// Gathering a request body.
    Collect(Box<Collect>),
    /// Sending a response whose body is read from somewhere.
    Pull(Box<Pulling>),
    /// Sending a response whose body other threads send.
    Feed(Box<Feeding>),
    /// HTTP is over: speaking another protocol.
    Upgraded(Box<Speaking>),
    /// Everything is said; reading until the peer has noticed.
    Linger,
}

/// What the deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For nothing: it is being served.
    No,
    /// For keys to be agreed on.
    Handshake,
    Idle,
    Head,
    Body,
    Write,
    Linger,
    /// For whatever a feed or another protocol waits for.
    Live,
}

/// A request that is being answered.
pub(super) struct InFlight {
    pub(super) received: Arc<Received>,
    pub(super) endpoint: u32,
    /// Whose connection it came on.
    pub(super) reactor: usize,
    /// How long it waited for a worker, if it did.
    pub(super) queued: Option<Duration>,
    /// When its handler started.
    pub(super) started: Instant,
    /// Whether it was reported for taking longer than HANDLER_TIMEOUT.
    pub(super) reported: bool,
    /// What was answered, once the body of that is still being got from somewhere.
    pub(super) answered: Option<StatusCode>,
    /// Whether it was answered and recorded long since, and what runs is for what its connection became.
    pub(super) upgraded: bool,
}

/// What to do next with a connection.
enum Next {
    /// Run a handler.
    Call(InFlight, Resolved, Body),
    /// Run a handler that reads the body itself, on a worker.
    Stream(InFlight, Resolved),
    /// Have a worker fetch the next bytes of the response.
    Pull,
    /// Run what the other protocol has for the user's code.
    Run,
    /// Wait for the peer.
    Wait,
    /// Go on after the others had their turn.
    Yield,
    /// Go on with the handshake when there is time for that.
    ShakeHands,
    /// It is over.
    Close,
}

/// Serves a connection for as long as it has something to do. Gives the reactor back, unless it was taken away while
/// a handler ran.
pub(super) fn serve(
    shared: &Arc<Shared>,
    mut reactor: Box<Reactor>,
    mut connection: Box<Connection>,
    worker: &Arc<Worker>,
) -> Option<Box<Reactor>> {
    for _ in 0..TURN {
        let (mut in_flight, resolved, body) = match connection.next(&mut reactor) {
            Next::Call(in_flight, resolved, body) => (in_flight, resolved, Some(body)),
            Next::Stream(in_flight, resolved) => (in_flight, resolved, None),
            Next::Pull => {
                shared.submit_pull(connection);
                return Some(reactor);
            }
            Next::Run => match upgraded::run_from(shared, reactor, connection, worker) {
                Ok(back) => {
                    (reactor, connection) = back;
                    continue;
                }
                Err(left) => return left,
            },
            Next::Wait => {
                reactor.park(connection);
                return Some(reactor);
            }
            Next::Yield => break,
            Next::ShakeHands => {
                reactor.park_shaking(connection);
                return Some(reactor);
            }
            Next::Close => {
                reactor.close(connection);
                return Some(reactor);
            }
        };

        let endpoint = shared.endpoint(in_flight.endpoint);
        let inline = endpoint.kind != EndpointKind::Route || (body.is_some() && shared.may_run_inline(&endpoint.pace));
        let streams = body.is_none();
        let request = Request::new(in_flight.received.clone(), resolved, body.unwrap_or_default());
        if !inline {
            connection.flush_before_leaving();
            reactor.reclaim_input(&mut connection);
            let job = Job { connection, work: Work::Request { request, streams }, in_flight, since: reactor.now() };
            let Err(job) = shared.submit(Box::new(job)) else { return Some(reactor) };
            connection = job.connection;
            connection.refuse_overload(&mut reactor, job.in_flight);
            continue;
        }

        // From here on the monitor may take the reactor: what this request needs is in local variables.
        in_flight.started = reactor.now();
        reactor.running = Some(in_flight);
        worker.slot.publish(reactor);
        let answered = call(&*shared.service, request);
        match worker.slot.take() {
            Some(back) => reactor = back,
            None => {
                away::finish_after_handoff(shared, connection, worker, answered);
                return None;
            }
        }

        let now = reactor.tick();
        if let Some(in_flight) = reactor.running.take() {
            endpoint.pace.observe(now.saturating_duration_since(in_flight.started));
            connection.answer_here(&mut reactor, in_flight, answered);
        }
    }
    reactor.park_ready(connection);
    Some(reactor)
}

impl Connection {
    /// A connection that was just accepted.
    pub(super) fn new(stream: Stream, remote: SocketAddr, reactor: usize, token: usize, now: Instant) -> Self {
        Connection {
            stream,
            reactor,
            token,
            deadline: Deadline::new(now),
            watched: false,
            waits_for_handshake: false,
            seat: None,
            waiting: Waiting::No,
            remote,
            client_certificate: None,
            cycle: Cycle::default(),
            input: Buffer::default(),
            output: Output::default(),
            phase: Phase::Head,
            finishing: None,
            closing: None,
            requests: 0,
            last_request: false,
            body_bytes: 0,
            body_limit: 0,
            body_failed: false,
            readable: false,
            ending: false,
            fresh: false,
        }
    }

    /// Whether something waits to be written.
    pub(super) fn has_output(&self) -> bool {
        !self.output.is_empty() || self.stream.has_unsent()
    }

    /// The input buffer, if a waiting connection does not need it or needs only a small one.
    pub(super) fn give_input_back(&mut self) -> Option<Buffer> {
        let roomy = self.input.capacity() > 2 * self.input.unused().len();
        if self.input.is_empty() && self.input.capacity() > 0 {
            Some(std::mem::take(&mut self.input))
        } else {
            (roomy && !self.input.is_empty()).then(|| self.input.shrink())
        }
    }

    /// The output buffer, if nothing is in it.
    pub(super) fn give_output_back(&mut self) -> Option<Vec<u8>> {
        (self.output.is_empty() && self.output.has_buffer()).then(|| self.output.take_buffer())
    }

    /// What it is at, for whoever must be told that it was aborted.
    pub(super) fn describe(&self) -> Option<String> {
        let in_flight = match (&self.finishing, &self.phase) {
            (Some(finishing), _) => &finishing.in_flight,
            (None, Phase::Collect(collect)) => collect.in_flight(),
            _ => return None,
        };
        let head = &in_flight.received.head;
        Some(format!("{} {} (id {})", head.method(), head.path(), in_flight.received.id))
    }

    /// The poller says that something can be read, or that the peer is done sending.
    pub(super) fn became_readable(&mut self, ending: bool) {
        self.readable = true;
        self.ending |= ending;
    }

    /// Takes the next step: serve what has arrived, else write what has gathered, else read more, else wait.
    fn next(&mut self, reactor: &mut Reactor) -> Next {
        if !self.output.has_buffer() {
            self.output.put_buffer(reactor.take_output());
        }
        let mut reads = READS;
        loop {
            if self.may_go_on()
                && let Some(next) = self.receive(reactor)
            {
                return next;
            }
            if self.is_live()
                && let Some(next) = self.go_on_live(reactor)
            {
                return next;
            }
            match self.output.flush(&mut self.stream) {
                Ok(Flushed::All) => self.has_all_its_time_again(),
                Ok(Flushed::More) => {
                    self.has_all_its_time_again();
                    return Next::Yield;
                }
                Ok(Flushed::Blocked(_)) if self.stream.is_handshaking() => {
                    return self.wait(reactor, Waiting::Handshake, false);
                }
                Ok(Flushed::Blocked(progress)) => return self.wait_to_write(reactor, progress),
                Err(error) => {
                    self.broke(reactor.shared(), Failure::Reset, &error);
                    if self.is_live() {
                        continue;
                    }
                }
            }
            if let Phase::Pull(_) = self.phase {
                return Next::Pull;
            }
            if self.has_more_to_say() {
                // Another protocol is asked again at once, but not for ever.
                if reads == 0 || !matches!(self.phase, Phase::Upgraded(_)) {
                    return Next::Yield;
                }
                reads -= 1;
                continue;
            }
            if !matches!(self.phase, Phase::Feed(_)) {
                self.finish_response(reactor);
            }
            if let Some(reason) = self.closing.take_if(|_| !matches!(self.phase, Phase::Linger)) {
                if !self.linger(reason) {
                    return Next::Close;
                }
                // From now on, not from when the peer pauses for the first time.
                self.wait(reactor, Waiting::Linger, false);
                continue;
            }
            if self.may_go_on() {
                continue;
            }
            if !self.readable || self.is_done_reading() {
                return self.wait_for_peer(reactor);
            }
            if self.stream.is_handshaking() && !reactor.may_shake_hands() {
                // Its time runs meanwhile.
                self.wait(reactor, Waiting::Handshake, false);
                return Next::ShakeHands;
            }
            if reads == 0 {
                return Next::Yield;
            }
            reads -= 1;
            if !self.read(reactor) {
                return Next::Close;
            }
        }
    }
}
