//! How many WebSockets there may be at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::app::problem::Problem;

/// Counts WebSockets, and says when there are enough. Clones count together: keep one in the application's state.
///
/// ```
/// use rws::app::websocket::ConnectionLimit;
///
/// let limit = ConnectionLimit::new(10_000);
/// assert_eq!((limit.active(), limit.max()), (0, 10_000));
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionLimit(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    max: usize,
    active: AtomicUsize,
}

impl ConnectionLimit {
    /// At most `max` at once.
    pub fn new(max: usize) -> Self {
        ConnectionLimit(Arc::new(Counts { max, active: AtomicUsize::new(0) }))
    }

    /// How many there are.
    pub fn active(&self) -> usize {
        self.0.active.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// A place, or 503.
    pub(super) fn enter(&self) -> Result<Place, Problem> {
        let more = |active| (active < self.0.max).then_some(active + 1);
        match self.0.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Place(self.clone())),
            Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)
                .with_detail("there are as many WebSocket connections as may be")
                .with_header(RETRY_AFTER, HeaderValue::from_static("5"))),
        }
    }
}

/// One of the places; free again when dropped.
#[derive(Debug)]
pub(super) struct Place(ConnectionLimit);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}
