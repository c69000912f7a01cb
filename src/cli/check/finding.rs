//! What a rule is and what it finds. Knows nothing of Kubernetes, and not how findings are shown.

use super::place::Place;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    #[value(alias = "notes")]
    Note,
    /// Works today, and fails when something else happens: a rollout, load, a slow node.
    #[value(alias = "warnings")]
    Warning,
    /// Does not work.
    #[value(alias = "errors")]
    Error,
}

impl Severity {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One rule of `rws check`.
#[derive(Debug)]
pub struct Rule {
    /// The name it is shown, explained and ignored by.
    pub id: &'static str,
    /// How bad it usually is; a finding may be less.
    pub severity: Severity,
    /// What is found, in a few words.
    pub summary: &'static str,
    /// Why that is bad, in a few sentences.
    pub explanation: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// Something found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) rule: &'static Rule,
    pub(super) severity: Severity,
    /// Cause, consequence and fix in one line, with the values in question.
    pub(super) message: String,
    /// `None`: not in a file, but in this process' own environment.
    pub(super) place: Option<Place>,
}

/// Collects what rules find.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) list: Vec<Finding>,
}

impl Findings {
    /// Adds a finding of the rule's usual severity.
    pub(super) fn add(&mut self, rule: &'static Rule, place: Place, message: impl Into<String>) {
        self.add_as(rule.severity, rule, place, message);
    }

    /// Adds a finding that is less bad, or worse, than the rule's usual ones.
    pub(super) fn add_as(&mut self, severity: Severity, rule: &'static Rule, place: Place, message: impl Into<String>) {
        self.list.push(Finding { rule, severity, message: one_line(&message.into()), place: Some(place) });
    }

    /// Adds a finding about the environment of this process.
    pub(super) fn add_here(&mut self, severity: Severity, rule: &'static Rule, message: impl Into<String>) {
        self.list.push(Finding { rule, severity, message: one_line(&message.into()), place: None });
    }
}

/// Messages quote manifests, which may hold line breaks and escape sequences.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// `text` for a message: short.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
