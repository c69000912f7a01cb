//! The accept loop: takes new connections, counts them, and hands each to a reactor, unless its address has too many.
//!
//! It closes the listener, and only after every connection that had got through to us was accepted.

mod per_ip;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::io::Errno;

pub(super) use self::per_ip::Seat;
use self::per_ip::Seats;
use super::lifecycle::State;
use super::reactor::current_date;
use super::role::Role;
use super::settings::Settings;
use super::shared::{Mail, Shared, lock};
use super::stats::RejectReason;
use super::vitals::Pulse;
use crate::net::listener;
use crate::net::stream::Stream;
use crate::proto::encode::{Connection, HeadPlan, Length, head};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// How long to leave the system alone after it had no resources for a connection.
const RECOVERY: Duration = Duration::from_millis(50);
/// When nothing has come for so long after new connections were shut out, nothing more is under way.
const SILENCE: Duration = Duration::from_millis(20);
/// How long to wait for that silence where new connections cannot be shut out: it may never come.
const CLAMOUR: Duration = Duration::from_secs(1);
/// How long a shortage goes without saying again: each connection that comes and goes meets it anew.
const WARNED: Duration = Duration::from_secs(10);

/// How others reach the accept loop.
pub(super) struct AcceptHandle {
    waker: Waker,
    /// The shutdown flag: checked at every turn of the loop.
    stop: AtomicBool,
    /// Connections wait because MAX_CONNECTIONS was reached.
    full: AtomicBool,
    closed: AtomicBool,
    /// When each reason was last warned of.
    warned: [Mutex<Option<Instant>>; RejectReason::ALL.len()],
    /// The loop's turns.
    pub(super) pulse: Pulse,
}

impl AcceptHandle {
    /// The handle of the loop that will use `poll`.
    pub(super) fn new(poll: &Poll) -> io::Result<Self> {
        Ok(AcceptHandle {
            waker: Waker::new(poll.registry(), WAKER)?,
            stop: AtomicBool::new(false),
            full: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            warned: Default::default(),
            pulse: Pulse::default(),
        })
    }

    /// Asks the loop to admit nobody new, to take in who is already there, and to close the listener.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// A limit is another: looks whether there is room now.
    pub(super) fn limit_changed(&self) {
        self.full.store(false, Ordering::SeqCst);
        self.wake();
    }

    /// A connection was closed.
    pub(super) fn has_room(&self) {
        if self.full.load(Ordering::SeqCst) && self.full.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Whether no new connection can come any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it is time to warn of this.
    fn may_warn(&self, reason: RejectReason, now: Instant) -> bool {
        let mut last = lock(&self.warned[reason as usize]);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= WARNED);
        if due {
            *last = Some(now);
        }
        due
    }

    /// Makes the loop take a turn.
    pub(super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the accept loop");
        }
    }
}

/// What ended a run of accepting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// Nobody is waiting.
    Empty,
    /// There are as many connections as there may be.
    Full,
    /// The system has no resources for another.
    Starved,
}

/// The loop's life.
pub(super) fn run(shared: &Shared, mut poll: Poll, listener: TcpListener) {
    let mut events = Events::with_capacity(8);
    if let Err(error) = poll.registry().register(&mut SourceFd(&listener.as_raw_fd()), LISTENER, Interest::READABLE) {
        tracing::error!(%error, "cannot watch the listener");
        shared.drain.engine_failed();
        return;
    }
    let mut intake = Intake::default();
    while !shared.accept.stop.load(Ordering::Acquire) {
        let settings = shared.settings.load_full();
        let pause = accept_waiting(shared, &listener, &mut intake, Some(&settings));
        let timeout = (pause == Pause::Starved).then_some(RECOVERY);
        wait(&mut poll, &mut events, timeout);
    }
    // Nobody would answer who gets through to a server that ends at once.
    if shared.lifecycle.state() < State::Forced {
        take_in_the_last(shared, &mut poll, &mut events, &listener, &mut intake);
    }
    drop(listener);
    shared.accept.closed.store(true, Ordering::Release);
    shared.wake_reactors();
}

/// What the loop remembers from one connection to the next.
#[derive(Default)]
struct Intake {
    /// The reactor whose turn it is among equals.
    next: usize,
    seats: Seats,
}

/// Accepts until there is a reason to pause, within the limits of `settings` if there are any.
fn accept_waiting(shared: &Shared, listener: &TcpListener, intake: &mut Intake, settings: Option<&Settings>) -> Pause {
    shared.accept.pulse.beat();
    let most = settings.map_or(usize::MAX, |settings| settings.max_connections);
    loop {
        if !has_room(shared, most) {
            return Pause::Full;
        }
        match listener::accept(listener) {
            Ok((stream, remote)) => {
                let Ok(seat) = seat(shared, &mut intake.seats, remote, settings) else {
                    turn_away(shared, stream);
                    continue;
                };
                if shared.accept.stop.load(Ordering::Acquire)
                    && let Err(error) = listener::admit(&stream)
                {
                    tracing::debug!(%error, "a connection that began before the end may hear nothing");
                }
                shared.stats.connections_active.fetch_add(1, Ordering::SeqCst);
                shared.stats.connections_accepted.fetch_add(1, Ordering::Relaxed);
                let reactor = least_loaded(shared, &mut intake.next);
                shared.reactors[reactor].connections.fetch_add(1, Ordering::Relaxed);
                shared.reactors[reactor].send(Mail::Open(stream, remote, seat));
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => return Pause::Empty,
                // This one went away while it waited, or a signal came; the next may be fine.
                Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO) => {}
                _ => {
                    shared.stats.reject(RejectReason::FileDescriptors);
                    if shared.accept.may_warn(RejectReason::FileDescriptors, shared.clock.now()) {
                        tracing::warn!(%error, "cannot accept a connection now");
                    }
                    return Pause::Starved;
                }
            },
        }
    }
}

