//! A reader that compresses what it reads, and a limit for how many there are.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::coder::Coder;
use crate::semantics::accept_encoding::Coding;

/// How much is read from the source at once.
pub(super) const PIECE: usize = 32 * 1024;

/// The source, compressed while it is read.
///
/// A source that may wait is flushed after every read, since nobody can tell how long the next will take: what has come out
/// of the source goes out before more is asked for, so a line a second arrives as a line a second. One that
/// never waits, a file say, is not flushed, and becomes a little shorter.
pub(crate) struct Compressing<R> {
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
    pub(crate) fn new(source: R, may_wait: bool, coding: Coding, level: u32, permit: Permit) -> Self {
        let coder = Some(Coder::new(coding, level, permit));
        Compressing { source, may_wait, coder, piece: Box::default(), coded: Vec::new(), taken: 0 }
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

/// How many streams may be compressed at the same time. An encoder takes 0.4 MiB (gzip) to
/// 2.6 MiB (brotli) until its client has read everything,
/// which may be never; what comes when all permits are taken goes out as it is.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    left: Arc<AtomicUsize>,
}

impl Streams {
    pub(crate) fn new(most: usize) -> Self {
        Streams { left: Arc::new(AtomicUsize::new(most)) }
    }

    /// Leave for one stream, if there is any left.
    pub(crate) fn permit(&self) -> Option<Permit> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok().then(|| Permit { _leave: Arc::new(Leave { left: self.left.clone() }) })
    }
}

/// Leave for one stream, which ends when this and all clones of it are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    _leave: Arc<Leave>,
}

#[derive(Debug)]
struct Leave {
    left: Arc<AtomicUsize>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}
