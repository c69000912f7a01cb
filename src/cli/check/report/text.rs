//! Findings as a compiler shows them: what, where, the line, and a mark under the place.

use clap::builder::styling::{AnsiColor, Style};

use super::Report;
use crate::cli::check::finding::{Finding, Severity};
use crate::cli::check::place::Place;
use crate::cli::output::styled;

/// Columns of a line that are shown.
const SHOWN: usize = 120;

const STRONG: Style = Style::new().bold();
const FRAME: Style = AnsiColor::Blue.on_default().bold();

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().bold(),
        Severity::Warning => AnsiColor::Yellow.on_default().bold(),
        Severity::Note => AnsiColor::Cyan.on_default().bold(),
    }
}

impl Report<'_> {
    pub(super) fn to_text(&self) -> String {
        let mut text: String = self.findings.iter().map(|finding| self.block(finding) + "\n").collect();
        text += &self.summary();
        text
    }

    fn block(&self, finding: &Finding) -> String {
        let Finding { rule, severity, message, place } = finding;
        let head = styled(style(*severity), &format!("{}[{}]", severity.name(), rule.id));
        let head = format!("{head}: {}\n", styled(STRONG, message));
        match place {
            Some(place) => head + &self.excerpt(place, *severity),
            None => format!("{head} {} the environment and the command line\n", styled(FRAME, "-->")),
        }
    }

    fn excerpt(&self, place: &Place, severity: Severity) -> String {
        let Some(input) = self.input(place) else { return String::new() };
        let Place { line, column, .. } = *place;
        let number = line.to_string();
        let pad = " ".repeat(number.len());
        let at = format!("{pad}{} {}:{line}:{column}\n", styled(FRAME, "-->"), input.name);
        let Some(source) = input.text.lines().nth(line - 1).filter(|_| !self.is_secret(place)) else { return at };
        // Long lines are mostly JSON: what stands before the place is cut.
        let from = if column + 20 > SHOWN { column - 20 } else { 0 };
        let shown: String = source.chars().skip(from).take(SHOWN).map(visible).collect();
        let end = if place.end_line == line { place.end_column } else { source.trim_end().chars().count() + 1 };
        let width = end.saturating_sub(column).clamp(1, SHOWN);
        let mark = " ".repeat(column.saturating_sub(1 + from)) + &"^".repeat(width);
        let mark: String = mark.chars().take(SHOWN).collect();
        let bar = styled(FRAME, "|");
        let mark = styled(style(severity), &mark);
        format!("{at}{pad} {bar}\n{} {bar} {shown}\n{pad} {bar} {mark}\n", styled(FRAME, &number))
    }

    /// `2 errors, 1 warning in 3 files`.
    fn summary(&self) -> String {
        let counted = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
        let counts = counted.map(|(severity, name)| (self.count(severity), name));
        let named = counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| plural(*count, name));
        let found: Vec<String> = named.collect();
        let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
        match self.inputs.list.as_slice() {
            [] => format!("{found}\n"),
            [single] => format!("{found} in {}\n", single.name),
            several => format!("{found} in {} files\n", several.len()),
        }
    }
}

fn plural(count: usize, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

/// Tabs and control characters would move the mark, or the terminal.
fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}
