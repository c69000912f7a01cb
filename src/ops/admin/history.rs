//! What the server did lately: a look once a second, kept for a minute.
//!
//! A thread of its own takes it, so that figures "per second" mean the same to everybody who asks, however often.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::ops::metrics::{Metrics, ProcessSample, Snapshot};
use crate::server::stats::Stats;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many intervals are kept.
pub(super) const KEPT: usize = 60;

/// The last minute.
#[derive(Debug)]
pub(super) struct History {
    samples: Mutex<VecDeque<Sample>>,
    /// The thread ends when this is gone.
    _alive: Sender<()>,
}

/// How things were at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) requests: Snapshot,
    pub(super) workers_busy: usize,
    pub(super) process: ProcessSample,
}

impl Sample {
    fn take(metrics: &Metrics, stats: &Stats) -> Self {
        Sample {
            at: Instant::now(),
            requests: metrics.snapshot(),
            workers_busy: stats.workers_busy.load(Relaxed),
            process: ProcessSample::take(),
        }
    }
}

impl History {
    /// Starts to look.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub(super) fn start(metrics: Arc<Metrics>, stats: Arc<Stats>) -> io::Result<Arc<Self>> {
        let (alive, gone) = bounded(0);
        let first = Sample::take(&metrics, &stats);
        let history = Arc::new(History { samples: Mutex::new([first].into()), _alive: alive });
        let weak = Arc::downgrade(&history);
        thread::Builder::new().name("rws-adm-history".into()).spawn(move || run(&weak, &gone, &metrics, &stats))?;
        Ok(history)
    }

    /// The samples of the last minute and the one before it, the oldest first; there is always one.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() > KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

fn run(history: &Weak<History>, gone: &Receiver<()>, metrics: &Metrics, stats: &Stats) {
    while gone.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let Some(history) = history.upgrade() else { return };
        history.push(Sample::take(metrics, stats));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::telemetry::tests::metrics;

    #[test]
    fn a_minute_is_kept() {
        let (metrics, stats) = (metrics(), Arc::default());
        let history = History::start(metrics.clone(), Arc::clone(&stats)).expect("a thread");
        assert_eq!(history.samples().len(), 1, "there is one from the start");
        for busy in 0..2 * KEPT {
            stats.workers_busy.store(busy, Relaxed);
            history.push(Sample::take(&metrics, &stats));
        }
        let samples = history.samples();
        assert!(samples.len() > KEPT && samples.len() <= KEPT + 2, "{}", samples.len());
        assert!(samples.is_sorted_by_key(|sample| sample.at));
    }

    #[test]
    fn it_looks_by_itself_and_ends_with_its_owner() {
        let history = History::start(metrics(), Arc::default()).expect("a thread");
        let end = Instant::now() + Duration::from_secs(20);
        while history.samples().len() < 2 {
            assert!(Instant::now() < end, "it never looked");
            thread::park_timeout(Duration::from_millis(20));
        }
        let weak = Arc::downgrade(&history);
        drop(history);
        while weak.strong_count() > 0 {
            assert!(Instant::now() < end, "it is kept");
            thread::park_timeout(Duration::from_millis(20));
        }
    }
}
