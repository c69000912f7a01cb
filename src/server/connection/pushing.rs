//! A response whose body a function of the user's writes, on a worker that has the connection meanwhile.

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::away::{PIECE, SourcePanicked, tell_of};
use super::incoming::Lease;
use super::{Connection, Failure, Flushed};
use crate::app::body::Write;
use crate::proto::chunked;
use crate::proto::cycle::CloseReason;
use crate::proto::encode::Length;
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::shared::{Shared, lock};

/// What the function writes to. The connection is where the request's body finds it, too.
struct Pushing<'a> {
    shared: &'a Shared,
    lease: &'a Lease,
    framing: Length,
}

/// Has the body written, and gives the connection back when that is done, or has failed.
pub(super) fn push(
    shared: &Arc<Shared>,
    connection: Box<Connection>,
    lease: &Lease,
    framing: Length,
    write: Write,
) -> Option<Box<Connection>> {
    let (connection, written) = lease.lend(connection, || Pushing { shared, lease, framing }.run(write));
    let mut connection = connection?;
    match written {
        // What was to be sent is given up already.
        _ if connection.closing == Some(CloseReason::IoError) => connection.drop_source(),
        Ok(()) => {
            if framing == Length::Chunked {
                connection.output.bytes().extend_from_slice(chunked::LAST);
            }
            connection.drop_source();
            connection.end_cycle();
        }
        Err(error) => {
            tell_of(&error);
            connection.cut_short(shared, framing, &error);
        }
    }
    connection.flush_here(shared);
    Some(connection)
}

impl Pushing<'_> {
    fn run(&mut self, write: Write) -> io::Result<()> {
        // What came before a failure is sent, too.
        let mut out = BufWriter::with_capacity(PIECE, &mut *self);
        let written = catch_unwind(AssertUnwindSafe(|| write(&mut out)))
            .unwrap_or_else(|_| Err(io::Error::other(SourcePanicked)));
        let flushed = out.flush();
        // Not once more by being dropped.
        let _ = out.into_parts();
        written.and(flushed)
    }

    /// Appends to what is to be written, and writes until the socket has taken everything.
    fn send(&self, piece: &[u8]) -> io::Result<()> {
        match &mut *lock(&self.lease.connection) {
            Some(connection) if connection.closing.is_none() => {
                if !piece.is_empty() {
                    connection.send_piece(piece, self.framing);
                }
                self.drain(connection)
            }
            _ => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// Writes until the socket has taken everything; waits for it where it does not.
    fn drain(&self, connection: &mut Connection) -> io::Result<()> {
        loop {
            if self.shared.lifecycle.state() == State::Forced {
                connection.abandon_output(Outcome::Timeout);
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped"));
            }
            match connection.output.flush(&mut connection.stream) {
                Ok(Flushed::All) => return Ok(()),
                Ok(Flushed::More) => {}
                Ok(Flushed::Blocked(_)) => self.wait(connection)?,
                Err(error) => {
                    connection.broke(self.shared, Failure::Reset, &error);
                    return Err(error);
                }
            }
            // A worker that waits for a slow client is not stuck.
            self.shared.pool.progress.beat_among_others();
        }
    }

    fn wait(&self, connection: &mut Connection) -> io::Result<()> {
        if connection.stream.wait_writable(self.shared.settings.load().write_timeout)? {
            return Ok(());
        }
        self.shared.stats.error(Failure::WriteTimeout);
        connection.abandon_output(Outcome::Timeout);
        Err(io::Error::new(ErrorKind::TimedOut, "the client did not read in time"))
    }
}

impl io::Write for Pushing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.send(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send(&[])
    }
}
