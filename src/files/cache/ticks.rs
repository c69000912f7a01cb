//! How much time has passed, as coarse and as cheap as the kernel has it: some milliseconds, without a system call.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Counts nanoseconds from some moment on.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// Time that passed by hand.
    #[cfg(test)]
    skipped: std::sync::atomic::AtomicU64,
}

impl Ticks {
    pub(super) fn now(&self) -> u64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        let since_boot = time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs();
        EPOCH + since_boot + nanoseconds(self.skipped())
    }

    /// The time of day, as far as it is known.
    pub(super) fn wall(&self) -> SystemTime {
        SystemTime::now() + self.skipped()
    }

    #[cfg(not(test))]
    fn skipped(&self) -> Duration {
        Duration::ZERO
    }

    #[cfg(test)]
    fn skipped(&self) -> Duration {
        Duration::from_nanos(self.skipped.load(std::sync::atomic::Ordering::SeqCst))
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(super) fn skip(&self, by: Duration) {
        self.skipped.fetch_add(nanoseconds(by), std::sync::atomic::Ordering::SeqCst);
    }
}

/// Far enough from zero that the time before the system's start can be expressed.
const EPOCH: u64 = 1 << 60;

pub(super) const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}
