//! A response whose body a function of the user's writes, on a worker that has the connection meanwhile.

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::away::{PIECE, SourcePanicked, tell_of};
use super::incoming::Lease;
use super::{Connection, Failure, Flushed, Phase};
use crate::app::body::Write;
use crate::proto::chunked;
use crate::proto::cycle::CloseReason;
use crate::proto::encode::Length;
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::shared::Shared;

/// What the function writes to. It may also read the request's body, so the connection is on loan to both.
struct Pushing<'a> {
    shared: &'a Shared,
    lease: &'a Lease,
    framing: Length,
}

/// Has the body written, and gives the connection back when that is done, or has failed.
pub(super) fn push(shared: &Arc<Shared>, mut connection: Box<Connection>, write: Write) -> Option<Box<Connection>> {
    let Phase::Pull(pulling) = &mut connection.phase else { return Some(connection) };
    let (framing, lease) = (pulling.framing, pulling.lease.take().unwrap_or_default());
    let (back, written) = lease.lend(connection, || Pushing { shared, lease: &lease, framing }.run(write));
    let mut connection = back?;
    match written {
        // What was to be sent is given up already.
        _ if connection.closing == Some(CloseReason::IoError) => connection.drop_source(),
        Ok(()) => {
            if framing == Length::Chunked {
                connection.output.bytes().extend_from_slice(chunked::LAST);
            }
            connection.end_pull();
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

    /// Works with the connection, as long as anything can be sent.
    fn with_connection<T>(&self, work: impl FnOnce(&mut Connection) -> io::Result<T>) -> io::Result<T> {
        let open = |connection: &mut Connection| match connection.closing {
            None => work(connection),
            Some(_) => Err(ErrorKind::BrokenPipe.into()),
        };
        self.lease.with(open).unwrap_or_else(|| Err(ErrorKind::BrokenPipe.into()))
    }
}

impl io::Write for Pushing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with_connection(|connection| {
            let piece = &bytes[..bytes.len().min(PIECE)];
            if !piece.is_empty() {
                connection.send_piece(piece, self.framing);
                connection.write_all_out(self.shared)?;
            }
            Ok(piece.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with_connection(|connection| connection.write_all_out(self.shared))
    }
}

impl Connection {
    /// Writes until the socket has taken everything; waits for it where it does not.
    fn write_all_out(&mut self, shared: &Shared) -> io::Result<()> {
        loop {
            if shared.lifecycle.state() == State::Forced {
                self.abandon_output(Outcome::Timeout);
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped"));
            }
            match self.output.flush(&mut self.stream) {
                Ok(Flushed::All) => return Ok(()),
                Ok(Flushed::More) => {}
                Ok(Flushed::Blocked(_)) => self.wait_for_room(shared)?,
                Err(error) => {
                    self.broke(shared, Failure::Reset, &error);
                    return Err(error);
                }
            }
            // A worker that waits for a slow client is not stuck.
            shared.pool.progress.beat_among_others();
        }
    }

    fn wait_for_room(&mut self, shared: &Shared) -> io::Result<()> {
        if self.stream.wait_writable(shared.settings.load().write_timeout)? {
            return Ok(());
        }
        shared.stats.error(Failure::WriteTimeout);
        self.abandon_output(Outcome::Timeout);
        Err(io::Error::new(ErrorKind::TimedOut, "the client did not read in time"))
    }
}
