//! `rws manifest`: the Kubernetes objects that fit this configuration.
//!
//! Ports, probe paths, the grace period, memory and mounts follow from the configuration, so they cannot contradict it.
//! What the objects have in common is decided in [`plan`]; each kind is a text with its reasons beside it.

mod cluster;
mod plan;
mod workload;
mod yaml;

use std::process::ExitCode;

use super::config;
use super::output::{self, DOUBTFUL, complain, finish, styled};
use crate::config::Sources;
use plan::Plan;

pub(super) const EXAMPLES: &str = "Examples:
  rws manifest --image registry.example/rws:0.1.0 | kubectl apply -f -
  rws manifest --image registry.example/rws:0.1.0 | rws check -
  rws manifest --set DRAIN_TIMEOUT=45s --set 'ROUTE_HELLO=GET /hello -> respond 200 text/plain Hello'
  rws manifest --name shop --namespace shops --replicas 3 --host shop.example
  rws manifest --only deployment,service

The configuration is that of `rws` with the same environment and options, as it would be inside a cluster. Secrets are
not printed: they are expected in a Secret, and a comment tells how to make it.
Exit codes: 0, or 2 when the configuration is wrong.";

#[derive(clap::Args)]
pub(super) struct Options {
    /// Name of the objects, and of the application in labels
    #[arg(short, long, default_value = "rws", value_parser = dns_label)]
    name: String,
    /// Namespace of the objects; without it, that of kubectl
    #[arg(long, value_parser = namespace)]
    namespace: Option<String>,
    /// Image of the container
    #[arg(long, default_value = concat!("rws:", env!("CARGO_PKG_VERSION")), value_parser = image)]
    image: String,
    /// The least number of pods
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    replicas: u32,
    /// The number of pods that the autoscaler may go up to; the same as --replicas: no autoscaler
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    max_replicas: u32,
    /// Host name under which an Ingress publishes it; without it, there is no Ingress
    #[arg(long, value_parser = host)]
    host: Option<String>,
    /// How settings get into the pod
    #[arg(long, value_enum, default_value_t)]
    config: ConfigFrom,
    /// Add a ServiceMonitor for the Prometheus operator
    #[arg(long)]
    service_monitor: bool,
    /// Only these kinds
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    only: Vec<Kind>,
}

/// How settings get into the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ConfigFrom {
    /// What can change in a running server from a mounted ConfigMap, the rest from the environment
    #[default]
    Dir,
    /// All from the environment: every change needs a rollout
    Env,
}

/// What can be printed, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    #[value(name = "serviceaccount")]
    ServiceAccount,
    #[value(name = "configmap")]
    ConfigMap,
    Deployment,
    Service,
    Ingress,
    #[value(name = "networkpolicy")]
    NetworkPolicy,
    #[value(name = "poddisruptionbudget", alias = "pdb")]
    PodDisruptionBudget,
    #[value(name = "horizontalpodautoscaler", alias = "hpa")]
    HorizontalPodAutoscaler,
    #[value(name = "servicemonitor")]
    ServiceMonitor,
}

impl Kind {
    /// Why there may be none of it.
    fn condition(self) -> Option<&'static str> {
        match self {
            Kind::Ingress => Some("--only ingress: there is an Ingress only with --host"),
            Kind::ServiceMonitor => {
                Some("--only servicemonitor: there is a ServiceMonitor only with --service-monitor")
            }
            Kind::HorizontalPodAutoscaler => {
                Some("--only hpa: there is an autoscaler only with --max-replicas above --replicas")
            }
            _ => None,
        }
    }

    /// Its objects for this plan.
    fn objects(self, plan: &Plan) -> Vec<String> {
        match self {
            Kind::ServiceAccount => vec![cluster::service_account(plan)],
            Kind::ConfigMap => workload::config_maps(plan),
            Kind::Deployment => vec![workload::deployment(plan)],
            Kind::Service => cluster::services(plan),
            Kind::Ingress => cluster::ingress(plan).into_iter().collect(),
            Kind::NetworkPolicy => vec![cluster::network_policy(plan)],
            Kind::PodDisruptionBudget => vec![cluster::disruption_budget(plan)],
            Kind::HorizontalPodAutoscaler => cluster::autoscaler(plan).into_iter().collect(),
            Kind::ServiceMonitor => cluster::service_monitor(plan).into_iter().collect(),
        }
    }
}

/// Prints the objects.
pub(super) fn run(options: &Options, sources: Sources) -> ExitCode {
    let loaded = match config::load(&sources.for_a_pod()) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let plan = match Plan::of(options, &loaded) {
        Ok(plan) => plan,
        Err(problem) => return complain(&problem, 2),
    };
    for doubt in &plan.doubts {
        output::warn(&format!("{} {doubt}", styled(DOUBTFUL, "warning:")));
    }
    let kinds = if options.only.is_empty() { <Kind as clap::ValueEnum>::value_variants() } else { &options.only };
    let missing = |kind: &&Kind| !options.only.is_empty() && kind.objects(&plan).is_empty();
    if let Some(why) = kinds.iter().find(missing).and_then(|kind| kind.condition()) {
        return complain(why, 2);
    }
    let objects: Vec<String> = kinds.iter().flat_map(|kind| kind.objects(&plan)).collect();
    finish(&objects.join("---\n"), ExitCode::SUCCESS)
}

/// RFC 1123 section 2.1, as Kubernetes has it: lower case letters, digits and hyphens, at most 63.
/// Here at most 50, since some names get an ending.
fn dns_label(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if !starts || text.len() > 50 || text.ends_with('-') || !text.bytes().all(plain) {
        return Err(
            "must be lower case letters, digits and hyphens, begin with a letter, and have at most 50 characters",
        );
    }
    // YAML 1.1, which Kubernetes reads.
    if ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(&text) {
        return Err("must not be a word that YAML takes for a boolean or for nothing");
    }
    Ok(text.to_owned())
}

/// RFC 1123 section 2.1: as a name, but it may begin with a digit, and nothing is added to it.
fn namespace(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = text.starts_with('-') || text.ends_with('-');
    let fine = !text.is_empty() && text.len() <= 63 && !ends && text.bytes().all(plain);
    let rule = "must be lower case letters, digits and hyphens, neither first nor last a hyphen, at most 63 characters";
    if fine { Ok(text.to_owned()) } else { Err(rule) }
}

/// A host name, as an Ingress takes it; the first label may be an asterisk.
fn host(text: &str) -> Result<String, &'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= 63 && !ends && label.bytes().all(plain)
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    let fine = text.len() <= 253 && name.contains('.') && name.split('.').all(label);
    if fine { Ok(text.to_owned()) } else { Err("must be a host name such as shop.example") }
}

fn image(text: &str) -> Result<String, &'static str> {
    let fine = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(&byte));
    if fine { Ok(text.to_owned()) } else { Err("must be an image such as registry.example/rws:0.1.0") }
}
