//! Who the client is after a handshake, and handshakes that fail.

use std::io;

use super::{Connection, Failure};
use crate::net::tls::refused_client;
use crate::proto::cycle::CloseReason;
#[cfg(feature = "tls")]
use crate::semantics::client_certificate::ClientCertificate;
use crate::server::reactor::Reactor;

impl Connection {
    /// Remembers who the client has shown to be.
    #[cfg(feature = "tls")]
    pub(super) fn take_down_client(&mut self) {
        self.client_certificate = self.stream.peer_certificate().map(ClientCertificate::from_der);
    }

    /// There are no certificates in this build.
    #[cfg(not(feature = "tls"))]
    pub(super) fn take_down_client(&mut self) {}

    /// The handshake came to nothing. If there is an alert that says why, it is still sent.
    pub(super) fn handshake_failed(&mut self, reactor: &Reactor, reason: &io::Error) {
        let shared = reactor.shared();
        shared.stats.error(Failure::TlsHandshake);
        tracing::debug!(remote = %self.remote, %reason, "TLS handshake failed");
        if let Some(secure) = &shared.secure {
            match refused_client(reason) {
                Some(why) => secure.client_refused(&why, self.remote, reactor.now()),
                None => secure.handshake_failed(reason, reactor.now()),
            }
        }
        self.readable = false;
        let reason = if self.stream.has_unsent() { CloseReason::HandshakeFailed } else { CloseReason::IoError };
        self.closing = Some(reason);
    }
}
