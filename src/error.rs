//! Why a server could not start, or did not end well.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::app::error::BuildErrors;
use crate::config::{ConfigErrors, PREFIX};
#[cfg(feature = "tls")]
use crate::net::tls::identity::IdentityError;

/// What went wrong, with its cause as the [source](std::error::Error::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
}

/// The kinds of [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration is not valid.
    Config(ConfigErrors),
    /// The application's routes or states contradict each other.
    Build(BuildErrors),
    /// The static directory cannot be opened.
    StaticDir(io::Error),
    /// Certificates, keys or authorities that cannot be used, each with its variable without `RWS_CONFIG_`.
    #[cfg(feature = "tls")]
    Tls(Vec<(String, IdentityError)>),
    /// Two collectors have metrics of the same name.
    Metrics(prometheus::Error),
    /// The address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// The admin address cannot be listened on.
    AdminBind(SocketAddr, io::Error),
    /// The address that redirects to HTTPS cannot be listened on.
    RedirectBind(SocketAddr, io::Error),
    /// A start-up hook failed, or the server was not ready in time.
    Startup(String),
    /// The system refused a thread, a poller or a signal handler.
    System(io::Error),
    /// The main thread panicked, and where.
    Panic(String),
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The exit code of a process that ends because of it: 1 failed at run time, 2 bad configuration, 3 cannot bind.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            ErrorKind::Config(_) | ErrorKind::Build(_) | ErrorKind::StaticDir(_) | ErrorKind::Metrics(_) => 2,
            #[cfg(feature = "tls")]
            ErrorKind::Tls(_) => 2,
            ErrorKind::Bind(..) | ErrorKind::AdminBind(..) | ErrorKind::RedirectBind(..) => 3,
            ErrorKind::System(_) | ErrorKind::Startup(_) | ErrorKind::Panic(_) => 1,
        })
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error { kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Config(errors) => write!(f, "{errors}"),
            ErrorKind::Build(errors) => write!(f, "{errors}"),
            ErrorKind::StaticDir(error) => write!(f, "{PREFIX}STATIC_DIR cannot be opened: {error}"),
            #[cfg(feature = "tls")]
            ErrorKind::Tls(errors) => f.write_str(&lines(errors)),
            ErrorKind::Metrics(error) => write!(f, "metrics cannot be registered: {error}"),
            ErrorKind::Bind(address, error) => {
                write!(f, "cannot listen on {address}: {error}{}", advice(error, "PORT", "IP"))
            }
            ErrorKind::AdminBind(address, error) => {
                let advice = advice(error, "ADMIN_PORT", "ADMIN_IP");
                write!(f, "cannot listen on {address} (RWS_CONFIG_ADMIN_PORT): {error}{advice}")
            }
            ErrorKind::RedirectBind(address, error) => {
                let advice = advice(error, "HTTP_REDIRECT_PORT", "IP");
                write!(f, "cannot listen on {address} (RWS_CONFIG_HTTP_REDIRECT_PORT): {error}{advice}")
            }
            ErrorKind::Startup(reason) => write!(f, "the start failed: {reason}"),
            ErrorKind::System(error) => write!(f, "cannot start: {error}"),
            ErrorKind::Panic(text) => f.write_str(text),
        }
    }
}

/// One for each.
#[cfg(feature = "tls")]
fn lines(errors: &[(String, IdentityError)]) -> String {
    let lines = errors.iter().map(|(variable, error)| format!("{PREFIX}{variable}: {error}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What to do about an address that cannot be had.
fn advice(error: &io::Error, port: &str, ip: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!("; another process has it: stop that, or set RWS_CONFIG_{port}"),
        io::ErrorKind::PermissionDenied => {
            format!("; ports under 1024 are reserved: set RWS_CONFIG_{port} to 1024 or more")
        }
        io::ErrorKind::AddrNotAvailable => format!("; no interface has it: set RWS_CONFIG_{ip}=0.0.0.0"),
        _ => String::new(),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ErrorKind::Config(error) => Some(error),
            ErrorKind::Build(error) => Some(error),
            #[cfg(feature = "tls")]
            ErrorKind::Tls(errors) => errors.first().map(|(_, error)| error as _),
            ErrorKind::Metrics(error) => Some(error),
            ErrorKind::StaticDir(error)
            | ErrorKind::Bind(_, error)
            | ErrorKind::AdminBind(_, error)
            | ErrorKind::RedirectBind(_, error)
            | ErrorKind::System(error) => Some(error),
            ErrorKind::Startup(_) | ErrorKind::Panic(_) => None,
        }
    }
}
