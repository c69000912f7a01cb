use std::collections::{HashMap, HashSet};

use prometheus::core::Collector;
use prometheus::proto::{Quantile, Summary};
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::*;

fn written(families: &[MetricFamily], format: Format) -> (String, Vec<String>) {
    let mut refused = Vec::new();
    let text = write(families, format, &Exemplars::default(), |name, fault| refused.push(format!("{name}: {fault}")));
    (String::from_utf8(text).expect("UTF-8"), refused)
}

fn counter(name: &str, help: &str) -> Vec<MetricFamily> {
    IntCounter::with_opts(Opts::new(name, help)).expect("a counter").collect()
}

/// One family of each type.
fn all_types() -> Vec<MetricFamily> {
    let labelled = IntCounterVec::new(Opts::new("shop_orders_total", "Orders \\ \"taken\"\nso far."), &["kind"]);
    let labelled = labelled.expect("a counter");
    labelled.with_label_values(&["a\"b\\c\nd"]).inc_by(7);
    let gauge = Gauge::new("shop_fill_ratio", "How full.").expect("a gauge");
    gauge.set(0.25);
    let histogram = HistogramOpts::new("shop_wait_seconds", "Waiting.").buckets(vec![0.005, 1.0, 10.0]);
    let histogram = Histogram::with_opts(histogram).expect("a histogram");
    [0.001, 0.5, 20.0].iter().for_each(|&value| histogram.observe(value));
    let mut summary = Summary::default();
    let mut quantile = Quantile::default();
    quantile.set_quantile(0.5);
    quantile.set_value(3.0);
    summary.set_quantile(vec![quantile]);
    summary.set_sample_count(2);
    summary.set_sample_sum(6.5);
    let mut metric = Metric::default();
    metric.set_summary(summary);
    metric.set_timestamp_ms(1_700_000_000_123);
    let mut family = MetricFamily::default();
    family.set_name("shop_size_bytes".into());
    family.set_field_type(MetricType::SUMMARY);
    family.set_metric(vec![metric]);
    [labelled.collect(), gauge.collect(), histogram.collect(), vec![family]].concat()
}

#[test]
fn the_text_format() {
    let expected = r#"# HELP shop_orders_total Orders \\ "taken"\nso far.
# TYPE shop_orders_total counter
shop_orders_total{kind="a\"b\\c\nd"} 7
# HELP shop_fill_ratio How full.
# TYPE shop_fill_ratio gauge
shop_fill_ratio 0.25
# HELP shop_wait_seconds Waiting.
# TYPE shop_wait_seconds histogram
shop_wait_seconds_bucket{le="0.005"} 1
shop_wait_seconds_bucket{le="1"} 2
shop_wait_seconds_bucket{le="10"} 2
shop_wait_seconds_bucket{le="+Inf"} 3
shop_wait_seconds_sum 20.501
shop_wait_seconds_count 3
# TYPE shop_size_bytes summary
shop_size_bytes{quantile="0.5"} 3 1700000000123
shop_size_bytes_sum 6.5 1700000000123
shop_size_bytes_count 2 1700000000123
"#;
    assert_eq!(written(&all_types(), Format::Text), (expected.to_owned(), vec![]));
}

#[test]
fn the_openmetrics_format() {
    let expected = r#"# TYPE shop_orders counter
# HELP shop_orders Orders \\ \"taken\"\nso far.
shop_orders_total{kind="a\"b\\c\nd"} 7
# TYPE shop_fill_ratio gauge
# UNIT shop_fill_ratio ratio
# HELP shop_fill_ratio How full.
shop_fill_ratio 0.25
# TYPE shop_wait_seconds histogram
# UNIT shop_wait_seconds seconds
# HELP shop_wait_seconds Waiting.
shop_wait_seconds_bucket{le="0.005"} 1
shop_wait_seconds_bucket{le="1.0"} 2
shop_wait_seconds_bucket{le="10.0"} 2
shop_wait_seconds_bucket{le="+Inf"} 3
shop_wait_seconds_sum 20.501
shop_wait_seconds_count 3
# TYPE shop_size_bytes summary
# UNIT shop_size_bytes bytes
shop_size_bytes{quantile="0.5"} 3 1700000000.123
shop_size_bytes_sum 6.5 1700000000.123
shop_size_bytes_count 2 1700000000.123
# EOF
"#;
    let (text, refused) = written(&all_types(), Format::OpenMetrics);
    assert_eq!((text.as_str(), refused), (expected, vec![]));
    check_openmetrics(&text);
}

