//! A share of something scarce, given back when what it was taken for is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much there may be of something, and how much there is.
#[derive(Clone, Debug)]
pub(in crate::files) struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: AtomicUsize,
    taken: AtomicUsize,
}

/// A part of a budget that is in use. Dropping it gives it back.
#[derive(Debug)]
pub(in crate::files) struct Taken {
    account: Arc<Account>,
    amount: usize,
}

impl Budget {
    pub(in crate::files) fn new(limit: usize) -> Budget {
        Budget(Arc::new(Account { limit: AtomicUsize::new(limit), taken: AtomicUsize::new(0) }))
    }

    /// Changes how much there may be. What is taken stays so.
    pub(in crate::files) fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    pub(in crate::files) fn limit(&self) -> usize {
        self.0.limit.load(Ordering::Relaxed)
    }

    pub(in crate::files) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Takes `amount`, if that much is left.
    pub(in crate::files) fn take(&self, amount: usize) -> Option<Taken> {
        let limit = self.limit();
        let more = |taken: usize| taken.checked_add(amount).filter(|&sum| sum <= limit);
        self.0.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Taken { account: Arc::clone(&self.0), amount })
    }
}

impl Taken {
    /// Gives back all but `amount`.
    pub(in crate::files) fn shrink_to(&mut self, amount: usize) {
        let rest = self.amount.saturating_sub(amount);
        self.amount -= rest;
        self.account.taken.fetch_sub(rest, Ordering::Relaxed);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.account.taken.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_what_is_dropped_comes_back() {
        let budget = Budget::new(10);
        let six = budget.take(6).unwrap();
        assert!(budget.take(5).is_none() && budget.take(usize::MAX).is_none());
        let four = budget.take(4).unwrap();
        assert_eq!(budget.taken(), 10);
        drop(six);
        assert_eq!(budget.taken(), 4);
        let mut four = four;
        four.shrink_to(7);
        assert_eq!(budget.taken(), 4);
        four.shrink_to(1);
        assert_eq!(budget.taken(), 1);
        drop(four);
        let four = budget.take(4).unwrap();
        budget.set_limit(3);
        assert!(budget.take(0).is_none() && budget.taken() == 4);
        drop(four);
        assert!(budget.take(4).is_none() && budget.take(3).is_some());
    }
}
