//! From the first word of stopping to the last: the states, the delays, and what is told afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, never, select, unbounded};

use super::connection::InFlight;
use super::connection::away::go_home;
use super::lifecycle::State;
use super::shared::{Mail, Shared, lock};
use super::workers::Work;
use super::{Report, Verdict};
use crate::app::service::EndpointKind;

/// What the server is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Drain; with the configured delay, unless that is to be skipped. `signal` is the number of the signal behind it.
    Drain { delay: bool, signal: i32 },
    /// End at once.
    Abort { signal: i32 },
    /// End at once, as failed.
    Fail,
}

/// What the threads tell the one that waits for the end.
enum News {
    ReactorEnded,
    EngineFailed,
}

/// What is noted during the drain.
pub(super) struct DrainCounters {
    news: (Sender<News>, Receiver<News>),
    over: AtomicBool,
    start: Mutex<Option<Instant>>,
    /// DRAIN_DELAY, once it is over without having been cut short.
    delay: OnceLock<Duration>,
    served: AtomicU64,
    /// Microseconds from the start of the drain, plus one; zero: none.
    first_arrival: AtomicU64,
    last_arrival: AtomicU64,
    aborted: Mutex<Vec<String>>,
}

impl Default for DrainCounters {
    fn default() -> Self {
        DrainCounters {
            news: unbounded(),
            over: AtomicBool::new(false),
            start: Mutex::default(),
            delay: OnceLock::new(),
            served: AtomicU64::new(0),
            first_arrival: AtomicU64::new(0),
            last_arrival: AtomicU64::new(0),
            aborted: Mutex::default(),
        }
    }
}

impl DrainCounters {
    /// Whether the server has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// A request for this endpoint arrived.
    pub(super) fn request_arrived(&self, shared: &Shared, endpoint: u32, now: Instant) {
        if !counts(shared, endpoint) {
            return;
        }
        let Some(start) = *lock(&self.start) else { return };
        let at = now.saturating_duration_since(start).as_micros() as u64 + 1;
        let _ = self.first_arrival.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
        self.last_arrival.fetch_max(at, Ordering::Relaxed);
    }

