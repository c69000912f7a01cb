//! Findings for people and for programs. Knows formats; decides nothing.

mod json;
mod sarif;
mod text;

use std::process::ExitCode;

use super::finding::{Finding, Severity};
use super::input::{Input, Inputs};
use super::place::Place;
use super::yaml::Node;
use crate::cli::output;

/// How findings are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// For people, with the line in question
    Text,
    /// One JSON object, described in docs/CHECKS.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// What there is to write.
pub(super) struct Report<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) findings: &'a [Finding],
}

impl Report<'_> {
    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.to_text(),
            Format::Json => self.to_json(),
            Format::Sarif => self.to_sarif(),
        }
    }

    fn input(&self, place: &Place) -> Option<&Input> {
        self.inputs.list.get(place.input)
    }

    /// Whether a line may hold a secret and must not be shown.
    fn is_secret(&self, place: &Place) -> bool {
        let documents = self.input(place).map_or(&[][..], |input| &input.documents.nodes);
        documents.iter().any(|node| holds_secret(node, place))
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Writes to stdout and ends with `code`.
pub(super) fn write(text: &str, code: ExitCode) -> ExitCode {
    output::finish(text, code)
}

/// Says on stderr why there is nothing to report.
pub(super) fn complain(lines: &[String]) {
    for line in lines {
        output::warn(&format!("{} {line}", output::styled(output::BAD, "error:")));
    }
}

fn holds_secret(node: &Node, place: &Place) -> bool {
    let within = node.place.contains(place);
    let secret = node.text_of("kind") == Some("Secret");
    within && (secret || node.items_of("items").iter().chain(node.items()).any(|item| holds_secret(item, place)))
}
