//! What happens to a connection on a worker: a handler that may block, and responses that are read from somewhere.
//! Afterwards the connection goes back to its reactor by mail.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::answer::{Answered, Pulling, Source, call};
use super::incoming::{IncomingBody, Lease};
use super::pushing::push;
use super::{Connection, Failure, Flushed, Phase};
use crate::app::body::{Body, BodyError, Kind};
use crate::app::request::Request;
use crate::proto::chunked;
use crate::proto::cycle::CloseReason;
use crate::proto::encode::Length;
use crate::proto::framing::BodyLength;
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::reactor::current_date;
use crate::server::shared::{Mail, Shared, lock};
use crate::server::workers::Worker;

/// How much of a streamed body is fetched at once.
pub(super) const PIECE: usize = 32 * 1024;
/// How many pieces before other work gets its turn.
const TURN: usize = 64;

/// Runs a request that was sent to a worker.
pub(in crate::server) fn run(
    shared: &Arc<Shared>,
    connection: Box<Connection>,
    mut request: Request,
    streams: bool,
    worker: &Arc<Worker>,
) {
    if !streams {
        let answered = call(&*shared.service, request);
        return finish(shared, connection, worker, answered, None);
    }
    let lease = Arc::new(Lease::default());
    let timeout = shared.settings.load().body_timeout;
    let length = match connection.cycle.framing().body {
        BodyLength::Length(n) => Some(n),
        _ => None,
    };
    let (progress, stats) = (shared.pool.progress.clone(), shared.stats.clone());
    let body = IncomingBody { lease: lease.clone(), timeout, progress, stats };
    *request.body_mut() = Body::reader(body, length);
    let (connection, answered) = lease.lend(connection, || call(&*shared.service, request));
    if let Some(connection) = connection {
        finish(shared, connection, worker, answered, Some(lease));
    }
}

/// Finishes a request whose handler took so long that its reactor was taken away.
pub(super) fn finish_after_handoff(
    shared: &Arc<Shared>,
    connection: Box<Connection>,
    worker: &Arc<Worker>,
    answered: Answered,
) {
    finish(shared, connection, worker, answered, None);
}

/// Answers, writes what the socket takes, and sends the connection home.
fn finish(
    shared: &Arc<Shared>,
    mut connection: Box<Connection>,
    worker: &Arc<Worker>,
    mut answered: Answered,
    lease: Option<Arc<Lease>>,
) {
    // If the reactor was taken away, whoever took it put the request here, or is about to and holds the lock.
    let in_flight = lock(&worker.running).take();
    shared.handler_is_over();
    if let Some(in_flight) = in_flight {
        let is_read = matches!(answered.response.body().kind, Kind::Reader { .. } | Kind::Writer(_))
            && connection.cycle.sends_body(answered.response.status());
        answered.reads_on = is_read && lease.as_ref().is_some_and(Lease::is_wanted);
        if answered.reads_on {
            // The response may be made of the request, so the client must send that now. A failure shows below.
            let _ = connection.ask_for_body(shared.settings.load().body_timeout);
        } else {
            connection.pass_over_arrived();
        }
        let took = shared.clock.now().saturating_duration_since(in_flight.started);
        shared.endpoint(in_flight.endpoint).pace.observe(took);
        let lease = lease.filter(|_| answered.reads_on);
        let finishing = connection.answer(in_flight, answered, shared, &current_date());
        connection.finishing = Some(Box::new(finishing));
        if let Phase::Pull(pulling) = &mut connection.phase {
            pulling.lease = lease;
        }
        // The head does not wait for what the body is made of.
        if connection.flush_here(shared) && matches!(connection.phase, Phase::Pull(_)) {
            return pull(shared, connection, worker);
        }
    }
    go_home(shared, connection);
}

/// Gives a response whose body is got from somewhere its turn. Meanwhile it can be seen, and given up, like a handler.
pub(in crate::server) fn pull(shared: &Arc<Shared>, connection: Box<Connection>, worker: &Worker) {
    *lock(&worker.running) = connection.finishing.as_ref().map(|finishing| finishing.watched());
    shared.stats.workers_busy.fetch_add(1, Ordering::Relaxed);
    let turn = take_turn(shared, connection);
    shared.pool.progress.beat_among_others();
    shared.stats.workers_busy.fetch_sub(1, Ordering::Relaxed);
    let is_given_up = lock(&worker.running).take().is_none();
    let Some((mut connection, goes_on)) = turn else { return };
    if is_given_up && connection.finishing.take().is_some() {
        // It was recorded then.
        shared.stats.requests_active.fetch_sub(1, Ordering::Relaxed);
    }
    if goes_on { shared.submit_pull(connection) } else { go_home(shared, connection) }
}

