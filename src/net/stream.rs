//! One connection's byte stream. Reads and writes never block; waiting is a call of its own.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;

/// A non-blocking connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
}

impl Stream {
    /// Wraps a connected, non-blocking socket.
    pub fn plain(socket: OwnedFd) -> Self {
        Stream { socket: socket.into() }
    }

    /// Reads what has arrived; `Ok(0)` is the end of what the peer sends.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has; else the operating system's.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (n, _) = recv(&self.socket, buffer, RecvFlags::empty())?;
        Ok(n)
    }

    /// Writes what the socket takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else the operating system's. Never raises SIGPIPE.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL)?)
    }

    /// As [`write`](Self::write), and tells the kernel that more follows at once, so that it fills its segments.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_more(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)?)
    }

    /// Writes two pieces in one system call.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_both(&self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        io::Write::write_vectored(&mut &self.socket, &[IoSlice::new(first), IoSlice::new(second)])
    }

    /// Writes up to `length` bytes of `file` from `offset` without copying them through the process.
    /// `Ok(0)` means that the file ended.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_file(&self, file: &File, offset: u64, length: u64) -> io::Result<usize> {
        /// One call's worth: enough to be efficient, little enough that others get their turn.
        const MOST: u64 = 1 << 20;
        let mut offset = offset;
        Ok(sendfile(&self.socket, file, Some(&mut offset), length.min(MOST) as usize)?)
    }

    /// Tells the peer that nothing more will come, and goes on reading.
    ///
    /// # Errors
    /// The operating system's.
    pub fn shut_down_writing(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Makes closing it a reset, so that the peer takes nothing for complete.
    ///
    /// # Errors
    /// The operating system's.
    pub fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))
    }

    /// Blocks until there is something to read (or the peer left), for `timeout` at most. Returns whether there is.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_readable(&self, timeout: Duration) -> io::Result<bool> {
        self.wait(PollFlags::IN, timeout)
    }

    /// Blocks until the socket takes bytes again, for `timeout` at most. Returns whether it does.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait_writable(&self, timeout: Duration) -> io::Result<bool> {
        self.wait(PollFlags::OUT, timeout)
    }

    fn wait(&self, flags: PollFlags, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        loop {
            match poll(&mut [PollFd::new(&self.socket, flags)], Some(&timeout)) {
                Ok(n) => return Ok(n > 0),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
