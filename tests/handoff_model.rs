//! The handoff slot under every interleaving that the memory model allows.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

/// What the slot uses instead of the standard library's atomics here.
mod sync {
    use loom::sync::atomic::AtomicPtr as Model;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// The model lets a swap read any store that no other is known to follow, even one that an earlier swap of another
    /// thread should have read had it come before. On real machines (and in the memory model, since a swap reads the
    /// value right before its own in the order of modifications) there is no such order. Writing by swap only keeps
    /// the order of modifications and that of the model the same.
    pub(crate) struct AtomicPtr<T>(Model<T>);

    impl<T> AtomicPtr<T> {
        pub(crate) fn new(pointer: *mut T) -> Self {
            AtomicPtr(Model::new(pointer))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> *mut T {
            self.0.load(ordering)
        }

        pub(crate) fn store(&self, pointer: *mut T, ordering: Ordering) {
            self.0.swap(pointer, ordering);
        }

        pub(crate) fn swap(&self, pointer: *mut T, ordering: Ordering) -> *mut T {
            self.0.swap(pointer, ordering)
        }
    }
}

#[path = "../src/server/handoff.rs"]
#[allow(dead_code, reason = "the model needs only a part")]
mod handoff;

use handoff::Slot;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

#[test]
fn exactly_one_side_gets_the_value_and_sees_what_was_done_to_it() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || slot.take())
        };
        slot.publish(Box::new(7));
        let worker = slot.take();
        let monitor = monitor.join().unwrap();
        match (worker, monitor) {
            (Some(value), None) | (None, Some(value)) => assert_eq!(*value, 7),
            (worker, monitor) => panic!("worker has {worker:?}, monitor has {monitor:?}"),
        }
    });
}

#[test]
fn a_value_is_taken_once_however_many_rounds_and_takers_there_are() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || {
                // As the monitor does: it looks first, and the worker may have gone on meanwhile.
                if slot.occupied().is_some() { slot.take().map(|value| *value) } else { None }
            })
        };
        let mut rounds = 0;
        for round in 0..2 {
            slot.publish(Box::new(round));
            match slot.take() {
                Some(value) => assert_eq!(*value, round),
                None => break,
            }
            rounds += 1;
        }
        let taken = monitor.join().unwrap();
        // The worker stops when its value is gone, and the monitor must then have exactly that one.
        assert_eq!(taken, if rounds < 2 { Some(rounds) } else { None });
    });
}

#[test]
fn the_monitor_never_takes_a_round_it_was_told_is_older() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        slot.publish(Box::new(1_u64));
        let seen = slot.occupied().unwrap();
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || {
                // Still the same stay: then it is a stay of this round or a later one, never of an earlier.
                if slot.occupied() == Some(seen) { slot.take().map(|value| *value) } else { None }
            })
        };
        if slot.take().is_some() {
            slot.publish(Box::new(2));
        }
        if let Some(value) = monitor.join().unwrap() {
            assert!(value >= seen);
        }
    });
}

#[test]
fn what_is_left_in_a_slot_is_dropped_with_it() {
    loom::model(|| {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let drops = Arc::new(AtomicUsize::new(0));
        let slot = Slot::default();
        slot.publish(Box::new(Counted(drops.clone())));
        drop(slot);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}
