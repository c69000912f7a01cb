//! In the place of a watch, for builds without the feature `watch`: it is never told of anything, so files are looked at.

use crossbeam_channel::{Receiver, never};

use crate::config::Places;

pub(super) struct Watch {
    changes: Receiver<()>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch { changes: never() }
    }

    /// Never has a message.
    pub(super) fn changes(&self) -> &Receiver<()> {
        &self.changes
    }

    /// Returns whether every change will be told: none of nothing.
    pub(super) fn arm(&mut self, places: &Places) -> bool {
        places.directories().next().is_none()
    }
}
