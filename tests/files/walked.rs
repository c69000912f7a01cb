//! A server on a system that has no openat2(2), so that it finds files by its own walk: old kernels, and sandboxes such
//! as gVisor, are like that.

use std::thread;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::process::{Server, Setup};

/// Starts it from a thread for which openat2(2) does not exist, which its children inherit.
pub(crate) fn start(setup: Setup) -> Server {
    thread::spawn(move || {
        refuse_openat2();
        setup.start()
    })
    .join()
    .unwrap()
}

fn refuse_openat2() {
    let refused = SeccompAction::Errno(Errno::NOSYS.raw_os_error() as u32);
    let rules = [(libc::SYS_openat2, Vec::new())].into();
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    let tried = rustix::fs::openat2(CWD, c".", OFlags::PATH, Mode::empty(), ResolveFlags::empty());
    assert_eq!(tried.err(), Some(Errno::NOSYS));
}
