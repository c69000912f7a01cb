//! What TLS adds to the engine: what connections are secured with, and a warning, at most once a minute, of handshakes
//! that fail.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::shared::lock;
use crate::net::tls::Acceptor;

/// How long trouble goes without saying again.
const MINUTE: Duration = Duration::from_secs(60);

/// One server's TLS.
pub(super) struct Secure {
    pub(super) acceptor: Arc<Acceptor>,
    failed: Trouble,
    /// Of its own: port scanners and the like must not hide it.
    refused: Trouble,
}

impl Secure {
    pub(super) fn new(acceptor: Arc<Acceptor>) -> Self {
        Secure { acceptor, failed: Trouble::default(), refused: Trouble::default() }
    }

    /// A handshake came to nothing.
    pub(super) fn handshake_failed(&self, reason: &dyn Display, now: Instant) {
        if let Some(count) = self.failed.report(now) {
            tracing::warn!(count, last = %reason, "TLS handshakes failed (log level debug has each of them)");
        }
    }

    /// A client did not have the certificate that it was asked for.
    pub(super) fn client_refused(&self, reason: &str, remote: SocketAddr, now: Instant) {
        if let Some(count) = self.refused.report(now) {
            tracing::warn!(
                count,
                last = reason,
                %remote,
                "clients were refused for their certificates (RWS_CONFIG_TLS_CLIENT_CA_FILE; log level debug has each of \
                 them)"
            );
        }
    }
}

/// Something that may happen often and is to be said seldom.
#[derive(Default)]
struct Trouble {
    since: AtomicU64,
    said: Mutex<Option<Instant>>,
}

impl Trouble {
    /// Counts one. How many there were since the last time it was said, if it is time to say it again.
    fn report(&self, now: Instant) -> Option<u64> {
        self.since.fetch_add(1, Ordering::Relaxed);
        let mut said = lock(&self.said);
        if said.is_some_and(|said| now.saturating_duration_since(said) < MINUTE) {
            return None;
        }
        *said = Some(now);
        Some(self.since.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_said_once_a_minute_with_how_often_it_happened() {
        let (trouble, start) = (Trouble::default(), Instant::now());
        let at = |seconds| trouble.report(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(1), at(59), at(60), at(61), at(120)], [Some(1), None, None, Some(3), None, Some(2)]);
    }
}
