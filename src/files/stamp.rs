//! What tells one version of a file from another: its entity tag and its Last-Modified.
//!
//! The tag is strong and made of size and modification time in nanoseconds, so that all replicas that run the same
//! image agree on it; an inode number would be a better witness on one machine and a different one on each.
//! Two versions share a tag only if they have the same size and were written within one tick of the file system's
//! clock (some milliseconds, on new kernels less), or if somebody sets the time back after changing a file.
//!
//! Builds that are to be reproducible (ko, jib, Nix, buildpacks, Bazel, npm) give every file the same time. That
//! says nothing about versions: such a file gets no Last-Modified, and its tag is made of size, inode and change time.

use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use rustix::fs::Stat;

use crate::semantics::accept_encoding::Coding;
use crate::semantics::conditional::Validators;
use crate::semantics::date;
use crate::semantics::etag::EntityTag;

/// The first of January 1990, in seconds since 1970. Earlier modification times stand for "none": tools that make all times
/// the same take one of 1970, or one soon after 1980, where ZIP archives begin (Gradle: 1980, Yarn: 1984, npm: 1985).
const EARLIEST: i64 = 631_152_000;

/// The first of January 2000, which is Bazel's time for everything.
const BAZEL: (i64, i64) = (946_684_800, 0);

/// The mark of weak tags, two quotes, up to three numbers of 16 hexadecimal digits and the name of a coding, three dashes.
const TAG_CAPACITY: usize = 2 + 2 + 3 * 16 + 4 + 3;

/// The clocks of file systems go by ticks: of milliseconds mostly, of a second or two at worst. What was changed so
/// short a time ago can be changed again without a difference in its times.
const TICK: Duration = Duration::from_secs(2);

/// What tells on one machine whether a file is still the same and has the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    device: u64,
    inode: u64,
    length: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    pub(super) fn of(stat: &Stat) -> Version {
        Version {
            device: stat.st_dev,
            inode: stat.st_ino,
            length: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// Whether the file was changed in an earlier second than the `other` one. Not all tools that compress keep times to the
    /// nanosecond, and images often have none finer.
    pub(super) fn is_older_than(&self, other: &Version) -> bool {
        self.modified.0 < other.modified.0
    }

    /// Whether the file, looked at at the time `now`, can be changed from then on without becoming another version.
    pub(super) fn is_young(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        let changed = Duration::new(seconds.max(0).unsigned_abs(), nanos.clamp(0, 999_999_999) as u32);
        now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() < changed + TICK
    }
}

/// The validators of one version of a file.
#[derive(Debug)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    tag: [u8; TAG_CAPACITY],
    tag_length: usize,
}

impl Stamp {
    pub(super) fn new(stat: &Stat, clock: &Clock) -> Stamp {
        let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec as i64);
        let mut tag = Cursor::new([0; TAG_CAPACITY]);
        let modified = if tells_version(stat) {
            write!(tag, "\"{:x}-{:x}\"", stat.st_size, nanoseconds(seconds, nanos))
                .expect("two numbers fit where three do");
            Some(clock.not_later_than_now(seconds.unsigned_abs()))
        } else {
            let changed = nanoseconds(stat.st_ctime, stat.st_ctime_nsec as i64);
            write!(tag, "\"{:x}-{:x}-{changed:x}\"", stat.st_size, stat.st_ino)
                .expect("the capacity is that of three numbers");
            None
        };
        Stamp { modified, tag_length: tag.position() as usize, tag: tag.into_inner() }
    }

    /// Of the same content in a coding that is made here: other bytes each time an encoder changes, so the tag is weak.
    pub(super) fn weak(&self) -> Stamp {
        let mut tag = Cursor::new([0; TAG_CAPACITY]);
        tag.write_all(b"W/").and_then(|()| tag.write_all(self.tag())).expect("a strong tag leaves room for the mark");
        Stamp { modified: self.modified, tag_length: tag.position() as usize, tag: tag.into_inner() }
    }

    /// Of the same content in `coding`, which is in a file with the stamp `sibling`. It is as old as the content.
    pub(super) fn precompressed(&self, coding: Coding, sibling: &Stamp) -> Stamp {
        let mut tag = Cursor::new([0; TAG_CAPACITY]);
        let unquoted = &sibling.tag()[..sibling.tag_length - 1];
        tag.write_all(unquoted)
            .and_then(|()| write!(tag, "-{}\"", coding.name()))
            .expect("the tag of a file leaves room for the coding");
        Stamp { modified: self.modified, tag_length: tag.position() as usize, tag: tag.into_inner() }
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators { etag: EntityTag::parse(self.tag()), last_modified: self.modified }
    }

    pub(super) fn etag(&self) -> HeaderValue {
        HeaderValue::from_bytes(self.tag()).expect("quotes, dashes and hexadecimal digits are visible ASCII")
    }

    pub(super) fn last_modified(&self) -> Option<HeaderValue> {
        let text = date::format(self.modified?);
        Some(HeaderValue::from_bytes(&text).expect("a date is visible ASCII and spaces"))
    }

    fn tag(&self) -> &[u8] {
        &self.tag[..self.tag_length]
    }
}

/// Whether the modification time is one, and no stand-in that all versions of the file have.
pub(super) fn tells_version(stat: &Stat) -> bool {
    let modified = (stat.st_mtime, stat.st_mtime_nsec as i64);
    modified.0 >= EARLIEST && modified != BAZEL
}

/// Wraps around after the year 2554, which for a tag is as good as not.
fn nanoseconds(seconds: i64, nanos: i64) -> u64 {
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos) as u64
}

/// Keeps Last-Modified from lying in the future (RFC 9110 section 8.8.2.1), and reads the system's clock only for
/// files that are newer than its last reading.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The latest reading, in seconds since 1970.
    read: AtomicU64,
}

impl Clock {
    /// The time `seconds` after 1970, or now if that is earlier.
    fn not_later_than_now(&self, mut seconds: u64) -> SystemTime {
        if seconds > self.read.load(Ordering::Relaxed) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            self.read.store(now, Ordering::Relaxed);
            seconds = seconds.min(now);
        }
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }
}
