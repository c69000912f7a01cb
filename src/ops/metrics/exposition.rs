//! Families of metrics as text: Prometheus' format 0.0.4 and OpenMetrics 1.0.
//!
//! One encoder for both, since they differ in little: OpenMetrics names a counter without `_total` and its samples with
//! it, has units, escapes quotes in help texts, writes bounds as `1.0` and timestamps in seconds, and says where it ends.
//! The request histogram has exemplars there. `_created` samples, which are optional, are not written.
//!
//! What cannot be written without spoiling the rest (a family twice, a name that is none) is left out and reported: users'
//! collectors yield whatever they like, and must not cost the server's own metrics.

use std::collections::HashSet;
use std::io::Write;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::exemplars::{Exemplar, Exemplars};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
    Text,
    /// <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>
    OpenMetrics,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all families that can be written, and tells `refuse` which were not, and why.
pub(super) fn write(
    families: &[MetricFamily],
    format: Format,
    exemplars: &Exemplars,
    mut refuse: impl FnMut(&str, &'static str),
) -> Vec<u8> {
    let mut exposition = Exposition { out: Vec::with_capacity(16 * 1024), format, exemplars };
    let mut names = HashSet::new();
    for family in families {
        let name = Name::of(family, format);
        match fault(family) {
            Some(fault) => refuse(family.name(), fault),
            None if names.insert(name.family) => exposition.family(family, &name),
            // A counter beside a gauge of the same name without `_total` is only a clash in OpenMetrics.
            None if name.family != family.name() && names.insert(family.name()) => {
                exposition.family(family, &Name { family: family.name(), kind: "unknown", suffix: "" });
            }
            None => refuse(family.name(), "there is another of that name"),
        }
    }
    if format == Format::OpenMetrics {
        exposition.out.extend_from_slice(b"# EOF\n");
    }
    exposition.out
}

/// What a family is called.
struct Name<'a> {
    /// In its descriptors.
    family: &'a str,
    kind: &'static str,
    /// What its only kind of sample has behind that.
    suffix: &'static str,
}

impl<'a> Name<'a> {
    fn of(family: &'a MetricFamily, format: Format) -> Self {
        let name = family.name();
        let open = format == Format::OpenMetrics;
        let (kind, suffix) = match family.get_field_type() {
            MetricType::COUNTER if open => ("counter", "_total"),
            MetricType::COUNTER => ("counter", ""),
            MetricType::GAUGE => ("gauge", ""),
            MetricType::SUMMARY => ("summary", ""),
            MetricType::HISTOGRAM => ("histogram", ""),
            MetricType::UNTYPED => (if open { "unknown" } else { "untyped" }, ""),
        };
        Name { family: name.strip_suffix(suffix).unwrap_or(name), kind, suffix }
    }
}

/// Why a family cannot be written, if it cannot.
fn fault(family: &MetricFamily) -> Option<&'static str> {
    let own = match family.get_field_type() {
        MetricType::HISTOGRAM => "le",
        MetricType::SUMMARY => "quantile",
        _ => "",
    };
    let labels = || family.get_metric().iter().map(Metric::get_label);
    if !is_name(family.name(), true) {
        return Some("its name is none");
    }
    if family.get_metric().is_empty() {
        return Some("it has no samples");
    }
    if labels().flatten().any(|label| !is_name(label.name(), false) || label.name() == own) {
        return Some("the name of a label is none, or one that its type uses itself");
    }
    labels().any(has_twice).then_some("a sample has a label twice")
}

