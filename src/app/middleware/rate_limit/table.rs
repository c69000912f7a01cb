//! How much of its allowance each client has used up, in memory that is bounded: the generic cell rate algorithm (GCRA,
//! ITU-T I.371) on a fixed table of atomics.
//!
//! Of each client it keeps one moment: when it will have regained everything. A request moves that moment on by the time
//! in which one request is regained, and is refused if it would come to lie more than a whole window ahead. So a client
//! may have the whole allowance at once, and gets it back evenly, one request at a time.
//!
//! The table has sets of [`WAYS`] slots; the hash of a client says which set. A moment that has passed is as good as none,
//! so such a slot is taken by whoever comes. When all of a set are in use, the one that has used up least is forgotten:
//! whoever fills the table with addresses of one request each pushes out those, and not a client that is at its limit.
//!
//! Knows hashes and nanoseconds; knows neither requests nor clocks. Nothing here waits: two that come at the same moment
//! may at worst be counted as one.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots in which one client may be: as many as two lines of a cache hold.
const WAYS: usize = 8;

/// What is known of all clients.
pub(super) struct Table {
    slots: Box<[Slot]>,
    /// Time in which one request is regained, in nanoseconds.
    interval: u64,
    /// How far ahead the moment of a client may lie: the intervals of the whole allowance.
    window: u64,
}

/// What is known of one client.
#[derive(Default)]
struct Slot {
    /// Whose it is. 0: nobody's.
    hash: AtomicU64,
    /// When everything is regained.
    full_at: AtomicU64,
}

/// The answer for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Pass,
    /// It may not; another may in so many nanoseconds.
    Wait(u64),
}

impl Table {
    /// A table for `max` requests (not 0) in `window` nanoseconds (not 0), with room for at least `clients`.
    pub(super) fn new(max: u32, window: u64, clients: usize) -> Self {
        // Rounded up, so that never more pass than asked for.
        let interval = window.div_ceil(u64::from(max));
        let sets = clients.div_ceil(WAYS).max(1).next_power_of_two();
        let slots = (0..sets * WAYS).map(|_| Slot::default()).collect();
        Table { slots, interval, window: interval.saturating_mul(u64::from(max)) }
    }

    /// Clients that are remembered at most.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Takes one request of the client with this hash, at `now` nanoseconds.
    pub(super) fn take(&self, hash: u64, now: u64) -> Verdict {
        let hash = hash.max(1);
        let set = self.set(hash);
        match set.iter().find(|slot| slot.hash.load(Ordering::Relaxed) == hash) {
            Some(slot) => self.move_on(&slot.full_at, now),
            None => self.move_in(set, hash, now),
        }
    }

    fn set(&self, hash: u64) -> &[Slot] {
        let sets = self.slots.len() / WAYS;
        // The number of sets is a power of two.
        let start = (hash as usize & (sets - 1)) * WAYS;
        &self.slots[start..start + WAYS]
    }

