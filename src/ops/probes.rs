//! The health probes: /healthz (also /livez), /readyz, /startupz and /readyz/{check}, as kube-apiserver spells them.
//!
//! Answers come from memory alone: checks report what they know already, and none does I/O or waits. A plain
//! `ok` allocates nothing. Whoever mounts the handlers decides the paths. HEAD and other methods are the router's business.
//!
//! - `?verbose` lists the checks; so does any answer that is not `ok`.
//! - `?exclude=name`, repeatable, leaves a check out; a name that no check has is warned about in the body.
//! - `?format=json` answers in the shape of MicroProfile Health.
//! - Bodies have at most [`MAX_BODY`] bytes; what fails is listed before what fits.

mod built_in;
mod engine;
mod render;
mod verdict;
mod watch;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use percent_encoding::percent_decode_str;

use self::built_in::{Ping, Shutdown, Startup};
pub use self::engine::{EngineCheck, LogCheck, Stall};
use self::render::Entry;
pub use self::verdict::{Reason, Verdict};
use self::watch::Noted;
use crate::app::response::Response;
use crate::config::{Config, HealthDetails};
use crate::semantics::head::RequestHead;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;

/// Longest body of an answer, in bytes; the kubelet reads no more than 10 KiB and shows far less.
pub const MAX_BODY: usize = 4096;

/// Which question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Does the process work at all? A failure has it restarted.
    Healthz,
    /// The same under its newer name.
    Livez,
    /// Should it get traffic now?
    Readyz,
    /// Has it started? Until then the other probes are not asked.
    Startupz,
}

impl Probe {
    /// The name in the last line of a verbose answer.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Healthz => "healthz",
            Probe::Livez => "livez",
            Probe::Readyz => "readyz",
            Probe::Startupz => "startupz",
        }
    }

    /// Whether this asks for liveness, under whichever name.
    pub fn is_liveness(self) -> bool {
        matches!(self, Probe::Healthz | Probe::Livez)
    }
}

/// Something that can be well or not. Asked on a reactor for every probe: answers from memory, at once.
pub trait Check: Send + Sync + 'static {
    /// Its name in bodies and in `exclude`: letters, digits, `-`, `_` and `.`.
    fn name(&self) -> &str;

    /// Whether it has a say in `probe`.
    fn concerns(&self, probe: Probe) -> bool;

    /// How it is, as far as `probe` is concerned.
    fn verdict(&self, probe: Probe) -> Verdict;

    /// More about it, for `?format=json`: ages, durations, counts.
    fn data(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }

    /// Whether a change of it is worth a line in the log: not while nothing is known of it, and not of what only
    /// repeats the life cycle, which has lines of its own.
    fn is_logged(&self) -> bool {
        true
    }
}

/// The handlers of the probes.
pub struct Probes {
    /// Whose checks come before its own.
    main: Option<Arc<Probes>>,
    checks: Vec<Box<dyn Check>>,
    details: Arc<ArcSwap<HealthDetails>>,
    lifecycle: Lifecycle,
    /// Whether all has happened that /startupz waits for, although the server may not be ready yet.
    started: Arc<AtomicBool>,
    noted: Mutex<Noted>,
    drain_status: Arc<AtomicU16>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Probes {
    /// Probes with the checks `ping`, `startup` and `shutdown`.
    pub fn new(config: &Config, lifecycle: Lifecycle, stats: Arc<Stats>) -> Self {
        let (started, drain_status) =
            (Arc::<AtomicBool>::default(), Arc::new(AtomicU16::new(config.drain_ready_status)));
        let startup = Startup::new(lifecycle.clone(), Arc::clone(&started));
        let shutdown = Shutdown::new(lifecycle.clone(), stats, drain_status.clone());
        Probes {
            main: None,
            checks: vec![Box::new(Ping), Box::new(startup), Box::new(shutdown)],
            details: Arc::new(ArcSwap::from_pointee(config.health_details)),
            lifecycle,
            started,
            noted: Mutex::default(),
            drain_status,
        }
    }

    /// Probes for another port, which answer with the checks of `main`, and with those that are added to these.
    pub fn beside(main: Arc<Probes>) -> Self {
        Probes {
            checks: Vec::new(),
            details: Arc::clone(&main.details),
            lifecycle: main.lifecycle.clone(),
            started: Arc::clone(&main.started),
            noted: Mutex::default(),
            drain_status: Arc::clone(&main.drain_status),
            main: Some(main),
        }
    }

    /// Takes over what may change of the configuration: RWS_CONFIG_DRAIN_READY_STATUS and RWS_CONFIG_HEALTH_DETAILS.
    pub fn reconfigure(&self, config: &Config) {
        self.drain_status.store(config.drain_ready_status, Ordering::Relaxed);
        self.details.store(Arc::new(config.health_details));
    }

    /// Adds a check after those there are.
    pub fn add(&mut self, check: impl Check) {
        self.checks.push(Box::new(check));
    }

    /// Every check.
    pub fn checks(&self) -> impl Iterator<Item = &dyn Check> {
        let others = self.main.iter().flat_map(|main| &main.checks);
        others.chain(&self.checks).map(Box::as_ref)
    }

    /// The names of the checks.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.checks().map(|check| check.name())
    }

