//! `rws config`: every effective value and where it came from.

use std::process::ExitCode;

use clap::builder::styling::Style;
use serde::Serialize;

use super::output::{self, DIM, DOUBTFUL, Table, complain, finish, styled};
use crate::config::{
    self, Change, Config, ConfigError, ConfigErrors, Effective, Loaded, Notice, Origin, PREFIX, Sources,
};

pub(super) const EXAMPLES: &str = "Examples:
  rws config                                every variable, its value and where it came from
  rws config --changed                      those that are not at their default
  rws config --format json | jq '.settings[] | select(.source != \"default\")'
  kubectl exec deploy/rws -- rws config     what a pod would start with now

Values that may be secret are redacted: secrets, and what comes from a file of its own (<NAME>_FILE).
Exit codes: 0 valid, 2 errors, all of which are listed.";

#[derive(clap::Args)]
pub(super) struct Options {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
    /// Only what is not at its default
    #[arg(long)]
    changed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A table
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Loads and prints.
pub(super) fn run(options: &Options, sources: &Sources) -> ExitCode {
    let loaded = Config::load(sources);
    match (options.format, loaded) {
        (Format::Text, Ok(loaded)) => {
            warn(&loaded.notices);
            finish(&table(&chosen(&loaded, options)), ExitCode::SUCCESS)
        }
        (Format::Text, Err(errors)) => refuse(&errors),
        (Format::Json, Ok(loaded)) => finish(&Document::of(&loaded, options).text(), ExitCode::SUCCESS),
        (Format::Json, Err(errors)) => finish(&Document::of_errors(&errors).text(), ExitCode::from(2)),
    }
}

/// Loads the configuration for a command, or tells what is wrong with it. Notices go to stderr.
pub(super) fn load(sources: &Sources) -> Result<Loaded, ExitCode> {
    let loaded = Config::load(sources).map_err(|errors| refuse(&errors))?;
    warn(&loaded.notices);
    Ok(loaded)
}

fn refuse(errors: &ConfigErrors) -> ExitCode {
    warn(errors.notices());
    for error in errors.iter() {
        complain(&error.to_string(), 2);
    }
    ExitCode::from(2)
}

fn warn(notices: &[Notice]) {
    for notice in notices {
        output::warn(&format!("{} {notice}", styled(DOUBTFUL, "warning:")));
    }
}

fn chosen<'l>(loaded: &'l Loaded, options: &Options) -> Vec<&'l Effective> {
    loaded.effective.iter().filter(|value| !options.changed || value.origin != Origin::Default).collect()
}

fn table(values: &[&Effective]) -> String {
    let mut table = Table::new(&["VARIABLE", "VALUE", "FROM"]);
    for value in values {
        let style = if value.origin == Origin::Default { DIM } else { Style::new() };
        let shown = if value.value.is_empty() { "-" } else { &value.value };
        table.add(style, [&value.name, shown, &value.origin.to_string()].map(String::from).to_vec());
    }
    table.to_string()
}

/// The JSON form.
#[derive(Serialize)]
struct Document<'a> {
    valid: bool,
    settings: Vec<Setting<'a>>,
    errors: Vec<Problem<'a>>,
    warnings: Vec<Remark<'a>>,
}

#[derive(Serialize)]
struct Setting<'a> {
    name: &'a str,
    value: &'a str,
    /// As an operator would write it; none of those that are a family, such as `ROUTE_<NAME>`.
    default: Option<&'static str>,
    redacted: bool,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    reloadable: bool,
}

#[derive(Serialize)]
struct Problem<'a> {
    variable: &'a str,
    message: String,
    rule: &'a str,
}

#[derive(Serialize)]
struct Remark<'a> {
    variable: &'a str,
    message: &'a str,
}

impl<'a> Document<'a> {
    fn of(loaded: &'a Loaded, options: &Options) -> Self {
        let settings = chosen(loaded, options).into_iter().map(Setting::of).collect();
        Document { valid: true, settings, errors: Vec::new(), warnings: remarks(&loaded.notices) }
    }

    fn of_errors(errors: &'a ConfigErrors) -> Self {
        let warnings = remarks(errors.notices());
        Document { valid: false, settings: Vec::new(), errors: errors.iter().map(Problem::of).collect(), warnings }
    }

    fn text(&self) -> String {
        // Texts and booleans only, so that nothing can fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

fn remarks(notices: &[Notice]) -> Vec<Remark<'_>> {
    notices.iter().map(|notice| Remark { variable: notice.variable(), message: notice.message() }).collect()
}

impl<'a> Setting<'a> {
    fn of(value: &'a Effective) -> Self {
        let variable = config::find(value.name.strip_prefix(PREFIX).unwrap_or(&value.name));
        let (source, file) = match &value.origin {
            Origin::Default => ("default", None),
            Origin::File(path) => ("file", Some(path.display().to_string())),
            Origin::Environment => ("environment", None),
            Origin::CommandLine => ("command line", None),
            Origin::Code => ("code", None),
        };
        let default = variable.filter(|variable| !variable.name.contains('<')).map(|variable| variable.default);
        let reloadable = variable.is_some_and(|variable| variable.change == Change::Reload);
        Setting { name: &value.name, value: &value.value, default, redacted: value.redacted, source, file, reloadable }
    }
}

impl<'a> Problem<'a> {
    fn of(error: &'a ConfigError) -> Self {
        Problem { variable: error.variable(), message: error.to_string(), rule: error.rule() }
    }
}
