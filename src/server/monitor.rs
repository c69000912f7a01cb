//! The monitor: looks at every reactor about once a millisecond, and takes it away from a worker whose handler has not
//! returned since the last look. Sleeps while all reactors rest.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::shared::{ReactorHandle, Shared, lock};
use super::workers::Worker;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(1);
/// After so many looks at which nothing was going on it goes to sleep.
const QUIET: u32 = 20;

/// How reactors reach the monitor.
#[derive(Default)]
pub(super) struct MonitorHandle {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl MonitorHandle {
    /// A reactor is about to run what may include handlers.
    pub(super) fn reactor_works(&self, reactor: &ReactorHandle) {
        // Sequentially consistent, as is the monitor's side: either it sees that we work or we see that it sleeps.
        reactor.awake.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// A reactor is about to wait.
    pub(super) fn reactor_rests(&self, reactor: &ReactorHandle) {
        reactor.awake.store(false, Ordering::Release);
    }

    /// Lets the monitor see that it is over, or that HANDLER_TIMEOUT is another.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Where a handler was seen running: on which worker, in which round of its slot.
type Sighting = (usize, u64);

/// The monitor's life.
pub(super) fn run(shared: &Arc<Shared>) {
    // It is started once.
    let _ = shared.monitor.thread.set(thread::current());
    let mut seen: Vec<Option<Sighting>> = vec![None; shared.reactors.len()];
    let mut quiet = 0;
    let mut next_report = shared.clock.now();
    while !shared.drain.is_over() {
        if quiet < QUIET {
            thread::park_timeout(LOOK);
        } else {
            sleep(shared);
            quiet = 0;
        }
        let mut busy = false;
        for (reactor, seen) in shared.reactors.iter().zip(&mut seen) {
            busy |= reactor.awake.load(Ordering::Acquire);
            look(shared, reactor, seen);
        }
        quiet = if busy { 0 } else { quiet + 1 };
        let limit = shared.settings.load().handler_timeout;
        if !limit.is_zero() && shared.clock.now() >= next_report {
            next_report = shared.clock.now() + report_interval(limit);
            report_overdue(shared, limit);
        }
    }
}

/// How often to look for handlers that exceed their time: often enough to be a tenth late at most.
fn report_interval(limit: Duration) -> Duration {
    (limit / 10).max(LOOK)
}

/// Tells of each handler that takes longer than HANDLER_TIMEOUT, once.
fn report_overdue(shared: &Shared, limit: Duration) {
    for worker in shared.pool.workers() {
        let mut running = lock(&worker.running);
        let Some(in_flight) = running.as_mut().filter(|in_flight| !in_flight.reported && in_flight.answered.is_none())
        else {
            continue;
        };
        let took = shared.clock.now().saturating_duration_since(in_flight.started);
        if took >= limit {
            in_flight.reported = true;
            let received = &in_flight.received;
            tracing::warn!(
                method = %received.head.method(),
                path = received.head.path(),
                request_id = received.id,
                running_ms = took.as_micros() as f64 / 1e3,
                limit_ms = limit.as_micros() as f64 / 1e3,
                "a handler takes longer than RWS_CONFIG_HANDLER_TIMEOUT; it goes on"
            );
        }
    }
}

/// Sleeps until a reactor has something to do.
fn sleep(shared: &Shared) {
    shared.monitor.asleep.store(true, Ordering::SeqCst);
    while !shared.reactors.iter().any(|reactor| reactor.awake.load(Ordering::SeqCst)) && !shared.drain.is_over() {
        let limit = shared.settings.load().handler_timeout;
        // With handlers left that may have to be reported, not too long.
        if limit.is_zero() || shared.stats.workers_busy.load(Ordering::Relaxed) == 0 {
            thread::park();
        } else {
            thread::park_timeout(report_interval(limit));
            break;
        }
    }
    shared.monitor.asleep.store(false, Ordering::SeqCst);
}

/// Takes the reactor away from its driver if a handler was seen running at the last look and still is.
fn look(shared: &Arc<Shared>, reactor: &ReactorHandle, seen: &mut Option<Sighting>) {
    let Some(driver) = lock(&reactor.driver).clone() else { return };
    let sighting = driver.slot.occupied().map(|round| (driver.id, round));
    if sighting.is_some() && sighting == *seen {
        take_over(shared, &driver);
        *seen = None;
    } else {
        *seen = sighting;
    }
}

fn take_over(shared: &Arc<Shared>, driver: &Worker) {
    // Held from before the reactor is taken until its request is put here, so that the driver, who finds the slot
    // empty and comes for the request, finds it. If the handler has just returned and another has begun, that one is
    // handed over without need, which does no harm.
    let mut running = lock(&driver.running);
    if let Some(mut reactor) = driver.slot.take() {
        *running = reactor.running.take();
        if let Some(in_flight) = &*running {
            shared.endpoint(in_flight.endpoint).pace.observe(LOOK * 10);
        }
        // Counted before the driver can find out and count itself off again.
        shared.handler_left_its_reactor();
        drop(running);
        shared.drive(reactor);
    }
}
