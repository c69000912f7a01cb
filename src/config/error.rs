//! What is wrong with a configuration, or worth a warning, in words an operator can act on.
//!
//! Everything shown is safe to print: secrets are redacted, long values shortened, control characters escaped.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use super::PREFIX;
use super::source::Origin;
use super::table::FILE_SUFFIX;

/// Characters of a value that are shown.
const SHOWN: usize = 64;

/// Stands where a secret would.
pub(super) const REDACTED: &str = "<redacted>";

/// Everything that is wrong with a configuration. Displays as one block, a line for each error, in order of the
/// variables' names, and then one for each warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    notices: Vec<Notice>,
}

impl ConfigErrors {
    /// Each error; there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// Warnings found on the way: a misspelt name is often the reason for an error.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// One JSON object per line, without a time: for each error `level`, `msg` (the error as displayed), `variable`,
    /// `value`, `rule`, `example`, and for each warning the first three.
    pub fn to_json_lines(&self) -> String {
        let lines = self.errors.iter().map(ConfigError::to_json).chain(self.notices.iter().map(Notice::to_json));
        lines.map(|line| line + "\n").collect()
    }

    /// The displayed block in at most `max_bytes` bytes of UTF-8, ending in an ellipsis if something is missing;
    /// for Kubernetes' `terminationMessagePath`, which takes 4096.
    pub fn truncated(&self, max_bytes: usize) -> String {
        const ELLIPSIS: &str = "…";
        let mut text = self.to_string();
        if text.len() > max_bytes {
            text.truncate(text.floor_char_boundary(max_bytes.saturating_sub(ELLIPSIS.len())));
            if max_bytes >= ELLIPSIS.len() {
                text.push_str(ELLIPSIS);
            }
        }
        text
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        self.notices.iter().try_for_each(|notice| write!(f, "\nwarning: {notice}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// One thing that is wrong: the variable, the value, the rule it breaks and an example of what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    variable: String,
    value: Option<String>,
    origin: Option<Origin>,
    rule: String,
    example: Option<String>,
}

impl ConfigError {
    /// An error of the variable `name`, given without its prefix.
    pub(super) fn new(name: &str, rule: impl Into<String>) -> Self {
        ConfigError { variable: full_name(name), value: None, origin: None, rule: rule.into(), example: None }
    }

    /// Adds the offending value, made safe to show.
    pub(super) fn value(self, text: &str) -> Self {
        ConfigError { value: Some(format!("\"{}\"", shown(text))), ..self }
    }

    /// Says that there is an offending value, without showing it.
    pub(super) fn redacted_value(self) -> Self {
        ConfigError { value: Some(REDACTED.to_owned()), ..self }
    }

    /// Adds where the value came from.
    pub(super) fn origin(self, origin: &Origin) -> Self {
        ConfigError { origin: Some(origin.clone()), ..self }
    }

    /// Adds an example of a right value.
    pub(super) fn example(self, value: &str) -> Self {
        ConfigError { example: Some(format!("{}={value}", self.variable)), ..self }
    }

    /// The variable's full name.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The offending value as the message shows it: in quotes, or redacted.
    pub fn shown_value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The rule that is broken: `must be a whole number from 0 to 65535`.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// An example of a right setting: `RWS_CONFIG_PORT=7878`.
    pub fn right_setting(&self) -> Option<&str> {
        self.example.as_deref()
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            level: &'a str,
            msg: String,
            variable: &'a str,
            value: Option<&'a str>,
            rule: &'a str,
            example: Option<&'a str>,
        }
        let line = Line {
            level: "error",
            msg: self.to_string(),
            variable: &self.variable,
            value: self.value.as_deref(),
            rule: &self.rule,
            example: self.example.as_deref(),
        };
        serde_json::to_string(&line).expect("a struct of strings always serialises")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.variable)?;
        if let Some(value) = &self.value {
            write!(f, "={value}")?;
        }
        match &self.origin {
            Some(Origin::File(path)) => write!(f, " (from {})", shown_path(path))?,
            Some(Origin::CommandLine) => f.write_str(" (from the command line)")?,
            Some(Origin::Code) => f.write_str(" (from code)")?,
            Some(Origin::Environment | Origin::Default) | None => {}
        }
        write!(f, ": {}", self.rule)?;
        self.example.as_ref().map_or(Ok(()), |example| write!(f, ", for example {example}"))
    }
}

/// Something an operator should know although it stops nothing: one warning in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    variable: String,
    message: String,
    unless_set: &'static [&'static str],
}

impl Notice {
    pub(super) fn new(name: &str, message: impl Into<String>) -> Self {
        Notice { variable: full_name(name), message: message.into(), unless_set: &[] }
    }

    /// Names variables, without their prefix, that could make the notice void if they were set.
    pub(super) fn unless_set(self, names: &'static [&'static str]) -> Self {
        Notice { unless_set: names, ..self }
    }

    /// Variables that are not set, without their prefix: whoever does not know all settings cannot be sure of the notice.
    pub fn is_void_with(&self) -> &'static [&'static str] {
        self.unless_set
    }

    /// The variable's full name.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// What there is to know, without the name: `is not a known setting; did you mean …?`.
    pub fn message(&self) -> &str {
        &self.message
    }

    fn to_json(&self) -> String {
        json!({"level": "warn", "msg": self.to_string(), "variable": self.variable}).to_string()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.message)
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    errors: Vec<ConfigError>,
    notices: Vec<Notice>,
    /// The configuration is for another machine: what it names cannot be looked at here.
    pub(super) elsewhere: bool,
}

impl Report {
    /// A report about a configuration that is for another machine, or for this one.
    pub(super) fn new(elsewhere: bool) -> Self {
        Report { elsewhere, ..Report::default() }
    }

