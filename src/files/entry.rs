//! One version of one regular file: what is said about it, and its content, in memory or behind a descriptor.
//!
//! Length, tag and content belong together: all of them are those of one open file at one moment. Knows no requests.

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Stat};
use smallvec::SmallVec;

use super::cache::{Source, Taken};
use super::encoding::Codings;
use super::name::Name;
use super::policy;
use super::refusal::Refusal;
use super::stamp::{Clock, Stamp, Version};
use crate::app::body::Body;
use crate::app::response::SharedHeaders;
use crate::semantics::accept_encoding::Coding;
use crate::semantics::media_type;

/// Files of up to this many bytes are read at once, so that head and body leave in one write; of longer ones the server
/// sends the content with sendfile.
pub(super) const IN_MEMORY: u64 = 64 * 1024;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: u32 = 3;

/// One version of one regular file.
#[derive(Debug)]
pub(super) struct Entry {
    /// In bytes.
    pub(super) length: u64,
    pub(super) stamp: Stamp,
    /// By its name.
    pub(super) media_type: HeaderValue,
    /// The tag, as a field has it.
    pub(super) etag: HeaderValue,
    pub(super) last_modified: Option<HeaderValue>,
    /// Whether its name holds a hash of its content.
    pub(super) is_hashed: bool,
    /// What a 200 answer says about it, unless it is one of several variants.
    pub(super) fields: SharedHeaders,
    content: Content,
    version: Version,
    trust: Trust,
    /// What is known of its content in codings.
    pub(super) codings: Codings,
    /// What it takes of the cache's budgets.
    held: SmallVec<[Taken; 2]>,
}

#[derive(Clone, Debug)]
enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

/// How much the version says about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The same version has the same content.
    Full,
    /// It was read so soon after a change that another change could go unnoticed.
    Young,
    /// It changed while it was read.
    None,
}

/// Opens the regular file `name` and looks which version it is.
pub(super) fn open(source: Source<'_>, name: &Name) -> Result<(OwnedFd, Stat), Refusal> {
    let file = source.root.open(name.as_c_str())?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        FileType::Directory => Err(Refusal::Directory),
        _ => Err(Refusal::NotFound),
    }
}

impl Entry {
    /// The version of the file `name` that is current at the time `now`, not to be kept.
    pub(super) fn open(source: Source<'_>, name: &Name, now: SystemTime) -> Result<Entry, Refusal> {
        let (file, stat) = open(source, name)?;
        Entry::read(file, stat, name, source.clock, now)
    }

    /// The version that `file` is; `stat` was just taken of it, and `name` tells what kind of content it has.
    pub(super) fn read(
        file: OwnedFd,
        mut stat: Stat,
        name: &Name,
        clock: &Clock,
        now: SystemTime,
    ) -> Result<Entry, Refusal> {
        let file = Arc::new(File::from(file));
        let mut attempts = 1;
        let (content, settled) = loop {
            let content = match length(&stat) {
                few @ 0..=IN_MEMORY => read(&file, 0, few as usize).map(|read| Content::Memory(read.into())),
                _ => Ok(Content::File(Arc::clone(&file))),
            };
            let after = rustix::fs::fstat(&*file)?;
            let settled = Version::of(&after) == Version::of(&stat);
            if settled || attempts == ATTEMPTS {
                break (content?, settled);
            }
            stat = after;
            attempts += 1;
        };
        let stamp = Stamp::new(&stat, clock);
        let version = Version::of(&stat);
        let trust = match content {
            _ if !settled => Trust::None,
            Content::Memory(_) if version.is_young(now) => Trust::Young,
            _ => Trust::Full,
        };
        let media_type = media_type::of_name(name.as_bytes());
        let (etag, last_modified) = (stamp.etag(), stamp.last_modified());
        let fields = SharedHeaders::new(fields(&etag, last_modified.as_ref(), &media_type, None));
        let (length, held, codings) = (length(&stat), SmallVec::new(), Codings::of(&media_type));
        let is_hashed = policy::is_hashed(name.as_bytes());
        Ok(Entry {
            length,
            stamp,
            media_type,
            is_hashed,
            etag,
            last_modified,
            fields,
            content,
            version,
            trust,
            codings,
            held,
        })
    }

