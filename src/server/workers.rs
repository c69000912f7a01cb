//! The threads. Each one drives a reactor, runs one request (or one turn of a streamed response), or rests.
//!
//! Their number is what bounds the work: at most THREAD_COUNT threads besides those that drive reactors, started
//! when they are needed and ended when they have rested for a while.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};

use super::connection::{Connection, InFlight, away, upgraded};
use super::handoff::Slot;
use super::reactor::{self, Reactor};
use super::shared::{Shared, lock};
use super::vitals::Pulse;
use crate::app::request::Request;
use crate::app::service::Pace;

/// How long a thread rests before it ends.
const REST: Duration = Duration::from_secs(10);

/// A thread's place: where others find what it is at.
pub(super) struct Worker {
    /// Tells workers apart.
    pub(super) id: usize,
    /// The reactor it drives, while a handler runs inline.
    pub(super) slot: Slot<Reactor>,
    /// The request whose handler it runs, unless that runs inline and nobody took the reactor, or whose response it sends on.
    pub(super) running: Mutex<Option<InFlight>>,
}

/// A request on its way to a worker.
pub(super) struct Job {
    pub(super) connection: Box<Connection>,
    pub(super) work: Work,
    pub(super) in_flight: InFlight,
    pub(super) since: Instant,
}

/// What is to be run.
pub(super) enum Work {
    /// A handler; `streams`: it reads the body from the connection.
    Request { request: Request, streams: bool },
    /// What the protocol that the connection speaks has for the user's code.
    Upgraded,
}

/// What a worker does next.
enum Task {
    Drive(Box<Reactor>),
    Pull(Box<Connection>),
    Run(Box<Job>),
    End,
}

/// The workers' common part.
pub(super) struct Pool {
    reactors: (Sender<Box<Reactor>>, Receiver<Box<Reactor>>),
    /// Responses whose next bytes must be read from somewhere that may block.
    pulls: (Sender<Box<Connection>>, Receiver<Box<Connection>>),
    jobs: (Sender<Box<Job>>, Receiver<Box<Job>>),
    /// Requests that workers run or that wait for one.
    outstanding: AtomicUsize,
    most_outstanding: AtomicUsize,
    threads: AtomicUsize,
    resting: AtomicUsize,
    most_threads: AtomicUsize,
    reactor_count: usize,
    workers: Mutex<Vec<Weak<Worker>>>,
    /// Closed when the server has ended.
    over: (Mutex<Option<Sender<()>>>, Receiver<()>),
    ids: AtomicUsize,
    /// What workers begin and finish, and what they get of request bodies.
    pub(super) progress: Arc<Pulse>,
}

impl Pool {
    /// A pool for so many reactors, handlers at once and requests that wait for one. It has no threads yet.
    pub(super) fn new(reactor_count: usize, thread_count: usize, queue_depth: usize) -> Self {
        let (open, over) = bounded(0);
        Pool {
            reactors: unbounded(),
            pulls: unbounded(),
            // What bounds it is `outstanding`: the bound may change, a channel's cannot.
            jobs: unbounded(),
            outstanding: AtomicUsize::new(0),
            most_outstanding: AtomicUsize::new(thread_count.saturating_add(queue_depth)),
            threads: AtomicUsize::new(0),
            resting: AtomicUsize::new(0),
            most_threads: AtomicUsize::new(thread_count + reactor_count),
            reactor_count,
            workers: Mutex::default(),
            over: (Mutex::new(Some(open)), over),
            ids: AtomicUsize::new(0),
            progress: Arc::default(),
        }
    }

    /// How many threads there may be, besides those that stand in for reactors.
    fn most_threads(&self) -> usize {
        self.most_threads.load(Ordering::Relaxed)
    }

    /// Puts a reactor where the next worker finds it.
    pub(super) fn add_reactor(&self, reactor: Box<Reactor>) {
        // The receiver lives as long as the sender.
        let _ = self.reactors.0.send(reactor);
    }

    /// Drops the reactors that wait for a worker, as nobody else would: they hold what holds them.
    pub(super) fn forget_reactors(&self) {
        self.reactors.1.try_iter().for_each(drop);
    }

    /// Takes all requests out that wait for a worker, and all responses that wait to be read on.
    #[expect(clippy::vec_box, reason = "jobs and connections change hands as boxes")]
    pub(super) fn abandon(&self) -> (Vec<Box<Job>>, Vec<Box<Connection>>) {
        (self.jobs.1.try_iter().collect(), self.pulls.1.try_iter().collect())
    }

    /// The next request or response, if one waits.
    fn take_work(&self) -> Option<Task> {
        // `select!` chooses by chance among what is ready, so neither can starve the other.
        select! {
            recv(self.pulls.1) -> pull => pull.ok().map(Task::Pull),
            recv(self.jobs.1) -> job => job.ok().map(Task::Run),
            default => None,
        }
    }

