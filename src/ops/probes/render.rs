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
/// Room for the line that says how many checks are not shown.
const MORE: usize = 32;

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
    let left = shown(&mut body, entries, MAX_BODY - last.len() - MORE, |entry| entry.line());
    if left > 0 {
        body.extend_from_slice(format!("({left} more checks)\n").as_bytes());
    }
    body.extend_from_slice(last.as_bytes());
    body
}

/// `{"status":"UP","checks":[{"name":"ping","status":"UP","data":{}}]}`
pub(super) fn json(entries: &[Entry<'_>], status: StatusCode) -> Vec<u8> {
    const END: &[u8] = b"]}";
    let up = up(status.is_success());
    let mut body = format!(r#"{{"status":"{up}","checks":["#).into_bytes();
    let room = MAX_BODY - END.len();
    // Where there are many, a name says more than the figures of another.
    let whole = entries.iter().map(|entry| entry.json().len() + 1).sum::<usize>() <= room - body.len();
    let member = |entry: &Entry<'_>| {
        let member = if whole || !entry.passes() { entry.json() } else { entry.json_with(Map::new()) };
        let member = if member.len() <= MAX_BODY / 4 { member } else { entry.json_with(Map::new()) };
        (member + ",").into_bytes()
    };
    shown(&mut body, entries, room, member);
    if body.last() == Some(&b',') {
        body.pop();
    }
    body.extend_from_slice(END);
    body
}

fn up(well: bool) -> &'static str {
    if well { "UP" } else { "DOWN" }
}

/// Appends the pieces of as many entries as fit, until the body is `most` bytes long, and returns how many did not. If not
/// all fit, those that fail come first.
fn shown(body: &mut Vec<u8>, entries: &[Entry<'_>], most: usize, piece: impl Fn(&Entry<'_>) -> Vec<u8>) -> usize {
    let mut pieces: Vec<(bool, Vec<u8>)> = entries.iter().map(|entry| (entry.passes(), piece(entry))).collect();
    if body.len() + pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>() > most {
        pieces.sort_by_key(|(passes, _)| *passes);
    }
    let fitting = pieces.iter().take_while(|(_, piece)| {
        let fits = body.len() + piece.len() <= most;
        if fits {
            body.extend_from_slice(piece);
        }
        fits
    });
    pieces.len() - fitting.count()
}

/// A name that a client made up, fit to be repeated: short, in quotes, and plain.
pub(super) fn harmless(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '?' };
    format!("\"{}\"", name.chars().take(MAX_NAME).map(plain).collect::<String>())
}
