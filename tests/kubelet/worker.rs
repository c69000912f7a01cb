//! What decides by probes: one worker for each probe of a container that runs, with the rules of
//! pkg/kubelet/prober/worker.go. Startup gates the others; thresholds count results in a row; an error counts as none;
//! after the verdict that a container must be restarted, nothing is asked until there is a new one.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, select, tick};

use crate::container::Container;
use crate::manifest::Probe;
use crate::pod::Pod;
use crate::probe::{Outcome, ask};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Startup => "startup",
            Kind::Liveness => "liveness",
            Kind::Readiness => "readiness",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }
}

/// A result that has reached its threshold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) kind: Kind,
    pub(crate) success: bool,
}

/// Asks every period, until the sender of `stop` is dropped or nothing more is to be asked.
pub(crate) fn work(
    pod: &Pod,
    kind: Kind,
    probe: &Probe,
    container: &Arc<Container>,
    verdicts: &Sender<Verdict>,
    stop: &Receiver<()>,
) {
    let begun = Instant::now();
    let ticker = tick(pod.scaled(probe.period_seconds));
    let (mut last, mut run) = (None, 0);
    loop {
        let state = pod.state();
        if kind != Kind::Readiness && state.deleting || kind == Kind::Startup && state.started {
            return;
        }
        let due = begun.elapsed() >= pod.scaled(probe.initial_delay_seconds);
        let result = (due && (kind == Kind::Startup || state.started)).then(|| once(pod, kind, probe, container));
        if let Some(success) = result.flatten() {
            run = if last == Some(success) { run + 1 } else { 1 };
            last = Some(success);
            let reached = run >= if success { probe.success_threshold } else { probe.failure_threshold };
            let over = !success && kind != Kind::Readiness;
            if reached && (verdicts.send(Verdict { kind, success }).is_err() || over) {
                return;
            }
        }
        select! {
            recv(stop) -> _ => return,
            recv(ticker) -> _ => {}
        }
    }
}

/// Asks once and records what `kubectl describe` shows of it.
fn once(pod: &Pod, kind: Kind, probe: &Probe, container: &Container) -> Option<bool> {
    let title = kind.title();
    match ask(probe, &pod.container, pod.ip, container) {
        Outcome::Success => Some(true),
        Outcome::Warning(message) => {
            pod.events.warning("ProbeWarning", format!("{title} probe warning: {message}"));
            Some(true)
        }
        Outcome::Failure(message) => {
            pod.events.warning("Unhealthy", format!("{title} probe failed: {message}"));
            Some(false)
        }
        Outcome::Error(message) => {
            pod.events.warning("Unhealthy", format!("{title} probe errored and resulted in unknown state: {message}"));
            None
        }
    }
}
