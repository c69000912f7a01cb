//! A number of permits, for what may happen only so often at the same time. Knows nothing of what that is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many permits and no more, for work that needs memory, connections or processors and must not have all of them.
///
/// Nobody waits for one: a handler that cannot have what it needs says so at once, since one that waits keeps a thread from
/// all others. A clone is the same number of permits. [`ConcurrencyLimit`](super::middleware::ConcurrencyLimit) is a
/// middleware made of it.
///
/// ```
/// use rws::app::permits::Permits;
/// use rws::app::{App, Problem, State, TestClient, get};
/// use rws::StatusCode;
///
/// /// Takes much memory, so there are at most two at a time.
/// fn report(State(permits): State<Permits>) -> Result<&'static str, Problem> {
///     let _permit = permits.try_acquire().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
///     Ok("a report")
/// }
///
/// let permits = Permits::new(2);
/// let client = TestClient::new(App::new().route("/report", get(report)).state(permits.clone()))?;
/// assert_eq!(client.get("/report").send().status(), 200);
///
/// let others = [permits.try_acquire(), permits.try_acquire()];
/// assert_eq!(client.get("/report").send().status(), 503);
/// drop(others);
/// assert_eq!(client.get("/report").send().status(), 200);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Permits {
    left: Arc<AtomicUsize>,
}

impl Permits {
    /// As many as `most`; with 0 there is never one.
    pub fn new(most: usize) -> Self {
        Permits { left: Arc::new(AtomicUsize::new(most)) }
    }

    /// One of them, if there is one left, until it is dropped.
    #[must_use = "it is given back when it is dropped"]
    pub fn try_acquire(&self) -> Option<Permit> {
        // What was done with a permit before it was given back has happened for who gets it next.
        let taken = self.left.fetch_update(Ordering::Acquire, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.is_ok().then(|| Permit { _held: Arc::new(Held { left: self.left.clone() }) })
    }

    /// How many are left at the moment.
    pub fn available(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

/// One of the [`Permits`], which is given back when this and all clones of it are dropped.
#[derive(Clone, Debug)]
pub struct Permit {
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    left: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.left.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_permit_comes_back_when_its_last_clone_is_dropped() {
        let permits = Permits::new(2);
        let (first, second) = (permits.try_acquire().unwrap(), permits.clone().try_acquire().unwrap());
        assert!(permits.try_acquire().is_none());
        let clone = first.clone();
        drop(first);
        assert_eq!(permits.available(), 0);
        drop(clone);
        assert_eq!(permits.available(), 1);
        drop(second);
        assert_eq!(permits.available(), 2);
        assert!(Permits::new(0).try_acquire().is_none());
    }

    #[test]
    fn threads_never_have_more_than_there_are() {
        let (permits, inside) = (Permits::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Some(_permit) = permits.try_acquire() {
                            assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(permits.available(), 3);
    }
}
