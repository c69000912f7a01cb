//! The health probes: /healthz (also /livez), /readyz, /startupz and /readyz/{check}, as kube-apiserver spells them.
//!
//! Answers come from memory alone: checks report what they know already, and none does I/O or waits. A plain
//! `ok` allocates nothing. Whoever mounts the handlers decides the paths. HEAD and other methods are the router's business.
//!
//! - `?verbose` lists the checks; so does any answer that is not `ok`.
//! - `?exclude=name`, repeatable, leaves a check out; a name that no check has is warned about in the body.
//! - `?format=json` answers in the shape of MicroProfile Health.
//! - Bodies have at most [`MAX_BODY`] bytes; what fails is listed before what fits.

mod checks;
mod render;

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use percent_encoding::percent_decode_str;

use self::checks::{Ping, Shutdown, Startup};
use self::render::Entry;
use crate::app::response::Response;
use crate::config::Config;
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

    /// How it is.
    fn verdict(&self) -> Verdict;

    /// More about it, for `?format=json`: ages, durations, counts.
    fn data(&self) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }
}

/// How a check is. Reasons are short texts that anybody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Pass,
    /// Not well, but no reason to fail the probe.
    Degraded(Cow<'static, str>),
    /// Fails the probe with 503.
    Fail(Cow<'static, str>),
    /// Fails the probe with a status of its own, unless another check fails it with 503. A status below 400
    /// counts as [`Verdict::Degraded`].
    FailWith(StatusCode, Cow<'static, str>),
}

/// The handlers of the probes.
pub struct Probes {
    checks: Vec<Box<dyn Check>>,
}

impl std::fmt::Debug for Probes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|check| check.name())).finish()
    }
}

impl Probes {
    /// Probes with the built-in checks: `ping`, `startup` and `shutdown`.
    pub fn new(config: &Config, lifecycle: Lifecycle, stats: Arc<Stats>) -> Self {
        let shutdown = Shutdown::new(lifecycle.clone(), stats, config.drain_ready_status);
        Probes { checks: vec![Box::new(Ping), Box::new(Startup::new(lifecycle)), Box::new(shutdown)] }
    }

    /// Adds a check after those there are.
    pub fn add(&mut self, check: impl Check) {
        self.checks.push(Box::new(check));
    }

    /// Every check, in order.
    pub fn checks(&self) -> impl Iterator<Item = &dyn Check> {
        self.checks.iter().map(Box::as_ref)
    }

    /// Answers `probe`: 200 if every check that concerns it passes.
    pub fn answer(&self, probe: Probe, head: &RequestHead) -> Response {
        let concerned = || self.checks.iter().map(Box::as_ref).filter(move |check| check.concerns(probe));
        if head.query().is_none() && concerned().all(|check| check.verdict() == Verdict::Pass) {
            return respond(StatusCode::OK, TEXT, OK);
        }
        self.explain(probe, concerned(), head)
    }

    /// Answers for one check of `probe`, by its name as it stands in the path; 404 if it has none of that name.
    pub fn answer_check(&self, probe: Probe, name: &str, head: &RequestHead) -> Response {
        let name = percent_decode_str(name).decode_utf8_lossy();
        match self.checks.iter().find(|check| check.concerns(probe) && check.name() == name) {
            Some(check) => self.explain(probe, std::iter::once(check.as_ref()), head),
            None => {
                let text = format!("{} has no check {}\n", probe.name(), render::harmless(&name));
                respond(StatusCode::NOT_FOUND, TEXT, text)
            }
        }
    }

    fn explain<'a>(&self, probe: Probe, checks: impl Iterator<Item = &'a dyn Check>, head: &RequestHead) -> Response {
        let options = Options::parse(head.query().unwrap_or_default());
        let entries: Vec<Entry<'_>> = checks
            .map(|check| Entry::new(check, options.excluded.iter().any(|excluded| excluded == check.name())))
            .collect();
        let status = overall(&entries);
        if options.json {
            return respond(status, JSON, render::json(&entries, status));
        }
        let unknown = options.excluded.iter().filter(|name| self.checks.iter().all(|check| check.name() != **name));
        let verbose = options.verbose || entries.iter().any(|entry| !entry.passes());
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
