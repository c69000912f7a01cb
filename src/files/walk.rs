//! What openat2(2) with RESOLVE_BENEATH does, where that is missing: one component after the other.
//!
//! No link is ever followed by the kernel, and `..` in a link's target goes back to a directory that is still open,
//! so no rename at whatever moment leads out of the root.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use super::open::{PASS, READ};

/// To see what a name stands for, be it a link.
const HOLD: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Opens `name` beneath `root` for reading. `XDEV` when a link leads out of the root.
pub(super) fn open(root: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    // The directories passed through, innermost last, and the components still to come, next one last.
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut ahead: Vec<CString> = Vec::new();
    let mut links = 0;
    push_components(&mut ahead, name.to_bytes())?;

    while let Some(component) = ahead.pop() {
        if component.as_bytes() == b".." {
            passed.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let here = passed.last().map_or(root, OwnedFd::as_fd);
        let flags = if ahead.is_empty() { READ } else { PASS };
        match rustix::fs::openat(here, &component, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) if ahead.is_empty() => return Ok(file),
            Ok(directory) => passed.push(directory),
            // What a link gives: LOOP without O_DIRECTORY, NOTDIR with it. So does a file that is in the way.
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                // What is there now is held while it is read, since it may have been exchanged and may be again.
                let found = rustix::fs::openat(here, &component, HOLD, Mode::empty())?;
                match rustix::fs::readlinkat(&found, c"", Vec::new()) {
                    Ok(target) => push_components(&mut ahead, target.as_bytes())?,
                    Err(_) if error == Errno::LOOP || is_directory(&found)? => ahead.push(component),
                    Err(_) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
    // A link ended with a directory already passed through.
    rustix::fs::openat(passed.last().map_or(root, OwnedFd::as_fd), c".", READ, Mode::empty())
}

fn is_directory(file: &OwnedFd) -> Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode).is_dir())
}

fn push_components(ahead: &mut Vec<CString>, path: &[u8]) -> Result<()> {
    if path.starts_with(b"/") {
        return Err(Errno::XDEV);
    }
    let components = path.split(|&byte| byte == b'/').rev().filter(|name| !matches!(name, [] | [b'.']));
    for component in components {
        ahead.push(CString::new(component).map_err(|_| Errno::INVAL)?);
    }
    Ok(())
}
