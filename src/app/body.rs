//! Bodies of requests and responses: nothing, bytes, a part of a file, or a blocking reader.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use bytes::{Buf, Bytes};

/// The body of a [`Request`](super::request::Request) or a [`Response`](super::response::Response).
///
/// A body of a request is read with [`std::io::Read`]; reading may block, within the server's body deadline.
#[derive(Default)]
pub struct Body {
    pub(crate) kind: Kind,
}

/// What a body is made of, for the server that sends it.
#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    File(FilePart),
    Reader {
        reader: Box<dyn Read + Send>,
        length: Option<u64>,
    },
}

/// `length` bytes of `file` from `offset`; what the server sends with sendfile(2).
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: std::sync::Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Body { kind: Kind::Empty }
    }

    /// A body that is read while it is sent, on a worker. With a `length` it is sent with `Content-Length`
    /// (and cut off or aborted if the reader disagrees), without one it is chunked.
    pub fn reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Body { kind: Kind::Reader { reader: Box::new(reader), length } }
    }

    /// `length` bytes of `file` from `offset`, sent without copying them through the process where the connection allows.
    pub fn file(file: impl Into<std::sync::Arc<File>>, offset: u64, length: u64) -> Self {
        Body { kind: Kind::File(FilePart { file: file.into(), offset, length }) }
    }

    /// How many bytes are left, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::File(part) => Some(part.length),
            Kind::Reader { length, .. } => *length,
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Empty => Ok(0),
            Kind::Bytes(bytes) => {
                let n = bytes.len().min(buffer.len());
                bytes.copy_to_slice(&mut buffer[..n]);
                Ok(n)
            }
            Kind::File(part) => {
                let most = buffer.len().min(usize::try_from(part.length).unwrap_or(usize::MAX));
                let n = part.file.read_at(&mut buffer[..most], part.offset)?;
                part.offset += n as u64;
                part.length -= n as u64;
                Ok(n)
            }
            Kind::Reader { reader, .. } => reader.read(buffer),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) } }
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

/// Why a request body could not be read to its end. Comes wrapped in an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// Nothing came for too long.
    Timeout,
    /// The client closed the connection.
    ClientGone,
    /// It is not framed as RFC 9112 demands.
    Malformed,
}
impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{self:?}") }
}
impl std::error::Error for BodyError {}
impl From<BodyError> for io::Error { fn from(e: BodyError) -> io::Error { io::Error::other(e) } }
