//! `/configz`: every setting with its value, where it came from, and when a change takes effect.
//!
//! JSON; a table for `?format=text` and `Accept: text/plain`, a page for browsers. Secrets never get here: the
//! configuration hands out values that may be shown.

use std::fmt::Write;

use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::html::{self, Html};
use super::{Admin, json_response, text_response};
use crate::app::response::Response;
use crate::config::{Change, ChangedValue, ConfigErrors, Effective, Origin, Running};
use crate::ops::timestamp::rfc3339_seconds;
use crate::semantics::head::RequestHead;

/// One setting, as it is shown.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    value: &'a str,
    /// `default`, `file`, `environment`, `command line` or `code`.
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    reloadable: bool,
}

impl<'a> Row<'a> {
    fn of(effective: &'a Effective) -> Self {
        let (source, file) = match &effective.origin {
            Origin::Default => ("default", None),
            Origin::File(path) => ("file", Some(path.to_string_lossy().into_owned())),
            Origin::Environment => ("environment", None),
            Origin::CommandLine => ("command line", None),
            Origin::Code => ("code", None),
        };
        let reloadable = effective.variable().is_some_and(|variable| variable.change == Change::Reload);
        Row { name: &effective.name, value: &effective.value, source, file, reloadable }
    }

    fn takes_effect(&self) -> &'static str {
        if self.reloadable { "at once" } else { "at the next start" }
    }

    fn source(&self) -> String {
        match &self.file {
            Some(file) => format!("file {file}"),
            None => self.source.to_owned(),
        }
    }
}

/// How the client wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Text,
    Html,
}

impl Format {
    /// By `?format=`, else by what `Accept` names, else `otherwise`.
    pub(super) fn wanted(head: &RequestHead, otherwise: Format) -> Format {
        let query = head.query().unwrap_or_default();
        let named = query.split('&').find_map(|pair| match pair {
            "format=json" => Some(Format::Json),
            "format=text" => Some(Format::Text),
            "format=html" => Some(Format::Html),
            _ => None,
        });
        let accept = head.field_str("accept").unwrap_or_default().to_ascii_lowercase();
        let accepted = || {
            let types = [("text/html", Format::Html), ("application/json", Format::Json), ("text/plain", Format::Text)];
            types.into_iter().find(|(media_type, _)| accept.contains(media_type)).map(|(_, format)| format)
        };
        named.or_else(accepted).unwrap_or(otherwise)
    }
}

impl Admin {
    pub(super) fn configz(&self, head: &RequestHead) -> Response {
        let running = self.handles.live.running();
        let rows: Vec<Row<'_>> = running.loaded.effective.iter().map(Row::of).collect();
        match Format::wanted(head, Format::Json) {
            Format::Json => json_response(StatusCode::OK, &as_json(&rows, &running)),
            Format::Text => text_response(StatusCode::OK, as_text(&rows)),
            Format::Html => html::respond(page(&rows, &running, &self.identity.title())),
        }
    }
}

fn as_json(rows: &[Row<'_>], running: &Running) -> serde_json::Value {
    let pending = running
        .pending
        .iter()
        .map(|change| json!({ "name": change.variable, "value": change.to, "source": change.origin.to_string() }));
    let errors = running.errors.iter().flat_map(ConfigErrors::iter).map(ToString::to_string);
    json!({
        "since": rfc3339_seconds(running.since),
        "variables": rows,
        "at_next_start": pending.collect::<Vec<_>>(),
        "refused": errors.collect::<Vec<_>>(),
    })
}

/// A table whose columns are as wide as what is in them.
fn as_text(rows: &[Row<'_>]) -> String {
    let mut lines = vec![["VARIABLE".to_owned(), "VALUE".to_owned(), "CHANGES".to_owned(), "SOURCE".to_owned()]];
    lines.extend(rows.iter().map(|row| {
        let value = row.value.escape_debug().to_string();
        [row.name.to_owned(), value, row.takes_effect().to_owned(), row.source()]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count().min(48)).max().unwrap_or(0);
    let (name, value, change) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [a, b, c, d] in &lines {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{a:name$}  {b:value$}  {c:change$}  {d}");
    }
    text
}

fn page(rows: &[Row<'_>], running: &Running, title: &str) -> String {
    let mut html = Html::page(&format!("Configuration of {title}"));
    html.raw("<h1>Configuration</h1><p class=quiet>").text(title);
    html.raw(". Also as <a href=\"/configz?format=json\">JSON</a> and <a href=\"/configz?format=text\">text</a>.</p>");
    if let Some(errors) = &running.errors {
        html.raw("<p class=\"verdict bad\"><strong>The latest change was refused</strong>");
        errors.iter().for_each(|error| _ = html.raw("<span>").fmt(format_args!("{error}. ")).raw("</span>"));
        html.raw("</p>");
    }
    if !running.pending.is_empty() {
        html.raw("<p class=\"verdict fair\"><strong>At the next start</strong><span>");
        let change =
            |change: &ChangedValue| format!("{} changes from {:?} to {:?}", change.variable, change.from, change.to);
        html.text(&running.pending.iter().map(change).collect::<Vec<_>>().join("; ")).raw("</span></p>");
    }
    html.raw("<div class=scroll><table><thead><tr><th scope=col>Variable<th scope=col>Value<th scope=col>Source");
    html.raw("<th scope=col>A change takes effect</thead><tbody>");
    for row in rows {
        let class = if row.source == "default" { " class=quiet" } else { "" };
        html.raw("<tr").raw(class).raw("><th scope=row><code>").text(row.name).raw("</code><td><code>").text(row.value);
        html.raw("</code><td>").text(&row.source()).raw("<td>").text(row.takes_effect());
    }
    html.raw("</tbody></table></div>");
    html.finish()
}
