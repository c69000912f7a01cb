//! Content codings at work: bodies compressed as a whole or while they are read or written, with gzip, brotli and zstd, and bodies
//! decompressed up to a length.
//!
//! Knows bytes, readers and writers. Whether a response should be compressed at all is the business of
//! [`middleware::Compression`](super::middleware::Compression) and of the static files; what is here is for those who keep
//! compressed bodies themselves.

mod coder;
mod decode;
mod encoder;
mod stream;

use std::fmt;
use std::io::{self, Read};
use std::ops::RangeInclusive;

pub(in crate::app) use self::coder::Coder;
pub use self::decode::decompressed;
use self::encoder::Encoder;
pub use self::stream::Compressing;
use super::permits::Permit;
pub use crate::semantics::accept_encoding::Coding;

/// Compresses in one coding, at one level.
///
/// ```
/// use rws::app::compression::{Coding, Compressor, decompressed};
///
/// let page = "<li>cup</li>".repeat(1000);
/// let kept = Compressor::once(Coding::Gzip)?.whole(page.as_bytes())?.expect("it becomes shorter");
/// assert!(kept.len() < 200);
/// assert_eq!(decompressed(Coding::Gzip, &kept, 1 << 20)?, page.as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressor {
    coding: Coding,
    level: u32,
}

impl Compressor {
    /// For what is compressed anew for each response: brotli at level 4, zstd 3, gzip 5.
    ///
    /// # Errors
    /// When this build lacks the coding; see [`Coding::AVAILABLE`].
    pub fn each_time(coding: Coding) -> Result<Self, CompressionError> {
        Compressor::at(Levels::EACH_TIME, coding)
    }

    /// For what is compressed once and sent often: brotli at level 5, zstd 9, gzip 6. docs/DESIGN.md has figures.
    ///
    /// # Errors
    /// When this build lacks the coding; see [`Coding::AVAILABLE`].
    pub fn once(coding: Coding) -> Result<Self, CompressionError> {
        Compressor::at(Levels::ONCE, coding)
    }

    fn at(levels: Levels, coding: Coding) -> Result<Self, CompressionError> {
        let is_there = Coding::AVAILABLE.contains(&coding);
        is_there.then(|| levels.of(coding)).ok_or(CompressionError::NotBuilt(coding))
    }

    /// With another level: brotli from 0 to 11, zstd from 1 to 19, gzip from 1 to 9. Higher ones are slower and mostly
    /// shorter.
    ///
    /// # Errors
    /// When the level is out of that range.
    pub fn level(self, level: u32) -> Result<Self, CompressionError> {
        check_level(self.coding, level)?;
        Ok(Compressor { level, ..self })
    }

    /// The coding, as it stands in `Content-Encoding` by its [`name`](Coding::name).
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// `content` compressed; `None` if that would make it no shorter.
    ///
    /// # Errors
    /// When there is not enough memory for the encoder.
    pub fn whole(&self, content: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut encoder = self.encoder(Some(content.len() as u64))?;
        encoder.write(content)?;
        let mut coded = encoder.finish()?;
        coded.shrink_to_fit();
        Ok((coded.len() < content.len()).then_some(coded))
    }

    /// `source` compressed while it is read.
    ///
    /// It is flushed after every read, since nobody can tell how long the next will take: what has come out of the source
    /// goes out before more is asked for, so a line a second arrives as a line a second.
    ///
    /// An encoder takes 0.4 MiB (gzip) to 2.6 MiB (brotli) until the client has read everything, which may be never.
    /// So it takes a permit, of which there should be few, and gives it back at the end of the source:
    ///
    /// ```
    /// use rws::app::compression::{Coding, Compressor};
    /// use rws::app::permits::Permits;
    /// use rws::app::{App, Problem, Response, State, TestClient, get};
    /// use rws::http::{HeaderValue, StatusCode, header};
    ///
    /// fn export(State(permits): State<Permits>) -> Result<Response, Problem> {
    ///     let permit = permits.try_acquire().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    ///     let gzip = Compressor::each_time(Coding::Gzip).map_err(|_| StatusCode::NOT_IMPLEMENTED)?;
    ///     let rows = std::io::Cursor::new("1;cup\n".repeat(1000));
    ///     let coding = HeaderValue::from_static(gzip.coding().name());
    ///     Ok(Response::stream(gzip.stream(rows, permit)).with_header(header::CONTENT_ENCODING, coding))
    /// }
    ///
    /// let client = TestClient::new(App::new().route("/export", get(export)).state(Permits::new(8)))?;
    /// let answer = client.get("/export").send();
    /// assert_eq!(answer.header("content-encoding"), Some("gzip"));
    /// assert_eq!(answer.decoded(), "1;cup\n".repeat(1000));
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn stream<R: Read>(&self, source: R, permit: Permit) -> Compressing<R> {
        Compressing::new(source, *self, permit)
    }

    fn encoder(&self, length: Option<u64>) -> io::Result<Encoder> {
        Encoder::new(self.coding, self.level, length)
    }
}

/// How hard each coding tries. Higher levels are slower and mostly smaller; docs/DESIGN.md has figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    brotli: u32,
    zstd: u32,
    gzip: u32,
}

impl Levels {
    /// For what is compressed anew for each response.
    pub(super) const EACH_TIME: Levels = Levels { brotli: 4, zstd: 3, gzip: 5 };
    /// For what is compressed once and sent often.
    const ONCE: Levels = Levels { brotli: 5, zstd: 9, gzip: 6 };

    /// Has a coding try as hard as `level`.
    pub(super) fn set(&mut self, coding: Coding, level: u32) -> Result<(), CompressionError> {
        check_level(coding, level)?;
        match coding {
            Coding::Brotli => self.brotli = level,
            Coding::Zstd => self.zstd = level,
            Coding::Gzip => self.gzip = level,
        }
        Ok(())
    }

    pub(super) fn of(&self, coding: Coding) -> Compressor {
        let level = match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        Compressor { coding, level }
    }
}

fn check_level(coding: Coding, level: u32) -> Result<(), CompressionError> {
    let range: RangeInclusive<u32> = match coding {
        Coding::Brotli => 0..=11,
        Coding::Zstd => 1..=19,
        Coding::Gzip => 1..=9,
    };
    let (least, most) = (*range.start(), *range.end());
    range.contains(&level).then_some(()).ok_or(CompressionError::Level { coding, level, least, most })
}

/// An option of a [`Compressor`] or of [`Compression`](super::middleware::Compression) that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompressionError {
    /// The build does not have this coding.
    NotBuilt(Coding),
    /// There is no such level.
    Level {
        /// Of this coding.
        coding: Coding,
        /// What was asked for.
        level: u32,
        /// The lowest there is.
        least: u32,
        /// The highest there is.
        most: u32,
    },
}

impl fmt::Display for CompressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompressionError::NotBuilt(coding) => {
                write!(f, "{} needs the cargo feature compression", coding.name())
            }
            CompressionError::Level { coding, level, least, most } => {
                write!(f, "the level of {} must be from {least} to {most}, not {level}", coding.name())
            }
        }
    }
}

impl std::error::Error for CompressionError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(crate) mod tests;
