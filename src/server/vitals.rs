//! Whether the engine still comes round, for whoever asks: its accept loop, its reactors, its workers.
//!
//! Nothing is measured while nobody asks. Each loop counts its turns; a question notes the count and wakes the loop, and
//! the next question sees whether the count has moved. So an idle loop sleeps for as long as it likes, and a process
//! that was frozen as a whole is not taken for a wedged one when it thaws. Knows no probes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use http::Method;

use super::shared::{Shared, lock};
use super::workers::Worker;

/// A read-only view of a server's inner life. Of one that does not run there is nothing bad to say.
#[derive(Clone, Default)]
pub struct Vitals(Arc<OnceLock<Weak<Shared>>>);

impl Vitals {
    /// From now on tells of this server.
    pub(super) fn attach(&self, shared: &Arc<Shared>) {
        // A second server that shares the handle by mistake is not looked at.
        let _ = self.0.set(Arc::downgrade(shared));
    }

    /// How long the accept loop has left a question unanswered; zero if it has none open. It is asked anew after
    /// `pause` at the earliest.
    pub fn accept_loop(&self, pause: Duration) -> Duration {
        let Some(shared) = self.running() else { return Duration::ZERO };
        if shared.accept.is_closed() {
            return Duration::ZERO;
        }
        shared.accept.pulse.silence(shared.clock.now(), pause, || shared.accept.wake())
    }

    /// The same for the reactor that has been silent for longest, with its number.
    pub fn reactors(&self, pause: Duration) -> (usize, Duration) {
        let Some(shared) = self.running() else { return (0, Duration::ZERO) };
        let now = shared.clock.now();
        let alive = shared.reactors.iter().enumerate().filter(|(_, reactor)| !reactor.ended.load(Ordering::Acquire));
        let silences = alive.map(|(index, reactor)| (index, reactor.pulse.silence(now, pause, || reactor.wake())));
        silences.max_by_key(|&(_, silence)| silence).unwrap_or_default()
    }

    /// How long no worker has begun or finished anything, or got anything of a body, although work waited for one all the
    /// time; zero if none waits.
    pub fn workers(&self, pause: Duration) -> Duration {
        let Some(shared) = self.running() else { return Duration::ZERO };
        if !shared.pool.has_waiting_work() {
            shared.pool.progress.forget();
            return Duration::ZERO;
        }
        shared.pool.progress.silence(shared.clock.now(), pause, || {})
    }

    /// How many connections it may have: fewer than configured if the limit of open files does not allow more. `None`
    /// if it does not run.
    pub fn most_connections(&self) -> Option<usize> {
        Some(self.running()?.settings.load().max_connections)
    }

    /// How many requests wait for a worker.
    pub fn queue_depth(&self) -> usize {
        self.running().map_or(0, |shared| shared.pool.waiting_jobs())
    }

    /// The routes whose handlers, or the sources of whose responses, run away from a reactor at the moment, the longest
    /// running first.
    pub fn running_routes(&self) -> Vec<RunningRoute> {
        let Some(shared) = self.running() else { return Vec::new() };
        let now = shared.clock.now();
        let mut routes = BTreeMap::<(String, Arc<str>), RunningRoute>::new();
        for worker in shared.pool.workers() {
            let running = lock(&worker.running);
            let Some(in_flight) = &*running else { continue };
            let method = in_flight.received.head.method().to_string();
            let template = Arc::clone(&shared.endpoint(in_flight.endpoint).template);
            let took = now.saturating_duration_since(in_flight.started);
            let route = routes.entry((method, template)).or_default();
            route.count += 1;
            route.longest = route.longest.max(took);
        }
        let named = routes.into_iter().map(|((method, template), route)| RunningRoute { method, template, ..route });
        let mut routes: Vec<_> = named.collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.longest));
        routes
    }

    /// The requests whose handlers, or the sources of whose responses, run away from a reactor at the moment, the oldest first.
    pub fn running_requests(&self) -> Vec<RunningRequest> {
        let Some(shared) = self.running() else { return Vec::new() };
        let now = shared.clock.now();
        let of_worker = |worker: Arc<Worker>| {
            let running = lock(&worker.running);
            let in_flight = running.as_ref()?;
            Some(RunningRequest {
                method: in_flight.received.head.method().clone(),
                template: Arc::clone(&shared.endpoint(in_flight.endpoint).template),
                id: in_flight.received.id.clone(),
                age: now.saturating_duration_since(in_flight.received.at),
            })
        };
        let mut requests: Vec<_> = shared.pool.workers().into_iter().filter_map(of_worker).collect();
        requests.sort_by_key(|request| std::cmp::Reverse(request.age));
        requests
    }

    fn running(&self) -> Option<Arc<Shared>> {
        self.0.get()?.upgrade().filter(|shared| !shared.drain.is_over())
    }
}

