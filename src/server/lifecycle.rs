//! The states of the process, as probes, logs and metrics see them.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

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

/// A shared view of the current [`State`], and of when each was entered.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Life>);

#[derive(Debug)]
struct Life {
    state: AtomicU8,
    /// When each state was entered, as the machine's clock has it; those that were skipped have no time.
    entered: [OnceLock<Instant>; State::ALL.len()],
}

impl Default for Lifecycle {
    fn default() -> Self {
        let life = Life { state: AtomicU8::new(State::Starting as u8), entered: Default::default() };
        life.note(State::Starting);
        Lifecycle(Arc::new(life))
    }
}

impl Lifecycle {
    /// The current state.
    pub fn state(&self) -> State {
        State::ALL[usize::from(self.0.state.load(Ordering::Acquire))]
    }

    /// The states so far and when each was entered, in order.
    pub fn timeline(&self) -> Vec<(State, Instant)> {
        State::ALL.iter().filter_map(|&state| Some((state, *self.0.entered[state as usize].get()?))).collect()
    }

    /// Moves on to `state`; a life never goes back. Returns whether it moved.
    pub fn advance(&self, state: State) -> bool {
        let moved = self.0.state.fetch_max(state as u8, Ordering::AcqRel) < state as u8;
        if moved {
            self.0.note(state);
        }
        moved
    }
}

impl Life {
    fn note(&self, state: State) {
        // Only whoever moved on to it notes it.
        let _ = self.entered[state as usize].set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_only_goes_forward_and_remembers_when() {
        let life = Lifecycle::default();
        assert!(life.advance(State::Draining) && !life.advance(State::Ready) && !life.advance(State::Draining));
        assert_eq!(life.state(), State::Draining);
        let timeline = life.timeline();
        assert_eq!(timeline.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Starting, State::Draining]);
        assert!(timeline[0].1 <= timeline[1].1);
    }
}