    pub(super) fn error(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Whether `name`, without its prefix, or its `_FILE` has an error: rules that span variables then stay silent.
    pub(super) fn failed(&self, name: &str) -> bool {
        let names = self.errors.iter().filter_map(|error| error.variable.strip_prefix(PREFIX));
        names.into_iter().any(|own| own == name || own.strip_suffix(FILE_SUFFIX) == Some(name))
    }

    /// Forgets what is not about the variables called `names`, without prefix, or their `_FILE`.
    pub(super) fn keep(&mut self, names: &[&str]) {
        self.notices.clear();
        self.errors.retain(|error| {
            let own = error.variable.strip_prefix(PREFIX).unwrap_or(&error.variable);
            names.contains(&own) || own.strip_suffix(FILE_SUFFIX).is_some_and(|own| names.contains(&own))
        });
    }

    /// The notices, or the errors if there are any.
    pub(super) fn finish(mut self) -> Result<Vec<Notice>, ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(self.notices);
        }
        self.errors.sort_by(|a, b| a.variable.cmp(&b.variable));
        Err(ConfigErrors { errors: self.errors, notices: self.notices })
    }
}

/// The name with its prefix, safe to show: names come from the environment too.
pub(super) fn full_name(name: &str) -> String {
    format!("{PREFIX}{}", shown(name))
}

/// At most [`SHOWN`] characters of `text`, control characters and quotes escaped.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// A path with its control characters escaped.
pub(super) fn shown_path(path: &std::path::Path) -> String {
    path.to_string_lossy().chars().flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(errors: impl IntoIterator<Item = ConfigError>) -> ConfigErrors {
        let mut report = Report::default();
        errors.into_iter().for_each(|error| report.error(error));
        report.finish().expect_err("errors were given")
    }

    #[test]
    fn an_error_shows_variable_value_origin_rule_and_example() {
        let port = || ConfigError::new("PORT", "must be a number").value("banana").example("7878");
        let cases = [
            (port(), r#"RWS_CONFIG_PORT="banana": must be a number, for example RWS_CONFIG_PORT=7878"#),
            (
                port().origin(&Origin::File("/etc/rws/PORT".into())),
                r#"RWS_CONFIG_PORT="banana" (from /etc/rws/PORT): must be a number, for example RWS_CONFIG_PORT=7878"#,
            ),
            (
                port().origin(&Origin::CommandLine),
                r#"RWS_CONFIG_PORT="banana" (from the command line): must be a number, for example RWS_CONFIG_PORT=7878"#,
            ),
            (ConfigError::new("PORT", "is set twice"), "RWS_CONFIG_PORT: is set twice"),
            (ConfigError::new("KEY", "must be a key").redacted_value(), "RWS_CONFIG_KEY=<redacted>: must be a key"),
        ];
        for (error, expected) in cases {
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn values_and_names_are_escaped_and_shortened() {
        let long = "x".repeat(65);
        let cases = [
            ("a\nb", r"a\nb"),
            ("\u{1b}[31m", r"\u{1b}[31m"),
            ("say \"hi\"", r#"say \"hi\""#),
            ("\0", r"\0"),
            ("é…", "é…"),
            (&long[..64], &long[..64]),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
        }
        assert_eq!(shown(&long), format!("{}…", &long[..64]));
        assert_eq!(full_name("A\nB"), r"RWS_CONFIG_A\nB");
    }

    #[test]
    fn errors_are_one_block_sorted_by_name() {
        let both = errors([ConfigError::new("PORT", "b"), ConfigError::new("IP", "a"), ConfigError::new("PORT", "a")]);
        assert_eq!(both.to_string(), "RWS_CONFIG_IP: a\nRWS_CONFIG_PORT: b\nRWS_CONFIG_PORT: a");
        assert_eq!(both.iter().count(), 3);
    }

    #[test]
    fn warnings_come_after_the_errors() {
        let mut report = Report::default();
        report.notice(Notice::new("PROT", "is not known"));
        report.error(ConfigError::new("PORT", "x"));
        let both = report.finish().expect_err("an error was given");
        assert_eq!(both.to_string(), "RWS_CONFIG_PORT: x\nwarning: RWS_CONFIG_PROT is not known");
        let lines = both.to_json_lines();
        let last = lines.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let expected = json!({"level": "warn", "msg": "RWS_CONFIG_PROT is not known", "variable": "RWS_CONFIG_PROT"});
        assert_eq!(last, Some(expected));
    }

    #[test]
    fn json_has_one_object_per_line() {
        let both = errors([ConfigError::new("IP", "x\ny").value("\"\n").example("::"), ConfigError::new("PORT", "z")]);
        let text = both.to_json_lines();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("valid JSON")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["variable"], "RWS_CONFIG_IP");
        assert_eq!(lines[0]["level"], "error");
        assert_eq!(lines[0]["rule"], "x\ny");
        assert_eq!(lines[0]["example"], "RWS_CONFIG_IP=::");
        assert_eq!(lines[1]["msg"], "RWS_CONFIG_PORT: z");
        assert_eq!(lines[1]["value"], serde_json::Value::Null);
    }

    #[test]
    fn truncation_keeps_whole_characters_within_the_limit() {
        let one = errors([ConfigError::new("IP", "éééé")]);
        let full = one.to_string();
        assert_eq!(one.truncated(4096), full);
        assert_eq!(one.truncated(full.len()), full);
        for max in 0..full.len() {
            let text = one.truncated(max);
            assert!(text.len() <= max, "{max}: {text:?}");
            assert!(max < 3 || text.ends_with('…'), "{max}: {text:?}");
            assert!(full.starts_with(text.trim_end_matches('…')), "{max}: {text:?}");
        }
    }
}
