//! The server, layer 3: accepting, reactors, handoff, workers, connections, deadlines and the life cycle.
//! Knows no routes: it calls one [`Service`] and tells one [`Observer`].

mod accept;
pub mod clock;
mod connection;
pub mod control;
mod deadlines;
mod drain;
mod handoff;
pub mod lifecycle;
mod monitor;
pub mod observe;
mod reactor;
pub mod role;
mod secure;
mod settings;
mod shared;
pub mod stats;
pub mod vitals;
mod workers;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::{Poll, Waker};

use self::accept::AcceptHandle;
use self::clock::Clock;
use self::control::{Interruption, Readiness};
use self::drain::{Command, DrainCounters};
use self::lifecycle::{Lifecycle, State};
use self::monitor::MonitorHandle;
use self::observe::Observer;
use self::reactor::{Reactor, WAKER};
use self::role::Role;
use self::secure::Secure;
use self::settings::Settings;
use self::shared::{ReactorHandle, Shared, lock};
use self::stats::Stats;
use self::vitals::{Pulse, Vitals};
use self::workers::Pool;
use crate::app::service::Service;
use crate::config::Config;
use crate::net::listener;
use crate::net::tls::Acceptor;

/// The atomics of the handoff slot; its model check puts others in their place.
mod sync {
    pub(super) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
}

/// A server that is not running yet. Listener, configuration, clock and stop signal are the caller's.
#[must_use]
pub struct Server {
    listener: TcpListener,
    service: Arc<dyn Service>,
    observer: Arc<dyn Observer>,
    config: Config,
    clock: Clock,
    stats: Arc<Stats>,
    lifecycle: Lifecycle,
    role: Role,
    secure: Option<Secure>,
    vitals: Vitals,
    waits_to_be_ready: bool,
}

impl Server {
    /// A server for `service` on `listener`, which may be bound anywhere.
    pub fn new(listener: TcpListener, service: Arc<dyn Service>, observer: Arc<dyn Observer>, config: Config) -> Self {
        Server {
            listener,
            service,
            observer,
            config,
            clock: Clock::default(),
            stats: Arc::default(),
            lifecycle: Lifecycle::default(),
            role: Role::Main,
            secure: None,
            vitals: Vitals::default(),
            waits_to_be_ready: false,
        }
    }

    /// Makes it a server that stands beside the main one.
    pub fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    /// Takes the time from `clock`.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Counts in `stats` and shows its state in `lifecycle`, which others read.
    pub fn with_handles(mut self, stats: Arc<Stats>, lifecycle: Lifecycle) -> Self {
        self.stats = stats;
        self.lifecycle = lifecycle;
        self
    }

    /// With an acceptor, speaks HTTPS: every connection begins with a TLS handshake, on the terms that the acceptor has
    /// at that moment.
    pub fn with_tls(mut self, acceptor: Option<Arc<Acceptor>>) -> Self {
        self.secure = acceptor.map(Secure::new);
        self
    }

    /// Shows in `vitals` whether it comes round.
    pub fn with_vitals(mut self, vitals: Vitals) -> Self {
        self.vitals = vitals;
        self
    }

    /// Serves, but stays in [`State::Starting`] until [`Readiness::ready`] is called.
    pub fn waits_to_be_ready(mut self) -> Self {
        self.waits_to_be_ready = true;
        self
    }

    /// Starts all threads. The server is ready when this returns, unless it [waits](Self::waits_to_be_ready).
    ///
    /// # Errors
    /// The operating system's, when it refuses a poller or a thread.
    pub fn start(self) -> io::Result<Running> {
        listener::prepare(&self.listener)?;
        let address = self.listener.local_addr()?;
        let settings = Settings::within_limits(&self.config, None);
        let count = self.config.reactors();

        let accept_poll = Poll::new()?;
        let mut parts = Vec::with_capacity(count);
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let poll = Poll::new()?;
            let (mailbox, mail) = unbounded();
            handles.push(ReactorHandle {
                mailbox,
                waker: Waker::new(poll.registry(), WAKER)?,
                notified: AtomicBool::new(false),
                awake: AtomicBool::new(false),
                driver: Mutex::default(),
                connections: AtomicUsize::new(0),
                ended: AtomicBool::new(false),
                pulse: Pulse::default(),
            });
            parts.push((poll, mail));
        }
        let shared = Arc::new(Shared {
            service: self.service,
            lifecycle: self.lifecycle,
            stats: self.stats,
            clock: self.clock,
            reactors: handles,
            pool: Pool::new(count, settings.thread_count, settings.queue_depth),
            monitor: MonitorHandle::default(),
            accept: AcceptHandle::new(&accept_poll)?,
            drain: DrainCounters::default(),
            role: self.role,
            secure: self.secure,
            settings: Arc::new(ArcSwap::from_pointee(settings)),
        });
        self.vitals.attach(&shared);

        for (index, (poll, mail)) in parts.into_iter().enumerate() {
            let recorder = self.observer.recorder(index);
            shared.pool.add_reactor(Box::new(Reactor::new(shared.clone(), index, poll, mail, recorder)));
        }
        start_threads(&shared, accept_poll, self.listener).inspect_err(|_| drain::give_up(&shared))?;
        let readiness = Readiness::new(shared.lifecycle.clone(), shared.role, address, count);
        if self.waits_to_be_ready {
            tracing::info!(state = State::Starting.name(), %address, "life cycle");
        } else {
            readiness.ready();
        }

