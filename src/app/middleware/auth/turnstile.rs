//! Lets few threads at a time do something that takes the processor long, and few others wait for their turn: whoever comes
//! beyond that is sent away at once. So a flood of it takes neither all processors nor all threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long anybody waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The turnstile.
#[derive(Debug)]
pub(super) struct Turnstile {
    crowd: Mutex<Crowd>,
    /// Somebody has left.
    left: Condvar,
    most_inside: usize,
    most_waiting: usize,
}

#[derive(Debug, Default)]
struct Crowd {
    inside: usize,
    waiting: usize,
}

/// The right to do it, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turnstile: &'a Turnstile,
    /// Whether it had to be waited for.
    pub(super) waited: bool,
}

impl Turnstile {
    pub(super) fn new(most_inside: usize, most_waiting: usize) -> Self {
        Turnstile { crowd: Mutex::default(), left: Condvar::new(), most_inside, most_waiting }
    }

    /// A turn, perhaps after a while; `None` if there is no room to wait, or not soon enough.
    pub(super) fn enter(&self) -> Option<Turn<'_>> {
        let mut crowd = self.crowd();
        let waited = crowd.inside >= self.most_inside;
        if waited {
            if crowd.waiting >= self.most_waiting {
                return None;
            }
            crowd.waiting += 1;
            let full = |crowd: &mut Crowd| crowd.inside >= self.most_inside;
            let result = self.left.wait_timeout_while(crowd, PATIENCE, full);
            let (mut still, timeout) = result.unwrap_or_else(PoisonError::into_inner);
            still.waiting -= 1;
            if timeout.timed_out() {
                return None;
            }
            crowd = still;
        }
        crowd.inside += 1;
        Some(Turn { turnstile: self, waited })
    }

    /// Nothing in it can be left half done.
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turnstile.crowd().inside -= 1;
        self.turnstile.left.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn few_are_inside_few_wait_and_the_others_are_sent_away() {
        let turnstile = Turnstile::new(2, 1);
        let (first, second) = (turnstile.enter().unwrap(), turnstile.enter().unwrap());
        assert!(!first.waited && !second.waited);
        thread::scope(|scope| {
            let (sender, entered) = channel();
            let turnstile = &turnstile;
            scope.spawn(move || sender.send(turnstile.enter().unwrap().waited).unwrap());
            while turnstile.crowd().waiting == 0 {
                thread::yield_now();
            }
            assert!(turnstile.enter().is_none(), "one waits already");
            assert!(entered.try_recv().is_err());
            drop(first);
            assert!(entered.recv_timeout(Duration::from_secs(20)).unwrap());
        });
        drop(second);
        let crowd = turnstile.crowd();
        assert_eq!((crowd.inside, crowd.waiting), (0, 0));
    }
}