fn has_twice(labels: &[LabelPair]) -> bool {
    labels.iter().enumerate().any(|(at, label)| labels[..at].iter().any(|other| other.name() == label.name()))
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`; names of metrics may also have colons.
fn is_name(name: &str, colons: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    name.bytes().all(fits) && !name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())
}

struct Exposition<'a> {
    out: Vec<u8>,
    format: Format,
    exemplars: &'a Exemplars,
}

impl Exposition<'_> {
    fn family(&mut self, family: &MetricFamily, name: &Name<'_>) {
        self.descriptors(family, name);
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::COUNTER => self.sample(name, name.suffix, metric, None, metric.get_counter().get_value()),
                MetricType::GAUGE => self.sample(name, "", metric, None, metric.get_gauge().get_value()),
                MetricType::HISTOGRAM => self.histogram(name, metric),
                MetricType::SUMMARY => self.summary(name, metric),
                #[expect(deprecated, reason = "the crate makes no such metrics itself, but collectors can")]
                MetricType::UNTYPED => self.sample(name, "", metric, None, metric.get_untyped().get_value()),
            }
        }
    }

    fn descriptors(&mut self, family: &MetricFamily, name: &Name<'_>) {
        let open = self.format == Format::OpenMetrics;
        if !open {
            self.help(family, name);
        }
        self.text(&["# TYPE ", name.family, " ", name.kind, "\n"]);
        if open {
            if let Some(unit) = unit(name.family) {
                self.text(&["# UNIT ", name.family, " ", unit, "\n"]);
            }
            // TYPE, UNIT, HELP is the order that OpenMetrics recommends.
            self.help(family, name);
        }
    }

    fn help(&mut self, family: &MetricFamily, name: &Name<'_>) {
        if !family.help().is_empty() {
            self.text(&["# HELP ", name.family, " "]);
            self.escaped(family.help(), self.format == Format::OpenMetrics);
            self.text(&["\n"]);
        }
    }

    fn histogram(&mut self, name: &Name<'_>, metric: &Metric) {
        let histogram = metric.get_histogram();
        let count = histogram.get_sample_count();
        let finite = histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound() != f64::INFINITY);
        let bounds = finite.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        let exemplars = self.exemplars.find(name.family, metric.get_label());
        for (index, (bound, count)) in bounds.chain([(f64::INFINITY, count)]).enumerate() {
            self.open_sample(name, "_bucket", metric, Some(("le", bound)), count as f64);
            if let Some(exemplar) = exemplars.and_then(|exemplars| exemplars.get(&index)) {
                self.exemplar(exemplar);
            }
            self.text(&["\n"]);
        }
        self.sample(name, "_sum", metric, None, histogram.get_sample_sum());
        self.sample(name, "_count", metric, None, count as f64);
    }

    fn summary(&mut self, name: &Name<'_>, metric: &Metric) {
        let summary = metric.get_summary();
        for quantile in summary.get_quantile() {
            self.sample(name, "", metric, Some(("quantile", quantile.quantile())), quantile.value());
        }
        self.sample(name, "_sum", metric, None, summary.sample_sum());
        self.sample(name, "_count", metric, None, summary.sample_count() as f64);
    }

    fn sample(&mut self, name: &Name<'_>, suffix: &str, metric: &Metric, own: Option<(&str, f64)>, value: f64) {
        self.open_sample(name, suffix, metric, own, value);
        self.text(&["\n"]);
    }

    /// What follows a sample on its line: labels, the value itself, and when it was observed.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { trace_id, span_id, duration, at } = exemplar;
        let (value, at) = (duration.as_secs_f64(), at.as_secs_f64());
        // Writing into memory cannot fail.
        let _ = write!(self.out, r#" # {{trace_id="{trace_id}",span_id="{span_id}"}} {value} {at:.3}"#);
    }

    /// A sample without the end of its line.
    fn open_sample(&mut self, name: &Name<'_>, suffix: &str, metric: &Metric, own: Option<(&str, f64)>, value: f64) {
        self.text(&[name.family, suffix]);
        let mut separator = "{";
        for label in metric.get_label() {
            self.text(&[separator, label.name(), "=\""]);
            self.escaped(label.value(), true);
            self.text(&["\""]);
            separator = ",";
        }
        if let Some((label, bound)) = own {
            self.text(&[separator, label, "=\""]);
            self.number(bound, self.format == Format::OpenMetrics);
            self.text(&["\""]);
            separator = ",";
        }
        self.text(&[if separator == "," { "} " } else { " " }]);
        self.number(value, false);
        self.timestamp(metric.timestamp_ms());
    }

    fn timestamp(&mut self, millis: i64) {
        // Writing into memory cannot fail; 0 stands for none.
        let _ = match (millis, self.format) {
            (0, _) => Ok(()),
            (millis, Format::Text) => write!(self.out, " {millis}"),
            (millis, Format::OpenMetrics) => write!(self.out, " {}", millis as f64 / 1e3),
        };
    }

    /// `canonical`: with a point, as OpenMetrics wants bounds to be.
    fn number(&mut self, value: f64, canonical: bool) {
        let text = match value {
            f64::INFINITY => "+Inf",
            f64::NEG_INFINITY => "-Inf",
            _ if value.is_nan() => "NaN",
            _ => {
                // Writing into memory cannot fail.
                let _ = if canonical { write!(self.out, "{value:?}") } else { write!(self.out, "{value}") };
                return;
            }
        };
        self.text(&[text]);
    }

    fn text(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
    }

    fn escaped(&mut self, text: &str, quotes: bool) {
        for byte in text.bytes() {
            match byte {
                b'\\' => self.out.extend_from_slice(br"\\"),
                b'\n' => self.out.extend_from_slice(br"\n"),
                b'"' if quotes => self.out.extend_from_slice(br#"\""#),
                _ => self.out.push(byte),
            }
        }
    }
}

/// The base unit that a name ends with.
fn unit(name: &str) -> Option<&'static str> {
    const UNITS: [&str; 5] = ["seconds", "bytes", "ratio", "celsius", "meters"];
    UNITS.into_iter().find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
pub(super) mod tests;
