//! Findings as SARIF 2.1.0, which code scanning services read.
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::Report;
use crate::cli::check::finding::{Finding, Rule, Severity};
use crate::cli::check::place::Place;
use crate::cli::check::rules;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What stands in a relative reference as it is (RFC 3986 section 3.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Report<'_> {
    pub(super) fn to_sarif(&self) -> String {
        let driver = json!({
            "name": "rws check",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules::all().map(rule).collect::<Vec<_>>(),
        });
        let run = json!({
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "results": self.findings.iter().map(|finding| self.result(finding)).collect::<Vec<_>>(),
        });
        format!("{:#}\n", json!({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}))
    }

    fn result(&self, finding: &Finding) -> Value {
        let Finding { rule, severity, message, place } = finding;
        let mut result = json!({
            "ruleId": rule.id,
            "ruleIndex": rules::all().position(|own| own.id == rule.id),
            "level": level(*severity),
            "message": {"text": message},
        });
        if let Some(location) = place.as_ref().and_then(|place| self.location(place)) {
            result["locations"] = json!([location]);
        }
        result
    }

    fn location(&self, place: &Place) -> Option<Value> {
        let name = &self.input(place)?.name;
        let uri = if name == "<stdin>" { "stdin".to_owned() } else { uri(name) };
        Some(json!({"physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {
                "startLine": place.line,
                "startColumn": place.column,
                "endLine": place.end_line,
                "endColumn": place.end_column,
            },
        }}))
    }
}

fn rule(rule: &Rule) -> Value {
    let Rule { id, severity, summary, explanation, fix } = rule;
    json!({
        "id": id,
        "shortDescription": {"text": summary},
        "fullDescription": {"text": explanation},
        "help": {
            "text": format!("{explanation}\n\nFix: {fix}"),
            "markdown": format!("{explanation}\n\n**Fix.** {fix}"),
        },
        "defaultConfiguration": {"level": level(*severity)},
    })
}

fn level(severity: Severity) -> &'static str {
    severity.name()
}

fn uri(path: &str) -> String {
    let encoded = utf8_percent_encode(path.trim_start_matches("./"), PATH).to_string();
    if path.starts_with('/') { format!("file://{encoded}") } else { encoded }
}
