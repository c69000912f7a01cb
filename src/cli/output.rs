//! What the commands write: texts for stdout, colours on a terminal only, and no panic when nobody reads on.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anstream::AutoStream;
use clap::builder::styling::{AnsiColor, Style};

/// Headings of tables.
pub(super) const HEADING: Style = Style::new().bold();
/// What is less important.
pub(super) const DIM: Style = Style::new().dimmed();
/// What is wrong.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What deserves a look.
pub(super) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();

/// `text` in a style. Whether it is shown so is decided when it is written.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes `text` to stdout and ends with `code`. Colours go to a terminal only, and not if NO_COLOR is set.
/// A reader who has seen enough (`| head -1`) is no failure; a full disk is.
pub(super) fn finish(text: &str, code: ExitCode) -> ExitCode {
    let mut stdout = AutoStream::auto(io::stdout().lock());
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => fail(&format!("cannot write to stdout: {error}")),
        _ => code,
    }
}

/// Writes `text` to stderr as an error of the command line, and ends with 1.
pub(super) fn fail(text: &str) -> ExitCode {
    complain(text, 1)
}

/// Writes `text` to stderr as an error of the command line, and ends with `code`.
pub(super) fn complain(text: &str, code: u8) -> ExitCode {
    warn(&format!("{} {text}", styled(BAD, "error:")));
    ExitCode::from(code)
}

/// Writes a line to stderr.
pub(super) fn warn(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(AutoStream::auto(io::stderr().lock()), "{line}");
}

/// Columns of texts, each as wide as its widest cell, the last one as it is.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<(Style, Vec<String>)>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        let mut table = Table { rows: Vec::new() };
        table.add(HEADING, heading.iter().copied().map(String::from).collect());
        table
    }

    pub(super) fn add(&mut self, style: Style, cells: Vec<String>) {
        self.rows.push((style, cells.iter().map(|cell| one_line(cell)).collect()));
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut widths = Vec::new();
        for (_, cells) in &self.rows {
            widths.resize(cells.len().max(widths.len()), 0);
            widths.iter_mut().zip(cells).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        }
        for (style, cells) in &self.rows {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            writeln!(f, "{style}{}{style:#}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Values may hold line breaks and escape sequences, which a table must not.
fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_control_characters_escaped() {
        let mut table = Table::new(&["NAME", "VALUE", "FROM"]);
        table.add(Style::new(), ["a", "first\nsecond\u{1b}[31m", "x"].map(String::from).to_vec());
        table.add(Style::new(), ["longer", "é", "y"].map(String::from).to_vec());
        let text = anstream::adapter::strip_str(&table.to_string()).to_string();
        let expected = [
            "NAME    VALUE                    FROM",
            r"a       first\nsecond\u{1b}[31m  x",
            "longer  é                        y",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }
}
