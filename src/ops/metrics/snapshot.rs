//! What all requests add up to at one moment, for whoever wants figures over a time of its own.

use super::cells::Folded;
use super::{Metrics, locked};
use crate::app::service::EndpointKind;

/// Requests of ordinary routes since the start, all routes together.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct Snapshot {
    /// By class of status: 1xx to 5xx.
    pub(in crate::ops) classes: [u64; 5],
    /// How long they took.
    pub(in crate::ops) durations: Folded,
}

impl Metrics {
    /// Adds up the cells of all reactors.
    pub(in crate::ops) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for cell in locked(&self.cells.requests).iter().filter(|cell| cell.series.kind == EndpointKind::Route) {
            let mut folded = Folded::default();
            folded.add(&cell.durations);
            let class = usize::from(cell.series.status.as_u16() / 100);
            if let Some(class) = snapshot.classes.get_mut(class.wrapping_sub(1)) {
                *class += folded.count();
            }
            snapshot.durations.add(&cell.durations);
        }
        snapshot
    }
}
