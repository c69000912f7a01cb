//! Diagnostics: what the server and its users say through `tracing`, one line an event, through a [`LogHandle`],
//! so that a stalled stderr blocks nobody.
//!
//! With LOG_FORMAT=json a line is an object: `time`, `level`, `msg`, `target`, then the event's fields beside them. `ecs`
//! and `gcp` have the names that Elastic and Google Cloud expect; see `json`. With the other formats it is text: time,
//! level, target, message, `key=value`. Spans are not written; the request that a line belongs to is known without them.
//! Level and format may change while the process runs. Knows no other sink; whoever assembles the process installs the
//! subscriber.

mod json;

use std::error::Error;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::reload;

use super::log_writer::LogHandle;
use super::text::{formatted, one_line};
use super::timestamp::rfc3339;
use super::{access_log, current};
use crate::app::request::Received;
use crate::config::{Config, LogFormat, LogLevel};

/// A subscriber that writes events of at least RWS_CONFIG_LOG_LEVEL to `writer`, in RWS_CONFIG_LOG_FORMAT, and the means to
/// change both.
pub fn subscriber(config: &Config, writer: LogHandle) -> (impl Subscriber + Send + Sync + 'static, Control) {
    let look = Arc::new(ArcSwap::from_pointee(Look::new(config)));
    let (filter, level) = reload::Layer::new(filter(config));
    let lines = Lines { look: Arc::clone(&look), writer };
    (tracing_subscriber::registry().with(filter).with(lines), Control { look, level })
}

/// Changes level and format of the [`subscriber`] it came with.
#[derive(Clone, Debug)]
pub struct Control {
    look: Arc<ArcSwap<Look>>,
    level: reload::Handle<LevelFilter, tracing_subscriber::Registry>,
}

impl Control {
    /// Takes over LOG_LEVEL, LOG_FORMAT and LOG_GCP_PROJECT. Without effect once the subscriber is gone.
    pub fn apply(&self, config: &Config) {
        self.look.store(Arc::new(Look::new(config)));
        // It fails only when there is nobody left to be told.
        let _ = self.level.reload(filter(config));
    }
}

fn filter(config: &Config) -> LevelFilter {
    match config.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// How lines look.
#[derive(Debug)]
struct Look {
    /// `None`: text.
    names: Option<&'static json::Names>,
    trace_prefix: String,
}

impl Look {
    fn new(config: &Config) -> Self {
        let names = match config.log_format {
            LogFormat::Json => Some(&json::JSON),
            LogFormat::Ecs => Some(&json::ECS),
            LogFormat::Gcp => Some(&json::GCP),
            LogFormat::Combined | LogFormat::Common | LogFormat::Off => None,
        };
        Look { names, trace_prefix: access_log::trace_prefix(config) }
    }
}

/// Turns events into lines.
struct Lines {
    look: Arc<ArcSwap<Look>>,
    writer: LogHandle,
}

impl<S: Subscriber> Layer<S> for Lines {
    /// Nobody reads spans here, so that they cost nothing.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event()
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let time = rfc3339(SystemTime::now());
        let look = self.look.load();
        let mut line = current::request(|request| match look.names {
            Some(names) => json::line(event, &time, names, request, &look.trace_prefix),
            None => plain(event, &time, request),
        });
        self.writer.send(&mut line);
    }
}

