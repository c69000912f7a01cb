//! One version of one regular file: what is said about it, and its content, in memory or behind a descriptor.
//!
//! Length, tag and content belong together: all of them are those of one open file at one moment. Knows no requests.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use rustix::fd::OwnedFd;
use rustix::fs::FileType;

use super::name::Name;
use super::refusal::Refusal;
use super::stamp::{Clock, Stamp};
use crate::app::body::Body;
use crate::semantics::media_type;

/// Files of up to this many bytes are read at once, so that head and body leave in one write; of longer ones the server
/// sends the content with sendfile.
pub(super) const IN_MEMORY: u64 = 64 * 1024;

/// One version of one regular file.
#[derive(Debug)]
pub(super) struct Entry {
    /// In bytes.
    pub(super) length: u64,
    pub(super) stamp: Stamp,
    /// The tag, as a field has it.
    pub(super) etag: HeaderValue,
    pub(super) last_modified: Option<HeaderValue>,
    /// By its name.
    pub(super) media_type: HeaderValue,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

impl Entry {
    /// The version that `file` is now; `name` tells what kind of content it has.
    pub(super) fn new(file: OwnedFd, name: &Name, clock: &Clock) -> Result<Entry, Refusal> {
        let stat = rustix::fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Refusal::Directory),
            _ => return Err(Refusal::NotFound),
        }
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        let stamp = Stamp::new(&stat, clock);
        let file = File::from(file);
        let content = match length {
            0..=IN_MEMORY => Content::Memory(read(&file, 0, length as usize)?.into()),
            _ => Content::File(Arc::new(file)),
        };
        let (etag, last_modified) = (stamp.etag(), stamp.last_modified());
        Ok(Entry { length, stamp, etag, last_modified, media_type: media_type::of_name(name.as_bytes()), content })
    }

    /// `length` bytes from `offset`, which must be within the file. Few bytes are read now, others when they are sent.
    pub(super) fn body(&self, offset: u64, length: u64) -> Result<Body, Refusal> {
        Ok(match &self.content {
            Content::Memory(bytes) => bytes.slice(offset as usize..(offset + length) as usize).into(),
            Content::File(file) if length <= IN_MEMORY => read(file, offset, length as usize)?.into(),
            Content::File(file) => Body::file(Arc::clone(file), offset, length),
        })
    }

    /// As [`body`](Self::body), but nothing is read now: for a part of an answer, or one whose body is not sent.
    pub(super) fn body_later(&self, offset: u64, length: u64) -> Body {
        match &self.content {
            Content::Memory(bytes) => bytes.slice(offset as usize..(offset + length) as usize).into(),
            Content::File(file) => Body::file(Arc::clone(file), offset, length),
        }
    }
}

fn read(file: &File, mut offset: u64, length: usize) -> Result<Vec<u8>, Refusal> {
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut content), offset)? {
            0 => return Err(Refusal::Shrunk),
            count => offset += count as u64,
        }
    }
    // The capacity may be more than was asked for, and the file may have grown.
    content.truncate(length);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn a_file_is_read_as_long_as_it_was_when_it_was_opened() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        file.rewind().unwrap();
        assert_eq!(read(&file, 0, 10).unwrap(), b"0123456789");
        assert_eq!(read(&file, 2, 3).unwrap(), b"234", "it has grown since");
        assert_eq!(read(&file, 8, 3), Err(Refusal::Shrunk));
        assert_eq!(read(&file, 20, 1), Err(Refusal::Shrunk));
    }
}
