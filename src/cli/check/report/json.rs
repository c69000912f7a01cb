//! Findings as one JSON object.

use serde::Serialize;

use super::Report;
use crate::cli::check::finding::{Finding, Severity};
use crate::cli::check::place::Place;

#[derive(Serialize)]
struct Output<'a> {
    version: u32,
    findings: Vec<Entry<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Entry<'a> {
    rule: &'a str,
    severity: &'a str,
    message: &'a str,
    fix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location<'a>>,
}

#[derive(Serialize)]
struct Location<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[derive(Serialize)]
struct Summary {
    errors: usize,
    warnings: usize,
    notes: usize,
    files: usize,
}

impl Report<'_> {
    pub(super) fn to_json(&self) -> String {
        let output = Output {
            version: 1,
            findings: self.findings.iter().map(|finding| self.entry(finding)).collect(),
            summary: Summary {
                errors: self.count(Severity::Error),
                warnings: self.count(Severity::Warning),
                notes: self.count(Severity::Note),
                files: self.inputs.list.len(),
            },
        };
        serde_json::to_string_pretty(&output).expect("structs of texts and numbers always serialise") + "\n"
    }

    fn entry<'a>(&'a self, finding: &'a Finding) -> Entry<'a> {
        let Finding { rule, severity, message, place } = finding;
        let location = place.as_ref().and_then(|place| {
            let Place { line, column, end_line, end_column, .. } = *place;
            Some(Location { file: &self.input(place)?.name, line, column, end_line, end_column })
        });
        Entry { rule: rule.id, severity: severity.name(), message, fix: rule.fix, location }
    }
}
