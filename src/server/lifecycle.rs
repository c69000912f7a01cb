//! The states of the process, as probes, logs and metrics see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where the process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Not yet accepting; readiness fails.
    Starting,
    /// Serving.
    Ready,
    /// Told to stop: readiness fails, everything is still served, each response closes its connection.
    Draining,
    /// No new connection is admitted; what is in flight finishes.
    Stopping,
    /// Everything finished.
    Stopped,
    /// The drain's time was up and requests were aborted.
    Forced,
}

impl State {
    /// All states in order.
    pub const ALL: [State; 6] =
        [State::Starting, State::Ready, State::Draining, State::Stopping, State::Stopped, State::Forced];

    /// The name in lower case, as metrics and logs write it.
    pub fn name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Ready => "ready",
            State::Draining => "draining",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Forced => "forced",
        }
    }
}

/// A shared view of the current [`State`].
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<AtomicU8>);

impl Default for Lifecycle {
    fn default() -> Self {
        Lifecycle(Arc::new(AtomicU8::new(State::Starting as u8)))
    }
}

impl Lifecycle {
    /// The current state.
    pub fn state(&self) -> State {
        State::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    /// Moves on to `state`; a life never goes back. Returns whether it moved.
    pub fn advance(&self, state: State) -> bool {
        self.0.fetch_max(state as u8, Ordering::AcqRel) < state as u8
    }
}
