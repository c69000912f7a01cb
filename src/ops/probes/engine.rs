//! The checks of the engine and of the logs: what the server knows of itself, without a thread of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Check, Probe, Reason, Verdict};
use crate::ops::log_writer::LogHandle;
use crate::server::vitals::Vitals;

/// Whether a part of the engine comes round. Fails liveness, since nothing but a new process helps, and readiness.
///
/// It is asked, and has RWS_CONFIG_LIVENESS_STALL to answer; that is far longer than anything but a defect takes.
#[derive(Debug)]
pub struct EngineCheck {
    part: Part,
    vitals: Vitals,
    stall: Stall,
}

/// RWS_CONFIG_LIVENESS_STALL, which may change. Zero: nothing ever fails.
#[derive(Clone, Debug)]
pub struct Stall(Arc<AtomicU64>);

impl Stall {
    /// Takes another value.
    pub fn set(&self, stall: Duration) {
        self.0.store(stall.as_millis() as u64, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl From<Duration> for Stall {
    fn from(stall: Duration) -> Self {
        Stall(Arc::new(AtomicU64::new(stall.as_millis() as u64)))
    }
}

#[derive(Clone, Copy, Debug)]
enum Part {
    AcceptLoop,
    Reactors,
    Workers,
}

impl EngineCheck {
    /// A check for each part: `accept-loop`, `reactors` and `workers`.
    pub fn all(vitals: &Vitals, stall: impl Into<Stall>) -> [Self; 3] {
        let stall = stall.into();
        [Part::AcceptLoop, Part::Reactors, Part::Workers].map(|part| EngineCheck {
            part,
            vitals: vitals.clone(),
            stall: stall.clone(),
        })
    }

    /// How long it has been silent.
    fn silence(&self, stall: Duration) -> Duration {
        // Anew often enough to notice soon, and seldom enough to leave a server alone that has nothing to do.
        let pause = stall / 4;
        match self.part {
            Part::AcceptLoop => self.vitals.accept_loop(pause),
            Part::Reactors => self.vitals.reactors(pause).1,
            Part::Workers => self.vitals.workers(pause),
        }
    }

    fn reason(&self, silence: Duration, stall: Duration) -> Reason {
        match self.part {
            Part::AcceptLoop => format!("the accept loop has not come round for {silence:.0?}").into(),
            Part::Reactors => {
                let (number, silence) = self.vitals.reactors(stall);
                format!("reactor {number} has not come round for {silence:.0?}").into()
            }
            Part::Workers => {
                let waiting = self.vitals.queue_depth();
                let text = format!("no worker has finished anything for {silence:.0?} while {waiting} requests wait");
                let routes: Vec<_> = self.vitals.running_routes().iter().map(ToString::to_string).collect();
                let detail = format!("{text}; running: {}", routes.join(", "));
                Reason::from(text).with_detail(detail)
            }
        }
    }
}

impl Check for EngineCheck {
    fn name(&self) -> &str {
        match self.part {
            Part::AcceptLoop => "accept-loop",
            Part::Reactors => "reactors",
            Part::Workers => "workers",
        }
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe != Probe::Startupz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        let stall = self.stall.get();
        if stall.is_zero() {
            return Verdict::Pass;
        }
        let silence = self.silence(stall);
        if silence > stall { Verdict::Fail(self.reason(silence, stall)) } else { Verdict::Pass }
    }

    fn data(&self) -> Map<String, Value> {
        let mut data = Map::new();
        let stall = self.stall.get();
        if !stall.is_zero() {
            data.insert("silent_ms".into(), (self.silence(stall).as_millis() as u64).into());
        }
        if let Part::Workers = self.part {
            data.insert("queue_depth".into(), self.vitals.queue_depth().into());
        }
        data
    }
}

/// Whether log lines are lost. Never fails a probe: requests are served all the same, and a full disk or a slow reader
/// of stdout would take out every pod of the node.
#[derive(Debug)]
pub struct LogCheck {
    logs: Vec<LogHandle>,
}

impl LogCheck {
    /// A check called `log-writer` for all of `logs`.
    pub fn new(logs: Vec<LogHandle>) -> Self {
        LogCheck { logs }
    }
}

impl Check for LogCheck {
    fn name(&self) -> &str {
        "log-writer"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        if self.logs.iter().any(LogHandle::is_failing) {
            return Verdict::Degraded("log lines cannot be written and are dropped".into());
        }
        if self.logs.iter().any(LogHandle::is_full) {
            return Verdict::Degraded("whoever reads the log is too slow, lines are dropped".into());
        }
        Verdict::Pass
    }

    fn data(&self) -> Map<String, Value> {
        let dropped: u64 = self.logs.iter().map(LogHandle::dropped).sum();
        Map::from_iter([("lines_dropped".to_owned(), dropped.into())])
    }
}
