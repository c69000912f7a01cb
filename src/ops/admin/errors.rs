//! The last requests that went wrong, for people who look now: bounded, and paid for only by such requests.
//!
//! Knows templates of routes, never paths or queries.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};

use crate::semantics::trace_context::TraceContext;
use crate::server::observe::{Exchange, Outcome};

/// How many are kept.
const KEPT: usize = 50;

/// What is known of a request that went wrong.
#[derive(Clone, Debug)]
pub(super) struct RecentError {
    /// When it ended.
    pub(super) at: SystemTime,
    /// `None`: its head was not understood.
    pub(super) method: Option<Method>,
    pub(super) route: Arc<str>,
    pub(super) status: StatusCode,
    pub(super) outcome: Outcome,
    pub(super) request_id: String,
    pub(super) trace_id: Option<String>,
    pub(super) duration: Duration,
    /// How many of the same kind came in a row; the rest is of the last one.
    pub(super) times: u64,
}

/// The last requests that went wrong.
#[derive(Debug, Default)]
pub struct RecentErrors {
    /// The newest first.
    ring: Mutex<VecDeque<RecentError>>,
    missed: AtomicU64,
}

impl RecentErrors {
    /// Whether requests that end like this are remembered: the server failed (500 and above), a deadline passed, or a
    /// handler or the source of a body broke.
    pub(in crate::ops) fn concerns(exchange: &Exchange<'_>) -> bool {
        let broken = matches!(exchange.outcome, Outcome::Timeout | Outcome::Panic | Outcome::Error);
        broken || exchange.status.is_server_error()
    }

    /// Remembers one. Never waits: while another reactor, or a reader, has the list, it only counts.
    pub(in crate::ops) fn note(&self, route: &Arc<str>, exchange: &Exchange<'_>) {
        let Ok(mut ring) = self.ring.try_lock() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut times = 1;
        if ring.front().is_some_and(|last| last.is_like(route, exchange)) {
            times += ring.pop_front().map_or(0, |last| last.times);
        }
        ring.truncate(KEPT - 1);
        ring.push_front(RecentError::of(route, exchange, times));
    }

    /// All of them, the newest first, and how many could not be noted.
    pub(super) fn list(&self) -> (Vec<RecentError>, u64) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        (ring.iter().cloned().collect(), self.missed.load(Ordering::Relaxed))
    }
}

impl RecentError {
    fn of(route: &Arc<str>, exchange: &Exchange<'_>, times: u64) -> Self {
        let received = exchange.received;
        let trace = received.and_then(|received| TraceContext::parse(received.head.field("traceparent")?));
        RecentError {
            at: SystemTime::now(),
            method: received.map(|received| received.head.method().clone()),
            route: Arc::clone(route),
            status: exchange.status,
            outcome: exchange.outcome,
            request_id: received.map(|received| received.id.clone()).unwrap_or_default(),
            trace_id: trace.map(|trace| trace.trace_id.to_owned()),
            duration: exchange.duration,
            times,
        }
    }

    fn is_like(&self, route: &Arc<str>, exchange: &Exchange<'_>) -> bool {
        let method = exchange.received.map(|received| received.head.method());
        Arc::ptr_eq(&self.route, route)
            && self.status == exchange.status
            && self.outcome == exchange.outcome
            && self.method.as_ref() == method
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::telemetry::tests::{exchange, received};

    #[test]
    fn what_went_wrong_on_our_side_or_took_too_long_is_remembered() {
        let request = received("GET", b"/users/7", &[]);
        for (status, outcome, expected) in [
            (200, Outcome::Ok, false),
            (404, Outcome::Ok, false),
            (400, Outcome::Rejected, false),
            (200, Outcome::ClientAbort, false),
            (500, Outcome::Ok, true),
            (503, Outcome::Rejected, true),
            (500, Outcome::Panic, true),
            (408, Outcome::Timeout, true),
            (200, Outcome::Error, true),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let ended = Exchange { status, outcome, ..exchange(&request) };
            assert_eq!(RecentErrors::concerns(&ended), expected, "{status} {outcome:?}");
        }
    }

    #[test]
    fn the_list_is_bounded_and_repetitions_are_counted() {
        let errors = RecentErrors::default();
        let (one, other): (Arc<str>, Arc<str>) = ("/users/{id}".into(), "/other".into());
        let trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = received("GET", b"/users/7?token=secret", &[("traceparent", trace)]);
        let failed = Exchange { status: StatusCode::INTERNAL_SERVER_ERROR, ..exchange(&request) };
        for _ in 0..3 {
            errors.note(&one, &failed);
        }
        let (list, missed) = errors.list();
        assert_eq!((list.len(), list[0].times, missed), (1, 3, 0));
        assert_eq!(list[0].request_id, "4d3f");
        assert_eq!(list[0].trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert!(!format!("{list:?}").contains("secret"));
        for n in 0..2 * KEPT {
            errors.note(if n % 2 == 0 { &other } else { &one }, &failed);
        }
        let (list, _) = errors.list();
        assert_eq!((list.len(), &*list[0].route, list[0].times), (KEPT, "/users/{id}", 1));
    }

    #[test]
    fn nobody_waits_for_a_reader() {
        let errors = RecentErrors::default();
        let request = received("GET", b"/", &[]);
        let reader = errors.ring.lock();
        errors.note(&"/".into(), &exchange(&request));
        drop(reader);
        assert_eq!((errors.list().0.len(), errors.list().1), (0, 1));
    }
}
