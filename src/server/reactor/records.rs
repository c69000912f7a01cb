//! A reactor's memory of requests: where their heads are put, what they are called, and what is told of them when they
//! are over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::Reactor;
use crate::app::request::Received;
use crate::app::request_id::is_well_formed;
use crate::semantics::forwarded;
use crate::server::connection::{Finishing, InFlight};
use crate::server::lifecycle::State;
use crate::server::observe::{Exchange, Outcome, ProtoError};

/// How many request heads are kept for reuse.
pub(super) const SPARE: usize = 8;

impl Reactor {
    /// A place for a request head, reused if nobody kept the last ones.
    pub(in crate::server) fn take_received(&mut self) -> Arc<Received> {
        while let Some(mut received) = self.spare_received.pop() {
            if let Some(last) = Arc::get_mut(&mut received) {
                last.user.take();
                return received;
            }
        }
        Arc::default()
    }

    /// Takes one back.
    pub(in crate::server) fn keep_received(&mut self, received: Arc<Received>) {
        if self.spare_received.len() < SPARE {
            self.spare_received.push(received);
        }
    }

    /// Gives a request its id and finds out whose it is. `is_secured`: it came through TLS.
    pub(in crate::server) fn identify(&mut self, received: &mut Received, is_secured: bool) {
        let trusted = &self.settings().trusted_proxies;
        (received.client_ip, received.is_secure) = match received.remote.ip() {
            peer if trusted.is_empty() => (peer.to_canonical(), is_secured),
            peer => {
                let client = forwarded::client(&received.head, peer, trusted);
                (client.ip, client.is_secure.unwrap_or(is_secured))
            }
        };
        match received.head.field("x-request-id") {
            Some(id) if is_well_formed(id) => {
                received.id.clear();
                received.id.push_str(std::str::from_utf8(id).unwrap_or_default());
            }
            _ => self.ids.write(&mut received.id),
        }
    }

    /// Tells the recorder of an exchange that is over.
    pub(in crate::server) fn record(&mut self, finishing: Finishing, bytes_in: u64) {
        let Finishing { in_flight, status, bytes_out, outcome, ended } = finishing;
        let now = ended.unwrap_or(self.now);
        self.recorder.record(&exchange(&in_flight, status, bytes_in, bytes_out, outcome, now));
        // At a forced end, what was not whole is listed as aborted.
        if outcome != Outcome::Timeout || self.shared.lifecycle.state() != State::Forced {
            self.shared.drain.request_served(&self.shared, in_flight.endpoint);
        }
        self.keep_received(in_flight.received);
    }

    /// Tells the recorder of a request that got no answer.
    pub(in crate::server) fn record_aborted(
        &mut self,
        in_flight: &InFlight,
        status: StatusCode,
        bytes_in: u64,
        outcome: Outcome,
    ) {
        self.recorder.record(&exchange(in_flight, status, bytes_in, 0, outcome, self.now));
    }

    /// Tells the recorder of bytes that never became a request.
    pub(in crate::server) fn record_unparsed(
        &mut self,
        remote: SocketAddr,
        refused: Option<ProtoError>,
        status: StatusCode,
        bytes_out: u64,
        outcome: Outcome,
    ) {
        self.recorder.record(&Exchange {
            received: None,
            remote,
            endpoint: None,
            refused,
            status,
            bytes_in: 0,
            bytes_out,
            duration: Duration::ZERO,
            queued: None,
            outcome,
            now: self.now,
        });
    }
}

fn exchange<'a>(
    in_flight: &'a InFlight,
    status: StatusCode,
    bytes_in: u64,
    bytes_out: u64,
    outcome: Outcome,
    now: Instant,
) -> Exchange<'a> {
    Exchange {
        received: Some(&in_flight.received),
        remote: in_flight.received.remote,
        endpoint: Some(in_flight.endpoint),
        refused: None,
        status,
        bytes_in,
        bytes_out,
        duration: now.saturating_duration_since(in_flight.received.at),
        queued: in_flight.queued,
        outcome,
        now,
    }
}
