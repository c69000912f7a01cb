//! What is known under some names, in a table of fixed size: read without a lock, by any number of threads.
//!
//! A name's hash says in which set of places it may be, so there is nothing to grow or to rebuild, and who makes up
//! names can crowd out those of one set only. Knows neither files nor time: what is `checked` is a number.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;

/// Places in which a name may be.
const WAYS: usize = 8;

/// What is known under a name.
#[derive(Debug)]
pub(super) struct Slot<T> {
    name: Box<[u8]>,
    pub(super) value: T,
    /// When that was last known to be so.
    checked: AtomicU64,
}

impl<T> Slot<T> {
    pub(super) fn new(name: &[u8], value: T, checked: u64) -> Slot<T> {
        Slot { name: name.into(), value, checked: AtomicU64::new(checked) }
    }

    pub(super) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Acquire)
    }

    /// It was so at `now`.
    pub(super) fn confirm(&self, now: u64) {
        self.checked.fetch_max(now, Ordering::Release);
    }

    /// Changes the time of the last check from `before` to `now`; false when another thread was first.
    pub(super) fn claim(&self, before: u64, now: u64) -> bool {
        self.checked.compare_exchange(before, now, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Slots by name.
#[derive(Debug)]
pub(super) struct Table<T> {
    sets: Box<[Set<T>]>,
    hasher: RandomState,
    /// Held by who changes the table: the set at which the next sweep for room begins.
    hand: Mutex<usize>,
}

#[derive(Debug)]
struct Set<T> {
    /// Some bits of the hashes, so that only the slot that is meant is looked at. Zero: never filled.
    marks: [AtomicU32; WAYS],
    slots: [ArcSwapOption<Slot<T>>; WAYS],
}

/// Where a name may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    set: usize,
    mark: u32,
}

impl<T> Table<T> {
    /// A table of `sets` times eight places.
    pub(super) fn new(sets: usize) -> Table<T> {
        let set = |_| Set { marks: Default::default(), slots: std::array::from_fn(|_| ArcSwapOption::empty()) };
        Table { sets: (0..sets.max(1)).map(set).collect(), hasher: RandomState::new(), hand: Mutex::new(0) }
    }

    pub(super) fn address(&self, name: &[u8]) -> Address {
        let hash = self.hasher.hash_one(name);
        Address { set: (hash >> 32) as usize % self.sets.len(), mark: hash as u32 | 1 }
    }

    /// What is known under `name`, whose address is `at`.
    pub(super) fn get(&self, at: Address, name: &[u8]) -> Option<Arc<Slot<T>>> {
        let set = &self.sets[at.set];
        for (mark, slot) in set.marks.iter().zip(&set.slots) {
            if mark.load(Ordering::Relaxed) == at.mark
                && let Some(slot) = &*slot.load()
                && *slot.name == *name
            {
                return Some(Arc::clone(slot));
            }
        }
        None
    }

    /// Keeps `slot` in place of what is known under its name; else in an empty place; else in place of the one that was
    /// checked the longest time ago, provided that was before `idle`. Otherwise it is not kept; nor is it when a thread that
    /// looked later was faster.
    pub(super) fn put(&self, at: Address, slot: Slot<T>, idle: u64) {
        let _hand = self.lock();
        let set = &self.sets[at.set];
        let ranks = set.slots.iter().map(|place| match &*place.load() {
            Some(old) if old.name == slot.name && old.checked() > slot.checked() => (0, u64::MAX),
            Some(old) if old.name == slot.name => (0, 0),
            None => (1, 0),
            Some(old) if old.checked() < idle => (2, old.checked()),
            Some(_) => (3, 0),
        });
        if let Some((way, rank)) = ranks.enumerate().min_by_key(|(_, rank)| *rank)
            && rank != (0, u64::MAX)
            && rank.0 < 3
        {
            set.slots[way].store(Some(Arc::new(slot)));
            set.marks[way].store(at.mark, Ordering::Release);
        }
    }

    /// Forgets what is known under `name`, unless it was found later than at `now`.
    pub(super) fn remove(&self, at: Address, name: &[u8], now: u64) {
        let _hand = self.lock();
        for place in &self.sets[at.set].slots {
            if place.load().as_ref().is_some_and(|slot| *slot.name == *name && slot.checked() <= now) {
                place.store(None);
            }
        }
    }

    /// Forgets what is to `go`, a set at a time, until it is `enough` or so many sets were looked at.
    pub(super) fn sweep(&self, go: impl Fn(&Slot<T>) -> bool, sets: usize, mut enough: impl FnMut() -> bool) {
        let mut hand = self.lock();
        for _ in 0..sets.min(self.sets.len()) {
            *hand = (*hand + 1) % self.sets.len();
            for place in &self.sets[*hand].slots {
                if place.load().as_deref().is_some_and(&go) {
                    place.store(None);
                }
            }
            if enough() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sets.iter().flat_map(|set| &set.slots).filter(|place| place.load().is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: &Table<u32>, name: &[u8], value: u32, checked: u64, idle: u64) {
        table.put(table.address(name), Slot::new(name, value, checked), idle);
    }

    fn get(table: &Table<u32>, name: &[u8]) -> Option<u32> {
        table.get(table.address(name), name).map(|slot| slot.value)
    }

    #[test]
    fn a_name_has_one_value_and_can_be_forgotten() {
        let table = Table::new(4);
        assert_eq!(get(&table, b"a"), None);
        put(&table, b"a", 1, 5, 0);
        put(&table, b"b", 2, 5, 0);
        put(&table, b"a", 3, 5, 0);
        assert_eq!((get(&table, b"a"), get(&table, b"b"), table.len()), (Some(3), Some(2), 2));
        table.remove(table.address(b"a"), b"a", 5);
        assert_eq!((get(&table, b"a"), get(&table, b"b")), (None, Some(2)));
        put(&table, b"a", 4, 5, 0);
        assert_eq!(get(&table, b"a"), Some(4));
    }

    #[test]
    fn who_looked_earlier_and_comes_later_changes_nothing() {
        let table = Table::new(1);
        put(&table, b"a", 2, 8, 0);
        put(&table, b"a", 1, 7, 0);
        table.remove(table.address(b"a"), b"a", 7);
        assert_eq!((get(&table, b"a"), table.len()), (Some(2), 1));
        put(&table, b"a", 3, 8, 0);
        assert_eq!(get(&table, b"a"), Some(3));
    }

    #[test]
    fn a_full_set_gives_up_what_is_idle_longest_and_nothing_that_is_in_use() {
        let table = Table::new(1);
        for n in 0..WAYS as u8 {
            put(&table, &[n], n.into(), 100 - u64::from(n), 0);
        }
        put(&table, b"new", 1, 200, 50);
        assert_eq!((get(&table, b"new"), table.len()), (None, WAYS), "all are in use");
        put(&table, b"new", 1, 200, 95);
        assert_eq!((get(&table, b"new"), get(&table, &[7]), get(&table, &[6])), (Some(1), None, Some(6)));
        put(&table, &[0], 9, 200, 0);
        assert_eq!((get(&table, &[0]), table.len()), (Some(9), WAYS));
    }

    #[test]
    fn a_sweep_ends_when_it_is_enough_and_goes_on_where_it_ended() {
        let table = Table::new(16);
        for n in 0..64u8 {
            put(&table, &[n], n.into(), u64::from(n % 2), 0);
        }
        let held = table.len();
        table.sweep(|slot| slot.checked() < 1, 16, || table.len() < held);
        let after_one = table.len();
        assert!(after_one < held && after_one > held / 2);
        table.sweep(|slot| slot.checked() < 1, 16, || false);
        assert!((0..64).step_by(2).all(|n| get(&table, &[n]).is_none()));
        assert!((1..64).step_by(2).filter(|n| get(&table, &[*n]).is_some()).count() == table.len());
    }

    #[test]
    fn one_thread_wins_a_claim() {
        let slot = Slot::new(b"a", (), 5);
        assert!(slot.claim(5, 9) && !slot.claim(5, 9) && slot.checked() == 9);
        slot.confirm(7);
        assert_eq!(slot.checked(), 9);
    }

    #[test]
    fn readers_see_whole_values_while_others_write() {
        let table = Table::new(1);
        std::thread::scope(|scope| {
            for writer in 0..2u32 {
                let table = &table;
                scope.spawn(move || {
                    for n in 0..20_000u32 {
                        let name = [(n % 12) as u8];
                        put(table, &name, n % 12, u64::from(n + writer), u64::MAX);
                    }
                });
            }
            for _ in 0..20_000 {
                for n in 0..12u8 {
                    assert!(get(&table, &[n]).is_none_or(|value| value == u32::from(n)));
                }
            }
        });
    }
}