impl fmt::Debug for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vitals").field("attached", &self.0.get().is_some()).finish()
    }
}

/// Requests of one route whose handlers run on workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningRoute {
    /// The request method.
    pub method: String,
    /// The route's template.
    pub template: Arc<str>,
    /// How many.
    pub count: usize,
    /// How long the oldest of them has been running.
    pub longest: Duration,
}

impl fmt::Display for RunningRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} for up to {:.0?})", self.method, self.template, self.count, self.longest)
    }
}

/// A request whose handler runs on a worker.
#[derive(Clone, Debug)]
pub struct RunningRequest {
    /// The request method.
    pub method: Method,
    /// The route's template.
    pub template: Arc<str>,
    /// The request's id.
    pub id: String,
    /// How long ago its head was complete.
    pub age: Duration,
}

/// A count of turns, and the last question about it.
#[derive(Default)]
pub(super) struct Pulse {
    beats: AtomicU64,
    question: Mutex<Option<Question>>,
}

#[derive(Clone, Copy)]
struct Question {
    /// The count when it was asked.
    beats: u64,
    at: Instant,
}

impl Pulse {
    /// Another turn, of a loop that only one thread drives: without a locked instruction.
    pub(super) fn beat(&self) {
        self.beats.store(self.beats.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Another turn, of many threads.
    pub(super) fn beat_among_others(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the open question has been open. If there is none, and the last one is older than `pause`, asks one
    /// and calls `wake`.
    fn silence(&self, now: Instant, pause: Duration, wake: impl FnOnce()) -> Duration {
        let beats = self.beats.load(Ordering::Relaxed);
        let mut question = lock(&self.question);
        if let Some(last) = *question {
            let age = now.saturating_duration_since(last.at);
            if last.beats == beats {
                return age;
            }
            if age < pause {
                return Duration::ZERO;
            }
        }
        *question = Some(Question { beats, at: now });
        drop(question);
        wake();
        Duration::ZERO
    }

    /// Takes the question back.
    fn forget(&self) {
        *lock(&self.question) = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loop_is_silent_from_the_first_question_that_it_leaves_open() {
        let (pulse, start, wakes) = (Pulse::default(), Instant::now(), Cell::new(0));
        let silence = |second: u32| pulse.silence(start + second * SECOND, 15 * SECOND, || wakes.set(wakes.get() + 1));
        assert_eq!((silence(100), wakes.get()), (Duration::ZERO, 1), "nobody asked before, so nobody was silent");
        pulse.beat();
        assert_eq!((silence(110), wakes.get()), (Duration::ZERO, 1), "it has answered, and is left alone for a while");
        assert_eq!((silence(120), wakes.get()), (Duration::ZERO, 2));
        assert_eq!((silence(130), wakes.get()), (10 * SECOND, 2), "one wake-up is enough");
        assert_eq!(silence(190), 70 * SECOND);
        pulse.beat_among_others();
        assert_eq!((silence(191), wakes.get()), (Duration::ZERO, 3));
    }

    #[test]
    fn a_question_that_was_taken_back_says_nothing() {
        let (pulse, start) = (Pulse::default(), Instant::now());
        pulse.silence(start, SECOND, || {});
        pulse.forget();
        assert_eq!(pulse.silence(start + 100 * SECOND, SECOND, || {}), Duration::ZERO);
    }

    #[test]
    fn of_a_server_that_does_not_run_there_is_nothing_to_say() {
        let vitals = Vitals::default();
        assert_eq!((vitals.accept_loop(SECOND), vitals.workers(SECOND)), (Duration::ZERO, Duration::ZERO));
        assert_eq!((vitals.reactors(SECOND), vitals.running_routes()), ((0, Duration::ZERO), Vec::new()));
    }
}
