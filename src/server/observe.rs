//! How the server tells others what it did: one observer for the process, one recorder for each reactor.
//!
//! A recorder belongs to its reactor and is called by one thread at a time, so it needs no locks.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::app::request::Received;
pub use crate::proto::error::ProtoError;

/// Makes a [`Recorder`] for each reactor.
pub trait Observer: Send + Sync + 'static {
    /// The recorder of reactor number `reactor`.
    fn recorder(&self, reactor: usize) -> Box<dyn Recorder>;
}

/// Takes note of every finished exchange of one reactor.
pub trait Recorder: Send {
    /// One request was answered, refused or aborted.
    fn record(&mut self, exchange: &Exchange<'_>);

    /// Called after each batch of events with the current time. Hands over what should not wait, and returns
    /// when it wants to be called again at the latest, if anything is still held back.
    fn flush(&mut self, now: Instant) -> Option<Instant>;

    /// Hands over everything; called when the reactor ends.
    fn finish(&mut self);
}

/// One exchange, once it is over.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The request; `None` when it was refused before its head could be understood.
    pub received: Option<&'a Received>,
    /// The other end of the connection.
    pub remote: SocketAddr,
    /// Index into the service's endpoints; `None` when the request was refused before routing.
    pub endpoint: Option<u32>,
    /// Why the bytes were no request, if that is what the server found.
    pub refused: Option<ProtoError>,
    /// The status that was sent (or would have been).
    pub status: StatusCode,
    /// Bytes of the request body that were received.
    pub bytes_in: u64,
    /// Bytes of the response body that were handed to the socket.
    pub bytes_out: u64,
    /// From the complete head to the end of the response.
    pub duration: Duration,
    /// How long the request waited for a worker; `None` when it ran inline.
    pub queued: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub now: Instant,
}

impl Exchange<'_> {
    /// Whether it did not go well, on whoever's account.
    pub fn failed(&self) -> bool {
        self.status.as_u16() >= 400 || self.outcome != Outcome::Ok
    }

    /// Whether the request only asked to see something (RFC 9110 section 9.2.1), as far as its head was understood.
    pub fn is_safe(&self) -> bool {
        self.received.is_none_or(|received| received.head.method().is_safe())
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response was sent.
    Ok,
    /// The client went away first.
    ClientAbort,
    /// A deadline passed.
    Timeout,
    /// The handler panicked.
    Panic,
    /// The server refused the request.
    Rejected,
    /// The source of the response's body failed after the head was sent.
    Error,
}

impl Outcome {
    /// The name in the access log.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::ClientAbort => "client_abort",
            Outcome::Timeout => "timeout",
            Outcome::Panic => "panic",
            Outcome::Rejected => "rejected",
            Outcome::Error => "error",
        }
    }
}