    /// Waits for a task, for a while.
    fn wait_for_task(&self) -> Option<Task> {
        select! {
            recv(self.reactors.1) -> reactor => reactor.ok().map(Task::Drive),
            recv(self.pulls.1) -> pull => pull.ok().map(Task::Pull),
            recv(self.jobs.1) -> job => job.ok().map(Task::Run),
            recv(self.over.1) -> _ => Some(Task::End),
            default(REST) => None,
        }
    }

    /// Ends all threads that rest, and others once they would.
    pub(super) fn end(&self) {
        lock(&self.over.0).take();
    }

    /// Whether a request or a response waits for a worker.
    pub(super) fn has_waiting_work(&self) -> bool {
        !self.jobs.1.is_empty() || !self.pulls.1.is_empty()
    }

    /// How many requests wait for a worker.
    pub(super) fn waiting_jobs(&self) -> usize {
        self.jobs.1.len()
    }

    fn is_idle(&self) -> bool {
        self.reactors.1.is_empty() && self.pulls.1.is_empty() && self.jobs.1.is_empty()
    }

    /// Every worker that is alive.
    pub(super) fn workers(&self) -> Vec<Arc<Worker>> {
        lock(&self.workers).iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    /// Whether a handler may run inline. Once as many handlers block as may, only those may that are known to be fast:
    /// if one of them surprises us, its reactor still gets a thread.
    pub(super) fn may_run_inline(&self, pace: &Pace) -> bool {
        let busy = self.stats.workers_busy.load(Ordering::Relaxed);
        let pool = &self.pool;
        let most = pool.most_threads();
        !pace.is_slow() && (busy < most - pool.reactor_count || (pace.is_known_fast() && busy < most))
    }

    /// Counts a handler whose reactor was taken away from it.
    pub(super) fn handler_left_its_reactor(&self) {
        self.pool.outstanding.fetch_add(1, Ordering::AcqRel);
        self.stats.workers_busy.fetch_add(1, Ordering::Relaxed);
        self.stats.handoffs.fetch_add(1, Ordering::Relaxed);
        self.stats.requests_active.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes other bounds. Requests that wait get the threads there is room for now; threads that are too many end with
    /// what they are at.
    pub(super) fn resize_pool(self: &Arc<Self>, thread_count: usize, queue_depth: usize) {
        let pool = &self.pool;
        pool.most_outstanding.store(thread_count.saturating_add(queue_depth), Ordering::Relaxed);
        pool.most_threads.store(thread_count + pool.reactor_count, Ordering::Relaxed);
        for _ in 0..pool.jobs.1.len().min(thread_count) {
            self.ensure_worker();
        }
    }

    /// Starts a worker for each reactor.
    pub(super) fn start_workers(self: &Arc<Self>) -> io::Result<()> {
        for _ in 0..self.pool.reactor_count {
            self.pool.threads.fetch_add(1, Ordering::SeqCst);
            self.spawn_worker()?;
        }
        Ok(())
    }

    /// Hands a reactor to a resting or new worker.
    pub(super) fn drive(self: &Arc<Self>, reactor: Box<Reactor>) {
        self.pool.add_reactor(reactor);
        self.ensure_worker();
    }

    /// Queues a request for a worker, or gives it back when too many wait already.
    pub(super) fn submit(self: &Arc<Self>, job: Box<Job>) -> Result<(), Box<Job>> {
        let pool = &self.pool;
        if pool.outstanding.fetch_add(1, Ordering::AcqRel) >= pool.most_outstanding.load(Ordering::Relaxed) {
            pool.outstanding.fetch_sub(1, Ordering::AcqRel);
            return Err(job);
        }
        self.queue(job).inspect_err(|_| {
            pool.outstanding.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// Queues what an upgraded connection has for the user's code. It counts like a request, but is never too much: there
    /// is no answer that would refuse it, and of each connection only one waits.
    pub(super) fn submit_upgraded(self: &Arc<Self>, job: Box<Job>) {
        self.pool.outstanding.fetch_add(1, Ordering::AcqRel);
        // The receiver lives as long as the sender.
        let _ = self.queue(job);
    }

    fn queue(self: &Arc<Self>, job: Box<Job>) -> Result<(), Box<Job>> {
        let pool = &self.pool;
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = pool.jobs.0.try_send(job) {
            return Err(job);
        }
        self.stats.requests_active.fetch_add(1, Ordering::Relaxed);
        self.stats.queue_depth.store(pool.jobs.1.len(), Ordering::Relaxed);
        self.ensure_worker();
        Ok(())
    }

    /// Queues the next turn of a response that is read from somewhere.
    pub(super) fn submit_pull(self: &Arc<Self>, connection: Box<Connection>) {
        let _ = self.pool.pulls.0.send(connection);
        self.ensure_worker();
    }

    /// Starts a thread if there is more work than threads that rest, and room for one.
    ///
    /// Whoever takes a task calls this again after it has left rest, so a task that was counted on a thread that
    /// another task got is noticed.
    fn ensure_worker(self: &Arc<Self>) {
        let pool = &self.pool;
        // A reactor must have a thread even when all others are blocked.
        let spare = if pool.reactors.1.is_empty() { 0 } else { pool.reactor_count };
        let most = pool.most_threads() + spare;
        let waiting = pool.reactors.1.len() + pool.pulls.1.len() + pool.jobs.1.len();
        if waiting <= pool.resting.load(Ordering::SeqCst) {
            return;
        }
        let room = pool.threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n < most).then_some(n + 1));
        if room.is_ok()
            && let Err(error) = self.spawn_worker()
        {
            tracing::error!(%error, "cannot start a worker thread; requests wait for those there are");
        }
    }

    /// Starts a thread that has been counted.
    fn spawn_worker(self: &Arc<Self>) -> io::Result<()> {
        let pool = &self.pool;
        let id = pool.ids.fetch_add(1, Ordering::Relaxed);
        let shared = self.clone();
        let thread =
            thread::Builder::new().name(self.role.thread(&format!("worker-{id}"))).spawn(move || shared.work(id));
        if thread.is_err() {
            pool.threads.fetch_sub(1, Ordering::SeqCst);
        }
        self.stats.worker_threads.store(pool.threads.load(Ordering::SeqCst), Ordering::Relaxed);
        thread.map(drop)
    }

    /// A worker's life.
    fn work(self: Arc<Self>, id: usize) {
        let worker = Arc::new(Worker { id, slot: Slot::default(), running: Mutex::default() });
        lock(&self.pool.workers).push(Arc::downgrade(&worker));
        // Handlers are caught one by one, and nothing else here panics on account of a peer. If the engine itself is
        // broken, its reactor is lost: better to end and be started again than to limp.
        while catch_unwind(AssertUnwindSafe(|| self.step(&worker))).unwrap_or_else(|_| self.drain.engine_failed()) {}
        lock(&self.pool.workers).retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(&worker)));
    }

    /// Does one thing. Returns whether there may be more to do.
    fn step(self: &Arc<Self>, worker: &Arc<Worker>) -> bool {
        match self.next_task() {
            Task::Drive(reactor) => reactor::drive(self, reactor, worker),
            Task::Pull(connection) => away::pull(self, connection, worker),
            Task::Run(job) => self.run(*job, worker),
            Task::End => return false,
        }
        true
    }

    /// Waits for something to do. Reactors come first, since many connections wait for each.
    fn next_task(self: &Arc<Self>) -> Task {
        let pool = &self.pool;
        loop {
            if let Ok(reactor) = pool.reactors.1.try_recv() {
                return Task::Drive(reactor);
            }
            // One too many was started for a reactor that had no thread; it must not become one more handler.
            if self.end_one_above(pool.most_threads()) {
                return Task::End;
            }
            if let Some(task) = pool.take_work() {
                return task;
            }
            pool.resting.fetch_add(1, Ordering::SeqCst);
            let task = pool.wait_for_task();
            pool.resting.fetch_sub(1, Ordering::SeqCst);
            if let Some(task) = task {
                // Something else may have been counted on this thread while it rested.
                self.ensure_worker();
                return task;
            }
            // The same goes for a thread that is about to end. One more than there are reactors stays, for the
            // first handoff.
            if pool.is_idle() && self.end_one_above(pool.reactor_count + 1) {
                self.ensure_worker();
                return Task::End;
            }
        }
    }

    /// Gives up one thread's place if there are more than `least`.
    fn end_one_above(&self, least: usize) -> bool {
        let threads = &self.pool.threads;
        let ended = threads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > least).then(|| n - 1)).is_ok();
        self.stats.worker_threads.store(threads.load(Ordering::SeqCst), Ordering::Relaxed);
        ended
    }

    /// Runs one request on this thread.
    fn run(self: &Arc<Self>, job: Job, worker: &Arc<Worker>) {
        let Job { connection, work, mut in_flight, since } = job;
        self.stats.queue_depth.store(self.pool.jobs.1.len(), Ordering::Relaxed);
        self.pool.progress.beat_among_others();
        in_flight.started = self.clock.now();
        in_flight.queued = Some(in_flight.started.saturating_duration_since(since));
        self.stats.workers_busy.fetch_add(1, Ordering::Relaxed);
        *lock(&worker.running) = Some(in_flight);
        match work {
            Work::Request { request, streams } => away::run(self, connection, request, streams, worker),
            Work::Upgraded => upgraded::run_away(self, connection, worker),
        }
    }

    /// A handler that left its reactor, or never ran on one, is over.
    pub(super) fn handler_is_over(&self) {
        self.stats.workers_busy.fetch_sub(1, Ordering::Relaxed);
        self.pool.outstanding.fetch_sub(1, Ordering::AcqRel);
        self.pool.progress.beat_among_others();
    }
}
