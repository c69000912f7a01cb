//! Says each thing at most once a minute, whatever clients do: they choose the paths that are told apart, so there are
//! only so many of them, and the rest is counted together.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a thing that was said is not said again.
const PAUSE: Duration = Duration::from_secs(60);
/// How many things are told apart.
const MOST: usize = 32;

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Nothing,
    /// The thing itself, which has occurred so often since it was last said.
    Now(u64),
    /// That things have occurred which there was no room to tell apart, so many of them.
    More(u64),
}

#[derive(Debug, Default)]
pub(super) struct Throttle {
    state: RandomState,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    said: Vec<Said>,
    rest: Option<Said>,
}

#[derive(Clone, Copy, Debug)]
struct Said {
    key: u64,
    at: Instant,
    /// How often it has occurred since then.
    since: u64,
}

impl Said {
    /// It has occurred: how often since it was last said, if it is time to say so.
    fn occurred(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        let due = self.is_old(now);
        due.then(|| {
            self.at = now;
            std::mem::take(&mut self.since)
        })
    }

    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= PAUSE
    }
}

impl Throttle {
    /// `thing` has occurred.
    pub(super) fn ask(&self, thing: &impl Hash, now: Instant) -> Say {
        let key = self.state.hash_one(thing);
        // Nobody can leave the table half changed.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.ask(key, now)
    }
}

impl Table {
    fn ask(&mut self, key: u64, now: Instant) -> Say {
        if let Some(said) = self.said.iter_mut().find(|said| said.key == key) {
            return said.occurred(now).map_or(Say::Nothing, Say::Now);
        }
        if self.said.len() == MOST {
            self.said.retain(|said| !said.is_old(now));
        }
        let new = Said { key, at: now, since: 0 };
        if self.said.len() < MOST {
            self.said.push(new);
            return Say::Now(1);
        }
        match &mut self.rest {
            Some(rest) => rest.occurred(now).map_or(Say::Nothing, Say::More),
            None => {
                self.rest = Some(new);
                Say::More(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_a_minute_with_how_often_it_has_occurred() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.ask(&"/a", at(0)), Say::Now(1));
        assert_eq!(throttle.ask(&"/a", at(10)), Say::Nothing);
        assert_eq!(throttle.ask(&"/b", at(10)), Say::Now(1));
        assert_eq!(throttle.ask(&"/a", at(59)), Say::Nothing);
        assert_eq!(throttle.ask(&"/a", at(60)), Say::Now(3));
        assert_eq!(throttle.ask(&"/a", at(61)), Say::Nothing);
        // Another reactor's time may be a little earlier.
        assert_eq!(throttle.ask(&"/a", at(60)), Say::Nothing);
    }

    #[test]
    fn an_attacker_gets_a_bounded_table_and_a_bounded_log() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let says: Vec<Say> = (0..10_000).map(|path| throttle.ask(&path, start)).collect();
        assert_eq!(says.iter().filter(|say| matches!(say, Say::Now(_))).count(), MOST);
        assert_eq!(says.iter().filter(|say| matches!(say, Say::More(_))).count(), 1);
        assert_eq!(throttle.table.lock().expect("no panic").said.len(), MOST);
        let later = start + PAUSE;
        // A minute later what is new is said again, and the rest has been counted.
        assert_eq!(throttle.ask(&"/new", later), Say::Now(1));
        for path in 0..2 * MOST {
            throttle.ask(&(path, "more"), later);
        }
        let rest = throttle.table.lock().expect("no panic").rest.expect("there was too much");
        assert_eq!((rest.at, rest.since > 0), (later, true));
    }
}
