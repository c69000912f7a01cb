//! Where requests are counted: cells that one reactor writes and the scraper reads.
//!
//! A cell belongs to one reactor, and whoever drives the reactor is the only writer; handing a reactor over
//! synchronises its drivers. So an increment is a load and a store, without the locked instruction a shared counter needs.
//!
//! What a scrape sees: each number is read whole and only ever grows. A histogram's count is the sum of its buckets,
//! so these always agree; its sum may be ahead of or behind them by the requests that finish during the scrape.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in nanoseconds, inclusive: OpenTelemetry's for HTTP servers
/// (semantic conventions, `http.server.request.duration`), preceded by 0.5, 1 and 2.5 ms.
pub(super) const BOUNDS: [u64; 17] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// A number with one writer.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only for the cell's owner.
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A histogram of durations with one writer.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// One for each bound and one for what is above them all.
    buckets: [Counter; BOUNDS.len() + 1],
    /// Nanoseconds; 584 years' worth.
    sum: Counter,
}

impl Durations {
    /// Takes note of one duration, and returns the index of its bucket. Only for the cell's owner.
    pub(super) fn observe(&self, duration: Duration) -> usize {
        let nanos = duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into());
        // Most requests end in the first bucket or two.
        let bucket = BOUNDS.iter().position(|&bound| nanos <= bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].add(1);
        self.sum.add(nanos);
        bucket
    }
}

/// The sum of several [`Durations`] at one moment.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct Folded {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) sum_nanos: u64,
}

impl Folded {
    pub(super) fn add(&mut self, durations: &Durations) {
        for (folded, bucket) in self.buckets.iter_mut().zip(&durations.buckets) {
            *folded += bucket.value();
        }
        self.sum_nanos = self.sum_nanos.wrapping_add(durations.sum.value());
    }

    pub(in crate::ops) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// What was added since `earlier`.
    pub(in crate::ops) fn since(&self, earlier: &Folded) -> Folded {
        let mut rest = self.clone();
        for (bucket, before) in rest.buckets.iter_mut().zip(&earlier.buckets) {
            *bucket = bucket.saturating_sub(*before);
        }
        rest.sum_nanos = rest.sum_nanos.wrapping_sub(earlier.sum_nanos);
        rest
    }

    /// The duration that a share of `q` (0 to 1) stayed below, estimated as Prometheus' `histogram_quantile` does: as if
    /// durations lay evenly within a bucket. Whatever is above the last bound counts as that. `None` without any.
    pub(in crate::ops) fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = q * self.count() as f64;
        let mut below = 0_u64;
        for (index, &count) in self.buckets.iter().enumerate() {
            if count > 0 && (below + count) as f64 >= rank {
                let Some(&upper) = BOUNDS.get(index) else { break };
                let lower = if index == 0 { 0 } else { BOUNDS[index - 1] };
                let share = (rank - below as f64) / count as f64;
                return Some(Duration::from_nanos(lower + ((upper - lower) as f64 * share) as u64));
            }
            below += count;
        }
        (self.count() > 0).then_some(Self::LARGEST)
    }

    /// The last bound: what takes longer is not told apart.
    pub(in crate::ops) const LARGEST: Duration = Duration::from_nanos(BOUNDS[BOUNDS.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_the_last_bucket_takes_the_rest() {
        let cases = [
            (Duration::ZERO, 0),
            (Duration::from_micros(500), 0),
            (Duration::from_nanos(500_001), 1),
            (Duration::from_millis(5), 3),
            (Duration::from_secs(10), 16),
            (Duration::from_nanos(10_000_000_001), 17),
            (Duration::MAX, 17),
        ];
        for (duration, bucket) in cases {
            let durations = Durations::default();
            durations.observe(duration);
            let mut folded = Folded::default();
            folded.add(&durations);
            assert_eq!(folded.buckets.iter().position(|&count| count == 1), Some(bucket), "{duration:?}");
            assert_eq!(folded.count(), 1);
        }
    }

    #[test]
    fn bounds_ascend() {
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let folded = |durations: &[u64]| {
            let cell = Durations::default();
            durations.iter().for_each(|&millis| _ = cell.observe(Duration::from_millis(millis)));
            let mut folded = Folded::default();
            folded.add(&cell);
            folded
        };
        assert_eq!(folded(&[]).quantile(0.5), None);
        // Two in (2.5, 5], two in (75, 100].
        let four = folded(&[3, 4, 80, 90]);
        for (q, micros) in [(0.25, 3_750), (0.5, 5_000), (0.75, 87_500), (1.0, 100_000)] {
            assert_eq!(four.quantile(q), Some(Duration::from_micros(micros)), "{q}");
        }
        assert_eq!(folded(&[1, 60_000]).quantile(0.99), Some(Duration::from_secs(10)), "beyond the last bound");
        assert_eq!(folded(&[3, 4, 80, 90, 7]).since(&four).quantile(1.0), Some(Duration::from_millis(10)));
    }

    #[test]
    fn folding_adds_reactors_up() {
        let (one, two) = (Durations::default(), Durations::default());
        one.observe(Duration::from_millis(1));
        two.observe(Duration::from_millis(2));
        two.observe(Duration::from_millis(20));
        let mut folded = Folded::default();
        folded.add(&one);
        folded.add(&two);
        assert_eq!((folded.count(), folded.sum_nanos), (3, 23_000_000));
    }
}
