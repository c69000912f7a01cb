//! The ciphertext of one session that waits to be sent. Knows a socket that takes it, and nothing of what it says.

use std::io::{self, ErrorKind};
use std::net::TcpStream;

use rustix::net::{SendFlags, send};

/// What encryption adds to a record at most: header, nonce, tag, content type.
pub(super) const OVERHEAD: usize = 64;

/// Bytes in order.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Always filled with something, so that it need not be filled again for each record.
    bytes: Vec<u8>,
    /// What waits is between these two.
    start: usize,
    end: usize,
    /// The socket did not take all it was offered.
    blocked: bool,
}

impl Outgoing {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// How much memory it holds.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether the socket has to take what waits before it is offered more. So a slow reader has at most one batch here,
    /// however long it takes.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked && !self.is_empty()
    }

    /// Makes room for `length` bytes at once, where [`append`](Self::append) would do it piece by piece.
    pub(super) fn reserve(&mut self, length: usize) {
        let needed = self.end + length;
        self.bytes.reserve_exact(needed.saturating_sub(self.bytes.len()));
    }

    /// Appends what `encode` writes. If `guess` was too small it says what it takes, and is asked again.
    ///
    /// # Errors
    /// When `encode` can write nothing however much room there is.
    pub(super) fn append(
        &mut self,
        guess: usize,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
    ) -> io::Result<()> {
        let mut size = guess;
        loop {
            if self.bytes.len() < self.end + size {
                self.bytes.resize(self.end + size, 0);
            }
            match encode(&mut self.bytes[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(());
                }
                Err(Some(required)) if required > size => size = required,
                Err(_) => return Err(io::Error::other("the connection's keys are exhausted")),
            }
        }
    }

    /// Offers the socket what waits, if anything does.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing; else the operating system's.
    pub(super) fn send(&mut self, socket: &TcpStream) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match send(socket, &self.bytes[self.start..self.end], SendFlags::NOSIGNAL).map_err(io::Error::from) {
            Ok(n) => self.start += n,
            Err(error) => {
                self.blocked = error.kind() == ErrorKind::WouldBlock;
                return Err(error);
            }
        }
        self.blocked = !self.is_empty();
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
        Ok(())
    }

    /// Gives up what waits.
    pub(super) fn clear(&mut self) {
        *self = Outgoing::default();
    }

    /// Gives back what memory it does not need while nothing is sent. Little is not worth being moved for.
    pub(super) fn rest(&mut self) {
        if self.is_empty() {
            return self.clear();
        }
        if self.len() <= self.bytes.len() / 2 {
            self.bytes = self.bytes[self.start..self.end].to_vec();
            (self.start, self.end) = (0, self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn put(outgoing: &mut Outgoing, bytes: &[u8]) {
        let write = |room: &mut [u8]| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        };
        outgoing.append(bytes.len(), write).unwrap();
    }

    #[test]
    fn whoever_needs_more_room_than_was_guessed_gets_it() {
        let mut outgoing = Outgoing::default();
        put(&mut outgoing, b"before");
        let mut asked = Vec::new();
        let encode = |room: &mut [u8]| {
            asked.push(room.len());
            room.get_mut(..5).map(|room| room.copy_from_slice(b"12345")).map(|()| 5).ok_or(Some(5))
        };
        outgoing.append(0, encode).unwrap();
        assert_eq!((asked, outgoing.len()), (vec![0, 5], 11));
        assert!(outgoing.append(10, |_| Err(Some(3))).is_err());
        assert!(outgoing.append(10, |_| Err(None)).is_err());
        assert_eq!(&outgoing.bytes[..outgoing.end], b"before12345");
    }

    #[test]
    fn what_a_slow_reader_leaves_here_is_kept_in_little_memory_and_arrives() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let text: Vec<u8> = (0..5_000_000_u32).map(|i| (i % 251) as u8).collect();
        let mut outgoing = Outgoing::default();
        put(&mut outgoing, &text);
        assert!(!outgoing.is_blocked(), "nothing was offered yet");
        let mut seen = Vec::new();
        let mut shrunk = false;
        while seen.len() < text.len() {
            while outgoing.send(&ours).is_ok() && !outgoing.is_empty() {
                assert!(outgoing.is_blocked());
            }
            outgoing.rest();
            assert!(outgoing.bytes.len() < 2 * outgoing.len() || outgoing.capacity() == 0);
            shrunk |= (1..text.len()).contains(&outgoing.bytes.len());
            let mut room = vec![0; 100_000];
            let n = theirs.read(&mut room).unwrap();
            seen.extend_from_slice(&room[..n]);
        }
        assert!(shrunk && seen == text);
        assert_eq!((outgoing.is_blocked(), outgoing.capacity()), (false, 0));
    }
}
