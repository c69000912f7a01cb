//! What the server needs from an application, and nothing more: endpoints, a way to find the one a head
//! asks for, and a blocking call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use smallvec::SmallVec;

use super::request::Request;
use super::response::Response;
use crate::semantics::head::{RequestHead, Span};

/// An application as the server sees it.
pub trait Service: Send + Sync + 'static {
    /// Every endpoint; [`Resolved::endpoint`] is an index into it. Fixed once the server runs.
    fn endpoints(&self) -> &[Endpoint];

    /// Finds the endpoint for a head. Called on a reactor for every request: it must neither block nor fail.
    /// What matches nothing resolves to an endpoint that answers 404, 405 and the like.
    fn resolve(&self, head: &RequestHead) -> Resolved;

    /// Answers a request. May block; may panic.
    fn call(&self, request: Request) -> Response;
}

impl<S: Service + ?Sized> Service for Arc<S> {
    fn endpoints(&self) -> &[Endpoint] {
        (**self).endpoints()
    }

    fn resolve(&self, head: &RequestHead) -> Resolved {
        (**self).resolve(head)
    }

    fn call(&self, request: Request) -> Response {
        (**self).call(request)
    }
}

/// The endpoint a head resolved to, and its path parameters.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Index into [`Service::endpoints`].
    pub endpoint: u32,
    /// Places of the path parameters in the head's path, relative to the path's start, in the order of the template.
    pub params: SmallVec<[Span; 4]>,
}

/// A handler as the server and its observers see it.
#[derive(Debug)]
pub struct Endpoint {
    /// The route template, `/users/{id}`, as metrics and logs name it; `_unmatched` for what no route matched.
    pub template: Arc<str>,
    /// What kind of traffic this is.
    pub kind: EndpointKind,
    /// How the handler takes request bodies.
    pub body: BodyUse,
    /// Where the handler runs, and how long it has been taking.
    pub pace: Pace,
    /// Largest request body in bytes; `None` takes the server's limit.
    pub max_body_bytes: Option<u64>,
}

/// What kind of traffic an endpoint has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointKind {
    /// An ordinary route.
    #[default]
    Route,
    /// A health probe: always answered by the reactor, kept out of the request metrics and the log.
    Probe,
    /// The metrics endpoint: always answered by the reactor.
    Metrics,
    /// A page for operators: always answered by the reactor, kept out of the request metrics, and out of the log unless
    /// it fails or changes something.
    Admin,
}

/// How a handler takes request bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyUse {
    /// Not at all: the server discards them.
    #[default]
    Ignored,
    /// As a whole: the server collects the body before the handler runs, so slow clients hold no thread.
    Whole,
    /// As a stream: the handler runs at once and reads.
    Stream,
}

/// Where a handler runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Inline while it is fast, on a worker once it has been slow.
    #[default]
    Learned,
    /// Always inline on the reactor; the handoff remains as the safety net.
    Inline,
    /// Always on a worker.
    Blocking,
}

/// Above this average a learned handler moves to the workers.
const SLOW: u32 = 1_000_000;
/// Below this average it moves back inline.
const FAST: u32 = 400_000;
/// One observation counts for at most this much, so that a single slow call of a fast handler changes nothing.
const CAP: u32 = 4 * SLOW;
/// Averages below this are not worth a shared store.
const IDLE: u32 = 50_000;

/// A handler's placement and the moving average of its duration (nanoseconds, weight 1/8).
#[derive(Debug, Default)]
pub struct Pace {
    placement: Placement,
    average: AtomicU32,
}

impl Pace {
    /// A pace with a fixed or learned placement.
    pub fn new(placement: Placement) -> Self {
        Pace { placement, average: AtomicU32::new(0) }
    }

    /// The placement that was asked for.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// Whether the next call should run on a worker.
    pub fn is_slow(&self) -> bool {
        match self.placement {
            Placement::Inline => false,
            Placement::Blocking => true,
            // The lowest bit remembers on which side of the band the average last was.
            Placement::Learned => self.average.load(Ordering::Relaxed) & 1 == 1,
        }
    }

    /// Whether it was fast when it was last looked at, as opposed to slow, never called, or on its way to being slow.
    pub fn is_known_fast(&self) -> bool {
        (1..FAST).contains(&self.average.load(Ordering::Relaxed)) && !self.is_slow()
    }

    /// Takes one call's duration into the average. Racing observers may lose one; the average recovers.
    pub fn observe(&self, took: Duration) {
        let old = self.average.load(Ordering::Relaxed);
        let sample = u32::try_from(took.as_nanos()).unwrap_or(CAP).min(CAP);
        if old < IDLE && sample < IDLE && old != 0 {
            return;
        }
        // Never zero again: that stands for a handler that was not called yet.
        let average = (old - old / 8 + sample / 8).max(2);
        let slow = if average >= SLOW { true } else { average >= FAST && old & 1 == 1 };
        self.average.store((average & !1) | u32::from(slow), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_handler_moves_out_after_a_few_calls_and_back_when_it_is_fast_again() {
        let pace = Pace::default();
        assert!(!pace.is_slow());
        for _ in 0..3 {
            pace.observe(50 * MS);
        }
        assert!(pace.is_slow());
        let back = (0..100)
            .take_while(|_| {
                pace.observe(Duration::from_micros(1));
                pace.is_slow()
            })
            .count();
        assert!((2..30).contains(&back), "moved back after {back} fast calls");
    }

    #[test]
    fn one_slow_call_of_a_fast_handler_changes_nothing() {
        let pace = Pace::default();
        pace.observe(500 * MS);
        assert!(!pace.is_slow());
    }

    #[test]
    fn between_the_thresholds_a_handler_stays_where_it_is() {
        let pace = Pace::default();
        for _ in 0..100 {
            pace.observe(Duration::from_micros(700));
        }
        assert!(!pace.is_slow());
        for _ in 0..100 {
            pace.observe(3 * MS);
        }
        for _ in 0..100 {
            pace.observe(Duration::from_micros(700));
        }
        assert!(pace.is_slow());
    }

    #[test]
    fn a_pinned_handler_learns_nothing() {
        let (inline, blocking) = (Pace::new(Placement::Inline), Pace::new(Placement::Blocking));
        for _ in 0..10 {
            inline.observe(50 * MS);
            blocking.observe(Duration::ZERO);
        }
        assert!(!inline.is_slow() && blocking.is_slow());
    }
}
