//! How connections come to a reactor, from the accept loop and back from workers, and how handshakes share its time.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use http::StatusCode;

use super::{Place, Reactor};
use crate::net::stream::Stream;
use crate::server::accept::Seat;
use crate::server::connection::Connection;
use crate::server::observe::Outcome;
use crate::server::shared::{Mail, Shared};

impl Reactor {
    /// Deals with all mail there is.
    pub(super) fn read_mail(&mut self) {
        // First take the flag back, then read: who sends in between wakes us again.
        // A swap, so that what was sent before the flag went up is seen from here on.
        let handle = &self.shared.reactors[self.index];
        handle.notified.swap(false, Ordering::AcqRel);
        // Again, now that the flag is down: who asked in between whether the reactor comes round has found it up, and so
        // has woken nobody who could still answer.
        handle.pulse.beat();
        while let Ok(mail) = self.mailbox.try_recv() {
            match mail {
                Mail::Open(stream, remote, seat) => self.open(stream, remote, seat),
                Mail::Wake(token) => self.woken(token),
                Mail::Return(connection) => self.welcome_back(connection),
                Mail::Abandoned(in_flight, now) => {
                    self.now = self.now.max(now);
                    let status = in_flight.answered.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                    self.record_aborted(&in_flight, status, 0, Outcome::Timeout);
                }
            }
        }
    }

    /// A connection comes back from a worker, and hears what the poller said of it meanwhile.
    fn welcome_back(&mut self, mut connection: Box<Connection>) {
        if let Some(place) = self.connections.get_mut(connection.token)
            && let Place::Away { readable, ending, entry_gone } = std::mem::replace(place, Place::AWAY)
        {
            // A worker may have taken from the socket what it did not use.
            if readable || connection.stream.holds_input() {
                connection.became_readable(ending);
            }
            if entry_gone {
                connection.deadline.forget_entry();
            }
        }
        self.returned.push_back(connection);
    }

    /// A feed has something for a connection. One that is away looks anyway when it comes back; and the place may have
    /// been another's when the feed was told whom to wake.
    fn woken(&mut self, token: usize) {
        if let Some(place @ Place::Here(_)) = self.connections.get_mut(token)
            && let Some(connection) = place.take_if(Connection::is_live)
        {
            self.returned.push_back(connection);
        }
    }

    /// What makes this reactor look at the connection with this token, from any thread.
    pub(in crate::server) fn waker(&self, token: usize) -> Waker {
        Waker::from(Arc::new(Bell { shared: Arc::downgrade(&self.shared), reactor: self.index, token }))
    }

    /// A new connection is served at once: most clients have sent their request by now, and one that is answered and
    /// closed in the same turn never needs the poller.
    fn open(&mut self, stream: Stream, remote: SocketAddr, seat: Option<Seat>) {
        let stream = match &self.shared.secure {
            Some(secure) => stream.secured(secure.acceptor.clone()),
            None => stream,
        };
        let token = self.connections.insert(Place::AWAY);
        let mut connection = Box::new(Connection::new(stream, remote, self.index, token, self.now));
        connection.seat = seat;
        connection.became_readable(false);
        self.returned.push_back(connection);
    }

    /// The next connection whose handshake may go on.
    pub(super) fn next_handshake(&mut self) -> Option<Box<Connection>> {
        while !self.handshakes.is_empty() {
            let now = self.tick();
            let token = self.handshakes.next(now)?;
            let Some(place) = self.connections.get_mut(token) else { continue };
            if let Some(mut connection) = place.take() {
                connection.waits_for_handshake = false;
                return Some(connection);
            }
        }
        None
    }

    /// Whether another step of a handshake may be taken before others have their turn.
    pub(in crate::server) fn may_shake_hands(&mut self) -> bool {
        let now = self.tick();
        self.handshakes.step(now)
    }
}

/// Rings for a connection. Whoever holds it may outlive the server.
struct Bell {
    shared: Weak<Shared>,
    reactor: usize,
    token: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.reactors[self.reactor].send(Mail::Wake(self.token));
        }
    }
}
