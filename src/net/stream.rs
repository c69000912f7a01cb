//! One connection's byte stream, plain or through TLS. Reads and writes never block; waiting is a call of its own.
//!
//! On a secured stream, what was written may still wait here as ciphertext ([`Stream::has_unsent`]), and what has
//! arrived may wait here as well ([`Stream::holds_input`]), which no poller will tell of.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::sendfile;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::SockRef;

use super::tls::{Acceptor, Session};

/// A non-blocking connection.
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<Session>>,
    /// Plaintext came where TLS was expected, so `tls` is gone.
    lacks_tls: bool,
}

impl Stream {
    /// Wraps a connected, non-blocking socket.
    pub fn plain(socket: OwnedFd) -> Self {
        Stream { socket: socket.into(), tls: None, lacks_tls: false }
    }

    /// Expects the peer to begin a TLS handshake, on the terms of `acceptor`. If what it says first is text, the stream
    /// turns plain instead; see [`lacks_tls`](Self::lacks_tls).
    #[must_use]
    pub fn secured(self, acceptor: Arc<Acceptor>) -> Self {
        Stream { tls: Some(Session::new(acceptor)), ..self }
    }

    /// Whether it goes through TLS.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the peer talks plaintext where it should have begun with a TLS handshake.
    pub fn lacks_tls(&self) -> bool {
        self.lacks_tls
    }

    /// Whether the peers have not agreed on keys yet, so that nothing can be written.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The certificate that the peer of a secured stream has shown to be its own (DER), if it was asked for one.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.tls.as_ref()?.peer_certificate()
    }

    /// Whether something has arrived here that was not read yet, perhaps only a part of a TLS record.
    pub fn holds_input(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.holds_input())
    }

    /// Whether something that was written is not with the kernel yet.
    pub fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_unsent())
    }

    /// Whether so much of it waits that nothing can be written before some has been [flushed](Self::flush).
    pub fn is_full(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_full())
    }

    /// Reads what has arrived; `Ok(0)` is the end of what the peer sends.
    ///
    /// # Errors
    /// `WouldBlock` when nothing has; else the operating system's; through TLS, `InvalidData` when the peer broke one of
    /// its rules, and `UnexpectedEof` when the peer left during the handshake.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Ok(recv(&self.socket, buffer, RecvFlags::empty())?.0),
            Some(tls) if tls.is_waiting() => self.read_first(buffer),
            Some(tls) => tls.read(&self.socket, buffer),
        }
    }

    /// A TLS handshake begins with the byte 22 (RFC 8446 section 5.1), a line of text with a letter, and an empty line, as
    /// the binary preface of the PROXY protocol has it, with a CR.
    fn read_first(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut first = [0];
        if recv(&self.socket, &mut first[..], RecvFlags::PEEK)?.0 > 0
            && (first[0].is_ascii_alphabetic() || first[0] == b'\r')
        {
            self.tls = None;
            self.lacks_tls = true;
        }
        match &mut self.tls {
            None => self.read(buffer),
            Some(tls) => tls.read(&self.socket, buffer),
        }
    }

    /// Writes what the socket takes; through TLS, what there is room for.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; else the operating system's. Never raises SIGPIPE.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL)?),
            Some(tls) => tls.write(&self.socket, bytes),
        }
    }

    /// As [`write`](Self::write), and tells the kernel that more follows at once, so that it fills its segments.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_more(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => Ok(send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::MORE)?),
            Some(tls) => tls.buffer(bytes),
        }
    }

    /// Writes two pieces in one system call.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_both(&mut self, first: &[u8], second: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => io::Write::write_vectored(&mut &self.socket, &[IoSlice::new(first), IoSlice::new(second)]),
            Some(tls) => match tls.buffer(first)? {
                n if n < first.len() || tls.is_full() => Ok(n),
                n => Ok(n + tls.write(&self.socket, second)?),
            },
        }
    }

    /// Writes up to `length` bytes of `file` from `offset`; unless they must be encrypted, without copying them through
    /// the process. `Ok(0)` means that the file ended.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_file(&mut self, file: &File, offset: u64, length: u64) -> io::Result<usize> {
        /// One call's worth: enough to be efficient, little enough that others get their turn.
        const MOST: u64 = 1 << 20;
        let mut offset = offset;
        match &mut self.tls {
            None => Ok(sendfile(&self.socket, file, Some(&mut offset), length.min(MOST) as usize)?),
            Some(tls) => tls.write_file(&self.socket, file, offset, length),
        }
    }

    /// Sends some of what waits here, if anything does.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => tls.flush(&self.socket),
        }
    }

    /// Tells the peer that nothing more will come, and goes on reading, though what is read means nothing any more. If
    /// something waits here, both happen once it is [flushed](Self::flush).
    ///
    /// # Errors
    /// The operating system's.
    pub fn shut_down_writing(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => self.socket.shutdown(Shutdown::Write),
            Some(tls) => tls.shut_down_writing(&self.socket),
        }
    }

    /// Tells the peer of a secured stream that nothing more will come, if that can be done at once. To be called before
    /// it is dropped.
    pub fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.finish(&self.socket);
        }
    }

    /// What was written is not all that was promised: a secured stream will not say that it ends in good order.
    pub fn cut_short(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.cut_short();
        }
    }

    /// Gives up what waits here to be sent.
    pub fn discard(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.discard();
        }
    }

    /// Frees what memory the stream does not need while it waits.
    pub fn rest(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.rest();
        }
    }

    /// What has become of the connection, if something has. Behind the end of what the peer sends, reading does not tell.
    ///
    /// # Errors
    /// A reset by the peer, for example, once.
    pub fn check(&self) -> io::Result<()> {
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Makes closing it a reset, so that the peer takes nothing for complete.
    ///
    /// # Errors
    /// The operating system's.
    pub fn reset_on_close(&self) -> io::Result<()> {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO))
    }

    /// Has the operating system give the connection up once the peer has acknowledged nothing of what was sent for so long
    /// (TCP_USER_TIMEOUT), instead of after some 15 minutes.
    ///
    /// # Errors
    /// The operating system's, where this is no TCP connection.
    pub fn give_up_after(&self, timeout: Duration) -> io::Result<()> {
        SockRef::from(&self.socket).set_tcp_user_timeout(Some(timeout))
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

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("socket", &self.socket).field("secured", &self.is_secured()).finish()
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
