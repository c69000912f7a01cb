//! A reader that compresses what it reads.

use std::fmt;
use std::io::{self, Read};

use super::Compressor;
use super::encoder::Encoder;
use crate::app::permits::Permit;

/// How much is read from the source at once.
const PIECE: usize = 32 * 1024;

/// A source, compressed while it is read: what [`Compressor::stream`] makes.
pub struct Compressing<R> {
    source: R,
    may_wait: bool,
    progress: Progress,
    piece: Box<[u8]>,
    /// Coded bytes, of which those before `taken` have been read.
    coded: Vec<u8>,
    taken: usize,
}

enum Progress {
    /// An encoder is made when the first byte is wanted, which for HEAD is never.
    Before(Plan),
    During(Box<Encoder>, #[expect(dead_code, reason = "given back when it is dropped")] Permit),
    After,
}

struct Plan {
    compressor: Compressor,
    permit: Permit,
}

impl<R: Read> Compressing<R> {
    pub(super) fn new(source: R, compressor: Compressor, permit: Permit) -> Self {
        let progress = Progress::Before(Plan { compressor, permit });
        Compressing { source, may_wait: true, progress, piece: Box::default(), coded: Vec::new(), taken: 0 }
    }

    /// For a source that never waits, as a file: it is not flushed after each read, and becomes a little shorter.
    #[must_use]
    pub fn without_flushing(self) -> Self {
        Compressing { may_wait: false, ..self }
    }

    /// Codes more of the source, of which for now nothing may come.
    fn advance(&mut self) -> io::Result<()> {
        let Progress::During(encoder, _) = &mut self.progress else { return self.begin_or_stay() };
        let count = self.source.read(&mut self.piece)?;
        self.taken = 0;
        self.coded.clear();
        if count == 0 {
            if let Progress::During(encoder, _) = std::mem::replace(&mut self.progress, Progress::After) {
                self.coded = encoder.finish()?;
            }
            return Ok(());
        }
        encoder.write(&self.piece[..count])?;
        if self.may_wait {
            encoder.flush()?;
        }
        std::mem::swap(&mut self.coded, encoder.coded());
        Ok(())
    }

    fn begin_or_stay(&mut self) -> io::Result<()> {
        if let Progress::Before(plan) = std::mem::replace(&mut self.progress, Progress::After) {
            let encoder = plan.compressor.encoder(None)?;
            self.progress = Progress::During(Box::new(encoder), plan.permit);
            self.piece = vec![0; PIECE].into();
        }
        Ok(())
    }
}

impl<R: Read> Read for Compressing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.taken == self.coded.len() {
            if matches!(self.progress, Progress::After) {
                return Ok(0);
            }
            self.advance()?;
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
