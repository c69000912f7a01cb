//! A real server for tests: on a free port of this machine, gone when it is dropped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::embedded::ServerHandle;
use crate::app::App;
use crate::config::{Config, Loaded, LogFormat};
use crate::error::{Error, ErrorKind};
use crate::server::Report;

/// An application on a real socket, for tests of what [`TestClient`](crate::TestClient) leaves out: connections, framing,
/// probes, metrics, deadlines, clients of other makes. It is ready when [`start`](Self::start) returns, after its start-up
/// hooks and health checks; when it is dropped it drains, and the test waits for that. Tests may run beside each other:
/// each has a port of its own.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
///
/// use rws::{App, TestServer, get};
///
/// let server = TestServer::start(App::new().route("/", get(|| "hello")))?;
/// let mut stream = TcpStream::connect(server.address())?;
/// write!(stream, "GET /readyz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
/// assert_eq!(server.url("/"), format!("http://{}/", server.address()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TestServer {
    /// Taken by whoever waits.
    handle: Option<ServerHandle>,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    scheme: &'static str,
}

impl TestServer {
    /// Serves `app` on a free port of 127.0.0.1, with the defaults of the configuration but without an access log.
    ///
    /// # Errors
    ///
    /// Those of [`App::serve`], and a start-up hook that fails.
    pub fn start(app: App) -> Result<Self, Error> {
        Self::start_with(app, Config { log_format: LogFormat::Off, ..Config::default() })
    }

    /// The same with another configuration, made in code or with [`Config::load`]:
    ///
    /// ```
    /// use rws::config::{Config, Sources};
    /// use rws::{App, TestServer};
    ///
    /// let settings = [("RWS_CONFIG_HEALTHZ_PATH", "/alive"), ("RWS_CONFIG_LOG_FORMAT", "off")];
    /// let server = TestServer::start_with(App::new(), Config::load(&Sources::new(settings))?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As above.
    pub fn start_with(app: App, config: impl Into<Loaded>) -> Result<Self, Error> {
        let loaded = config.into();
        let scheme = if loaded.config.speaks_tls() { "https" } else { "http" };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ErrorKind::System)?;
        let handle = app.serve(listener, loaded)?;
        let (address, admin) = (handle.address(), handle.admin_address());
        if handle.wait_until_ready() {
            return Ok(TestServer { handle: Some(handle), address, admin, scheme });
        }
        handle.stop();
        let not_ready = |_| ErrorKind::Startup("it ended before it was ready".to_owned());
        Err(handle.wait().map_or_else(|error| error, |report| not_ready(report).into()))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where RWS_CONFIG_ADMIN_PORT is, if that is set: with 0, on a free port.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::net::TcpStream;
    ///
    /// use rws::config::{Config, LogFormat};
    /// use rws::{App, TestServer};
    ///
    /// let config = Config { admin_port: Some(0), log_format: LogFormat::Off, ..Config::default() };
    /// let server = TestServer::start_with(App::new(), config)?;
    /// let mut stream = TcpStream::connect(server.admin_address().expect("it has one"))?;
    /// write!(stream, "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    /// let mut answer = String::new();
    /// stream.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The URL of `path` on the main port, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Has it drain, waits for its end, and returns how that went.
    ///
    /// # Errors
    ///
    /// The server's own threads panicked.
    pub fn stop(mut self) -> Result<Report, Error> {
        self.end().unwrap_or_else(|| Err(ErrorKind::Panic("it has ended already".to_owned()).into()))
    }

    fn end(&mut self) -> Option<Result<Report, Error>> {
        let handle = self.handle.take()?;
        handle.stop();
        Some(handle.wait())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // What a test wants to know of the end it asks `stop`.
        let _ = self.end();
    }
}
