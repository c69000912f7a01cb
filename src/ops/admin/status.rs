//! How the server is, as numbers and words: what `/statusz` shows, and what it gives as JSON.

use std::fs;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Admin;
use super::history::Sample;
use crate::config::{Config, HealthDetails};
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::Folded;
use crate::ops::probes::{Check, Probe, Reason, Verdict};
use crate::ops::timestamp::rfc3339_seconds;
use crate::server::lifecycle::State;

/// Who this is.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Identity {
    /// The name of the program.
    pub(super) name: String,
    /// Of rws.
    pub(super) version: &'static str,
    pub(super) pid: u32,
    /// The pod, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<String>,
    /// The machine, if there is no pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<String>,
}

impl Identity {
    pub(super) fn of_process(in_kubernetes: bool) -> Self {
        let program = fs::read_link("/proc/self/exe").ok();
        let name = program.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        // The kubelet names the host of a pod's containers after the pod.
        let host = fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        let (pod, host) = if in_kubernetes { (host, None) } else { (None, host) };
        let name = name.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
        Identity { name, version: env!("CARGO_PKG_VERSION"), pid: std::process::id(), pod, host }
    }

    /// The program and where it runs.
    pub(super) fn title(&self) -> String {
        match self.pod.as_ref().or(self.host.as_ref()) {
            Some(place) => format!("{} on {place}", self.name),
            None => self.name.clone(),
        }
    }
}

/// How the server is at one moment. Durations are in the units of their names.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) service: Identity,
    pub(super) now: String,
    pub(super) uptime_seconds: u64,
    pub(super) state: &'static str,
    /// Whether readiness passes on this port.
    pub(super) ready: bool,
    pub(super) timeline: Vec<Entered>,
    pub(super) checks: Vec<CheckStatus>,
    pub(super) requests: Requests,
    pub(super) latency_ms: Latencies,
    pub(super) workers: Workers,
    pub(super) connections: Connections,
    /// Requests that workers are busy with, the oldest first.
    pub(super) in_flight: Vec<InFlight>,
    pub(super) errors: Vec<ErrorStatus>,
    /// Errors that came too fast to be listed.
    pub(super) errors_missed: u64,
    pub(super) log_lines_dropped: u64,
    pub(super) process: Process,
    pub(super) configuration: Configuration,
}

