//! TLS for connections that were accepted (rustls). Knows sockets, certificates and records, and no HTTP.
//!
//! [`Identity`](identity::Identity) is a certificate with its key, read and checked, and [`Clients`](clients::Clients)
//! says whose certificates clients may come with. An [`Acceptor`] holds the [`Terms`] of new connections, and can be
//! given others while they run. A `Session` is one connection's encryption; `net::stream` puts it between the socket and
//! whoever reads and writes.
//!
//! Without the cargo feature `tls` there are no acceptors, and so no sessions.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
pub mod clients;
#[cfg(feature = "tls")]
pub mod identity;
#[cfg(feature = "tls")]
mod names;
#[cfg(feature = "tls")]
pub mod provider;
#[cfg(feature = "tls")]
mod session;

#[cfg(not(feature = "tls"))]
pub(super) use self::absent::Session;
#[cfg(not(feature = "tls"))]
pub use self::absent::{Acceptor, refused_client};
#[cfg(feature = "tls")]
pub use self::acceptor::{Acceptor, Certificate, Terms};
#[cfg(feature = "tls")]
pub use self::clients::refused_client;
#[cfg(feature = "tls")]
pub(super) use self::session::Session;
