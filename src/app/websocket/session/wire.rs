//! Memory in the place of a socket: reads what has arrived, and writes what is to be sent.

use std::io::{self, Read, Write};

pub(super) struct Wire<'w> {
    input: &'w [u8],
    /// How much of the input was read.
    pub(super) used: usize,
    pub(super) output: &'w mut Vec<u8>,
}

impl<'w> Wire<'w> {
    pub(super) fn new(input: &'w [u8], output: &'w mut Vec<u8>) -> Self {
        Wire { input, used: 0, output }
    }

    pub(super) fn has_input(&self) -> bool {
        self.used < self.input.len()
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.input[self.used..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = rest.read(buffer)?;
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
