//! The bodies of probe answers: text as kube-apiserver writes it, and MicroProfile Health's JSON.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Check, MAX_BODY, OK, Probe, Verdict};
use crate::config::HealthDetails;
use crate::ops::text::{formatted, one_line};

/// Longest reason shown, in characters.
const MAX_REASON: usize = 200;
/// Longest name of a check from a query that is repeated in a body, in characters.
const MAX_NAME: usize = 64;
/// Most unknown names warned about; the rest is a mistake of the same kind.
const MAX_WARNINGS: usize = 5;

/// A check as it was when the probe asked.
pub(super) struct Entry<'a> {
    check: &'a dyn Check,
    excluded: bool,
    verdict: Verdict,
    details: HealthDetails,
}

impl<'a> Entry<'a> {
    pub(super) fn new(check: &'a dyn Check, probe: Probe, excluded: bool, details: HealthDetails) -> Self {
        Entry { check, excluded, verdict: check.verdict(probe), details }
    }

    /// Whether there is nothing to say about it.
    pub(super) fn passes(&self) -> bool {
        self.excluded || self.verdict == Verdict::Pass
    }

    /// The status it fails the probe with, if it does.
    pub(super) fn failure(&self) -> Option<StatusCode> {
        match self.verdict {
            Verdict::Fail(_) if !self.excluded => Some(StatusCode::SERVICE_UNAVAILABLE),
            Verdict::FailWith(status, _) if !self.excluded && status.as_u16() >= 400 => Some(status),
            _ => None,
        }
    }

    fn reason(&self) -> String {
        let (Verdict::Degraded(reason) | Verdict::Fail(reason) | Verdict::FailWith(_, reason)) = &self.verdict else {
            return String::new();
        };
        let text = if self.details == HealthDetails::Full { reason.full() } else { reason.public() };
        text.chars().take(MAX_REASON).collect()
    }

    fn line(&self) -> Vec<u8> {
        let name = self.check.name();
        let mut line = Vec::new();
        let mut write = |text| formatted(&mut line, one_line, text);
        match (self.excluded, self.failure(), &self.verdict) {
            (true, ..) => write(format_args!("[+]{name} excluded: ok")),
            (_, Some(_), _) => write(format_args!("[-]{name} failed: {}", self.reason())),
            (_, _, Verdict::Pass) => write(format_args!("[+]{name} ok")),
            _ => write(format_args!("[~]{name} degraded: {}", self.reason())),
        }
        line.push(b'\n');
        line
    }

    fn json(&self) -> String {
        let mut data = self.check.data();
        match (&self.verdict, self.excluded) {
            (Verdict::Pass, false) => {}
            (_, true) => _ = data.insert("excluded".into(), true.into()),
            (_, false) if self.failure().is_some() => _ = data.insert("reason".into(), self.reason().into()),
            (_, false) => _ = data.insert("degraded".into(), self.reason().into()),
        }
        self.json_with(data)
    }

    fn json_with(&self, data: Map<String, Value>) -> String {
        let (name, status) = (Value::from(self.check.name()), up(self.failure().is_none()));
        format!(r#"{{"name":{name},"status":"{status}","data":{}}}"#, Value::Object(data))
    }
}

/// A list of the checks if `verbose`, else `ok`; before it, a warning for each name in `unknown`.
pub(super) fn text<'a>(
    probe: Probe,
    entries: &[Entry<'_>],
    status: StatusCode,
    verbose: bool,
    unknown: impl Iterator<Item = &'a str>,
) -> Vec<u8> {
    let mut body = Vec::new();
    for name in unknown.take(MAX_WARNINGS) {
        let warning = format!("warn: there is no check {} to exclude\n", harmless(name));
        body.extend_from_slice(warning.as_bytes());
    }
    if !verbose {
        body.extend_from_slice(OK.as_bytes());
        return body;
    }
    let verdict = if status.is_success() { "passed" } else { "failed" };
    let last = format!("{} check {verdict}\n", probe.name());
    let lines: Vec<Vec<u8>> = shown(entries, MAX_BODY - body.len() - last.len(), |entry| entry.line());
    body.extend(lines.into_iter().flatten());
    body.extend_from_slice(last.as_bytes());
    body
}

/// `{"status":"UP","checks":[{"name":"ping","status":"UP","data":{}}]}`
pub(super) fn json(entries: &[Entry<'_>], status: StatusCode) -> Vec<u8> {
    let up = up(status.is_success());
    let frame = format!(r#"{{"status":"{up}","checks":["#);
    let member = |entry: &Entry<'_>| {
        let whole = entry.json();
        let member = if whole.len() <= MAX_BODY / 4 { whole } else { entry.json_with(Map::new()) };
        (member + ",").into_bytes()
    };
    let mut body = frame.into_bytes();
    body.extend(shown(entries, MAX_BODY - body.len() - "]}".len(), member).into_iter().flatten());
    if body.last() == Some(&b',') {
        body.pop();
    }
    body.extend_from_slice(b"]}");
    body
}

fn up(well: bool) -> &'static str {
    if well { "UP" } else { "DOWN" }
}

/// The pieces of as many entries as fit into `room` bytes, in order. If not all fit, those that fail come first.
fn shown(entries: &[Entry<'_>], room: usize, piece: impl Fn(&Entry<'_>) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut pieces: Vec<(bool, Vec<u8>)> = entries.iter().map(|entry| (entry.passes(), piece(entry))).collect();
    if pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>() > room {
        pieces.sort_by_key(|(passes, _)| *passes);
    }
    let mut left = room;
    let fits = |(_, piece): (bool, Vec<u8>)| {
        left = left.checked_sub(piece.len())?;
        Some(piece)
    };
    pieces.into_iter().map_while(fits).collect()
}

/// A name that a client made up, fit to be repeated: short, in quotes, and plain.
pub(super) fn harmless(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '?' };
    format!("\"{}\"", name.chars().take(MAX_NAME).map(plain).collect::<String>())
}
