//! The body of an answer with several ranges, multipart/byteranges (RFC 9110 section 14.6).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};

use http::HeaderValue;

use super::entry::{Entry, IN_MEMORY};
use super::refusal::Refusal;
use crate::app::body::Body;
use crate::semantics::range::ByteRange;

/// A boundary that nobody who writes files can have foreseen.
pub(super) fn boundary() -> String {
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), RandomState::new().hash_one(1))
}

/// `parts` of a file. Read at once if they are small, else while they are sent.
pub(super) fn body(
    entry: &Entry,
    media_type: &HeaderValue,
    parts: &[ByteRange],
    boundary: &str,
) -> Result<Body, Refusal> {
    let media_type = media_type.to_str().expect("media types are made of visible ASCII");
    let mut pieces = VecDeque::with_capacity(2 * parts.len() + 1);
    let mut before = "";
    for part in parts {
        let range = part.content_range(entry.length);
        let head = format!("{before}--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {range}\r\n\r\n");
        pieces.push_back(Body::from(head));
        pieces.push_back(entry.body_later(part.first, part.len()));
        before = "\r\n";
    }
    pieces.push_back(Body::from(format!("\r\n--{boundary}--\r\n")));
    collect(Pieces(pieces))
}

fn collect(mut pieces: Pieces) -> Result<Body, Refusal> {
    let total = pieces.0.iter().filter_map(Body::length).sum();
    if total > IN_MEMORY {
        return Ok(Body::reader(pieces, Some(total)));
    }
    let mut content = Vec::with_capacity(total as usize);
    match pieces.read_to_end(&mut content) {
        Ok(_) => Ok(content.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Refusal::Shrunk),
        Err(error) => Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO).into()),
    }
}

/// Bodies of known length, one after the other.
struct Pieces(VecDeque<Body>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.0.front_mut().filter(|_| !buffer.is_empty()) {
            if piece.length() == Some(0) {
                self.0.pop_front();
                continue;
            }
            return match piece.read(buffer)? {
                0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file shrank while it was sent")),
                count => Ok(count),
            };
        }
        Ok(0)
    }
}
