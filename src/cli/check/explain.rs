//! The rules as text: one at length for a terminal, all of them for docs/CHECKS.md.

use std::fmt::Write;

use super::finding::Rule;
use super::rules;

/// A rule for whoever asks for it.
pub(super) fn long(rule: &Rule) -> String {
    let Rule { id, severity, summary, explanation, fix } = rule;
    format!("{id} ({}): {summary}\n\n{}\n\nFix: {}\n", severity.name(), wrapped(explanation), wrapped(fix))
}

fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let separator = match width {
            0 => "",
            width if width + 1 + length > WIDTH => "\n",
            _ => " ",
        };
        width = if separator == " " { width + 1 + length } else { length };
        lines.push_str(separator);
        lines.push_str(word);
    }
    lines
}

/// The reference of all rules in Markdown: a table of contents, and a section for each.
pub fn reference() -> String {
    let mut text = String::from("| Rule | Severity | Finds |\n|---|---|---|\n");
    for rule in rules::all() {
        let Rule { id, severity, summary, .. } = rule;
        writeln!(text, "| [{id}](#{id}) | {} | {summary} |", severity.name()).expect("a String takes everything");
    }
    for (name, table) in rules::groups() {
        write!(text, "\n## {name}\n").expect("a String takes everything");
        for Rule { id, severity, summary, explanation, fix } in table {
            let severity = severity.name();
            write!(text, "\n### {id}\n\n*{severity}*: {summary}.\n\n{explanation}\n\n**Fix.** {fix}\n")
                .expect("a String takes everything");
        }
    }
    text
}
