//! The table of the server's metrics: name, type, labels and help of each family, and how samples are made.

use prometheus::core::Desc;
use prometheus::proto::{
    Bucket, Counter as CounterValue, Gauge as GaugeValue, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType,
};

use super::cells::{BOUNDS, Folded};

/// One row of the table.
pub(super) struct Family {
    pub(super) name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    help: &'static str,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: MetricType::COUNTER, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: MetricType::GAUGE, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: MetricType::HISTOGRAM, labels, help }
}

pub(super) const REQUEST_DURATION: Family = histogram(
    "http_server_request_duration_seconds",
    &["http_request_method", "http_route", "http_response_status_code"],
    "Time from the complete head of a request to the end of its response. Probes are counted separately.",
);
pub(super) const PROBE_REQUESTS: Family =
    counter("rws_probe_requests_total", &["probe", "status"], "Requests to the health probes.");
pub(super) const PROBE_MISROUTED: Family = counter(
    "rws_probe_misrouted_total",
    &["reason"],
    "Requests of kubelets, load balancers and scrapers that were not set up for this server, by what was wrong.",
);
pub(super) const ACTIVE_REQUESTS: Family =
    gauge("http_server_active_requests", &[], "Requests being answered at the moment.");
pub(super) const REQUEST_BYTES: Family =
    counter("http_server_request_body_bytes_total", &[], "Bytes received in request bodies.");
pub(super) const RESPONSE_BYTES: Family =
    counter("http_server_response_body_bytes_total", &[], "Bytes sent in response bodies.");
pub(super) const CONNECTIONS_ACTIVE: Family = gauge("rws_connections_active", &[], "Connections open at the moment.");
pub(super) const WEBSOCKETS_ACTIVE: Family = gauge(
    "rws_websocket_connections_active",
    &[],
    "Connections that speak another protocol after an upgrade, at the moment.",
);
pub(super) const CONNECTIONS_ACCEPTED: Family = counter("rws_connections_accepted_total", &[], "Connections accepted.");
pub(super) const REJECTED: Family = counter(
    "rws_connections_rejected_total",
    &["reason"],
    "Connections and requests turned away for lack of room, by what was exhausted.",
);
pub(super) const CONNECTION_ERRORS: Family =
    counter("rws_connection_errors_total", &["kind"], "Connections that ended badly, by how.");
pub(super) const WORKER_THREADS: Family =
    gauge("rws_worker_threads", &[], "Worker threads alive, those that drive a reactor included.");
pub(super) const WORKERS_BUSY: Family =
    gauge("rws_workers_busy", &[], "Workers occupied by a handler that left its reactor.");
pub(super) const QUEUE_DEPTH: Family = gauge("rws_queue_depth", &[], "Requests waiting for a worker.");
pub(super) const QUEUE_WAIT: Family = histogram(
    "rws_queue_wait_seconds",
    &[],
    "Time requests waited for a worker; requests that ran on their reactor did not wait.",
);
pub(super) const HANDOFFS: Family =
    counter("rws_handoffs_total", &[], "Reactors taken over from a worker whose handler was slow.");
pub(super) const HANDLER_PANICS: Family = counter("rws_handler_panics_total", &[], "Handlers that panicked.");
pub(super) const LIFECYCLE_STATE: Family =
    gauge("rws_lifecycle_state", &["state"], "1 for the state the process is in, 0 for the others.");
pub(super) const LOG_DROPPED: Family =
    counter("rws_log_dropped_total", &[], "Log lines lost because their sink was too slow or failed.");
pub(super) const BUILD_INFO: Family =
    gauge("rws_build_info", &["version", "profile"], "Always 1; the labels say which build this is.");
pub(super) const PROCESS_CPU: Family =
    counter("process_cpu_seconds_total", &[], "Processor time spent by the process, user and system together.");
pub(super) const PROCESS_OPEN_FDS: Family = gauge("process_open_fds", &[], "File descriptors open at the moment.");
pub(super) const PROCESS_MAX_FDS: Family =
    gauge("process_max_fds", &[], "File descriptors the process may have open at once.");
pub(super) const PROCESS_RESIDENT: Family =
    gauge("process_resident_memory_bytes", &[], "Memory of the process that is in RAM.");
pub(super) const PROCESS_START: Family =
    gauge("process_start_time_seconds", &[], "When the process started, in seconds since 1970.");
pub(super) const PROCESS_THREADS: Family = gauge("process_threads", &[], "Threads of the process.");

/// Every family there is.
pub(super) const ALL: [&Family; 26] = [
    &REQUEST_DURATION,
    &PROBE_REQUESTS,
    &PROBE_MISROUTED,
    &ACTIVE_REQUESTS,
    &REQUEST_BYTES,
    &RESPONSE_BYTES,
    &CONNECTIONS_ACTIVE,
    &WEBSOCKETS_ACTIVE,
    &CONNECTIONS_ACCEPTED,
    &REJECTED,
    &CONNECTION_ERRORS,
    &WORKER_THREADS,
    &WORKERS_BUSY,
    &QUEUE_DEPTH,
    &QUEUE_WAIT,
    &HANDOFFS,
    &HANDLER_PANICS,
    &LIFECYCLE_STATE,
    &LOG_DROPPED,
    &BUILD_INFO,
    &PROCESS_CPU,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_RESIDENT,
    &PROCESS_START,
    &PROCESS_THREADS,
];

/// The descriptions of all families.
pub(super) fn descs() -> prometheus::Result<Vec<Desc>> {
    ALL.iter().map(|family| family.desc()).collect()
}

impl Family {
    fn desc(&self) -> prometheus::Result<Desc> {
        let labels = self.labels.iter().map(|&label| label.to_owned()).collect();
        Desc::new(self.name.to_owned(), self.help.to_owned(), labels, Default::default())
    }

    /// The family with its samples.
    pub(super) fn with(&self, metrics: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(metrics);
        family
    }

    /// The family with its only sample.
    pub(super) fn single(&self, value: impl Number) -> MetricFamily {
        self.with(vec![self.sample(&[], value)])
    }

    /// One sample of a counter or a gauge; `labels` are the values of the family's labels.
    pub(super) fn sample(&self, labels: &[&str], value: impl Number) -> Metric {
        let mut metric = self.labelled(labels);
        match self.kind {
            MetricType::COUNTER => {
                let mut counter = CounterValue::default();
                counter.set_value(value.float());
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = GaugeValue::default();
                gauge.set_value(value.float());
                metric.set_gauge(gauge);
            }
        }
        metric
    }

    /// One sample of a histogram.
    pub(super) fn histogram(&self, labels: &[&str], folded: &Folded) -> Metric {
        let mut cumulative = 0;
        let buckets = BOUNDS.iter().zip(&folded.buckets).map(|(&bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(bound));
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = HistogramValue::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(folded.count());
        histogram.set_sample_sum(seconds(folded.sum_nanos));
        let mut metric = self.labelled(labels);
        metric.set_histogram(histogram);
        metric
    }

    fn labelled(&self, values: &[&str]) -> Metric {
        debug_assert_eq!(self.labels.len(), values.len());
        let pairs = self.labels.iter().zip(values).map(|(&name, &value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        Metric::from_label(pairs.collect())
    }
}

/// Nanoseconds as seconds, rounded once: 2,500,000 becomes the float that is written 0.0025.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// What a sample's value can be made of. Prometheus knows only floats.
pub(super) trait Number {
    fn float(self) -> f64;
}

impl Number for u64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for usize {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
}