#[test]
fn a_counter_without_total_gets_one_in_openmetrics_only() {
    let families = counter("shop_orders", "Orders.");
    assert!(written(&families, Format::Text).0.ends_with("\nshop_orders 0\n"));
    let open = written(&families, Format::OpenMetrics).0;
    assert!(open.starts_with("# TYPE shop_orders counter\n") && open.contains("\nshop_orders_total 0\n"), "{open}");
}

#[test]
fn what_cannot_be_written_is_left_out_and_named() {
    let gauge = |name: &str| IntGauge::new(name, "A gauge.").expect("a gauge").collect();
    let family = |name: &str, labels: &[&str]| {
        let label = |name: &&str| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label
        };
        let mut family = MetricFamily::default();
        family.set_name(name.into());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(vec![Metric::from_label(labels.iter().map(label).collect())]);
        vec![family]
    };
    let mut empty = family("b", &[]);
    empty[0].set_metric(Vec::new());
    let cases = [
        (gauge("a"), "there is another of that name"),
        (family("", &[]), "its name is none"),
        (family("1a", &[]), "its name is none"),
        (family("a b", &[]), "its name is none"),
        (family("b", &["le"]), "the name of a label is none, or one that its type uses itself"),
        (family("b", &["x:y"]), "the name of a label is none, or one that its type uses itself"),
        (family("b", &["x", "x"]), "a sample has a label twice"),
        (empty, "it has no samples"),
    ];
    for (odd, fault) in cases {
        let name = odd[0].name().to_owned();
        let families = [gauge("a"), odd, gauge("z")].concat();
        for format in [Format::Text, Format::OpenMetrics] {
            let (text, refused) = written(&families, format);
            assert_eq!(refused, [format!("{name}: {fault}")]);
            assert!(text.contains("\na 0\n") && text.contains("\nz 0\n"), "{text}");
        }
    }
}

#[test]
fn names_that_only_clash_in_openmetrics_are_both_written() {
    let gauge = IntGauge::new("shop_orders", "Now.").expect("a gauge").collect();
    let families = [gauge, counter("shop_orders_total", "Ever.")].concat();
    for format in [Format::Text, Format::OpenMetrics] {
        let (text, refused) = written(&families, format);
        assert!(text.contains("\nshop_orders 0\n") && text.contains("\nshop_orders_total 0\n"), "{text}");
        assert_eq!(refused, [""; 0]);
    }
    check_openmetrics(&written(&families, Format::OpenMetrics).0);
}

#[test]
fn numbers_that_are_none_are_spelled_as_they_should() {
    for (value, text) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (-0.5, "-0.5"),
        (1e21, "1000000000000000000000"),
    ] {
        let gauge = Gauge::new("a", "A gauge.").expect("a gauge");
        gauge.set(value);
        assert!(written(&gauge.collect(), Format::Text).0.ends_with(&format!("\na {text}\n")));
    }
}

#[test]
fn whatever_a_registry_gathers_is_openmetrics() {
    let registry = Registry::new();
    let all: [Box<dyn Collector>; 3] = [
        Box::new(IntGauge::new("a", "A gauge").expect("a gauge")),
        Box::new(IntCounter::new("b", "Help").expect("a counter")),
        Box::new(Histogram::with_opts(HistogramOpts::new("c_bytes", "Help")).expect("a histogram")),
    ];
    all.into_iter().for_each(|collector| registry.register(collector).expect("a free name"));
    check_openmetrics(&written(&registry.gather(), Format::OpenMetrics).0);
}