/// The address has as many connections as it may.
struct TooMany;

/// The place of one more connection among those of its address; none where nobody counts. Trusted proxies may have as
/// many as they like, since each stands for many clients.
fn seat(
    shared: &Shared,
    seats: &mut Seats,
    remote: SocketAddr,
    settings: Option<&Settings>,
) -> Result<Option<Seat>, TooMany> {
    let Some(settings) = settings.filter(|settings| settings.max_connections_per_ip > 0) else { return Ok(None) };
    let (address, most) = (remote.ip().to_canonical(), settings.max_connections_per_ip);
    if settings.trusted_proxies.iter().any(|network| network.contains(&address)) {
        return Ok(None);
    }
    if let Some(seat) = seats.take(address, most) {
        return Ok(Some(seat));
    }
    shared.stats.reject(RejectReason::PerIp);
    if shared.accept.may_warn(RejectReason::PerIp, shared.clock.now()) {
        tracing::warn!(
            most,
            %address,
            "RWS_CONFIG_MAX_CONNECTIONS_PER_IP reached: a connection from {address} was turned away; if it stands for many \
             clients, as an ingress does, name it in RWS_CONFIG_TRUSTED_PROXIES"
        );
    }
    Err(TooMany)
}

/// Tells a client in a word why it is not let in, as far as that takes no waiting: without TLS only. What it has sent is
/// read first, since bytes that nobody read make a reset of the end, which can destroy the answer on its way.
fn turn_away(shared: &Shared, mut stream: Stream) {
    const BODY: &[u8] = br#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"your address has too many connections"}"#;
    const LINES: &[u8] = b"Content-Type: application/problem+json\r\nCache-Control: no-store\r\nRetry-After: 1\r\n";
    if shared.secure.is_some() {
        return;
    }
    let plan = HeadPlan {
        status: StatusCode::TOO_MANY_REQUESTS,
        length: Length::Exact(BODY.len() as u64),
        connection: Connection::Close,
        date: &current_date(),
        request_id: "",
    };
    let mut answer = Vec::with_capacity(512);
    head(&mut answer, &plan, LINES, std::iter::empty());
    answer.extend_from_slice(BODY);
    let mut sent = [0; 4096];
    // Whoever has gone meanwhile needs no answer.
    let _ = stream.read(&mut sent);
    let _ = stream.write(&answer);
    let _ = stream.shut_down_writing();
}

/// Whether one more connection may come in. If not, whoever closes one will wake us.
fn has_room(shared: &Shared, most: usize) -> bool {
    let active = &shared.stats.connections_active;
    if active.load(Ordering::SeqCst) < most {
        return true;
    }
    if !shared.accept.full.swap(true, Ordering::SeqCst) {
        shared.stats.reject(RejectReason::MaxConnections);
        if shared.accept.may_warn(RejectReason::MaxConnections, shared.clock.now()) {
            match shared.role {
                Role::Main => {
                    tracing::warn!(most, "RWS_CONFIG_MAX_CONNECTIONS reached; new connections wait in the backlog");
                }
                Role::Admin => tracing::warn!(most, "no room on the admin port; new connections wait in the backlog"),
                Role::Redirect => {
                    tracing::warn!(most, "no room on the redirect port; new connections wait in the backlog");
                }
            }
        }
    }
    // One may have closed before the flag was up.
    active.load(Ordering::SeqCst) < most
}

/// The reactor with the fewest connections, in turn among equals.
fn least_loaded(shared: &Shared, next: &mut usize) -> usize {
    let count = shared.reactors.len();
    *next = (*next + 1) % count;
    let load = |index: usize| shared.reactors[index].connections.load(Ordering::Relaxed);
    (0..count).map(|offset| (*next + offset) % count).min_by_key(|&index| load(index)).unwrap_or(0)
}

/// Shuts out who has not begun to connect, then accepts until nobody else gets through.
fn take_in_the_last(
    shared: &Shared,
    poll: &mut Poll,
    events: &mut Events,
    listener: &TcpListener,
    intake: &mut Intake,
) {
    let mut most = shared.settings.load().drain_timeout;
    if let Err(error) = listener::refuse_new(listener) {
        tracing::warn!(%error, "cannot shut out new connections: those that arrive while the listener closes are reset");
        most = most.min(CLAMOUR);
    }
    let end = Instant::now() + most;
    loop {
        let before = shared.stats.connections_accepted.load(Ordering::Relaxed);
        // Whoever got through is served, even beyond the limits.
        let pause = accept_waiting(shared, listener, intake, None);
        let quiet = shared.stats.connections_accepted.load(Ordering::Relaxed) == before && pause == Pause::Empty;
        let arrived = wait(poll, events, Some(SILENCE));
        if (quiet && !arrived) || Instant::now() > end {
            return;
        }
    }
}

/// Waits for something to happen. Returns whether the listener has something.
fn wait(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> bool {
    if let Err(error) = poll.poll(events, timeout)
        && error.kind() != io::ErrorKind::Interrupted
    {
        tracing::error!(%error, "polling the listener failed");
    }
    events.iter().any(|event| event.token() == LISTENER)
}