    /// One request of a client that is known.
    fn move_on(&self, full_at: &AtomicU64, now: u64) -> Verdict {
        let mut seen = full_at.load(Ordering::Relaxed);
        loop {
            let next = seen.max(now).saturating_add(self.interval);
            let latest = now.saturating_add(self.window);
            if next > latest {
                return Verdict::Wait(next - latest);
            }
            match full_at.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Verdict::Pass,
                Err(other) => seen = other,
            }
        }
    }

    /// The first request of a client that is not known.
    fn move_in(&self, set: &[Slot], hash: u64, now: u64) -> Verdict {
        let least = |slot: &&Slot| slot.full_at.load(Ordering::Relaxed);
        let Some(slot) = set.iter().min_by_key(least) else { return Verdict::Pass };
        let before = slot.hash.load(Ordering::Relaxed);
        // If somebody else was faster, this one request goes uncounted.
        if slot.hash.compare_exchange(before, hash, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            slot.full_at.store(now.saturating_add(self.interval), Ordering::Relaxed);
        }
        Verdict::Pass
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::thread;
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Spreads small numbers as a hash does.
    fn hash(client: u64) -> u64 {
        client.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    #[test]
    fn the_whole_allowance_at_once_and_then_evenly() {
        let table = Table::new(4, 2 * SECOND, 1000);
        let take = |now| table.take(hash(7), now);
        assert_eq!([0; 6].map(take), [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Pass, WAIT, WAIT]);
        const WAIT: Verdict = Verdict::Wait(SECOND / 2);
        assert_eq!(take(SECOND / 2 - 1), Verdict::Wait(1));
        assert_eq!([take(SECOND / 2), take(SECOND / 2)], [Verdict::Pass, WAIT]);
        assert_eq!([10 * SECOND; 5].map(take)[3..], [Verdict::Pass, WAIT]);
        assert_eq!(table.take(hash(8), 0), Verdict::Pass, "others have their own");
    }

    /// The policy, counted in requests rather than moments: a bucket of tokens in exact arithmetic.
    struct Bucket {
        /// Tokens times the window.
        scaled: u128,
        at: u64,
    }

    impl Bucket {
        fn take(&mut self, max: u32, window: u64, now: u64) -> bool {
            let (full, gained) = (u128::from(max) * u128::from(window), u128::from(now - self.at) * u128::from(max));
            self.scaled = (self.scaled + gained).min(full);
            self.at = now;
            let enough = self.scaled >= u128::from(window);
            self.scaled -= if enough { u128::from(window) } else { 0 };
            enough
        }
    }

    proptest! {
        /// The same answers as the bucket, where the window divides evenly; where it does not, never a request more, and
        /// never one less than with an allowance that comes back a nanosecond later for each request.
        #[test]
        fn clients_get_what_the_policy_says(
            max in 1u32..50,
            window in 1u64..10_000,
            steps in proptest::collection::vec((0u64..6, 0u64..2_000), 1..400),
        ) {
            let even = window * u64::from(max);
            for window in [even, window] {
                let table = Table::new(max, window, 1 << 12);
                let mut buckets = HashMap::new();
                let mut now = 0;
                for &(client, pause) in &steps {
                    now += pause;
                    let verdict = table.take(hash(client), now);
                    let bucket = buckets.entry(client).or_insert_with(|| Bucket {
                        scaled: u128::from(max) * u128::from(table.window), at: now,
                    });
                    let expected = bucket.take(max, table.window, now);
                    prop_assert_eq!(verdict == Verdict::Pass, expected, "client {} at {}", client, now);
                    prop_assert!(table.window >= window && table.window < window + u64::from(max));
                    if let Verdict::Wait(time) = verdict {
                        prop_assert!(time >= 1 && time <= table.interval);
                        prop_assert!(matches!(table.take(hash(client), now + time - 1), Verdict::Wait(1)));
                    }
                }
            }
        }

        /// Whatever the pace, in any stretch of time no more pass than the allowance and what is regained meanwhile.
        #[test]
        fn no_stretch_of_time_has_more_than_its_share(
            max in 1u32..20,
            pauses in proptest::collection::vec(0u64..300, 1..300),
        ) {
            let table = Table::new(max, 1_000, 16);
            let mut passed = Vec::new();
            let mut now = 0;
            for pause in pauses {
                now += pause;
                if table.take(hash(1), now) == Verdict::Pass {
                    passed.push(now);
                }
            }
            for (index, from) in passed.iter().enumerate() {
                for (count, to) in passed[index..].iter().enumerate() {
                    let allowed = u64::from(max) + (to - from) / table.interval;
                    prop_assert!(allowed > count as u64, "{} from {from} to {to}", count + 1);
                }
            }
        }

        #[test]
        fn nothing_overflows(max in 1u32.., window in 1u64.., hash: u64, times in proptest::collection::vec(any::<u64>(), 1..20)) {
            let table = Table::new(max, window, 1);
            for now in times {
                table.take(hash, now);
            }
        }
    }

    #[test]
    fn a_flood_of_addresses_pushes_out_neither_who_is_at_the_limit_nor_keeps_others_out() {
        let table = Table::new(10, 10 * SECOND, 1 << 10);
        let busy: Vec<u64> = (0..100).map(hash).collect();
        for client in &busy {
            while table.take(*client, 0) == Verdict::Pass {}
        }
        for client in 1_000..200_000 {
            assert_eq!(table.take(hash(client), 0), Verdict::Pass, "a newcomer is let in");
        }
        let refused = busy.iter().filter(|client| table.take(**client, 0) != Verdict::Pass).count();
        assert!(refused >= 99, "only {refused} of 100 are still held to the limit");
    }

    #[test]
    fn a_client_that_is_forgotten_regained_everything_or_had_used_least() {
        let table = Table::new(10, 10 * SECOND, WAYS);
        for client in 0..WAYS as u64 {
            for _ in 0..=client {
                table.take(hash(client), 0);
            }
        }
        // Client 0 made one request, so its place goes.
        table.take(hash(100), 0);
        let passes =
            |client| std::iter::from_fn(|| (table.take(hash(client), 0) == Verdict::Pass).then_some(())).count();
        assert_eq!(passes(7), 2, "the one that has used up most is remembered");
        assert_eq!(passes(3), 6);
    }

    #[test]
    fn threads_share_an_allowance() {
        let table = Arc::new(Table::new(1_000, 1_000 * SECOND, 1 << 10));
        let passed = Arc::new(AtomicU32::new(0));
        // Otherwise two threads could move in at the same moment.
        table.take(hash(1), 0);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (table, passed) = (table.clone(), passed.clone());
                thread::spawn(move || {
                    for _ in 0..1_000 {
                        let passes = table.take(hash(1), 0) == Verdict::Pass;
                        passed.fetch_add(u32::from(passes), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("does not panic"));
        assert_eq!(passed.load(Ordering::Relaxed), 999);
    }

    /// By ratio, so that it holds on a slow and loaded machine: a request that is refused or let through costs no more than
    /// a few look-ups in a standard map, also when the table is full.
    #[test]
    fn it_costs_about_as_much_as_a_few_look_ups() {
        const ROUNDS: u64 = 200_000;
        let table = Table::new(10, 10 * SECOND, 1 << 16);
        let map: HashMap<u64, u64> = (0..1 << 16).map(|client| (hash(client), client)).collect();
        let best = |run: &dyn Fn() -> u64| {
            let time = |_| {
                let start = Instant::now();
                std::hint::black_box(run());
                start.elapsed()
            };
            (0..5).map(time).min().expect("there were rounds")
        };
        let ours = best(&|| (0..ROUNDS).filter(|n| table.take(hash(n % (1 << 17)), 0) == Verdict::Pass).count() as u64);
        let looked_up = best(&|| (0..ROUNDS).filter_map(|n| map.get(&hash(n % (1 << 17)))).sum());
        assert!(ours < 20 * looked_up, "{ours:?} for {ROUNDS} requests, {looked_up:?} for as many look-ups");
    }
}
