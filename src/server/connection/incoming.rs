//! A request body that the handler reads itself, on a worker, while it has the connection on loan.

use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Buffer, Connection, Failure, Flushed};
use crate::app::body::BodyError;
use crate::proto::encode;
use crate::server::reactor::ROOMY;
use crate::server::shared::lock;
use crate::server::stats::Stats;
use crate::server::vitals::Pulse;

/// Where the connection is while a handler, or the source of a response, may read from it.
#[derive(Default)]
pub(super) struct Lease {
    connection: Mutex<Option<Box<Connection>>>,
}

impl Lease {
    /// Whether the body is still somewhere, to be read.
    pub(super) fn is_wanted(lease: &Arc<Lease>) -> bool {
        Arc::strong_count(lease) > 1
    }

    /// Does something to the connection while it is on loan.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        lock(&self.connection).as_mut().map(|connection| work(connection))
    }

    /// Puts the connection where the body finds it, and runs `work`.
    pub(super) fn lend<T>(
        &self,
        connection: Box<Connection>,
        work: impl FnOnce() -> T,
    ) -> (Option<Box<Connection>>, T) {
        *lock(&self.connection) = Some(connection);
        let result = work();
        (lock(&self.connection).take(), result)
    }
}

/// The body, to be read.
pub(super) struct IncomingBody {
    pub(super) lease: Arc<Lease>,
    /// How long to wait for the next bytes.
    pub(super) timeout: Duration,
    /// Where it shows that a worker that waits for a slow client is not stuck.
    pub(super) progress: Arc<Pulse>,
    /// Where it is counted if the client breaks it off.
    pub(super) stats: Arc<Stats>,
}

impl Read for IncomingBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut *lock(&self.lease.connection) {
            Some(connection) => {
                let read = connection.read_body(buffer, self.timeout);
                self.progress.beat_among_others();
                read.map_err(|error| connection.body_failed(&self.stats, of_the_peer(error)))
            }
            None => Err(BodyError::TooLate.into()),
        }
    }
}

/// What an error of the connection says of the body: the handler is not to take it for a fault of its own.
fn of_the_peer(error: io::Error) -> io::Error {
    match error.kind() {
        _ if BodyError::of(&error).is_some() => error,
        ErrorKind::InvalidData => BodyError::Malformed.into(),
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof
        | ErrorKind::TimedOut => BodyError::ClientGone.into(),
        _ => error,
    }
}

impl Connection {
    /// Counts that the client broke its request's body off, or the rules for it; once.
    fn body_failed(&mut self, stats: &Stats, error: io::Error) -> io::Error {
        let failure = match BodyError::of(&error) {
            Some(BodyError::Malformed) => Failure::Protocol,
            Some(BodyError::Timeout) => Failure::BodyTimeout,
            Some(BodyError::ClientGone) => Failure::Reset,
            Some(BodyError::TooLarge | BodyError::TooLate) | None => return error,
        };
        if !std::mem::replace(&mut self.body_failed, true) {
            stats.error(failure);
        }
        error
    }

    fn read_body(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.body_bytes > self.body_limit {
            return Err(BodyError::TooLarge.into());
        }
        while !self.cycle.body_done() && !buffer.is_empty() {
            let n = self.decode_into(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            if !self.cycle.body_done() {
                self.ask_for_body(timeout)?;
                self.wait_for_bytes(timeout)?;
            }
        }
        Ok(0)
    }

    /// Takes from what has arrived. Zero: not enough has.
    fn decode_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Never more than fits: what is decoded has nowhere else to go.
            let unused = self.input.unused();
            let input = &unused[..unused.len().min(buffer.len())];
            let step = self.cycle.body(input).map_err(|_| io::Error::from(BodyError::Malformed))?;
            let n = step.data.len();
            buffer[..n].copy_from_slice(&input[step.data]);
            self.input.consume(step.consumed);
            self.body_bytes += n as u64;
            if self.body_bytes > self.body_limit {
                return Err(BodyError::TooLarge.into());
            }
            if n > 0 || step.done || step.consumed == 0 {
                return Ok(n);
            }
        }
    }

    /// Passes over what nobody has read, as far as it has arrived and may be: if that is the end, the connection goes on.
    pub(super) fn pass_over_arrived(&mut self) {
        while !self.cycle.body_done() && self.body_bytes <= self.body_limit {
            let Ok(step) = self.cycle.body(self.input.unused()) else { return };
            self.body_bytes += step.data.len() as u64;
            self.input.consume(step.consumed);
            if step.consumed == 0 {
                return;
            }
        }
    }

    /// Tells a client that waits for it to go on (RFC 9110 section 10.1.1).
    pub(super) fn ask_for_body(&mut self, timeout: Duration) -> io::Result<()> {
        if !self.cycle.take_continue() {
            return Ok(());
        }
        self.output.bytes().extend_from_slice(encode::CONTINUE);
        loop {
            match self.output.flush(&mut self.stream)? {
                Flushed::All => return Ok(()),
                Flushed::More => continue,
                Flushed::Blocked(_) => {}
            }
            if !self.stream.wait_writable(timeout)? {
                return Err(BodyError::Timeout.into());
            }
        }
    }

    /// Blocks until something arrives.
    fn wait_for_bytes(&mut self, timeout: Duration) -> io::Result<()> {
        if self.input.capacity() < ROOMY {
            self.input.move_into(Buffer::with_capacity(ROOMY));
        }
        loop {
            match self.input.fill(|room| self.stream.read(room)) {
                Ok((0, _)) => return Err(BodyError::ClientGone.into()),
                Ok(_) => {
                    self.fresh = true;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // What TLS has to say on the way: who is to answer it may not send on before.
                    match self.stream.flush() {
                        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                        _ => {}
                    }
                    if !self.stream.wait_readable(timeout)? {
                        return Err(BodyError::Timeout.into());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