    /// A request for this endpoint was answered.
    pub(super) fn request_served(&self, shared: &Shared, endpoint: u32) {
        if counts(shared, endpoint) {
            self.served.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request will not be answered.
    pub(super) fn abort(&self, request: String) {
        lock(&self.aborted).push(request);
    }

    /// A reactor has nothing left to do.
    pub(super) fn reactor_ended(&self) {
        let _ = self.news.0.send(News::ReactorEnded);
    }

    /// The engine itself has failed. Returns that there is nothing more to do.
    pub(super) fn engine_failed(&self) -> bool {
        let _ = self.news.0.send(News::EngineFailed);
        false
    }

    fn report(&self, verdict: Verdict) -> Report {
        let arrival = |at: &AtomicU64| at.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros);
        Report {
            verdict,
            delay: self.delay.get().copied(),
            served_while_draining: self.served.load(Ordering::Relaxed),
            first_arrival: arrival(&self.first_arrival),
            last_arrival: arrival(&self.last_arrival),
            aborted: std::mem::take(&mut lock(&self.aborted)),
        }
    }
}

/// Whether a request tells how long traffic goes on to arrive. The kubelet and Prometheus come until the end.
fn counts(shared: &Shared, endpoint: u32) -> bool {
    shared.is_draining() && shared.endpoint(endpoint).kind == EndpointKind::Route
}

/// Waits for the command to stop, and sees the drain through.
pub(super) fn supervise(shared: &Arc<Shared>, commands: &Receiver<Command>) -> Report {
    let verdict = until_stopped(shared, commands);
    let state = if verdict == Verdict::Drained { State::Stopped } else { State::Forced };
    if state == State::Forced {
        abandon_the_rest(shared);
        enter(shared, State::Forced);
        shared.accept.stop();
        wait_for_reactors(shared, Duration::from_millis(500));
    }
    enter(shared, state);
    let report = shared.drain.report(verdict);
    end_threads(shared);
    report
}

/// Ends a server that could not be started as a whole.
pub(super) fn give_up(shared: &Arc<Shared>) {
    shared.pool.forget_reactors();
    enter(shared, State::Forced);
    shared.accept.stop();
    end_threads(shared);
}

fn end_threads(shared: &Shared) {
    shared.drain.over.store(true, Ordering::Release);
    shared.monitor.wake();
    shared.pool.end();
}

fn until_stopped(shared: &Arc<Shared>, commands: &Receiver<Command>) -> Verdict {
    let news = &shared.drain.news.1;
    // Once nobody is left who could tell us anything, this is a channel on which nothing ever comes.
    let mut commands = commands.clone();
    let delay = loop {
        select! {
            recv(commands) -> command => match command {
                Ok(Command::Drain { delay, .. }) => break delay,
                Ok(Command::Abort { signal }) => return Verdict::Killed(signal),
                Ok(Command::Fail) => return Verdict::Failed,
                Err(_) => commands = never(),
            },
            recv(news) -> _ => return Verdict::Failed,
        }
    };
    *lock(&shared.drain.start) = Some(shared.clock.now());
    enter(shared, State::Draining);
    let delay = delay.then(|| shared.settings.load().drain_delay);
    let over = after(delay.unwrap_or_default());
    loop {
        select! {
            recv(commands) -> command => match command {
                Ok(Command::Drain { .. }) => break,
                Ok(Command::Abort { signal }) => return Verdict::Killed(signal),
                Ok(Command::Fail) => return Verdict::Failed,
                Err(_) => commands = never(),
            },
            recv(news) -> _ => return Verdict::Failed,
            recv(over) -> _ => {
                let _ = delay.map(|delay| shared.drain.delay.set(delay));
                break;
            }
        }
    }
    enter(shared, State::Stopping);
    shared.accept.stop();
    stop(shared, commands)
}

/// Waits for the reactors to end, until the time is up or somebody loses patience.
fn stop(shared: &Arc<Shared>, mut commands: Receiver<Command>) -> Verdict {
    let over = after(shared.settings.load().drain_timeout);
    let mut left = shared.reactors.len();
    while left > 0 {
        select! {
            recv(commands) -> command => match command {
                Ok(Command::Drain { signal, .. } | Command::Abort { signal }) => return Verdict::Killed(signal),
                Ok(Command::Fail) => return Verdict::Failed,
                Err(_) => commands = never(),
            },
            recv(shared.drain.news.1) -> news => match news {
                Ok(News::EngineFailed) => return Verdict::Failed,
                _ => left -= 1,
            },
            recv(over) -> _ => return Verdict::TimedOut,
        }
    }
    Verdict::Drained
}

fn enter(shared: &Shared, state: State) {
    if shared.lifecycle.advance(state) && shared.role.is_logged() {
        tracing::info!(state = state.name(), "life cycle");
    }
    shared.wake_reactors();
}

/// Names the requests that will not be waited for, and has them logged.
fn abandon_the_rest(shared: &Shared) {
    for worker in shared.pool.workers() {
        let Some(in_flight) = lock(&worker.running).take() else { continue };
        let is_answered = in_flight.answered.is_some();
        let why = if is_answered { "its response is not whole yet" } else { "its handler has not returned" };
        abandon(shared, in_flight, why);
    }
    let (jobs, pulls) = shared.pool.abandon();
    for job in jobs {
        match job.work {
            Work::Request { .. } => abandon(shared, job.in_flight, "it was still waiting for a worker"),
            // That was answered long since. The user's code is told by the reactor, with all others.
            Work::Upgraded => {
                shared.stats.requests_active.fetch_sub(1, Ordering::Relaxed);
                go_home(shared, job.connection);
            }
        }
    }
    for pull in pulls {
        go_home(shared, pull);
    }
}

fn abandon(shared: &Shared, in_flight: InFlight, why: &str) {
    if in_flight.upgraded {
        let received = &in_flight.received;
        tracing::warn!(path = received.head.path(), id = received.id, "not waited for, after an upgrade: {why}");
        return;
    }
    let now = shared.clock.now();
    let head = &in_flight.received.head;
    let since = now.saturating_duration_since(in_flight.received.at);
    let request = format!("{} {} (id {}, for {since:.1?})", head.method(), head.path(), in_flight.received.id);
    tracing::error!(request, "aborted: {why}");
    shared.drain.abort(request);
    // Its own reactor lives, since it waits for the connection; another may have ended.
    let home = in_flight.reactor;
    shared.reactors[home].send(Mail::Abandoned(in_flight, now));
}

fn wait_for_reactors(shared: &Shared, most: Duration) {
    let over = after(most);
    while shared.reactors.iter().any(|reactor| !reactor.ended.load(Ordering::Acquire)) {
        select! {
            recv(shared.drain.news.1) -> _ => {}
            recv(over) -> _ => return,
        }
    }
}
