//! The slot through which a worker's reactor can be taken away while its handler runs.
//!
//! The worker [publishes](Slot::publish) what it owns before it calls a handler and [takes](Slot::take) it back
//! afterwards; meanwhile the monitor may take it instead. Whoever's swap comes first owns the value from then on,
//! and the other finds the slot empty. Knows nothing of reactors.
//!
//! This is the only file of the crate with `unsafe` code. `tests/handoff_model.rs` checks it in every interleaving.

use std::marker::PhantomData;
use std::ptr;
use std::sync::Mutex;

use super::sync::{AtomicPtr, AtomicU64, Ordering};

/// Holds at most one `Box<T>`.
///
/// # Invariant
///
/// `held` is null or came from `Box::into_raw` in [`publish`](Self::publish), and nobody else has that pointer.
/// Every access that could yield the pointer swaps null in, so exactly one caller gets it.
pub(super) struct Slot<T> {
    held: AtomicPtr<T>,
    /// How many times something was published: tells one stay from the next.
    round: AtomicU64,
    /// Shareable between threads exactly when a lock around the value would be.
    owns: PhantomData<Mutex<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot { held: AtomicPtr::new(ptr::null_mut()), round: AtomicU64::new(0), owns: PhantomData }
    }
}

impl<T: Send> Slot<T> {
    /// Puts `value` where [`take`](Self::take) finds it. Only one thread publishes, and only into an empty slot
    /// (what an occupied one held would be leaked).
    pub(super) fn publish(&self, value: Box<T>) {
        debug_assert!(self.occupied().is_none(), "published into an occupied slot");
        let round = self.round.load(Ordering::Relaxed);
        self.round.store(round + 1, Ordering::Relaxed);
        // Release: whoever takes the value sees everything that was done to it, and this round.
        self.held.store(Box::into_raw(value), Ordering::Release);
    }

    /// Takes the value out, if nobody else did before.
    pub(super) fn take(&self) -> Option<Box<T>> {
        own(self.held.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    /// The number of the current stay, if there is something in the slot now.
    pub(super) fn occupied(&self) -> Option<u64> {
        let held = !self.held.load(Ordering::Acquire).is_null();
        held.then(|| self.round.load(Ordering::Relaxed))
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(own(self.held.swap(ptr::null_mut(), Ordering::AcqRel)));
    }
}

/// Makes the pointer that a swap has yielded a box again.
#[allow(unsafe_code, reason = "the one place: a pointer that went through an atomic")]
fn own<T>(pointer: *mut T) -> Option<Box<T>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: by the invariant of `Slot`, a pointer that was not null came from `Box::into_raw`, and the swap
    // that yielded it has removed it from the slot, so no one else can make a second box of it.
    Some(unsafe { Box::from_raw(pointer) })
}
