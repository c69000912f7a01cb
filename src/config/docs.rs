//! The table of docs/CONFIGURATION.md, written from the table in code.

use std::fmt::Write;

use super::table::{Change, Status, Variable};
use super::{PREFIX, VARIABLES};

/// The reference of all variables as two Markdown tables: those that work, and those only known by name.
pub fn reference() -> String {
    let (known_only, supported): (Vec<_>, Vec<_>) =
        VARIABLES.iter().partition(|variable| matches!(variable.status, Status::Refused(_) | Status::NoEffect(_)));
    let mut text =
        String::from("| Variable | Type | Default | Values | Changes | Meaning |\n|---|---|---|---|---|---|\n");
    supported.into_iter().for_each(|variable| text += &supported_row(variable));
    text += "\nKnown, but not supported by this version. Values that switch a feature off (`false`, `off`, `no`, \
             `0` or nothing) are accepted everywhere.\n\n| Variable | When set | Because |\n|---|---|---|\n";
    known_only.into_iter().for_each(|variable| text += &known_row(variable));
    text
}

fn supported_row(variable: &Variable) -> String {
    let mut row = String::new();
    let cells = [
        code(&format!("{PREFIX}{}", variable.name)),
        type_and_unit(variable),
        code(variable.default),
        escaped(&variable.range()),
        changes(variable).to_owned(),
        meaning(variable),
    ];
    cells.iter().for_each(|cell| row += &format!("| {cell} "));
    row + "|\n"
}

fn known_row(variable: &Variable) -> String {
    let (effect, because) = match variable.status {
        Status::Refused(because) => ("error", because),
        Status::NoEffect(because) => ("warning", because),
        Status::Supported | Status::ReplacedBy(_) => ("", ""),
    };
    format!("| {} | {effect} | {} |\n", code(&format!("{PREFIX}{}", variable.name)), escaped(because))
}

fn type_and_unit(variable: &Variable) -> String {
    let unit = variable.unit().map(|unit| format!(" ({unit})")).unwrap_or_default();
    format!("{}{unit}", variable.type_name())
}

fn changes(variable: &Variable) -> &'static str {
    match variable.change {
        Change::Reload => "reloadable",
        Change::Restart => "restart",
    }
}

fn meaning(variable: &Variable) -> String {
    let mut meaning = escaped(variable.help);
    if variable.secret {
        meaning += " Secret: never shown.";
    }
    if variable.example != variable.default {
        write!(meaning, " Example: {}", code(variable.example)).expect("a String takes everything");
    }
    meaning
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", escaped(text)) }
}

/// A bar would end the cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
