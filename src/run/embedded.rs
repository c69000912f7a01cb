//! rws inside a larger program: a server on the caller's listener, with a configuration made in code, stopped by the
//! caller. Leaves the process alone: no signal handler, no panic hook, no tracing subscriber, no look at the environment.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::built_in::Defaults;
use super::instance::{Logs, Parts};
use crate::app::App;
use crate::config::{Live, Loaded, LogFormat};
use crate::error::{Error, ErrorKind};
use crate::ops::log_writer::{DEFAULT_CAPACITY, LogFile, LogHandle, LogWriter};
use crate::server::lifecycle::{Lifecycle, State};
use crate::server::{Report, Stop};

/// How long the end waits for the access log to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

impl App {
    /// Serves the application on `listener` inside a program that has other things to do as well, with probes, metrics, access
    /// log and drain as [`run`](App::run) has them. Returns at once: start-up hooks and health checks go on meanwhile, see
    /// [`ServerHandle::wait_until_ready`].
    ///
    /// `config` is a [`Config`](crate::config::Config) made in code, or what
    /// [`Config::load`](crate::config::Config::load) made of sources. RWS_CONFIG_IP and RWS_CONFIG_PORT are not used: the
    /// listener, which may be bound anywhere, also to port 0, takes their place. The configuration does not change
    /// afterwards; certificates are read again when their files change.
    ///
    /// The listener is made non-blocking. The caller may keep a clone of it and serve it again later; from the drain on until
    /// then, nobody new gets in on any clone.
    ///
    /// Unlike `run` it leaves the process as it is: no signal is handled, no panic hook or tracing subscriber installed, no
    /// environment variable read; only the soft limit of open files is raised, as far as RWS_CONFIG_MAX_CONNECTIONS needs.
    /// Diagnostics are events of `tracing` for the subscriber that the program has; the
    /// access log goes to stdout unless RWS_CONFIG_LOG_FORMAT is `off`. There may be several servers in one process.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::{TcpListener, TcpStream};
    ///
    /// use rws::config::{Config, LogFormat};
    /// use rws::server::Verdict;
    /// use rws::{App, get};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let config = Config { thread_count: 4, log_format: LogFormat::Off, ..Config::default() };
    /// let server = App::new().route("/", get(|| "hello")).serve(listener, config)?;
    ///
    /// let mut stream = TcpStream::connect(server.address())?;
    /// stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"));
    ///
    /// server.stop();
    /// assert_eq!(server.wait()?.verdict, Verdict::Drained);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A field of `config` with a value that its variable could not have, by the name of the variable; routes, states, checks or
    /// metrics that contradict each other; certificates or a static directory that cannot be used;
    /// an admin or redirect port that cannot be had; a thread or a poller that the system refuses. Nothing runs then.
    pub fn serve(self, listener: TcpListener, config: impl Into<Loaded>) -> Result<ServerHandle, Error> {
        let loaded = config.into();
        loaded.check().map_err(ErrorKind::Config)?;
        for notice in &loaded.notices {
            tracing::warn!(variable = notice.variable(), "{notice}");
        }
        let access = access_log(loaded.config.log_format).map_err(ErrorKind::System)?;
        let logs = Logs { access: access.clone(), diagnostics: None };
        let parts = Parts::new(self, Live::new(loaded), Defaults::default(), logs)?;
        ServerHandle::start(parts, listener, access)
    }
}

fn access_log(format: LogFormat) -> io::Result<LogHandle> {
    let (name, capacity) = ("rws-access-log", DEFAULT_CAPACITY);
    let (log, _) = match format {
        LogFormat::Off => LogWriter::spawn(name, io::sink(), capacity)?,
        _ => LogWriter::spawn(name, SharedStdout(LogFile::stdout()?), capacity)?,
    };
    Ok(log)
}

/// Standard output of a program in which others write to it as well: what comes in one piece goes out in one piece.
struct SharedStdout(LogFile);

