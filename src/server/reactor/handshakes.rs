//! How handshakes share a reactor's time with everything else: they wait in a queue until the events of a turn are dealt
//! with, and then get a moment. A signature takes from a third of a millisecond to four, and a client whose keys are
//! agreed on should not wait for those of a hundred others.
//!
//! Knows no connections but by their place.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many steps of handshakes one turn may bring.
const STEPS: u32 = 4;
/// After how long no further step is begun in a turn.
const MOMENT: Duration = Duration::from_millis(1);

/// Connections that wait for their turn, in order, and what this turn has left for them.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    waiting: VecDeque<usize>,
    steps: u32,
    /// Until when steps are begun. `None`: events come first.
    until: Option<Instant>,
}

impl Handshakes {
    /// A turn begins, with its events.
    pub(super) fn turn(&mut self) {
        (self.steps, self.until) = (STEPS, None);
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Has a connection wait for its turn.
    pub(super) fn wait(&mut self, token: usize) {
        self.waiting.push_back(token);
    }

    /// Who may go on now that the events are dealt with.
    pub(super) fn next(&mut self, now: Instant) -> Option<usize> {
        self.until.get_or_insert(now + MOMENT);
        self.is_time(now).then(|| self.waiting.pop_front()).flatten()
    }

    /// Whether a step may be taken, which then counts.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        let may = self.is_time(now);
        self.steps -= u32::from(may);
        may
    }

    fn is_time(&self, now: Instant) -> bool {
        self.steps > 0 && self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_few_steps_after_its_events_and_those_in_order() {
        let (mut handshakes, now) = (Handshakes::default(), Instant::now());
        handshakes.turn();
        assert!(!handshakes.step(now), "events come first");
        (0..6).for_each(|token| handshakes.wait(token));
        for token in 0..4 {
            assert_eq!(handshakes.next(now), Some(token));
            assert!(handshakes.step(now));
        }
        assert_eq!((handshakes.next(now), handshakes.step(now)), (None, false));
        handshakes.turn();
        assert_eq!(handshakes.next(now), Some(4));
    }

    #[test]
    fn where_signatures_take_long_one_is_enough() {
        let (mut handshakes, start) = (Handshakes::default(), Instant::now());
        (0..2).for_each(|token| handshakes.wait(token));
        for token in 0..2 {
            handshakes.turn();
            assert_eq!(handshakes.next(start), Some(token));
            assert!(handshakes.step(start));
            let later = start + Duration::from_millis(4);
            assert!(!handshakes.step(later) && handshakes.next(later).is_none());
        }
        assert!(handshakes.is_empty());
    }
}
