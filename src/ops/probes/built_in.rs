//! The checks that every server has, of its life cycle.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU16};

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Check, Probe, Verdict};
use crate::server::lifecycle::{Lifecycle, State};
use crate::server::stats::Stats;

/// Passes whenever it is asked: an answer is an answer.
pub(super) struct Ping;

impl Check for Ping {
    fn name(&self) -> &str {
        "ping"
    }

    fn concerns(&self, _: Probe) -> bool {
        true
    }

    fn verdict(&self, _: Probe) -> Verdict {
        Verdict::Pass
    }
}

/// Fails until the start-up hooks and checks are through.
pub(super) struct Startup {
    lifecycle: Lifecycle,
    started: Arc<AtomicBool>,
}

impl Startup {
    pub(super) fn new(lifecycle: Lifecycle, started: Arc<AtomicBool>) -> Self {
        Startup { lifecycle, started }
    }
}

impl Check for Startup {
    fn name(&self) -> &str {
        "startup"
    }

    fn concerns(&self, probe: Probe) -> bool {
        matches!(probe, Probe::Readyz | Probe::Startupz)
    }

    fn verdict(&self, _: Probe) -> Verdict {
        match self.lifecycle.state() {
            State::Starting if !self.started.load(Acquire) => Verdict::Fail("the server is starting".into()),
            _ => Verdict::Pass,
        }
    }

    fn is_logged(&self) -> bool {
        false
    }
}

/// Fails from the moment the server is told to stop, so that it gets no new traffic.
pub(super) struct Shutdown {
    lifecycle: Lifecycle,
    stats: Arc<Stats>,
    status: Arc<AtomicU16>,
}

impl Shutdown {
    /// `status` is RWS_CONFIG_DRAIN_READY_STATUS; what is no status code counts as 503.
    pub(super) fn new(lifecycle: Lifecycle, stats: Arc<Stats>, status: Arc<AtomicU16>) -> Self {
        Shutdown { lifecycle, stats, status }
    }
}

impl Check for Shutdown {
    fn name(&self) -> &str {
        "shutdown"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        let reason = match self.lifecycle.state() {
            State::Starting | State::Ready => return Verdict::Pass,
            State::Draining => "the server is draining",
            State::Stopping | State::Stopped | State::Forced => "the server is stopping",
        };
        let status = StatusCode::from_u16(self.status.load(Relaxed)).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        Verdict::FailWith(status, reason.into())
    }

    fn is_logged(&self) -> bool {
        false
    }

    fn data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("state".into(), self.lifecycle.state().name().into());
        data.insert("requests_active".into(), self.stats.requests_active.load(Relaxed).into());
        data.insert("connections_active".into(), self.stats.connections_active.load(Relaxed).into());
        data
    }
}
