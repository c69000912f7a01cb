//! Handshakes that fail.

use std::fmt::Display;

use super::{Connection, Failure};
use crate::proto::cycle::CloseReason;
use crate::server::reactor::Reactor;

impl Connection {
    /// The handshake came to nothing. If there is an alert that says why, it is still sent.
    pub(super) fn handshake_failed(&mut self, reactor: &Reactor, reason: &dyn Display) {
        let shared = reactor.shared();
        shared.stats.error(Failure::TlsHandshake);
        tracing::debug!(remote = %self.remote, %reason, "TLS handshake failed");
        if let Some(secure) = &shared.secure {
            secure.handshake_failed(reason, reactor.now());
        }
        self.readable = false;
        let reason = if self.stream.has_unsent() { CloseReason::HandshakeFailed } else { CloseReason::IoError };
        self.closing = Some(reason);
    }
}
