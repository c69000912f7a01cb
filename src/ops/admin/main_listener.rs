//! The check `main-listener`: whether the main listener still takes connections, found out by connecting.
//!
//! A thread of its own connects, says nothing, shuts its side down and waits for the server to do the same. That goes
//! through the backlog, the accept loop, a reactor's mailbox and its poller, whatever is spoken on the port, and leaves
//! no line in the log and no request in the metrics.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use serde_json::{Map, Value};

use crate::ops::probes::{Check, Probe, Verdict};
use crate::server::lifecycle::{Lifecycle, State};

/// How often it connects.
const EVERY: Duration = Duration::from_secs(1);
/// How long the listener may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How many failures in a row make it fail: one alone may be a burst of connections in front of it.
const FAIL_AFTER: u32 = 2;
/// The likely reason.
const FULL: &str = "; it has as many connections as RWS_CONFIG_MAX_CONNECTIONS and the limit of open files allow";
/// A result older than this counts for nothing.
const STALE: Duration = Duration::from_secs(5);

/// Whether the main listener answers.
#[derive(Clone)]
pub struct MainListener {
    shared: Arc<Shared>,
    lifecycle: Lifecycle,
    is_full: IsFull,
    /// The thread ends when the last one is gone.
    _alive: Sender<()>,
}

impl fmt::Debug for MainListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MainListener").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// Whether the main server has as many connections as it may.
type IsFull = Arc<dyn Fn() -> bool + Send + Sync>;

#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Option<Latest>>,
}

#[derive(Clone, Debug)]
struct Latest {
    at: Instant,
    took: Duration,
    failures: u32,
    error: Option<String>,
}

impl MainListener {
    /// Starts to ask the listener at `address`, as long as `lifecycle` says that it is to answer. `is_full` tells whether
    /// the server has as many connections as it may, which is the likely reason if it does not answer.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn start(
        address: SocketAddr,
        lifecycle: Lifecycle,
        is_full: impl Fn() -> bool + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (alive, gone) = bounded(0);
        let shared = Arc::<Shared>::default();
        let check = MainListener {
            shared: shared.clone(),
            lifecycle: lifecycle.clone(),
            is_full: Arc::new(is_full),
            _alive: alive,
        };
        let run = move || run(&shared, reachable(address), &lifecycle, &gone);
        thread::Builder::new().name("rws-adm-connect".into()).spawn(run)?;
        Ok(check)
    }

    fn latest(&self) -> Option<Latest> {
        self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Check for MainListener {
    fn name(&self) -> &str {
        "main-listener"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        if self.lifecycle.state() != State::Ready {
            // Others fail then, and say why.
            return Verdict::Pass;
        }
        match self.latest() {
            None => Verdict::Fail("it has not been asked yet".into()),
            Some(latest) if latest.at.elapsed() > STALE => Verdict::Fail("there is no recent answer".into()),
            Some(Latest { failures, error: Some(error), .. }) if failures >= FAIL_AFTER => {
                let why = if (self.is_full)() { FULL } else { "" };
                Verdict::Fail((error + why).into())
            }
            Some(_) => Verdict::Pass,
        }
    }

    fn is_logged(&self) -> bool {
        self.latest().is_some()
    }

    fn data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        if let Some(latest) = self.latest() {
            data.insert("duration_ms".into(), millis(latest.took));
            data.insert("age_ms".into(), millis(latest.at.elapsed()));
            data.insert("failures".into(), latest.failures.into());
        }
        data
    }
}

fn millis(duration: Duration) -> Value {
    (duration.as_micros() as f64 / 1e3).into()
}

/// The thread's life.
fn run(shared: &Shared, address: SocketAddr, lifecycle: &Lifecycle, gone: &Receiver<()>) {
    /// How often it looks whether the server has started.
    const UNTIL_READY: Duration = Duration::from_millis(10);
    let mut failures = 0;
    let mut pause = Duration::ZERO;
    while gone.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        match lifecycle.state() {
            State::Starting => pause = UNTIL_READY,
            State::Ready => {
                pause = EVERY;
                let start = Instant::now();
                let error = ask(address).err().map(|error| in_words(&error));
                failures = if error.is_some() { failures + 1 } else { 0 };
                let latest = Latest { at: Instant::now(), took: start.elapsed(), failures, error };
                *shared.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(latest);
            }
            _ => return,
        }
    }
}

/// Connects, says that nothing will come, and waits until the other side has taken note.
fn ask(address: SocketAddr) -> io::Result<()> {
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.shutdown(Shutdown::Write)?;
    // Whatever it may have to say to that is an answer as well.
    match socket.read(&mut [0; 64]) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        result => result.map(drop),
    }
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("it did not answer within {TIMEOUT:?}"),
        _ => format!("it did not answer: {error}"),
    }
}

/// Where this process reaches what listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        // It takes IPv4 as well, and ::1 may be missing.
        IpAddr::V6(ip) if ip.is_unspecified() => match std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
            Ok(_) => Ipv6Addr::LOCALHOST.into(),
            Err(_) => Ipv4Addr::LOCALHOST.into(),
        },
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn wait_for(check: &MainListener, wanted: impl Fn(&Verdict) -> bool) -> Verdict {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let verdict = check.verdict(Probe::Readyz);
            if wanted(&verdict) {
                return verdict;
            }
            assert!(Instant::now() < end, "still {verdict:?}");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_listener_that_takes_nobody_fails_and_one_that_does_passes_again() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let lifecycle = Lifecycle::default();
        let check =
            MainListener::start(listener.local_addr().expect("bound"), lifecycle.clone(), || true).expect("a thread");
        assert_eq!(check.verdict(Probe::Readyz), Verdict::Pass, "starting is another check's reason");
        lifecycle.advance(State::Ready);
        // The system completes the handshake, so connecting alone proves nothing.
        let failed = wait_for(&check, |verdict| format!("{verdict:?}").contains("within 1s"));
        assert!(format!("{failed:?}").contains("MAX_CONNECTIONS"), "{failed:?}");
        thread::spawn(move || listener.incoming().for_each(drop));
        wait_for(&check, |verdict| *verdict == Verdict::Pass);
        assert_eq!(check.data()["failures"], 0);
        lifecycle.advance(State::Draining);
        assert_eq!(check.verdict(Probe::Readyz), Verdict::Pass, "so is stopping");
    }

    #[test]
    fn nobody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let lifecycle = Lifecycle::default();
        lifecycle.advance(State::Ready);
        let check = MainListener::start(address, lifecycle, || false).expect("a thread");
        wait_for(&check, |verdict| format!("{verdict:?}").contains("refused"));
    }

    #[test]
    fn an_unspecified_address_is_reached_over_loopback() {
        for (address, expected) in [("0.0.0.0:80", "127.0.0.1:80"), ("192.0.2.1:80", "192.0.2.1:80")] {
            assert_eq!(reachable(address.parse().expect("an address")).to_string(), expected);
        }
        assert!(reachable("[::]:80".parse().expect("an address")).ip().is_loopback());
    }
}