fn plain(event: &Event<'_>, time: &[u8], request: Option<&Received>) -> Vec<u8> {
    let mut fields = PlainFields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = time.to_vec();
    formatted(&mut line, one_line, format_args!(" {:5} {}:", metadata.level(), metadata.target()));
    line.extend_from_slice(&fields.message);
    if let Some(request) = request {
        formatted(&mut line, one_line, format_args!(" request_id={}", request.id));
    }
    line.extend_from_slice(&fields.others);
    line.push(b'\n');
    line
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// What `tracing` calls the text of an event.
const MESSAGE: &str = "message";

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
        let written = collect(|handle| with_default(subscriber(config, handle).0, say));
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
    fn spans_are_not_taken_but_what_is_said_in_them_is() {
        let written = json_lines(|| {
            let span = tracing::error_span!("span");
            assert!(span.is_disabled());
            span.in_scope(|| tracing::info!("inside"));
        });
        assert_eq!(written[0]["msg"], "inside");
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
    fn level_and_format_can_change_meanwhile() {
        let written = collect(|handle| {
            let (subscriber, control) = subscriber(&Config::default(), handle);
            with_default(subscriber, || {
                tracing::debug!("none");
                tracing::info!("one");
                control.apply(&Config { log_level: LogLevel::Debug, log_format: LogFormat::Gcp, ..Config::default() });
                tracing::debug!("two");
                control.apply(&Config { log_level: LogLevel::Error, log_format: LogFormat::Off, ..Config::default() });
                tracing::warn!("none");
                tracing::error!("three");
            });
        });
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines.len(), 3, "{written}");
        assert!(lines[0].contains(r#""level":"info","msg":"one""#), "{}", lines[0]);
        assert!(lines[1].contains(r#""severity":"DEBUG","message":"two""#), "{}", lines[1]);
        assert!(lines[2].contains(" ERROR ") && lines[2].ends_with(": three"), "{}", lines[2]);
    }

    #[test]
    fn the_names_are_those_of_the_format() {
        use http::StatusCode;

        use crate::app::App;
        use crate::app::service::Service;
        use crate::ops::current::Tracked;

        /// What handlers say inside a request.
        fn say() -> StatusCode {
            tracing::warn!(target: "shop", error = "it broke", count = 3, time.unit = "s", severity = 9, trace_id = "mine", "a \"b\"\n");
            StatusCode::OK
        }
        let trace: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let service = Tracked::new(Arc::new(App::new().route("/", crate::app::get(say)).build().expect("routes")));
        let (id, trace_id, span) = ("4d3f", "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let cases = [
            (
                LogFormat::Json,
                json!({
                    "level": "warn", "msg": "a \"b\"\n", "target": "shop", "error": "it broke", "count": 3, "time.unit": "s",
                    "severity": 9, "request_id": id, "trace_id": trace_id, "span_id": span, "trace_id_": "mine",
                }),
            ),
            (
                LogFormat::Ecs,
                json!({
                    "log.level": "warn", "message": "a \"b\"\n", "log.logger": "shop", "ecs.version": "8.11.0",
                    "event.dataset": "rws.diagnostics", "error.message": "it broke", "labels.count": 3,
                    "labels.time_unit": "s", "labels.severity": 9, "labels.trace_id": "mine", "http.request.id": id, "trace.id": trace_id,
                    "span.id": span,
                }),
            ),
            (
                LogFormat::Gcp,
                json!({
                    "severity": "WARNING", "message": "a \"b\"\n", "target": "shop", "error": "it broke", "count": 3,
                    "time.unit": "s", "severity_": 9, "request_id": id, "trace_id": "mine",
                    "logging.googleapis.com/trace": format!("projects/p-1/traces/{trace_id}"),
                    "logging.googleapis.com/spanId": span, "logging.googleapis.com/trace_sampled": true,
                }),
            ),
        ];
        for (log_format, expected) in cases {
            let config = Config { log_format, log_gcp_project: "p-1".into(), ..Config::default() };
            let written = lines(&config, || {
                let request = crate::ops::telemetry::tests::received("GET", b"/", &[("traceparent", trace)]);
                let received = Arc::new(request);
                let resolved = service.resolve(&received.head);
                let request = crate::app::request::Request::new(received, resolved, Default::default());
                assert_eq!(service.call(request).status(), StatusCode::OK);
                tracing::info!("outside");
            });
            let [inside, outside] = &written[..] else { panic!("{written:?}") };
            let mut inside: Value = serde_json::from_str(inside).expect("a JSON line");
            let time = if log_format == LogFormat::Ecs { "@timestamp" } else { "time" };
            inside.as_object_mut().and_then(|line| line.remove(time)).expect("a time");
            assert_eq!(inside, expected);
            assert!(!outside.contains(id) && !outside.contains(trace_id), "{outside}");
        }
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
