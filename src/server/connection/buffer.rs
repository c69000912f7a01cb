//! A buffer that bytes are read into at its end and taken from at its start.

use std::io;

/// Bytes that have arrived and were not used yet.
#[derive(Debug, Default)]
pub(in crate::server) struct Buffer {
    /// Always filled with something, so that a read never meets uninitialised memory.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer with room for `capacity` bytes.
    pub(in crate::server) fn with_capacity(capacity: usize) -> Self {
        Buffer { bytes: vec![0; capacity], start: 0, end: 0 }
    }

    /// The bytes that were not used yet.
    pub(in crate::server) fn unused(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether all bytes were used.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes the first `n` unused bytes out.
    pub(in crate::server) fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once into the free room, making some if there is none. Returns how many bytes came and whether they
    /// filled the room (then there may be more).
    pub(in crate::server) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<(usize, bool)> {
        if self.end == self.bytes.len() {
            self.make_room();
        }
        let room = &mut self.bytes[self.end..];
        let size = room.len();
        let n = read(room)?;
        self.end += n;
        Ok((n, n == size))
    }

    /// Moves the unused bytes to the front of `roomy` (an empty buffer) and becomes that.
    pub(in crate::server) fn move_into(&mut self, mut roomy: Buffer) {
        let unused = self.end - self.start;
        if roomy.bytes.len() <= unused {
            roomy.bytes.resize(unused * 2, 0);
        }
        roomy.bytes[..unused].copy_from_slice(self.unused());
        (roomy.start, roomy.end) = (0, unused);
        *self = roomy;
    }

    /// Keeps the unused bytes in as little memory as they need and returns the roomy rest, emptied.
    pub(in crate::server) fn shrink(&mut self) -> Buffer {
        let small = Buffer { bytes: self.unused().to_vec(), start: 0, end: self.end - self.start };
        let mut roomy = std::mem::replace(self, small);
        (roomy.start, roomy.end) = (0, 0);
        roomy
    }

    /// How much memory it holds.
    pub(in crate::server) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else {
            self.bytes.resize((self.bytes.len() * 2).max(1024), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(buffer: &mut Buffer, bytes: &[u8]) -> bool {
        let (n, full) = buffer
            .fill(|room| {
                let n = bytes.len().min(room.len());
                room[..n].copy_from_slice(&bytes[..n]);
                Ok(n)
            })
            .unwrap();
        assert_eq!(n, bytes.len());
        full
    }

    #[test]
    fn bytes_come_out_in_order_whatever_room_there_was() {
        let mut buffer = Buffer::with_capacity(4);
        assert!(!feed(&mut buffer, b"ab"));
        assert!(feed(&mut buffer, b"cd"));
        buffer.consume(3);
        assert!(!feed(&mut buffer, b"ef"));
        assert_eq!(buffer.unused(), b"def");
        assert!(feed(&mut buffer, b"g"));
        feed(&mut buffer, b"hijk");
        assert_eq!(buffer.unused(), b"defghijk");
        buffer.consume(8);
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_left_moves_between_a_small_and_a_roomy_buffer() {
        let mut buffer = Buffer::with_capacity(1000);
        feed(&mut buffer, b"GET / HT");
        buffer.consume(4);
        let roomy = buffer.shrink();
        assert_eq!((buffer.unused(), buffer.capacity(), roomy.capacity()), (&b"/ HT"[..], 4, 1000));
        buffer.move_into(roomy);
        feed(&mut buffer, b"TP");
        assert_eq!((buffer.unused(), buffer.capacity()), (&b"/ HTTP"[..], 1000));
    }
}
