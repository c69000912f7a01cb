//! The thread that writes log lines to a file descriptor, so that nobody else ever waits for one.
//!
//! Producers hand over whole buffers of whole lines through a bounded channel and never block: when the sink stalls
//! the channel fills up, and lines are dropped and counted. Knows lines, not their format.
//!
//! Whatever the sink does, what it got is a sequence of whole lines: when a write fails in the middle of one, its
//! rest is kept and written before anything else.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use memchr::{memchr, memchr_iter};

/// Buffers that may wait for the sink before lines are dropped, unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 64;
/// Emptied buffers kept for reuse; more are only needed after a stall, and then they are freed.
const SPARE_BUFFERS: usize = 8;
/// A buffer that one giant line blew up is not kept.
const LARGEST_SPARE: usize = 256 * 1024;

/// Starts writers.
#[derive(Debug)]
pub struct LogWriter;

impl LogWriter {
    /// Starts a thread called `name` that writes to `sink` what the handle and its clones are given. Up to `capacity`
    /// buffers wait for it. The thread ends after [`LogHandle::finish`], or when every handle is gone.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn spawn(
        name: &str,
        sink: impl Write + Send + 'static,
        capacity: usize,
    ) -> io::Result<(LogHandle, JoinHandle<()>)> {
        let (jobs, inbox) = bounded(capacity.max(1));
        let (spares, pool) = bounded(SPARE_BUFFERS);
        let shared = Arc::new(Shared::default());
        let writer = Writer { sink, inbox, spares, shared: Arc::clone(&shared), torn: Vec::new() };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || writer.run())?;
        Ok((LogHandle { jobs, pool, shared }, thread))
    }
}

/// Where producers leave their lines. Cheap to clone; every reactor has its own.
#[derive(Clone, Debug)]
pub struct LogHandle {
    jobs: Sender<Job>,
    pool: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Job {
    /// Whole lines.
    Lines(Vec<u8>),
    /// Write what came before, answer, end.
    Finish(Sender<()>),
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    failing: AtomicBool,
}

impl LogHandle {
    /// Hands `lines` (whole lines, each ending in a newline) to the writer and leaves an empty buffer in their place.
    /// Never blocks: if the writer is too far behind, the lines are dropped and counted.
    pub fn send(&self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let spare = self.pool.try_recv().unwrap_or_else(|_| Vec::with_capacity(lines.capacity()));
        if let Err(error) = self.jobs.try_send(Job::Lines(std::mem::replace(lines, spare))) {
            let (TrySendError::Full(job) | TrySendError::Disconnected(job)) = error;
            if let Job::Lines(refused) = job {
                self.shared.count_dropped(&refused);
                *lines = refused;
                lines.clear();
            }
        }
    }

    /// Lines that were lost, because the sink was too slow or failed.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Whether no more buffers fit in, so that lines are lost until the sink goes on.
    pub fn is_full(&self) -> bool {
        self.jobs.is_full()
    }

    /// Whether the last attempt to write failed.
    pub fn is_failing(&self) -> bool {
        self.shared.failing.load(Ordering::Relaxed)
    }

    /// Has everything sent before written, and ends the writer. Returns false if that took longer than `timeout`:
    /// then the writer's thread may hang in a write, and must not be joined.
    /// What anybody sends afterwards is dropped and counted.
    pub fn finish(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (done, finished) = bounded(1);
        // A writer that has already ended has also written everything.
        match self.jobs.send_deadline(Job::Finish(done), deadline) {
            Ok(()) => match finished.recv_deadline(deadline) {
                Ok(()) => true,
                Err(error) => error.is_disconnected(),
            },
            Err(error) => error.is_disconnected(),
        }
    }
}

impl Shared {
    fn count_dropped(&self, lines: &[u8]) {
        let count = memchr_iter(b'\n', lines).count() as u64;
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

/// The thread's side.
struct Writer<W> {
    sink: W,
    inbox: Receiver<Job>,
    spares: Sender<Vec<u8>>,
    shared: Arc<Shared>,
    /// The rest of a line whose beginning the sink already has.
    torn: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn run(mut self) {
        while let Ok(job) = self.inbox.recv() {
            match job {
                Job::Lines(mut lines) => {
                    self.write(&lines);
                    lines.clear();
                    if lines.capacity() <= LARGEST_SPARE {
                        // A full pool means that there are spares enough.
                        let _ = self.spares.try_send(lines);
                    }
                }
                Job::Finish(done) => {
                    self.end();
                    // Nobody waits any more if the time was up.
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    /// Writes the rest of a torn line, then `lines`. What cannot be written now is dropped: the next buffer is
    /// another attempt, so a full disk costs the lines of its time and a gone reader all lines to come.
    fn write(&mut self, lines: &[u8]) {
        let torn = std::mem::take(&mut self.torn);
        let (written, outcome) = write_some(&mut self.sink, &torn);
        if outcome.is_err() {
            self.torn = torn[written..].to_vec();
            self.shared.count_dropped(lines);
            return self.note(false);
        }
        let (written, outcome) = write_some(&mut self.sink, lines);
        self.keep_rest(lines, written);
        self.note(outcome.is_ok());
    }

    /// After `written` bytes of `lines`: keeps the rest of a line that was begun and drops the lines after it.
    fn keep_rest(&mut self, lines: &[u8], written: usize) {
        let (done, rest) = lines.split_at(written);
        let begun = done.last().is_some_and(|&byte| byte != b'\n');
        let end = if begun { memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1) } else { 0 };
        self.torn = rest[..end].to_vec();
        self.shared.count_dropped(&rest[end..]);
    }

    /// The last attempt for a torn line.
    fn end(&mut self) {
        self.write(&[]);
        if !self.torn.is_empty() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        // The sinks of this module hold nothing back; another one's failure has nobody to be told to any more.
        let _ = self.sink.flush();
    }

    fn note(&self, healthy: bool) {
        self.shared.failing.store(!healthy, Ordering::Relaxed);
    }
}

/// Writes until all is written or the sink fails; says how far it came.
fn write_some(sink: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// A descriptor to write logs to: no buffer and no lock of its own, and patient if another process made it non-blocking.
#[derive(Debug)]
pub struct LogFile(File);

impl LogFile {
    /// The process's standard output.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn stdout() -> io::Result<Self> {
        Ok(LogFile(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    /// The process's standard error.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn stderr() -> io::Result<Self> {
        Ok(LogFile(io::stderr().as_fd().try_clone_to_owned()?.into()))
    }
}

impl From<File> for LogFile {
    fn from(file: File) -> Self {
        LogFile(file)
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait()?,
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl LogFile {
    fn wait(&self) -> io::Result<()> {
        let mut fds = [rustix::event::PollFd::new(&self.0, rustix::event::PollFlags::OUT)];
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
