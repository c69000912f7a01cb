//! The way back: bodies decompressed in memory, up to a length.

use std::io::{self, Read};

use super::Coding;

/// What `coded` was before it was compressed, if that is no more than `most` bytes: of a few bytes a bomb makes gigabytes.
/// For bodies of requests with `Content-Encoding`, and for tests.
///
/// ```
/// use std::io::ErrorKind;
///
/// use rws::app::compression::{Coding, Compressor, decompressed};
///
/// let bomb = Compressor::once(Coding::Gzip)?.whole(&vec![0; 1 << 20])?.unwrap();
/// assert!(bomb.len() < 2000);
/// assert_eq!(decompressed(Coding::Gzip, &bomb, 1 << 16).unwrap_err().kind(), ErrorKind::FileTooLarge);
/// assert_eq!(decompressed(Coding::Gzip, &bomb[..100], 1 << 20).unwrap_err().kind(), ErrorKind::UnexpectedEof);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`FileTooLarge`](io::ErrorKind::FileTooLarge) when it is longer, [`Unsupported`](io::ErrorKind::Unsupported) when this
/// build lacks the coding, and others when it is damaged or cut off. zstd frames need a window of at most
/// 8 MiB, as RFC 9659 demands.
pub fn decompressed(coding: Coding, coded: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    decoder(coding, coded)?.take(most as u64 + 1).read_to_end(&mut content)?;
    match content.len() > most {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it decodes to more than may be")),
        false => Ok(content),
    }
}

fn decoder(coding: Coding, coded: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    Ok(match coding {
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(coded)),
        #[cfg(feature = "compression")]
        Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
        #[cfg(feature = "compression")]
        Coding::Zstd => {
            /// The largest window, as a power of two, that RFC 9659 allows to senders.
            const WINDOW: u32 = 23;
            let mut decoder = zstd::stream::read::Decoder::new(coded)?;
            decoder.window_log_max(WINDOW)?;
            Box::new(decoder)
        }
        #[cfg(not(feature = "compression"))]
        Coding::Brotli | Coding::Zstd => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "built without the cargo feature compression"));
        }
    })
}
