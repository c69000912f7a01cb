//! The server's own counters and gauges, read by metrics and probes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters and gauges of the running server. Reading is always allowed; only the server writes.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "named as the metrics they feed")]
pub struct Stats {
    pub connections_active: AtomicUsize,
    pub connections_accepted: AtomicU64,
    pub rejected: [AtomicU64; RejectReason::ALL.len()],
    pub connection_errors: [AtomicU64; ErrorKind::ALL.len()],
    /// Worker threads alive, those that drive a reactor included.
    pub worker_threads: AtomicUsize,
    /// Workers occupied by a handler that left the reactor.
    pub workers_busy: AtomicUsize,
    pub queue_depth: AtomicUsize,
    pub requests_active: AtomicUsize,
    /// Connections that speak another protocol than HTTP after an upgrade.
    pub websocket_connections_active: AtomicUsize,
    pub handoffs: AtomicU64,
    pub handler_panics: AtomicU64,
}

impl Stats {
    /// Counts a rejection.
    pub(crate) fn reject(&self, reason: RejectReason) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that ended badly.
    pub(crate) fn error(&self, kind: ErrorKind) {
        self.connection_errors[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a request or connection was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// All workers were busy and the queue was full.
    QueueFull,
    /// RWS_CONFIG_MAX_CONNECTIONS was reached.
    MaxConnections,
    /// No file descriptor was left.
    FileDescriptors,
    /// RWS_CONFIG_MAX_CONNECTIONS_PER_IP was reached.
    PerIp,
}

impl RejectReason {
    /// All reasons, in order.
    pub const ALL: [RejectReason; 4] =
        [RejectReason::QueueFull, RejectReason::MaxConnections, RejectReason::FileDescriptors, RejectReason::PerIp];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::QueueFull => "queue_full",
            RejectReason::MaxConnections => "max_connections",
            RejectReason::FileDescriptors => "file_descriptors",
            RejectReason::PerIp => "per_ip",
        }
    }
}

/// How a connection ended badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Bytes that are not HTTP/1.1 as RFC 9112 defines it.
    Protocol,
    /// The head did not arrive in time.
    HeadTimeout,
    /// The body made no progress in time.
    BodyTimeout,
    /// The client did not read in time.
    WriteTimeout,
    /// The client reset the connection or left in the middle of an exchange.
    Reset,
    /// No TLS session came about: an alert, bytes that are no TLS, an early end, or the time was up.
    TlsHandshake,
}

impl ErrorKind {
    /// All kinds, in order.
    pub const ALL: [ErrorKind; 6] = [
        ErrorKind::Protocol,
        ErrorKind::HeadTimeout,
        ErrorKind::BodyTimeout,
        ErrorKind::WriteTimeout,
        ErrorKind::Reset,
        ErrorKind::TlsHandshake,
    ];

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Protocol => "protocol",
            ErrorKind::HeadTimeout => "head_timeout",
            ErrorKind::BodyTimeout => "body_timeout",
            ErrorKind::WriteTimeout => "write_timeout",
            ErrorKind::Reset => "reset",
            ErrorKind::TlsHandshake => "tls_handshake",
        }
    }
}
