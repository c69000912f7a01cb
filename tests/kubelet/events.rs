//! The events of a pod, as `kubectl describe pod` prints them. Knows no reasons: those who record them do.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Whether something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Normal,
    Warning,
}

/// Equal events are counted, as the event recorder's correlator does.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Type,
    pub(crate) reason: &'static str,
    pub(crate) from: &'static str,
    pub(crate) message: String,
    pub(crate) count: u32,
    first: Instant,
    last: Instant,
}

/// What happened to one pod.
#[derive(Default)]
pub(crate) struct Events {
    list: Mutex<Vec<Event>>,
}

impl Events {
    pub(crate) fn normal(&self, reason: &'static str, message: impl Into<String>) {
        self.record(Type::Normal, reason, "kubelet", message.into());
    }

    pub(crate) fn warning(&self, reason: &'static str, message: impl Into<String>) {
        self.record(Type::Warning, reason, "kubelet", message.into());
    }

    pub(crate) fn record(&self, kind: Type, reason: &'static str, from: &'static str, message: String) {
        let now = Instant::now();
        let mut list = self.list.lock().unwrap();
        let same = |event: &&mut Event| event.reason == reason && event.message == message;
        match list.iter_mut().find(same) {
            Some(event) => (event.count, event.last) = (event.count + 1, now),
            None => list.push(Event { kind, reason, from, message, count: 1, first: now, last: now }),
        }
    }

    /// How often `reason` was recorded with a message that contains `needle`.
    pub(crate) fn count(&self, reason: &str, needle: &str) -> u32 {
        let list = self.list.lock().unwrap();
        list.iter().filter(|event| event.reason == reason && event.message.contains(needle)).map(|e| e.count).sum()
    }

    /// The table of `kubectl describe`, in the cluster's time, which runs `factor` times as fast as ours.
    pub(crate) fn table(&self, factor: u32) -> String {
        let mut text = "Events:\n".to_owned();
        let rows = [["Type", "Reason", "Age", "From", "Message"], ["----", "------", "----", "----", "-------"]];
        let mut rows: Vec<[String; 5]> = rows.map(|row| row.map(str::to_owned)).to_vec();
        rows.extend(self.list.lock().unwrap().iter().map(|event| {
            let (age, over) = (age(event.last, factor), age(event.first, factor));
            let age = if event.count > 1 { format!("{age} (x{} over {over})", event.count) } else { age };
            [format!("{:?}", event.kind), event.reason.into(), age, event.from.into(), event.message.clone()]
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3].map(width);
        for [kind, reason, age, from, message] in &rows {
            let [a, b, c, d] = widths;
            writeln!(text, "  {kind:a$}  {reason:b$}  {age:c$}  {from:d$}  {message}").unwrap();
        }
        text
    }
}

/// As `duration.HumanDuration` of apimachinery, below an hour.
fn age(since: Instant, factor: u32) -> String {
    human(since.elapsed() * factor)
}

fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 60, seconds % 60) {
        (0 | 1, _) => format!("{seconds}s"),
        (minutes @ 2..=9, rest) if rest > 0 => format!("{minutes}m{rest}s"),
        (minutes, _) => format!("{minutes}m"),
    }
}