/// Has the body written by its function, or fetches the next pieces of it and writes them for as long as the socket takes
/// them. Returns the connection, and whether it goes on at once.
fn take_turn(shared: &Arc<Shared>, mut connection: Box<Connection>) -> Option<(Box<Connection>, bool)> {
    if connection.closing == Some(CloseReason::IoError) {
        connection.drop_source();
        return Some((connection, false));
    }
    if let Phase::Pull(pulling) = &mut connection.phase
        && let Source::Writer(_) = pulling.source
        && let Source::Writer(write) = std::mem::replace(&mut pulling.source, Source::Gone)
    {
        return push(shared, connection, write).map(|connection| (connection, false));
    }
    let mut piece = vec![0; PIECE];
    for _ in 0..TURN {
        if shared.lifecycle.state() == State::Forced {
            connection.abandon_output(Outcome::Timeout);
            return Some((connection, false));
        }
        let Phase::Pull(mut pulling) = std::mem::replace(&mut connection.phase, Phase::Head) else {
            return Some((connection, false));
        };
        let read = match pulling.lease.clone() {
            None => next_piece(&mut pulling, &mut piece),
            Some(lease) => {
                let (back, read) = lease.lend(connection, || next_piece(&mut pulling, &mut piece));
                connection = back?;
                read
            }
        };
        let framing = pulling.framing;
        match read {
            Ok(0) => {
                if framing == Length::Chunked {
                    connection.output.bytes().extend_from_slice(chunked::LAST);
                }
                connection.phase = Phase::Pull(pulling);
                connection.end_pull();
            }
            Ok(n) => {
                connection.send_piece(&piece[..n], framing);
                connection.phase = Phase::Pull(pulling);
            }
            Err(error) => {
                tell_of(&error);
                connection.phase = Phase::Pull(pulling);
                connection.cut_short(shared, framing, &error);
            }
        }
        if !connection.flush_here(shared) || !matches!(connection.phase, Phase::Pull(_)) {
            return Some((connection, false));
        }
    }
    Some((connection, true))
}

/// Tells of a response's body that could not be completed.
pub(super) fn tell_of(error: &io::Error) {
    match BodyError::of(error) {
        Some(BodyError::TooLate) | None => tracing::warn!(%error, "the body of a response ended early"),
        // As often as clients please, and nobody else can do anything about it.
        Some(_) => tracing::debug!(%error, "the body of a response ended early"),
    }
}

/// Reads the next piece. `Ok(0)`: all were read, and as many as were promised.
fn next_piece(pulling: &mut Pulling, piece: &mut [u8]) -> io::Result<usize> {
    let left = pulling.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
    let most = piece.len().min(left);
    if most == 0 {
        return Ok(0);
    }
    let n = loop {
        let Source::Reader(reader) = &mut pulling.source else { return Ok(0) };
        match read_unwinding(&mut **reader, &mut piece[..most]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    match &mut pulling.left {
        Some(left) if n == 0 => Err(io::Error::new(ErrorKind::UnexpectedEof, format!("{left} bytes are missing"))),
        Some(left) => {
            *left -= n as u64;
            Ok(n)
        }
        None => Ok(n),
    }
}

/// A source is the user's code and may panic.
fn read_unwinding(reader: &mut (dyn Read + Send), piece: &mut [u8]) -> io::Result<usize> {
    catch_unwind(AssertUnwindSafe(|| reader.read(piece))).unwrap_or_else(|_| Err(io::Error::other(SourcePanicked)))
}

/// The source of a body panicked while it was read.
#[derive(Debug)]
pub(super) struct SourcePanicked;

impl fmt::Display for SourcePanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its source panicked")
    }
}

impl std::error::Error for SourcePanicked {}

/// Drops what is the user's, and may panic.
pub(super) fn let_go<T>(what: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(what)));
}

/// Sends a connection back to its reactor.
pub(in crate::server) fn go_home(shared: &Shared, connection: Box<Connection>) {
    shared.reactors[connection.reactor].send(Mail::Return(connection));
}

impl Connection {
    /// Writes what the socket takes. Returns whether it took everything.
    pub(super) fn flush_here(&mut self, shared: &Shared) -> bool {
        match self.output.flush(&mut self.stream) {
            Ok(Flushed::Blocked(_) | Flushed::More) => false,
            Ok(Flushed::All) => {
                if !self.is_sending()
                    && let Some(finishing) = &mut self.finishing
                {
                    finishing.ended = Some(shared.clock.now());
                }
                true
            }
            Err(error) => {
                self.broke(shared, Failure::Reset, &error);
                false
            }
        }
    }

    /// Writes what was answered before this request, which may take long. What the socket does not take now waits.
    pub(super) fn flush_before_leaving(&mut self) {
        // An error shows again when the response is written.
        let _ = self.output.flush(&mut self.stream);
    }

    /// A response that cannot be completed: the client must not take it for whole.
    pub(super) fn cut_short(&mut self, shared: &Shared, framing: Length, error: &io::Error) {
        let panicked = error.get_ref().is_some_and(|inner| inner.is::<SourcePanicked>());
        if panicked {
            shared.stats.handler_panics.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(finishing) = &mut self.finishing {
            finishing.outcome = match BodyError::of(error) {
                _ if panicked => Outcome::Panic,
                // The response is made of the request's body, and that is the client's.
                Some(BodyError::ClientGone) => Outcome::ClientAbort,
                Some(BodyError::Timeout) => Outcome::Timeout,
                Some(BodyError::TooLarge | BodyError::Malformed) => Outcome::Rejected,
                Some(BodyError::TooLate) | None => Outcome::Error,
            };
        }
        self.drop_source();
        self.closing = Some(CloseReason::BodyCutShort);
        self.stream.cut_short();
        if framing == Length::UntilClose {
            // Where the end of the connection is the end of the body, only a reset tells that something is missing.
            let _ = self.stream.reset_on_close();
        }
    }

    /// The body is complete, and so is what it may have read of the request.
    pub(super) fn end_pull(&mut self) {
        self.drop_source();
        self.pass_over_arrived();
        self.end_cycle();
    }

    /// Lets go of what the body is made of.
    pub(super) fn drop_source(&mut self) {
        if let Phase::Pull(pulling) = std::mem::replace(&mut self.phase, Phase::Head) {
            let_go(pulling);
        }
    }
}