        let (sender, commands) = unbounded();
        Ok(Running { shared, address, readiness, stop: Stop::new(sender), commands })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listener", &self.listener).field("role", &self.role).finish_non_exhaustive()
    }
}

fn start_threads(shared: &Arc<Shared>, accept_poll: Poll, listener: TcpListener) -> io::Result<()> {
    spawn("monitor", shared, |shared| monitor::run(&shared))?;
    shared.start_workers()?;
    spawn("accept", shared, move |shared| accept::run(&shared, accept_poll, listener))
}

fn spawn(name: &str, shared: &Arc<Shared>, run: impl FnOnce(Arc<Shared>) + Send + 'static) -> io::Result<()> {
    let shared = shared.clone();
    thread::Builder::new().name(shared.role.thread(name)).spawn(move || run(shared))?;
    Ok(())
}

/// A server that is running.
pub struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    readiness: Readiness,
    stop: Stop,
    commands: Receiver<Command>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The means to stop it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Makes it look at its clock, after that was moved by hand.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = self.shared.clone();
        move || shared.wake_reactors()
    }

    /// The means to declare it ready, if it waits for that.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Gives it another configuration while it runs. What is not marked reloadable in the table is not looked at.
    /// A wait that has begun keeps its deadline; the next one has the new one.
    pub fn reconfigure(&self) -> impl Fn(&Config) + Send + Sync + 'static {
        let shared = self.shared.clone();
        move |config| shared.reconfigure(config)
    }

    /// Serves until it is stopped, and sees the drain through.
    pub fn wait(self) -> Report {
        self.wait_then(|_, _| ())
    }

    /// The same, and calls `finish` with the verdict before it reports. What [`Stop`] is told meanwhile ends the process
    /// sooner: `finish` finds it in the [`Interruption`].
    pub fn wait_then(self, finish: impl FnOnce(Verdict, &Interruption)) -> Report {
        drop(self.stop);
        let mut report = drain::supervise(&self.shared, &self.commands);
        let interruption = Interruption::new(self.commands);
        finish(report.verdict, &interruption);
        if let Some(signal) = interruption.signal() {
            report.verdict = Verdict::Killed(signal);
        }
        report
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Stops a running server. Clones stop the same one.
#[derive(Clone, Debug)]
pub struct Stop {
    commands: Sender<Command>,
    asked: Arc<Mutex<Asked>>,
}

/// Whether a drain has been asked for, and by whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    /// Without a signal; if the pod ends, a SIGTERM follows that means no more than this did.
    WithoutSignal,
    BySignal,
}

impl Stop {
    fn new(commands: Sender<Command>) -> Self {
        Stop { commands, asked: Arc::default() }
    }

    /// Drains: with the configured delay first, or without. Once the delay runs, another call ends it; once the server
    /// is stopping, another call makes it give up, with `signal` (128 + n) in its exit code.
    pub fn drain(&self, delay: bool, signal: i32) {
        let before = std::mem::replace(&mut *lock(&self.asked), Asked::BySignal);
        if before == Asked::WithoutSignal && delay {
            return;
        }
        // A server that has ended does not listen any more.
        let _ = self.commands.send(Command::Drain { delay, signal });
    }

    /// Drains without delay, unless a drain has been asked for: then that is left to take its course.
    pub fn end(&self) {
        if *lock(&self.asked) == Asked::No {
            self.drain(false, 0);
        }
    }

    /// Drains with the configured delay, because somebody asked for it without a signal. Another call changes nothing;
    /// nor does the first SIGTERM that follows, since Kubernetes sends one after whatever a preStop hook did.
    pub fn begin(&self) {
        let mut asked = lock(&self.asked);
        if *asked == Asked::No {
            *asked = Asked::WithoutSignal;
            let _ = self.commands.send(Command::Drain { delay: true, signal: 0 });
        }
    }

    /// Ends at once because the server cannot do its work; what is in flight is aborted.
    pub fn fail(&self) {
        let _ = self.commands.send(Command::Fail);
    }

    /// Ends at once; what is in flight is aborted.
    pub fn abort(&self, signal: i32) {
        let _ = self.commands.send(Command::Abort { signal });
    }
}

/// How a server ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// The drain delay, if it was not skipped or cut short.
    pub delay: Option<Duration>,
    /// Requests answered since the drain began; here and below, those of probes and metrics are not counted.
    pub served_while_draining: u64,
    /// When the first request after the beginning of the drain arrived, counted from there.
    pub first_arrival: Option<Duration>,
    /// When the last one did. A drain delay should be longer.
    pub last_arrival: Option<Duration>,
    /// The requests that got no answer.
    pub aborted: Vec<String>,
}

/// How a server ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything was answered.
    Drained,
    /// The drain took longer than it may.
    TimedOut,
    /// It was told to stop at once, by the signal of this number.
    Killed(i32),
    /// The engine itself failed, or [`Stop::fail`] was called.
    Failed,
}

impl Verdict {
    /// The word, as the log has it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Drained => "drained",
            Verdict::TimedOut => "timed_out",
            Verdict::Killed(_) => "killed",
            Verdict::Failed => "failed",
        }
    }
}
