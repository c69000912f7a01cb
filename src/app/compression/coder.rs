//! The encoder of one stream, and what writes through it.

use std::fmt;
use std::io::{self, Write};

use super::Compressor;
use super::encoder::Encoder;
use super::stream::PIECE;
use crate::app::permits::Permit;

/// Codes one stream. The encoder is made when the first byte comes, which for HEAD is never.
pub(in crate::app) struct Coder {
    compressor: Compressor,
    encoder: Option<Encoder>,
    /// Given back when it is dropped.
    _permit: Permit,
}

impl Coder {
    pub(in crate::app) fn new(compressor: Compressor, permit: Permit) -> Self {
        Coder { compressor, encoder: None, _permit: permit }
    }

    fn encoder(&mut self) -> io::Result<&mut Encoder> {
        match &mut self.encoder {
            Some(encoder) => Ok(encoder),
            none => Ok(none.insert(self.compressor.encoder(None)?)),
        }
    }

    /// Codes a piece, and returns where all coded bytes are that were not taken. Flushed, all of it can be decoded from those.
    pub(super) fn code(&mut self, content: &[u8], flush: bool) -> io::Result<&mut Vec<u8>> {
        let encoder = self.encoder()?;
        encoder.write(content)?;
        if flush {
            encoder.flush()?;
        }
        Ok(encoder.coded())
    }

    /// Codes a piece so that all of it can be decoded from what has come out.
    pub(in crate::app) fn piece(&mut self, content: &[u8]) -> io::Result<Vec<u8>> {
        self.code(content, true).map(std::mem::take)
    }

    /// What is still to come out.
    pub(in crate::app) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.encoder()?;
        self.encoder.map_or_else(|| Ok(Vec::new()), Encoder::finish)
    }

    /// Has what `write` writes coded on its way. A flush makes all that was written before readable to the other side.
    pub(in crate::app) fn around(
        self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> impl FnOnce(&mut dyn Write) -> io::Result<()> {
        move |out| {
            let mut coding = Writing { out, coder: self };
            match write(&mut coding) {
                Ok(()) => coding.out.write_all(&coding.coder.finish()?),
                Err(error) => {
                    // What came before a failure is sent, too.
                    let _ = coding.flush();
                    Err(error)
                }
            }
        }
    }
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coder").field("compressor", &self.compressor).finish_non_exhaustive()
    }
}

/// Passes on what is written to it, coded. It keeps nothing but what the encoder does.
struct Writing<'a> {
    out: &'a mut dyn Write,
    coder: Coder,
}

impl Writing<'_> {
    /// Codes what comes, and passes on what has come out.
    fn pass_on(&mut self, content: &[u8], flush: bool) -> io::Result<()> {
        let coded = self.coder.code(content, flush)?;
        self.out.write_all(coded)?;
        coded.clear();
        Ok(())
    }
}

impl Write for Writing<'_> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let piece = &content[..content.len().min(PIECE)];
        self.pass_on(piece, false)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.coder.encoder.is_some() {
            self.pass_on(&[], true)?;
        }
        self.out.flush()
    }
}
