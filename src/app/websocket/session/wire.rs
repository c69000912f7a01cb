//! Memory in the place of a socket: reads what has arrived, frame by frame, and writes what is to be sent.

use std::io::{self, Cursor, Read, Write};

use tungstenite::protocol::frame::FrameHeader;

/// The longest header (RFC 6455 section 5.2).
const HEADER_BYTES: usize = 14;

pub(super) struct Wire<'w> {
    input: &'w [u8],
    /// How much of the input was read.
    pub(super) used: usize,
    /// Where in a frame that is.
    pub(super) position: Position,
    pub(super) output: &'w mut Vec<u8>,
}

impl<'w> Wire<'w> {
    pub(super) fn new(input: &'w [u8], position: Position, output: &'w mut Vec<u8>) -> Self {
        Wire { input, used: 0, position, output }
    }

    pub(super) fn has_input(&self) -> bool {
        self.used < self.input.len()
    }
}

impl Read for Wire<'_> {
    /// Never past the end of a frame, nor past that of its header: at the end of a message, whoever reads has read nothing
    /// of the next.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.input[self.used..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.position.left().min(rest.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.position.pass(&rest[..n]);
        self.used += n;
        Ok(n)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A place in a stream of frames.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    /// What is known of a header that is not complete.
    header: [u8; HEADER_BYTES],
    known: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
}

impl Position {
    /// How many of the next bytes surely belong to the header, or to the payload.
    fn left(&self) -> usize {
        match (self.payload, self.known) {
            (0, known @ 0..2) => 2 - known,
            (0, known) => header_length(self.header[1]) - known,
            (payload, _) => usize::try_from(payload).unwrap_or(usize::MAX),
        }
    }

    /// Goes on behind these bytes, which are no more than were [left](Self::left).
    fn pass(&mut self, bytes: &[u8]) {
        if self.payload > 0 {
            self.payload -= bytes.len() as u64;
            return;
        }
        self.header[self.known..self.known + bytes.len()].copy_from_slice(bytes);
        self.known += bytes.len();
        match FrameHeader::parse(&mut Cursor::new(&self.header[..self.known])) {
            Ok(None) => {}
            Ok(Some((_, payload))) => (self.known, self.payload) = (0, payload),
            // Whoever reads finds the same, and reads no more.
            Err(_) => (self.known, self.payload) = (0, u64::MAX),
        }
    }
}

/// How long a header is whose second byte this is (RFC 6455 section 5.2).
fn header_length(second: u8) -> usize {
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    2 + length + mask
}