    /// Whether it is an HTML page: what names the files of a site, and so must not be outdated itself.
    pub(super) fn is_page(&self) -> bool {
        let essence = self.media_type.as_bytes().split(|byte| *byte == b';').next();
        matches!(essence, Some(b"text/html" | b"application/xhtml+xml"))
    }

    /// The same content in `coding`, compressed here to `coded`, for which `room` was taken.
    pub(super) fn compressed(&self, coding: Coding, coded: Vec<u8>, room: Taken) -> Entry {
        let length = coded.len() as u64;
        let variant = self.variant(coding, self.stamp.weak(), length, Content::Memory(coded.into()));
        Entry { held: SmallVec::from_iter([room]), ..variant }
    }

    /// The same content in `coding`, into which it is put while it is sent. Until then it is as long as it was.
    pub(super) fn compressing(&self, coding: Coding) -> Entry {
        self.variant(coding, self.stamp.weak(), self.length, self.content.clone())
    }

    /// The same content in `coding`, as it is in the file `sibling`.
    pub(super) fn precompressed(&self, coding: Coding, sibling: &Entry) -> Entry {
        let stamp = self.stamp.precompressed(coding, &sibling.stamp);
        self.variant(coding, stamp, sibling.length, sibling.content.clone())
    }

    fn variant(&self, coding: Coding, stamp: Stamp, length: u64, content: Content) -> Entry {
        let (etag, last_modified, media_type) = (stamp.etag(), self.last_modified.clone(), self.media_type.clone());
        let fields = SharedHeaders::new(fields(&etag, last_modified.as_ref(), &media_type, Some(coding)));
        let (version, trust, held, codings) = (self.version, self.trust, SmallVec::new(), Codings::default());
        let is_hashed = self.is_hashed;
        Entry {
            length,
            stamp,
            media_type,
            is_hashed,
            etag,
            last_modified,
            fields,
            content,
            version,
            trust,
            codings,
            held,
        }
    }

    /// Whether it was changed last in an earlier second than `other`.
    pub(super) fn is_older_than(&self, other: &Entry) -> bool {
        self.version.is_older_than(&other.version)
    }

    /// Whether the file behind the descriptor, if it is kept open, is still this version: what is written into it in
    /// place would be sent at once, with a length and a tag that belong to what was there before.
    pub(super) fn is_untouched(&self) -> bool {
        match &self.content {
            Content::Memory(_) => true,
            Content::File(file) => rustix::fs::fstat(file).is_ok_and(|stat| self.is_version(&stat)),
        }
    }

    /// Whether a file of which `stat` was just taken is this version.
    pub(super) fn is_version(&self, stat: &Stat) -> bool {
        Version::of(stat) == self.version
    }

    /// Whether it is certain that a file of which `stat` was just taken is this version and has this content.
    pub(super) fn is_surely(&self, stat: &Stat) -> bool {
        self.trust == Trust::Full && self.is_version(stat)
    }

    /// Whether it did not change while it was read, so that what is known about it belongs together.
    pub(super) fn is_settled(&self) -> bool {
        self.trust != Trust::None
    }

    pub(super) fn has_descriptor(&self) -> bool {
        matches!(self.content, Content::File(_))
    }

    pub(super) fn bytes_in_memory(&self) -> usize {
        match &self.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File(_) => 0,
        }
    }

    /// It may be kept: these are the parts of the cache's budgets that it takes for as long as it is there.
    pub(super) fn hold(&mut self, taken: impl IntoIterator<Item = Taken>) {
        self.held.extend(taken);
    }

    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
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

/// The fields of 200. Ranges are of the file itself, not of what it is in a coding.
fn fields(
    etag: &HeaderValue,
    last_modified: Option<&HeaderValue>,
    media_type: &HeaderValue,
    coding: Option<Coding>,
) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
    let form = match coding {
        Some(coding) => (header::CONTENT_ENCODING, HeaderValue::from_static(coding.name())),
        None => (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    };
    let before = [(header::ETAG, etag.clone())];
    let date = last_modified.map(|date| (header::LAST_MODIFIED, date.clone()));
    let after = [(header::CONTENT_TYPE, media_type.clone()), form, (NOSNIFF, HeaderValue::from_static("nosniff"))];
    before.into_iter().chain(date).chain(after)
}

fn length(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
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
