//! What openat2(2) with RESOLVE_BENEATH does, where that is missing: one component after the other.
//!
//! No link is ever followed by the kernel, and `..` in a link's target goes back to a directory that is still open,
//! so no rename at whatever moment leads out of the root.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

use super::open::{PASS, READ};

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
            // What a link gives: LOOP without O_DIRECTORY, NOTDIR with it.
            Err(error @ (Errno::LOOP | Errno::NOTDIR)) => {
                let target = rustix::fs::readlinkat(here, &component, Vec::new()).map_err(|_| error)?;
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                push_components(&mut ahead, target.as_bytes())?;
            }
            Err(error) => return Err(error),
        }
    }
    // A link ended with a directory already passed through.
    rustix::fs::openat(passed.last().map_or(root, OwnedFd::as_fd), c".", READ, Mode::empty())
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
