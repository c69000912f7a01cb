//! What all threads of one server share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;

use super::accept::{AcceptHandle, Seat};
use super::clock::Clock;
use super::connection::{Connection, InFlight};
use super::drain::DrainCounters;
use super::lifecycle::{Lifecycle, State};
use super::monitor::MonitorHandle;
use super::role::Role;
use super::secure::Secure;
use super::settings::Settings;
use super::stats::Stats;
use super::vitals::Pulse;
use super::workers::{Pool, Worker};
use crate::app::service::{Endpoint, Service};
use crate::config::Config;
use crate::net::stream::Stream;

/// One server's common parts.
pub(super) struct Shared {
    pub(super) service: Arc<dyn Service>,
    pub(super) role: Role,
    /// What may change while the server runs. A reactor looks once a turn.
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) lifecycle: Lifecycle,
    pub(super) stats: Arc<Stats>,
    pub(super) clock: Clock,
    pub(super) reactors: Vec<ReactorHandle>,
    pub(super) pool: Pool,
    pub(super) monitor: MonitorHandle,
    pub(super) accept: AcceptHandle,
    pub(super) drain: DrainCounters,
    /// `None`: connections are plain.
    pub(super) secure: Option<Secure>,
}

impl Shared {
    /// The endpoint with this index.
    pub(super) fn endpoint(&self, index: u32) -> &Endpoint {
        &self.service.endpoints()[index as usize]
    }

    /// Whether a response must say that its connection closes.
    pub(super) fn is_draining(&self) -> bool {
        self.lifecycle.state() >= State::Draining
    }

    /// Takes over what may change of a configuration.
    pub(super) fn reconfigure(self: &Arc<Self>, config: &Config) {
        let before = self.settings.load_full();
        let settings = Settings::within_limits(config, Some(&before));
        if settings == *before {
            return;
        }
        self.resize_pool(settings.thread_count, settings.queue_depth);
        self.settings.store(Arc::new(settings));
        self.accept.limit_changed();
        self.monitor.wake();
        self.wake_reactors();
    }

    /// Makes every reactor look at the life cycle, its mail and its deadlines.
    pub(super) fn wake_reactors(&self) {
        for reactor in &self.reactors {
            reactor.wake();
        }
    }

    /// One connection is gone: there is room for another.
    pub(super) fn connection_closed(&self, reactor: usize) {
        self.reactors[reactor].connections.fetch_sub(1, Ordering::Relaxed);
        self.stats.connections_active.fetch_sub(1, Ordering::SeqCst);
        self.accept.has_room();
    }
}

/// How others reach a reactor.
pub(super) struct ReactorHandle {
    pub(super) mailbox: Sender<Mail>,
    pub(super) waker: mio::Waker,
    /// Set while a wake-up is under way that the reactor has not seen.
    pub(super) notified: AtomicBool,
    /// Whether it is working, so that the monitor must watch it.
    pub(super) awake: AtomicBool,
    /// Who drives it.
    pub(super) driver: Mutex<Option<Arc<Worker>>>,
    pub(super) connections: AtomicUsize,
    /// Whether it has ended.
    pub(super) ended: AtomicBool,
    /// Its turns.
    pub(super) pulse: Pulse,
}

/// What a reactor is sent.
pub(super) enum Mail {
    /// A connection that was accepted.
    Open(Stream, std::net::SocketAddr, Option<Seat>),
    /// A connection that a worker is done with for now.
    Return(Box<Connection>),
    /// Something for a connection that waits for a feed.
    Wake(usize),
    /// A request whose handler will not be waited for any longer, to be logged.
    Abandoned(InFlight, Instant),
}

impl ReactorHandle {
    /// Sends mail and makes sure that it is read.
    pub(super) fn send(&self, mail: Mail) {
        // The reactor outlives everybody who can send it mail; at the end of the process nobody needs to read it.
        let _ = self.mailbox.send(mail);
        self.wake();
    }

    /// Makes the reactor take a turn.
    pub(super) fn wake(&self) {
        if !self.notified.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake a reactor");
        }
    }
}

/// Locks a mutex whose holders cannot leave anything half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