/// A reader of OpenMetrics 1.0 that forgives nothing: of what the specification says on the order of lines, names, suffixes,
/// units, escapes, bounds and the end.
pub(in crate::ops) fn check_openmetrics(text: &str) {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let mut seen = HashSet::new();
    let mut family: Option<(String, String)> = None;
    let mut descriptors = HashSet::new();
    let mut samples = HashSet::new();
    let mut buckets: HashMap<String, (f64, f64)> = HashMap::new();
    for line in body.lines() {
        if let Some(descriptor) = line.strip_prefix("# ") {
            let mut words = descriptor.splitn(3, ' ');
            let (keyword, name, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&keyword), "{line}");
            if family.as_ref().is_none_or(|(current, _)| current != name) {
                assert!(seen.insert(name.to_owned()), "{name} is not in one piece");
                family = Some((name.to_owned(), "unknown".to_owned()));
                descriptors.clear();
                samples.clear();
            }
            assert!(samples.is_empty(), "descriptors come first: {line}");
            assert!(descriptors.insert(keyword.to_owned()), "twice: {line}");
            match keyword {
                "TYPE" => family.as_mut().unwrap().1 = rest.to_owned(),
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => check_escapes(rest),
            }
            continue;
        }
        let (family, kind) = family.as_ref().expect("a descriptor before each sample");
        // What follows is an exemplar, of a bucket.
        let (line, exemplar) = line.split_once(" # ").map_or((line, None), |(line, exemplar)| (line, Some(exemplar)));
        let (name, labels, value) = sample(line);
        if let Some(exemplar) = exemplar {
            let (labels, numbers) = exemplar.strip_prefix('{').and_then(|rest| rest.split_once("} ")).expect("labels");
            assert!(name.ends_with("_bucket") && labels.len() <= 128 && numbers.split(' ').count() <= 2, "{exemplar}");
            let observed: f64 = numbers.split(' ').next().and_then(|value| value.parse().ok()).expect("a number");
            let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse::<f64>().ok());
            assert!(observed <= bound.expect("a bound"), "{exemplar} in {line}");
        }
        let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} in {family}"));
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" | "unknown" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["", "_sum", "_count"],
            other => panic!("type {other}"),
        };
        assert!(suffixes.contains(&suffix), "{line} in a {kind}");
        assert!(samples.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "twice: {line}");
        if kind == "counter" {
            assert!(value >= 0.0, "{line}");
        }
        if suffix == "_bucket" {
            let (bound, others) = labels.rsplit_once("le=\"").expect("a bound");
            let text = others.trim_end_matches('"');
            assert!(text == "+Inf" || text.contains('.'), "{line}");
            let (last, count) = buckets.entry(format!("{name}{bound}")).or_insert((f64::NEG_INFINITY, 0.0));
            let limit = text.parse().expect("a bound");
            assert!(limit > *last && value >= *count, "{line}");
            (*last, *count) = (limit, value);
        }
    }
    assert!(buckets.values().all(|(last, _)| *last == f64::INFINITY), "a histogram has no end");
}

fn check_escapes(text: &str) {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        assert!(byte != b'"', "{text}");
        assert!(byte != b'\\' || matches!(bytes.next(), Some(b'\\' | b'"' | b'n')), "{text}");
    }
}

/// Name, labels and value of a sample.
fn sample(line: &str) -> (&str, &str, f64) {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, rest) = line.split_at(end);
    assert!(is_name(name, true), "{line}");
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => rest.rsplit_once("} ").expect("an end of the labels"),
        None => ("", &rest[1..]),
    };
    let mut numbers = rest.split(' ');
    let value = numbers.next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    assert!(numbers.all(|number| number.parse::<f64>().is_ok()), "{line}");
    (name, labels, value)
}
