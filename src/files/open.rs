//! Opening files beneath the root, and nothing outside it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::walk;

/// To read, without waiting for the other end of a FIFO, without becoming a terminal's process.
pub(super) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// To pass through; needs no permission to list the directory.
pub(super) const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Links are followed as long as they stay beneath the root; those of /proc, which are no paths, are not.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// The root directory.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    directory: OwnedFd,
    /// Whether openat2(2) works: not on Linux before 5.6, nor where a seccomp filter or a sandbox does not know it.
    has_openat2: bool,
}

impl Root {
    pub(super) fn new(path: &Path) -> io::Result<Root> {
        let directory = rustix::fs::open(path, PASS, Mode::empty())?;
        let has_openat2 = rustix::fs::openat2(&directory, c".", PASS, Mode::empty(), BENEATH).is_ok();
        // Seen here, a directory that may not be searched is an error at start and not a 403 for everything.
        rustix::fs::openat(&directory, c".", PASS, Mode::empty())?;
        Ok(Root { path: path.to_owned(), directory, has_openat2 })
    }

    /// Opens `name` for reading, whatever kind of file it is. Never blocks on a FIFO or a device.
    pub(super) fn open(&self, name: &CStr) -> rustix::io::Result<OwnedFd> {
        if !self.has_openat2 {
            return walk::open(self.directory.as_fd(), name);
        }
        match rustix::fs::openat2(&self.directory, name, READ, Mode::empty(), BENEATH) {
            // A link has `..` in it and something was renamed meanwhile, so the kernel cannot vouch for the result.
            Err(Errno::AGAIN) => walk::open(self.directory.as_fd(), name),
            result => result,
        }
    }

    /// Whether its path still leads to this directory.
    pub(super) fn check(&self) -> io::Result<()> {
        let (opened, now) = (rustix::fs::fstat(&self.directory)?, rustix::fs::stat(&self.path)?);
        if (opened.st_dev, opened.st_ino) == (now.st_dev, now.st_ino) {
            return Ok(());
        }
        Err(io::Error::other("the directory was replaced after the server opened it; restart the server"))
    }

    /// The same root on a system without openat2(2).
    #[cfg(test)]
    pub(super) fn without_openat2(self) -> Root {
        assert!(self.has_openat2, "this system has no openat2(2), so the ordinary way cannot be tested");
        Root { has_openat2: false, ..self }
    }
}
