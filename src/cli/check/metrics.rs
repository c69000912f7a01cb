//! The names under which Prometheus and its adapters know what rws exports.

use crate::ops::metrics::Metrics;

/// Families that are not in a fresh registry: they have no sample before the first request or probe, or are registered
/// by what is configured.
const NOT_AT_FIRST: &[&str] = &[
    "http_server_request_duration_seconds",
    "rws_probe_requests_total",
    "rws_health_check_up",
    "rws_config_reloads_total",
    "rws_rate_limited_total",
    "rws_config_last_reload_success_timestamp_seconds",
    "rws_tls_cert_not_after_timestamp_seconds",
];

/// What scrapes and adapters append.
const SUFFIXES: [&str; 8] = ["_per_second", "_rate", "_bucket", "_count", "_sum", "_total", "_avg", "_p99"];

const PREFIXES: [&str; 3] = ["rws_", "http_server_", "process_"];

/// Whether `name` is one of rws, as it is or as an adapter usually names it.
pub(super) fn is_exported(name: &str) -> bool {
    let exported = names();
    exported.iter().any(|own| bare(own) == bare(name))
}

/// Whether it begins like those of rws.
pub(super) fn looks_like_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The exported name that is most like `name`.
pub(super) fn nearest(name: &str) -> Option<String> {
    /// Jaro-Winkler similarity of a slip of the pen.
    const SIMILAR: f64 = 0.88;
    let scored = names().into_iter().map(|own| (strsim::jaro_winkler(bare(&own), bare(name)), own));
    let (score, nearest) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= SIMILAR).then_some(nearest)
}

fn names() -> Vec<String> {
    let metrics = Metrics::new(Default::default(), Default::default(), Default::default(), Vec::new());
    let families = metrics.map(|metrics| metrics.gather()).unwrap_or_default();
    let gathered = families.iter().map(|family| family.name().to_owned());
    gathered.chain(NOT_AT_FIRST.iter().map(ToString::to_string)).collect()
}

fn bare(mut name: &str) -> &str {
    while let Some(rest) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        name = rest;
    }
    name
}
