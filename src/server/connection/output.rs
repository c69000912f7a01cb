//! What waits to be written to a connection: bytes, and after them perhaps a part of a file.

use std::fmt;
use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes};

use crate::app::body::FilePart;
use crate::net::stream::Stream;

/// How many writes in a row; one of a file is up to a mebibyte.
const TURN: u32 = 8;

/// Bytes in order, then a tail that is not copied into them.
#[derive(Debug, Default)]
pub(in crate::server) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    tail: Tail,
}

/// What follows the bytes.
#[derive(Debug, Default)]
pub(in crate::server) enum Tail {
    #[default]
    None,
    Bytes(Bytes),
    File(FilePart),
}

/// A file turned out shorter than was promised: the server's fault, and no sign that the client has gone.
#[derive(Debug)]
pub(super) struct Shrunk;

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file became shorter while it was sent")
    }
}

impl std::error::Error for Shrunk {}

/// How far a flush came.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) enum Flushed {
    /// Everything is with the kernel.
    All,
    /// The socket takes no more for now; `true` if it took something.
    Blocked(bool),
    /// It takes everything as fast as we write, and others wait for their turn.
    More,
}

impl Output {
    /// Whether there is nothing to write.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && matches!(self.tail, Tail::None)
    }

    /// Where the next bytes are appended. There must be no tail.
    pub(in crate::server) fn bytes(&mut self) -> &mut Vec<u8> {
        debug_assert!(matches!(self.tail, Tail::None), "bytes appended behind a tail");
        &mut self.bytes
    }

    /// How many bytes wait, without the tail.
    pub(in crate::server) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// What is to follow the bytes.
    pub(in crate::server) fn set_tail(&mut self, tail: Tail) {
        self.tail = tail;
    }

    /// How many bytes of the tail wait.
    pub(in crate::server) fn tail_length(&self) -> u64 {
        match &self.tail {
            Tail::None => 0,
            Tail::Bytes(bytes) => bytes.len() as u64,
            Tail::File(part) => part.length,
        }
    }

    /// Gives it an empty buffer to use. Only while it has none.
    pub(in crate::server) fn put_buffer(&mut self, buffer: Vec<u8>) {
        debug_assert!(self.bytes.capacity() == 0);
        self.bytes = buffer;
    }

    /// Takes its buffer out, emptied. Only while there is nothing to write.
    pub(in crate::server) fn take_buffer(&mut self) -> Vec<u8> {
        debug_assert!(self.is_empty());
        self.bytes.clear();
        self.sent = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Whether it holds memory.
    pub(in crate::server) fn has_buffer(&self) -> bool {
        self.bytes.capacity() > 0
    }

    /// Forgets everything that waits.
    pub(in crate::server) fn discard(&mut self) {
        self.bytes.clear();
        self.sent = 0;
        self.tail = Tail::None;
    }

    /// Writes until everything is written or the socket takes no more. One system call when the socket has room.
    ///
    /// # Errors
    /// The operating system's; [`Shrunk`] inside of one when a file turned out shorter than was promised.
    pub(in crate::server) fn flush(&mut self, stream: &mut Stream) -> io::Result<Flushed> {
        let mut progress = false;
        let mut turn = TURN;
        while !self.is_empty() || stream.has_unsent() {
            if turn == 0 {
                return Ok(Flushed::More);
            }
            turn -= 1;
            match self.write_once(stream) {
                Ok(()) => progress = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Flushed::Blocked(progress)),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(Flushed::All)
    }

    fn write_once(&mut self, stream: &mut Stream) -> io::Result<()> {
        if self.is_empty() || stream.is_full() {
            return stream.flush();
        }
        let unsent = &self.bytes[self.sent..];
        match &mut self.tail {
            Tail::None => self.sent += stream.write(unsent)?,
            Tail::Bytes(tail) => {
                let n = if unsent.is_empty() { stream.write(tail)? } else { stream.write_both(unsent, tail)? };
                let of_bytes = n.min(unsent.len());
                self.sent += of_bytes;
                tail.advance(n - of_bytes);
                if tail.is_empty() {
                    self.tail = Tail::None;
                }
            }
            Tail::File(_) if !unsent.is_empty() => self.sent += stream.write_more(unsent)?,
            Tail::File(part) => {
                let n = stream.write_file(&part.file, part.offset, part.length)? as u64;
                if n == 0 && part.length > 0 {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, Shrunk));
                }
                part.offset += n;
                part.length -= n;
                if part.length == 0 {
                    self.tail = Tail::None;
                }
            }
        }
        Ok(())
    }
}
