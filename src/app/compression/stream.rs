//! A reader that compresses what it reads.

use std::fmt;
use std::io::{self, Read};

use super::Compressor;
use super::coder::Coder;
use crate::app::permits::Permit;

/// How much is read from the source at once.
pub(super) const PIECE: usize = 32 * 1024;

/// A source, compressed while it is read: what [`Compressor::stream`] makes.
pub struct Compressing<R> {
    source: R,
    may_wait: bool,
    /// Until the end of the source.
    coder: Option<Coder>,
    piece: Box<[u8]>,
    /// Coded bytes, of which those before `taken` have been read.
    coded: Vec<u8>,
    taken: usize,
}

impl<R: Read> Compressing<R> {
    pub(super) fn new(source: R, compressor: Compressor, permit: Permit) -> Self {
        let coder = Some(Coder::new(compressor, permit));
        Compressing { source, may_wait: true, coder, piece: Box::default(), coded: Vec::new(), taken: 0 }
    }

    /// For a source that never waits, as a file: it is not flushed after each read, and becomes a little shorter.
    #[must_use]
    pub fn without_flushing(self) -> Self {
        Compressing { may_wait: false, ..self }
    }

    /// Codes more of the source, of which for now nothing may come. Returns whether there was more.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(coder) = &mut self.coder else { return Ok(false) };
        if self.piece.is_empty() {
            self.piece = vec![0; PIECE].into();
        }
        let count = self.source.read(&mut self.piece)?;
        self.taken = 0;
        self.coded.clear();
        if count > 0 {
            std::mem::swap(&mut self.coded, coder.code(&self.piece[..count], self.may_wait)?);
        } else if let Some(coder) = self.coder.take() {
            self.coded = coder.finish()?;
        }
        Ok(true)
    }
}

impl<R: Read> Read for Compressing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.taken == self.coded.len() {
            if !self.advance()? {
                return Ok(0);
            }
        }
        let count = (&self.coded[self.taken..]).read(buffer)?;
        self.taken += count;
        Ok(count)
    }
}

impl<R> fmt::Debug for Compressing<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressing").field("may_wait", &self.may_wait).finish_non_exhaustive()
    }
}
