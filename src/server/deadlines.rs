//! The deadlines of one reactor's connections.
//!
//! Nearly every request moves its connection's deadline and nearly no deadline is ever reached. So a connection
//! only stores the new time, and has one entry here that is looked at when its own, older time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Times at which to look at connections, earliest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

/// A connection's own side: when it is due, and when its entry comes up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// `None`: never.
    due: Option<Instant>,
    entry: Option<Instant>,
}

impl Deadline {
    /// Due at `due`, with no entry yet.
    pub(super) fn new(due: Instant) -> Self {
        Deadline { due: Some(due), entry: None }
    }

    /// Moves the deadline.
    pub(super) fn set(&mut self, due: Instant) {
        self.due = Some(due);
    }

    /// Moves the deadline, unless it is earlier anyway.
    pub(super) fn hasten(&mut self, due: Instant) {
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    /// There is none.
    pub(super) fn clear(&mut self) {
        self.due = None;
    }

    /// Forgets the entry: it came up while nobody could look.
    pub(super) fn forget_entry(&mut self) {
        self.entry = None;
    }
}

impl Deadlines {
    /// Makes sure that the connection is looked at when it is due.
    pub(super) fn watch(&mut self, token: usize, deadline: &mut Deadline) {
        if let Some(due) = deadline.due
            && deadline.entry.is_none_or(|entry| due < entry)
        {
            deadline.entry = Some(due);
            self.heap.push(Reverse((due, token)));
        }
    }

    /// Whether an entry for `at` is the deadline's own and it is due. If it is not due yet, it is watched again;
    /// if the entry is not its own, an earlier one took its place.
    pub(super) fn is_due(&mut self, token: usize, at: Instant, now: Instant, deadline: &mut Deadline) -> bool {
        if deadline.entry != Some(at) {
            return false;
        }
        deadline.entry = None;
        if deadline.due.is_some_and(|due| due <= now) {
            return true;
        }
        self.watch(token, deadline);
        false
    }

    /// The next entry that has come up: its time and its connection.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, usize)> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// When the next entry comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seconds(start: Instant, n: u64) -> Instant {
        start + Duration::from_secs(n)
    }

    #[test]
    fn a_deadline_that_moves_on_costs_one_entry() {
        let start = Instant::now();
        let (mut deadlines, mut deadline) = (Deadlines::default(), Deadline::new(seconds(start, 10)));
        for n in 0..1000 {
            deadline.set(seconds(start, 10 + n));
            deadlines.watch(1, &mut deadline);
        }
        assert_eq!(deadlines.heap.len(), 1);

        let now = seconds(start, 10);
        let (at, token) = deadlines.pop(now).unwrap();
        assert!(!deadlines.is_due(token, at, now, &mut deadline), "it has moved to 1009 s");
        assert_eq!(deadlines.next(), Some(seconds(start, 1009)));
        let now = seconds(start, 1009);
        let (at, token) = deadlines.pop(now).unwrap();
        assert!(deadlines.is_due(token, at, now, &mut deadline));
        assert_eq!(deadlines.pop(now), None);
    }

    #[test]
    fn an_earlier_deadline_gets_an_entry_of_its_own_and_the_old_one_is_void() {
        let start = Instant::now();
        let (mut deadlines, mut deadline) = (Deadlines::default(), Deadline::new(seconds(start, 60)));
        deadlines.watch(1, &mut deadline);
        deadline.set(seconds(start, 5));
        deadlines.watch(1, &mut deadline);

        let now = seconds(start, 5);
        let (at, token) = deadlines.pop(now).unwrap();
        assert!(deadlines.is_due(token, at, now, &mut deadline));
        deadline.set(seconds(start, 65));
        deadlines.watch(1, &mut deadline);
        let now = seconds(start, 60);
        let (at, token) = deadlines.pop(now).unwrap();
        assert!(!deadlines.is_due(token, at, now, &mut deadline));
        assert_eq!(deadlines.next(), Some(seconds(start, 65)));
    }
}
