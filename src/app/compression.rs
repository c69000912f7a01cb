//! Content codings at work: bodies compressed as a whole, or while they are read or written, with gzip, brotli and zstd.
//!
//! Knows bytes, readers and writers. Whether a response should be compressed at all is the business of
//! [`middleware::Compression`](super::middleware::Compression) and of the static files.

mod coder;
mod encoder;
mod stream;

use std::io;

pub(in crate::app) use self::coder::Coder;
use self::encoder::Encoder;
pub(crate) use self::stream::{Compressing, Permit, Streams};
use crate::semantics::accept_encoding::Coding;

/// How hard each coding tries. Higher levels are slower and mostly smaller; docs/DESIGN.md has figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) brotli: u32,
    pub(crate) zstd: u32,
    pub(crate) gzip: u32,
}

impl Levels {
    /// For what is compressed anew for each response.
    pub(crate) const EACH_TIME: Levels = Levels { brotli: 4, zstd: 3, gzip: 5 };
    /// For what is compressed once and sent often.
    pub(crate) const ONCE: Levels = Levels { brotli: 5, zstd: 9, gzip: 6 };

    pub(crate) fn of(&self, coding: Coding) -> u32 {
        match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        }
    }
}

/// `content` compressed; `None` if that would make it no shorter.
pub(crate) fn whole(coding: Coding, level: u32, content: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut encoder = Encoder::new(coding, level, Some(content.len() as u64))?;
    encoder.write(content)?;
    let mut coded = encoder.finish()?;
    coded.shrink_to_fit();
    Ok((coded.len() < content.len()).then_some(coded))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;