#[derive(Debug, Serialize)]
pub(super) struct Entered {
    pub(super) state: &'static str,
    pub(super) at: String,
    pub(super) seconds_ago: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct CheckStatus {
    pub(super) name: String,
    /// `pass`, `degraded` or `fail`.
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The probes it has a say in.
    pub(super) probes: Vec<&'static str>,
    pub(super) data: Map<String, Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct Requests {
    pub(super) total: u64,
    pub(super) active: usize,
    /// In the last whole second.
    pub(super) per_second: f64,
    /// On average over the last minute.
    pub(super) per_second_1m: f64,
    /// By class of status, 1xx to 5xx: in the last minute, and since the start.
    pub(super) by_class_1m: [u64; 5],
    pub(super) by_class: [u64; 5],
    /// Second by second, the oldest first.
    pub(super) history: Vec<Second>,
}

#[derive(Debug, Serialize)]
pub(super) struct Second {
    pub(super) requests: f64,
    /// Those that were answered 500 and above.
    pub(super) errors: f64,
    pub(super) p99_ms: Option<f64>,
    pub(super) workers_busy: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Latencies {
    pub(super) last_minute: Quantiles,
    pub(super) since_start: Quantiles,
}

/// Estimated from the histogram's buckets; 10000 stands for anything longer.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p99: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Workers {
    pub(super) busy: usize,
    pub(super) most: usize,
    pub(super) threads: usize,
    pub(super) queue: usize,
    pub(super) queue_most: usize,
    pub(super) rejected: u64,
    pub(super) handoffs: u64,
    pub(super) panics: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Connections {
    pub(super) active: usize,
    pub(super) most: usize,
    pub(super) accepted: u64,
    /// Those that ended badly, by how.
    pub(super) errors: Map<String, Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct InFlight {
    pub(super) method: String,
    pub(super) route: String,
    pub(super) request_id: String,
    pub(super) age_ms: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorStatus {
    pub(super) at: String,
    pub(super) seconds_ago: u64,
    pub(super) method: Option<String>,
    pub(super) route: String,
    pub(super) status: u16,
    pub(super) outcome: &'static str,
    pub(super) request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    pub(super) duration_ms: f64,
    /// How many like it came in a row.
    pub(super) times: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Process {
    /// Processors used, on average over the last seconds.
    pub(super) cpus: f64,
    pub(super) resident_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_fds: u64,
    pub(super) max_fds: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Configuration {
    /// Since when it is as it is.
    pub(super) since: String,
    /// Settings that change at the next start.
    pub(super) pending: usize,
    /// What is wrong with its latest change, which is not in force.
    pub(super) errors: usize,
}

impl Admin {
    /// How the server is now.
    pub(super) fn status(&self) -> Status {
        let handles = &self.handles;
        let running = handles.live.running();
        let config = &running.loaded.config;
        let samples = self.history.samples();
        let state = handles.lifecycle.state();
        let timeline = handles.lifecycle.timeline();
        let mut checks: Vec<CheckStatus> =
            handles.probes.checks().map(|check| CheckStatus::of(check, config.health_details)).collect();
        // What fails first, then what is degraded.
        checks.sort_by_key(|check| (check.status == "pass", check.status == "degraded"));
        let concerns_readiness = |check: &&CheckStatus| check.probes.contains(&Probe::Readyz.name());
        let (errors, errors_missed) = handles.errors.list();
        Status {
            service: self.identity.clone(),
            now: rfc3339_seconds(SystemTime::now()),
            uptime_seconds: timeline.first().map_or(0, |(_, at)| at.elapsed().as_secs()),
            state: state.name(),
            ready: checks.iter().filter(concerns_readiness).all(|check| check.status != "fail"),
            timeline: timeline.into_iter().map(|(state, at)| Entered::of(state, at)).collect(),
            checks,
            requests: self.requests(&samples),
            latency_ms: self.latencies(&samples),
            workers: self.workers(config),
            connections: self.connections(config),
            in_flight: self.in_flight(),
            errors: errors.iter().map(ErrorStatus::of).collect(),
            errors_missed,
            log_lines_dropped: handles.logs.iter().map(LogHandle::dropped).sum(),
            process: process(&samples),
            configuration: Configuration {
                since: rfc3339_seconds(running.since),
                pending: running.pending.len(),
                errors: running.errors.as_ref().map_or(0, |errors| errors.iter().count()),
            },
        }
    }

    fn requests(&self, samples: &[Sample]) -> Requests {
        let now = self.handles.metrics.snapshot();
        let history: Vec<Second> = samples.windows(2).map(|pair| Second::between(&pair[0], &pair[1])).collect();
        let (first, last) = (&samples[0], &samples[samples.len() - 1]);
        let mut by_class_1m = now.classes;
        for (count, before) in by_class_1m.iter_mut().zip(first.requests.classes) {
            *count = count.saturating_sub(before);
        }
        Requests {
            total: now.classes.iter().sum(),
            active: self.handles.stats.requests_active.load(Relaxed),
            per_second: history.last().map_or(0.0, |second| second.requests),
            per_second_1m: Second::between(first, last).requests,
            by_class_1m,
            by_class: now.classes,
            history,
        }
    }

    fn latencies(&self, samples: &[Sample]) -> Latencies {
        let now = self.handles.metrics.snapshot().durations;
        let lately = now.since(&samples[0].requests.durations);
        Latencies { last_minute: Quantiles::of(&lately), since_start: Quantiles::of(&now) }
    }

    fn workers(&self, settings: &Config) -> Workers {
        let stats = &self.handles.stats;
        Workers {
            busy: stats.workers_busy.load(Relaxed),
            most: settings.thread_count,
            threads: stats.worker_threads.load(Relaxed),
            queue: stats.queue_depth.load(Relaxed),
            queue_most: settings.queue_depth,
            rejected: stats.rejected[crate::server::stats::RejectReason::QueueFull as usize].load(Relaxed),
            handoffs: stats.handoffs.load(Relaxed),
            panics: stats.handler_panics.load(Relaxed),
        }
    }

    fn connections(&self, settings: &Config) -> Connections {
        let stats = &self.handles.stats;
        let errors = crate::server::stats::ErrorKind::ALL
            .iter()
            .map(|&kind| (kind.name().to_owned(), stats.connection_errors[kind as usize].load(Relaxed).into()));
        Connections {
            active: stats.connections_active.load(Relaxed),
            most: self.handles.vitals.most_connections().unwrap_or(settings.max_connections),
            accepted: stats.connections_accepted.load(Relaxed),
            errors: errors.collect(),
        }
    }

    fn in_flight(&self) -> Vec<InFlight> {
        let shown = self.handles.vitals.running_requests().into_iter().map(|request| InFlight {
            method: request.method.as_str().to_owned(),
            route: request.template.as_ref().to_owned(),
            request_id: request.id,
            age_ms: millis(request.age),
        });
        shown.collect()
    }
}

impl Entered {
    fn of(state: State, at: Instant) -> Self {
        let ago = at.elapsed();
        let when = SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH);
        Entered { state: state.name(), at: rfc3339_seconds(when), seconds_ago: ago.as_secs() }
    }
}

impl CheckStatus {
    fn of(check: &dyn Check, details: HealthDetails) -> Self {
        let (status, reason) = match check.verdict(check.main_probe()) {
            Verdict::Pass => ("pass", None),
            Verdict::Degraded(reason) => ("degraded", Some(reason)),
            Verdict::FailWith(status, reason) if status.as_u16() < 400 => ("degraded", Some(reason)),
            Verdict::Fail(reason) | Verdict::FailWith(_, reason) => ("fail", Some(reason)),
        };
        let shown = |reason: Reason| match details {
            HealthDetails::Full => reason.full().to_owned(),
            HealthDetails::Names | HealthDetails::None => reason.public().to_owned(),
        };
        let probes = [Probe::Healthz, Probe::Readyz, Probe::Startupz].into_iter();
        CheckStatus {
            name: check.name().to_owned(),
            status,
            reason: reason.map(shown),
            probes: probes.filter(|&probe| check.concerns(probe)).map(Probe::name).collect(),
            data: check.data(),
        }
    }
}

impl Second {
    fn between(before: &Sample, after: &Sample) -> Self {
        let seconds = after.at.saturating_duration_since(before.at).as_secs_f64();
        let rate = |count: u64| if seconds > 0.0 { rounded(count as f64 / seconds) } else { 0.0 };
        let durations = after.requests.durations.since(&before.requests.durations);
        let total = |sample: &Sample| sample.requests.classes.iter().sum::<u64>();
        Second {
            requests: rate(total(after).saturating_sub(total(before))),
            errors: rate(after.requests.classes[4].saturating_sub(before.requests.classes[4])),
            p99_ms: durations.quantile(0.99).map(millis),
            workers_busy: after.workers_busy,
        }
    }
}

impl Quantiles {
    fn of(durations: &Folded) -> Self {
        let quantile = |q| durations.quantile(q).map(millis);
        Quantiles { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) }
    }
}

impl ErrorStatus {
    fn of(error: &super::errors::RecentError) -> Self {
        ErrorStatus {
            at: rfc3339_seconds(error.at),
            seconds_ago: error.at.elapsed().unwrap_or_default().as_secs(),
            method: error.method.as_ref().map(|method| method.as_str().to_owned()),
            route: error.route.as_ref().to_owned(),
            status: error.status.as_u16(),
            outcome: error.outcome.name(),
            request_id: error.request_id.clone(),
            trace_id: error.trace_id.clone(),
            duration_ms: millis(error.duration),
            times: error.times,
        }
    }
}

fn process(samples: &[Sample]) -> Process {
    /// Over how many samples processor time is averaged.
    const LATELY: usize = 5;
    let last = &samples[samples.len() - 1];
    let before = &samples[samples.len().saturating_sub(LATELY + 1)];
    let seconds = last.at.saturating_duration_since(before.at).as_secs_f64();
    let used = last.process.cpu_seconds - before.process.cpu_seconds;
    Process {
        cpus: if seconds > 0.0 { rounded(used / seconds) } else { 0.0 },
        resident_bytes: last.process.resident_bytes,
        threads: last.process.threads,
        open_fds: last.process.open_fds,
        max_fds: last.process.max_fds,
    }
}

/// Milliseconds with three places.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// Two places are enough for a rate.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
