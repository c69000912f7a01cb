//! Exemplars (OpenMetrics 1.0, section "Exemplars"): for each bucket of the request histogram a recent request whose caller
//! records a trace, so that a dashboard leads from a slow bucket to one of the traces in it.
//!
//! Nothing is kept before somebody has scraped in OpenMetrics, and then one request a second for each bucket at most.
//! Like a cell, this has one writer, its reactor; the lock is for the scraper, and taken about once a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use prometheus::proto::LabelPair;

use super::{Cell, MethodLabel, families, locked};
use crate::app::service::EndpointKind;
use crate::semantics::trace_context::TraceContext;

/// A request that stands for its bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exemplar {
    pub(super) trace_id: String,
    /// The caller's span.
    pub(super) span_id: String,
    pub(super) duration: Duration,
    /// When it ended, since 1970.
    pub(super) at: Duration,
}

/// By the index of their buckets.
pub(super) type ByBucket = BTreeMap<usize, Exemplar>;

/// The latest ones of one cell.
#[derive(Debug, Default)]
pub(super) struct Latest {
    kept: Mutex<ByBucket>,
    /// The second of the last one, and the buckets that have had one in it.
    second: AtomicU64,
    had: AtomicU32,
}

impl Latest {
    /// A request has ended, `now` since 1970. Only for the cell's owner.
    pub(super) fn note(&self, context: &TraceContext<'_>, bucket: usize, duration: Duration, now: Duration) {
        if self.second.swap(now.as_secs(), Ordering::Relaxed) != now.as_secs() {
            self.had.store(0, Ordering::Relaxed);
        }
        let (had, this) = (self.had.load(Ordering::Relaxed), 1 << bucket);
        if had & this == 0 {
            self.had.store(had | this, Ordering::Relaxed);
            let (trace_id, span_id) = (context.trace_id.to_owned(), context.parent_id.to_owned());
            locked(&self.kept).insert(bucket, Exemplar { trace_id, span_id, duration, at: now });
        }
    }
}

/// The latest exemplars of all reactors, by method, route and status.
#[derive(Debug, Default)]
pub(super) struct Exemplars(BTreeMap<(MethodLabel, Arc<str>, StatusCode), ByBucket>);

impl Exemplars {
    pub(super) fn of(cells: &[Arc<Cell>]) -> Self {
        let mut all = Exemplars::default();
        let requests =
            cells.iter().filter(|cell| matches!(cell.series.kind, EndpointKind::Route | EndpointKind::Metrics));
        for cell in requests {
            let kept = locked(&cell.exemplars.kept).clone();
            if kept.is_empty() {
                continue;
            }
            let series = &cell.series;
            let merged = all.0.entry((series.method, series.route.clone(), series.status)).or_default();
            for (bucket, exemplar) in kept {
                if merged.get(&bucket).is_none_or(|other| other.at < exemplar.at) {
                    merged.insert(bucket, exemplar);
                }
            }
        }
        all
    }

    /// Those of the histogram called `family` with these labels.
    pub(super) fn find(&self, family: &str, labels: &[LabelPair]) -> Option<&ByBucket> {
        if self.0.is_empty() || family != families::REQUEST_DURATION.name {
            return None;
        }
        let [method, route, status] = labels else { return None };
        let found = self
            .0
            .iter()
            .find(|((m, r, s), _)| m.name() == method.value() && **r == *route.value() && s.as_str() == status.value());
        found.map(|(_, by_bucket)| by_bucket)
    }
}
