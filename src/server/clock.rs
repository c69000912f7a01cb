//! Where the server gets the time from: the system, or a test that moves it by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A source of monotonic time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

#[derive(Debug)]
struct Manual {
    start: Instant,
    nanoseconds: AtomicU64,
}

impl Clock {
    /// A clock that stands still until [`advance`](Self::advance) moves it.
    pub fn manual() -> Self {
        Clock { manual: Some(Arc::new(Manual { start: Instant::now(), nanoseconds: AtomicU64::new(0) })) }
    }

    /// The current time.
    pub fn now(&self) -> Instant {
        match &self.manual {
            None => Instant::now(),
            Some(manual) => manual.start + Duration::from_nanos(manual.nanoseconds.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's stays as it is. Wake the server afterwards, so that it looks.
    pub fn advance(&self, by: Duration) {
        if let Some(manual) = &self.manual {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            manual.nanoseconds.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// Whether real time passes on this clock, so that waiting for a moment makes sense.
    pub fn is_real(&self) -> bool {
        self.manual.is_none()
    }
}