    /// Each check by name, and whether it passes.
    pub(super) fn states(&self) -> impl Iterator<Item = (&str, bool)> {
        self.checks().map(|check| (check.name(), check.verdict(check.main_probe()) == Verdict::Pass))
    }

    /// From now on /startupz passes.
    pub(super) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Answers `probe`: 200 if every check that concerns it passes.
    pub fn answer(&self, probe: Probe, head: &RequestHead) -> Response {
        self.look();
        let concerned = || self.checks().filter(move |check| check.concerns(probe));
        if head.query().is_none() && concerned().all(|check| check.verdict(probe) == Verdict::Pass) {
            return respond(StatusCode::OK, TEXT, OK);
        }
        self.explain(probe, concerned(), head)
    }

    /// Answers for one check of `probe`, by its name as it stands in the path; 404 if it has none of that name.
    pub fn answer_check(&self, probe: Probe, name: &str, head: &RequestHead) -> Response {
        let name = percent_decode_str(name).decode_utf8_lossy();
        match self.checks().find(|check| check.concerns(probe) && check.name() == name) {
            Some(check) => self.explain(probe, std::iter::once(check), head),
            None => {
                let text = format!("{} has no check {}\n", probe.name(), render::harmless(&name));
                respond(StatusCode::NOT_FOUND, TEXT, text)
            }
        }
    }

    fn explain<'a>(&self, probe: Probe, checks: impl Iterator<Item = &'a dyn Check>, head: &RequestHead) -> Response {
        let options = Options::parse(head.query().unwrap_or_default());
        let details = **self.details.load();
        let entries: Vec<Entry<'_>> = checks
            .map(|check| {
                let excluded = options.excluded.iter().any(|excluded| excluded == check.name());
                Entry::new(check, probe, excluded, details)
            })
            .collect();
        let status = overall(&entries);
        // With no details, it is as if there were no checks to list.
        let entries = if details == HealthDetails::None { Vec::new() } else { entries };
        if options.json {
            return respond(status, JSON, render::json(&entries, status));
        }
        let unknown = options.excluded.iter().filter(|name| self.checks().all(|check| check.name() != **name));
        let verbose = options.verbose || !status.is_success() || entries.iter().any(|entry| !entry.passes());
        let text = render::text(probe, &entries, status, verbose, unknown.map(|name| &**name));
        respond(status, TEXT, text)
    }
}

const OK: &str = "ok";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

fn respond(status: StatusCode, media_type: HeaderValue, body: impl Into<crate::app::body::Body>) -> Response {
    Response::new(status)
        .with_header(CONTENT_TYPE, media_type)
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with_body(body)
}

/// 503 if any check fails so, else the status of one that fails otherwise, else 200.
fn overall(entries: &[Entry<'_>]) -> StatusCode {
    entries
        .iter()
        .filter_map(Entry::failure)
        .max_by_key(|&status| status == StatusCode::SERVICE_UNAVAILABLE)
        .unwrap_or(StatusCode::OK)
}

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    verbose: bool,
    json: bool,
    excluded: Vec<Cow<'a, str>>,
}

impl<'a> Options<'a> {
    fn parse(query: &'a str) -> Self {
        let mut options = Options::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "verbose" => options.verbose = !matches!(value, "false" | "0"),
                "format" => options.json = value == "json",
                "exclude" => options.excluded.push(percent_decode_str(value).decode_utf8_lossy()),
                _ => {}
            }
        }
        options
    }
}

#[cfg(test)]
mod tests;
