//! Opening files beneath the root, and nothing outside it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
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
    directory: ArcSwap<OwnedFd>,
    /// When it was last seen that the path leads to it.
    followed: AtomicU64,
    /// Whether openat2(2) works: not on Linux before 5.6, nor where a seccomp filter or a sandbox does not know it.
    has_openat2: bool,
}

impl Root {
    pub(super) fn new(path: &Path) -> io::Result<Root> {
        let directory = open_directory(path)?;
        let has_openat2 = rustix::fs::openat2(&directory, c".", PASS, Mode::empty(), BENEATH).is_ok();
        let (directory, followed) = (ArcSwap::from_pointee(directory), AtomicU64::new(0));
        Ok(Root { path: path.to_owned(), directory, followed, has_openat2 })
    }

    /// Opens `name` for reading, whatever kind of file it is. Never blocks on a FIFO or a device.
    pub(super) fn open(&self, name: &CStr) -> rustix::io::Result<OwnedFd> {
        let directory = self.directory.load();
        if !self.has_openat2 {
            return walk::open(directory.as_fd(), name);
        }
        match rustix::fs::openat2(directory.as_fd(), name, READ, Mode::empty(), BENEATH) {
            // A link has `..` in it and something was renamed meanwhile, so the kernel cannot vouch for the result.
            Err(Errno::AGAIN) => walk::open(directory.as_fd(), name),
            result => result,
        }
    }

    /// Goes to the directory that its path leads to now, if that is another one. Fails, and stays, where there is none.
    pub(super) fn follow(&self) -> io::Result<()> {
        let (opened, now) = (rustix::fs::fstat(&**self.directory.load())?, rustix::fs::stat(&self.path)?);
        if (opened.st_dev, opened.st_ino) != (now.st_dev, now.st_ino) {
            self.directory.store(Arc::new(open_directory(&self.path)?));
            tracing::info!(path = %self.path.display(), "another directory of static files has taken the place of the last");
        }
        Ok(())
    }

    /// As [`follow`](Self::follow), unless that was done less than a `period` before `now`. It stays where it cannot.
    pub(super) fn follow_now_and_then(&self, now: u64, period: u64) {
        let last = self.followed.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(last) >= period;
        if is_due && self.followed.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // The health check tells why.
            let _ = self.follow();
        }
    }

    /// The same root on a system without openat2(2).
    #[cfg(test)]
    pub(super) fn without_openat2(self) -> Root {
        assert!(self.has_openat2, "this system has no openat2(2), so the ordinary way cannot be tested");
        Root { has_openat2: false, ..self }
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let directory = rustix::fs::open(path, PASS, Mode::empty())?;
    // Seen here, a directory that may not be searched is an error at start and not a 403 for everything.
    rustix::fs::openat(&directory, c".", PASS, Mode::empty())?;
    Ok(directory)
}
