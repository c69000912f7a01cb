//! Diagnostics: what the server and its users say through `tracing`, one line an event, through a [`LogHandle`],
//! so that a stalled stderr blocks nobody.
//!
//! With LOG_FORMAT=json a line is an object: `time`, `level`, `msg`, `target`, then the event's fields beside them.
//! With the other formats it is text: time, level, target, message, `key=value`. Spans are not written.
//! Knows no other sink; whoever assembles the process installs the subscriber.

use std::error::Error;
use std::fmt::{self, Debug};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::log_writer::LogHandle;
use super::text::{self, formatted, json_text, one_line};
use super::timestamp::rfc3339;
use crate::config::{Config, LogFormat, LogLevel};

/// A subscriber that writes events of at least RWS_CONFIG_LOG_LEVEL to `writer`, as JSON if RWS_CONFIG_LOG_FORMAT is.
pub fn subscriber(config: &Config, writer: LogHandle) -> impl Subscriber + Send + Sync + 'static {
    let json = match config.log_format {
        LogFormat::Json => true,
        LogFormat::Combined | LogFormat::Common | LogFormat::Off => false,
    };
    let level = match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::registry().with(level).with(Lines { json, writer })
}

/// Turns events into lines.
struct Lines {
    json: bool,
    writer: LogHandle,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let time = rfc3339(SystemTime::now());
        let mut line = if self.json { json(event, &time) } else { plain(event, &time) };
        self.writer.send(&mut line);
    }
}

fn json(event: &Event<'_>, time: &[u8]) -> Vec<u8> {
    let mut fields = JsonFields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = br#"{"time":""#.to_vec();
    line.extend_from_slice(time);
    line.extend_from_slice(br#"","level":""#);
    line.extend_from_slice(level(metadata).to_ascii_lowercase().as_bytes());
    line.extend_from_slice(br#"","msg":""#);
    line.extend_from_slice(&fields.message);
    line.extend_from_slice(br#"","target":""#);
    text::json(&mut line, metadata.target().as_bytes());
    line.push(b'"');
    line.extend_from_slice(&fields.others);
    line.extend_from_slice(b"}\n");
    line
}

fn plain(event: &Event<'_>, time: &[u8]) -> Vec<u8> {
    let mut fields = PlainFields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = time.to_vec();
    formatted(&mut line, one_line, format_args!(" {:5} {}:", level(metadata), metadata.target()));
    line.extend_from_slice(&fields.message);
    line.extend_from_slice(&fields.others);
    line.push(b'\n');
    line
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// What `tracing` calls the text of an event.
const MESSAGE: &str = "message";

/// The message, and the other fields as members to be appended to an object.
#[derive(Default)]
struct JsonFields {
    message: Vec<u8>,
    others: Vec<u8>,
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
        let taken = matches!(field.name(), "time" | "level" | "msg" | "target");
        self.others.extend_from_slice(b",\"");
        text::json(&mut self.others, field.name().as_bytes());
        self.others.extend_from_slice(if taken { b"_\":" } else { b"\":" });
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

/// The message, and the other fields as ` key=value`.
#[derive(Default)]
struct PlainFields {
    message: Vec<u8>,
    others: Vec<u8>,
}

impl PlainFields {
    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == MESSAGE {
            formatted(&mut self.message, one_line, format_args!(" {value}"));
        } else {
            formatted(&mut self.others, one_line, format_args!(" {}={value}", field.name()));
        }
    }
}

impl Visit for PlainFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, format_args!("\"{}\"", Chain(value)));
    }
}

/// An error and what caused it, in one text.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use serde_json::{Value, json};
    use tracing::subscriber::with_default;

    use super::*;
    use crate::ops::log_writer::tests::collect;

    /// The lines of what `say` says.
    fn lines(config: &Config, say: impl FnOnce()) -> Vec<String> {
        let written = collect(|handle| with_default(subscriber(config, handle), say));
        written.lines().map(str::to_owned).collect()
    }

    fn json_lines(say: impl FnOnce()) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).expect("a JSON line");
        lines(&Config::default(), say).iter().map(parse).collect()
    }

    #[test]
    fn fields_stand_beside_the_message() {
        let lines = json_lines(|| {
            tracing::info!(target: "rws::test", count = 3, ratio = 0.5, on = true, name = "a\"b\n", what = ?Some(1), "started {}", 1);
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let mut line = line.clone();
        let time = line.as_object_mut().and_then(|line| line.remove("time")).expect("a time");
        assert_eq!(time.as_str().map(str::len), Some(27));
        let expected = json!({
            "level": "info", "msg": "started 1", "target": "rws::test",
            "count": 3, "ratio": 0.5, "on": true, "name": "a\"b\n", "what": "Some(1)",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn numbers_json_cannot_write_are_strings_and_names_are_never_doubled() {
        let lines = json_lines(|| {
            tracing::warn!(nan = f64::NAN, big = u128::MAX, tiny = f64::MIN_POSITIVE, level = 9, time = "now", "odd");
        });
        assert_eq!(
            (&lines[0]["nan"], &lines[0]["level_"], &lines[0]["level"]),
            (&json!("NaN"), &json!(9), &json!("warn"))
        );
        assert_eq!(lines[0]["time_"], "now");
    }

    #[test]
    fn errors_come_with_their_causes() {
        let cause = io::Error::other(io::Error::other("disk on fire"));
        let lines = json_lines(|| tracing::error!(error = &cause as &(dyn Error + 'static), "failed"));
        assert_eq!(lines[0]["error"], "disk on fire");
        let error = "x".parse::<u8>().expect_err("no number");
        let outer = Outer(error);
        let lines = json_lines(|| tracing::error!(error = &outer as &(dyn Error + 'static), "failed"));
        assert_eq!(lines[0]["error"], "outer: invalid digit found in string");
    }

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_level_decides_what_is_written() {
        let config = Config { log_level: LogLevel::Warn, ..Config::default() };
        let written = lines(&config, || {
            tracing::error!("one");
            tracing::warn!("two");
            tracing::info!("three");
        });
        assert_eq!(written.len(), 2, "{written:?}");
    }

    #[test]
    fn text_lines_stay_one_line_each() {
        let config = Config { log_format: LogFormat::Common, ..Config::default() };
        let written = lines(&config, || tracing::warn!(target: "rws::test", name = "b\nc", count = 1, "a\r\nFORGED"));
        assert_eq!(written.len(), 1);
        assert_eq!(&written[0][27..], r#" WARN  rws::test: a\r\nFORGED name="b\nc" count=1"#);
    }

    #[test]
    fn a_debug_output_that_fails_leaves_a_valid_line() {
        struct Failing;
        impl Debug for Failing {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half \"")?;
                Err(fmt::Error)
            }
        }
        let lines = json_lines(|| tracing::info!(value = ?Failing, "event"));
        assert_eq!(lines[0]["value"], "half \"");
    }
}
