//! Diagnostics as one JSON object a line, under the names of one of three conventions.
//!
//! | | `json` | `ecs` | `gcp` |
//! |---|---|---|---|
//! | when | `time` | `@timestamp` | `time` |
//! | how severe | `level` | `log.level` | `severity` |
//! | what | `msg` | `message` | `message` |
//! | who said it | `target` | `log.logger` | `target` |
//! | the event's fields | as they are called | `labels.`, `error` as `error.message` | as they are called |
//! | inside a request | `request_id`, `trace_id`, `span_id` | `http.request.id`, `trace.id`, `span.id` | `request_id`, `logging.googleapis.com/trace`, `/spanId`, `/trace_sampled` |
//!
//! Knows events and names, no sink.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::Event;
use tracing::field::{Field, Visit};

use super::{Chain, MESSAGE, level};
use crate::app::request::Received;
use crate::ops::text::{self, formatted, json_text};
use crate::semantics::trace_context::TraceContext;

/// What a convention calls things.
#[derive(Debug)]
pub(super) struct Names {
    time: &'static str,
    level: &'static str,
    /// Levels by their names in lower case.
    level_name: fn(&'static str) -> &'static str,
    message: &'static str,
    target: &'static str,
    /// Members that every line has.
    constant: &'static str,
    /// Fields of events that would be mistaken for the line's own get an underscore.
    taken: &'static [&'static str],
    /// What stands before the names of events' fields.
    prefix: &'static str,
    /// What a field called `error` is called.
    error: &'static str,
    request_id: &'static str,
    trace: &'static str,
    span: &'static str,
    /// Whether the caller records its trace; not told if empty.
    sampled: &'static str,
}

pub(super) const JSON: Names = Names {
    time: "time",
    level: "level",
    level_name: |level| level,
    message: "msg",
    target: "target",
    constant: "",
    taken: &["time", "level", "msg", "target"],
    prefix: "",
    error: "error",
    request_id: "request_id",
    trace: "trace_id",
    span: "span_id",
    sampled: "",
};

pub(super) const ECS: Names = Names {
    time: "@timestamp",
    level: "log.level",
    level_name: |level| level,
    message: "message",
    target: "log.logger",
    constant: r#","ecs.version":"8.11.0","event.dataset":"rws.diagnostics""#,
    taken: &[],
    prefix: "labels.",
    error: "error.message",
    request_id: "http.request.id",
    trace: "trace.id",
    span: "span.id",
    sampled: "",
};

pub(super) const GCP: Names = Names {
    time: "time",
    level: "severity",
    level_name: crate::ops::access_log::gcp::severity,
    message: "message",
    target: "target",
    constant: "",
    // Its agents also take these for parts of a LogEntry.
    taken: &["time", "severity", "target", "timestamp", "timestampSeconds", "timestampNanos", "httpRequest", "log"],
    prefix: "",
    error: "error",
    request_id: "request_id",
    trace: "logging.googleapis.com/trace",
    span: "logging.googleapis.com/spanId",
    sampled: "logging.googleapis.com/trace_sampled",
};

/// The line of an event, said inside `request` if that is known. `trace_prefix` stands before the trace's id.
pub(super) fn line(
    event: &Event<'_>,
    time: &[u8],
    names: &'static Names,
    request: Option<&Received>,
    trace_prefix: &str,
) -> Vec<u8> {
    let mut fields = JsonFields { names, message: Vec::new(), others: Vec::new(), inside: request.is_some() };
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = Vec::with_capacity(256);
    let mut string = |opening: &str, name: &str, value: &[u8]| {
        line.extend_from_slice(opening.as_bytes());
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b"\":\"");
        line.extend_from_slice(value);
        line.push(b'"');
    };
    string("{\"", names.time, time);
    string(",\"", names.level, (names.level_name)(level(metadata)).as_bytes());
    string(",\"", names.message, &fields.message);
    let mut target = Vec::new();
    text::json(&mut target, metadata.target().as_bytes());
    string(",\"", names.target, &target);
    line.extend_from_slice(names.constant.as_bytes());
    if let Some(request) = request {
        about(&mut line, request, names, trace_prefix);
    }
    line.extend_from_slice(&fields.others);
    line.extend_from_slice(b"}\n");
    line
}

/// The request, and the trace it belongs to. Ids are made of harmless characters.
fn about(line: &mut Vec<u8>, request: &Received, names: &Names, trace_prefix: &str) {
    let mut member =
        |value: fmt::Arguments<'_>| formatted(line, |line, text| line.extend_from_slice(text.as_bytes()), value);
    member(format_args!(r#","{}":"{}""#, names.request_id, request.id));
    if let Some(context) = TraceContext::of(&request.head) {
        member(format_args!(r#","{}":"{trace_prefix}{}""#, names.trace, context.trace_id));
        member(format_args!(r#","{}":"{}""#, names.span, context.parent_id));
        if !names.sampled.is_empty() {
            member(format_args!(r#","{}":{}"#, names.sampled, context.sampled));
        }
    }
}

/// The message, and the other fields as members to be appended to an object.
struct JsonFields {
    names: &'static Names,
    message: Vec<u8>,
    others: Vec<u8>,
    /// Whether the line tells of a request.
    inside: bool,
}

impl JsonFields {
    /// A value that JSON writes without quotes.
    fn bare(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == MESSAGE {
            return formatted(&mut self.message, json_text, value);
        }
        self.name(field);
        formatted(&mut self.others, json_text, value);
    }

    fn string(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == MESSAGE {
            return formatted(&mut self.message, json_text, value);
        }
        self.name(field);
        self.others.push(b'"');
        formatted(&mut self.others, json_text, value);
        self.others.push(b'"');
    }

    /// A name that the line itself uses gets an underscore, so that no object has a member twice.
    fn name(&mut self, field: &Field) {
        let name = field.name();
        let names = self.names;
        let about_request = [names.request_id, names.trace, names.span, names.sampled].contains(&name);
        let taken = names.taken.contains(&name) || (self.inside && about_request);
        let out = &mut self.others;
        out.extend_from_slice(b",\"");
        match (name, names.prefix) {
            ("error", _) => out.extend_from_slice(names.error.as_bytes()),
            (_, "") => text::json(out, name.as_bytes()),
            (_, prefix) => {
                out.extend_from_slice(prefix.as_bytes());
                // ECS wants no dots in the names of labels.
                text::json(out, name.replace('.', "_").as_bytes());
            }
        }
        out.extend_from_slice(if taken { b"_\":" } else { b"\":" });
    }
}

impl Visit for JsonFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.string(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.string(field, format_args!("{}", Chain(value)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities and no NaN.
        if value.is_finite() {
            self.bare(field, format_args!("{value}"));
        } else {
            self.string(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.bare(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, format_args!("{value}"));
    }
}
