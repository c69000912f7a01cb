//! One interface for the encoders of three crates: bytes in, coded bytes collected in memory.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use crate::semantics::accept_encoding::Coding;

/// The window of streams, as a power of two: what an encoder remembers takes memory as long as the
/// client takes to read.
#[cfg(feature = "compression")]
const STREAM_WINDOW: u32 = 18;

/// The largest window, for content of that length. RFC 9659 allows 23 to zstd, and RFC 7932 24 to brotli.
#[cfg(feature = "compression")]
const LARGEST_WINDOW: u32 = 22;

/// What has been coded and was not taken yet is in a `Vec` at the end of each.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    #[cfg(feature = "compression")]
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    #[cfg(feature = "compression")]
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// For content of `length` bytes that is there as a whole, or for a stream. Fails for a coding that this build does not have, and when there is
    /// not enough memory.
    pub(super) fn new(coding: Coding, level: u32, length: Option<u64>) -> io::Result<Encoder> {
        match coding {
            Coding::Gzip => Ok(Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(level)))),
            #[cfg(feature = "compression")]
            Coding::Brotli => Ok(Encoder::Brotli(Box::new(brotli_encoder(level, length)))),
            #[cfg(feature = "compression")]
            Coding::Zstd => zstd_encoder(level, length).map(Encoder::Zstd),
            #[cfg(not(feature = "compression"))]
            Coding::Brotli | Coding::Zstd => {
                let _ = length;
                Err(io::Error::new(io::ErrorKind::Unsupported, "built without the cargo feature compression"))
            }
        }
    }

    /// Takes content. What is coded of it may come later.
    pub(super) fn write(&mut self, content: &[u8]) -> io::Result<()> {
        self.writer().write_all(content)
    }

    /// Makes all of the content that was written readable to the other side, which costs some bytes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer().flush()
    }

    /// Where what has been coded is.
    pub(super) fn coded(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            #[cfg(feature = "compression")]
            Encoder::Brotli(encoder) => encoder.get_mut(),
            #[cfg(feature = "compression")]
            Encoder::Zstd(encoder) => encoder.get_mut(),
        }
    }

    /// What was not taken yet, to the end.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            #[cfg(feature = "compression")]
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            #[cfg(feature = "compression")]
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Encoder::Gzip(encoder) => encoder,
            #[cfg(feature = "compression")]
            Encoder::Brotli(encoder) => encoder,
            #[cfg(feature = "compression")]
            Encoder::Zstd(encoder) => encoder,
        }
    }
}

/// A window that holds all of the content, if its length is known and not too large.
#[cfg(feature = "compression")]
fn window(length: Option<u64>) -> u32 {
    /// How much of its window brotli keeps for itself (RFC 7932 section 9.1).
    const RESERVED: u64 = 16;
    let fits = |window: &u32| length.is_some_and(|length| length <= (1 << window) - RESERVED);
    (STREAM_WINDOW..=LARGEST_WINDOW).find(fits).unwrap_or(STREAM_WINDOW)
}

#[cfg(feature = "compression")]
fn brotli_encoder(level: u32, length: Option<u64>) -> brotli::CompressorWriter<Vec<u8>> {
    /// What the encoder puts out at once.
    const BUFFER: usize = 4096;
    let params = brotli::enc::BrotliEncoderParams {
        quality: i32::try_from(level).unwrap_or(i32::MAX),
        lgwin: window(length) as i32,
        size_hint: length.map_or(0, |length| usize::try_from(length).unwrap_or(0)),
        ..Default::default()
    };
    brotli::CompressorWriter::with_params(Vec::new(), BUFFER, &params)
}

#[cfg(feature = "compression")]
fn zstd_encoder(level: u32, length: Option<u64>) -> io::Result<zstd::stream::write::Encoder<'static, Vec<u8>>> {
    let level = i32::try_from(level).unwrap_or(i32::MAX);
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    // From the length the encoder sees how large its tables need be.
    encoder.set_pledged_src_size(length)?;
    encoder.window_log(window(length))?;
    Ok(encoder)
}
