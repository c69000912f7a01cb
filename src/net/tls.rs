//! TLS for connections that were accepted (rustls). Knows sockets, certificates and records, and no HTTP.
//!
//! [`Identity`](identity::Identity) is a certificate with its key, read and checked. An [`Acceptor`] holds what new
//! connections are secured with, and can be given something else while they run. A `Session` is
//! one connection's encryption; `net::stream` puts it between the socket and whoever reads and writes.
//!
//! Without the cargo feature `tls` there are no acceptors, and so no sessions.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
pub mod identity;
#[cfg(feature = "tls")]
pub(crate) mod provider;
#[cfg(feature = "tls")]
mod session;

#[cfg(not(feature = "tls"))]
pub use self::absent::Acceptor;
#[cfg(not(feature = "tls"))]
pub(super) use self::absent::Session;
#[cfg(feature = "tls")]
pub use self::acceptor::Acceptor;
#[cfg(feature = "tls")]
pub(super) use self::session::Session;