impl Write for SharedStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _alone = io::stdout().lock();
        let mut written = 0;
        while written < bytes.len() {
            match self.0.write(&bytes[written..]) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(error) if written == 0 => return Err(error),
                // It will come again with the rest.
                Err(_) => break,
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A server that [`App::serve`] has started. Dropping it has the server drain, and does not wait for that.
#[must_use = "dropping it stops the server"]
pub struct ServerHandle {
    address: SocketAddr,
    admin: Option<SocketAddr>,
    lifecycle: Lifecycle,
    stopper: Stopper,
    /// Disconnected once the start is over.
    begun: Receiver<Infallible>,
    /// Taken by whoever waits.
    thread: Option<JoinHandle<Result<Report, Error>>>,
}

impl ServerHandle {
    /// Starts it on the thread that will wait for its end, so that nothing runs if there is no such thread.
    fn start(mut parts: Parts, listener: TcpListener, access: LogHandle) -> Result<Self, Error> {
        let reload = parts.follow(None)?;
        let (tell, told) = bounded(1);
        let (begins, begun) = bounded::<Infallible>(0);
        let run = move || {
            let instance = parts.start(listener)?;
            // Whoever starts it waits for this.
            let addresses = (instance.address(), instance.admin_address());
            let _ = tell.send((addresses, instance.lifecycle().clone(), instance.stops()));
            drop(tell);
            let result = instance.run(begins);
            drop(reload);
            access.finish(LAST_LINES);
            result
        };
        let thread = thread::Builder::new().name("rws-serve".into()).spawn(run).map_err(ErrorKind::System)?;
        match told.recv() {
            Ok(((address, admin), lifecycle, stops)) => {
                let stopper = Stopper { stops: stops.into() };
                Ok(ServerHandle { address, admin, lifecycle, stopper, begun, thread: Some(thread) })
            }
            Err(_) => Err(join(thread).err().unwrap_or_else(panicked)),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where RWS_CONFIG_ADMIN_PORT is, if that is set; the system has chosen it if that is 0.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.lifecycle.state()
    }

    /// Waits until start-up hooks and health checks are through, for at most RWS_CONFIG_STARTUP_TIMEOUT (no limit by
    /// default). Returns whether the server is ready: it is not if it was stopped meanwhile, nor if its start failed, for
    /// which [`wait`](Self::wait) has the reason.
    pub fn wait_until_ready(&self) -> bool {
        // Nothing is ever sent.
        let _ = self.begun.recv();
        self.state() == State::Ready
    }

    /// Drains: for RWS_CONFIG_DRAIN_DELAY (zero by default outside Kubernetes) everything is still served while /readyz says
    /// 503; then what has begun is finished, for at most RWS_CONFIG_DRAIN_TIMEOUT. Returns at once; see
    /// [`wait`](Self::wait). A second call changes nothing.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// The means to stop it from elsewhere: another thread, a signal handler's thread, a callback.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has been stopped and has ended, with its shutdown hooks, and returns how.
    ///
    /// # Errors
    ///
    /// A start-up hook failed, or the server was not ready in time.
    pub fn wait(mut self) -> Result<Report, Error> {
        self.thread.take().map_or_else(|| Err(panicked()), join)
    }
}

fn join(thread: JoinHandle<Result<Report, Error>>) -> Result<Report, Error> {
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    ErrorKind::Panic("the thread that waits for the server's end panicked".to_owned()).into()
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, state) = (self.address, self.state());
        f.debug_struct("ServerHandle").field("address", &address).field("state", &state).finish_non_exhaustive()
    }
}

/// Stops a server that [`App::serve`] has started. Clones stop the same one; dropping them does nothing.
///
/// ```
/// # use std::net::TcpListener;
/// # use rws::{App, config::Config, server::Verdict};
/// let server = App::new().serve(TcpListener::bind("127.0.0.1:0")?, Config::default())?;
/// let stopper = server.stopper();
/// std::thread::spawn(move || stopper.stop());
/// assert_eq!(server.wait()?.verdict, Verdict::Drained);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stopper {
    stops: std::sync::Arc<[Stop]>,
}

impl Stopper {
    /// Drains; see [`ServerHandle::stop`].
    pub fn stop(&self) {
        self.stops.iter().for_each(Stop::begin);
    }

    /// Ends at once: what has begun is aborted, and shutdown hooks are not run. The verdict is
    /// [`Killed(0)`](crate::server::Verdict::Killed).
    pub fn abort(&self) {
        self.stops.iter().for_each(|stop| stop.abort(0));
    }
}
