//! `rws check`: what is wrong with a configuration, or with the manifests that deploy it, before a cluster tells.
//!
//! Story: read the input, find the containers that are rws in it, give each the environment that the kubelet would, load
//! the configuration of that with the server's own code, and hold every rule against the result. Knows Kubernetes
//! objects as text; talks to no cluster and changes nothing.

mod command;
mod data;
mod environment;
mod explain;
mod finding;
mod input;
mod metrics;
mod objects;
mod paths;
mod place;
mod report;
mod rules;
mod server;
mod settings;
mod volumes;
mod workload;
mod yaml;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use self::finding::{Finding, Findings, Severity};
use self::input::Inputs;
use self::objects::Objects;
use self::report::{Format, Report};
use self::rules::configuration::{ENV_INVALID, ENV_NO_EFFECT, ENV_UNKNOWN};
use self::server::Cluster;
use super::{application, defaults};
use crate::config::{Config, ConfigErrors, Notice, PREFIX, Sources, find};
use crate::run::{assemble, check_certificates};

pub use self::explain::reference;
pub use self::finding::Rule;

/// Every rule, in the order of docs/CHECKS.md.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    rules::all()
}

/// The annotation, on an object or a pod template, that lists rules which it is not to be held against.
const IGNORE: &str = "rws.dev/ignore";

/// Nothing could be checked.
const UNUSABLE: u8 = 2;

pub(super) const EXAMPLES: &str = "Examples:
  rws check                                         this environment, as `rws` would read it
  rws check deploy.yaml configmap.yaml              manifests against the server they start
  rws check k8s/                                    all manifests in a directory
  kubectl kustomize overlays/prod | rws check -
  helm template web ./chart | rws check -
  rws check --format sarif k8s/ > rws.sarif
  rws check --explain probe-path

Exit codes: 0 nothing found but notes, 1 errors or warnings, 2 the input or the command line is not usable.
A finding is silenced with --ignore RULE, or with the annotation rws.dev/ignore: RULE,… on the object.";

/// What `rws check` is told.
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// Manifests: files, directories, or - for standard input. None: the configuration of this environment
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The container that is rws, where that cannot be seen from its image, command or environment; may be repeated
    #[arg(long, value_name = "NAME")]
    container: Vec<String>,
    /// A rule that is not to be checked; may be repeated
    #[arg(long, value_name = "RULE", value_parser = known_rule, value_delimiter = ',')]
    ignore: Vec<&'static Rule>,
    /// Show only what is at least this bad
    #[arg(long, value_name = "SEVERITY", default_value = "note")]
    min_severity: Severity,
    /// Fail from this severity on
    #[arg(long, value_name = "SEVERITY", default_value = "warning")]
    deny: Severity,
    /// How to write the findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Explain a rule and do nothing else
    #[arg(long, value_name = "RULE", value_parser = known_rule, exclusive = true)]
    explain: Option<&'static Rule>,
}

fn known_rule(id: &str) -> Result<&'static Rule, String> {
    /// Jaro-Winkler similarity of a slip of the pen.
    const SIMILAR: f64 = 0.8;
    if let Some(rule) = rules::find(id) {
        return Ok(rule);
    }
    let scored = rules::all().map(|rule| (strsim::jaro_winkler(id, rule.id), rule.id));
    let near = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score >= SIMILAR);
    Err(match near {
        Some((_, near)) => format!("there is no such rule; did you mean {near}?"),
        None => "there is no such rule; docs/CHECKS.md lists them".to_owned(),
    })
}

/// Runs the command with these settings of the command line.
pub(super) fn run(arguments: &Arguments, settings: Vec<(String, String)>) -> ExitCode {
    if let Some(rule) = arguments.explain {
        return report::write(&explain::long(rule), ExitCode::SUCCESS);
    }
    if arguments.files.is_empty() {
        let mut findings = Findings::default();
        own_environment(&Sources::from_process().with_command_line(settings), &mut findings);
        return conclude(arguments, &Inputs::default(), findings.list);
    }
    if !settings.is_empty() {
        return unusable(&["settings on the command line have no effect on manifests: set them there".to_owned()]);
    }
    let inputs = Inputs::read(&arguments.files, io::stdin());
    if !inputs.unusable.is_empty() {
        let lines = inputs.unusable.iter().map(|unusable| format!("{}: {}", unusable.what, unusable.why));
        return unusable(&lines.collect::<Vec<_>>());
    }
    match manifests(&inputs, arguments) {
        Ok(findings) => conclude(arguments, &inputs, findings),
        Err(why) => unusable(&[why]),
    }
}

/// What a server started here would say about its configuration: values, certificate, routes, static directory.
fn own_environment(sources: &Sources, findings: &mut Findings) {
    let loaded = match Config::load(sources) {
        Ok(loaded) => loaded,
        Err(errors) => return report_errors(&errors, findings),
    };
    report_notices(&loaded.notices, findings);
    let config = loaded.config.clone();
    let certificates = check_certificates(&config);
    let routes = assemble(application(), loaded, defaults());
    for error in [certificates.err(), routes.err()].into_iter().flatten() {
        // Routes that contradict each other have a line each.
        error.to_string().lines().for_each(|line| findings.add_here(Severity::Error, &ENV_INVALID, line));
    }
}

fn report_errors(errors: &ConfigErrors, findings: &mut Findings) {
    for error in errors.iter() {
        findings.add_here(Severity::Error, &ENV_INVALID, error.to_string());
    }
    report_notices(errors.notices(), findings);
}

fn report_notices(notices: &[Notice], findings: &mut Findings) {
    for notice in notices {
        findings.add_here(Severity::Warning, rule_of(notice), notice.to_string());
    }
}

fn rule_of(notice: &Notice) -> &'static Rule {
    let name = notice.variable();
    if find(name.strip_prefix(PREFIX).unwrap_or(name)).is_some() { &ENV_NO_EFFECT } else { &ENV_UNKNOWN }
}

/// What is wrong with manifests. `Err`: there is nothing in them that could be checked.
fn manifests(inputs: &Inputs, arguments: &Arguments) -> Result<Vec<Finding>, String> {
    let objects = Objects::of(&inputs.list);
    if objects.list.is_empty() {
        return Err("no Kubernetes object in the input: nothing with apiVersion and kind".to_owned());
    }
    let mut findings = Findings::default();
    let cluster = Cluster::of(objects, &arguments.container, &mut findings);
    if cluster.servers.is_empty() && !has_settings(&cluster) {
        return Err(nothing_to_check(&cluster, arguments));
    }
    rules::inputs(inputs, &mut findings);
    rules::check(&cluster, &mut findings);
    let mut list = findings.list;
    list.retain(|finding| !is_ignored(finding, &cluster, arguments));
    list.sort_by(|a, b| {
        (a.place, b.severity, a.rule.id, &a.message).cmp(&(b.place, a.severity, b.rule.id, &b.message))
    });
    list.dedup_by(|a, b| a.place == b.place && a.rule.id == b.rule.id && a.message == b.message);
    Ok(list)
}

/// A ConfigMap with settings can be checked by itself.
fn has_settings(cluster: &Cluster<'_>) -> bool {
    let mut maps = cluster.objects.of_kind("ConfigMap");
    maps.any(|map| data::data_of(map).iter().any(|datum| datum.key.starts_with(PREFIX)))
}

fn nothing_to_check(cluster: &Cluster<'_>, arguments: &Arguments) -> String {
    let names: Vec<String> = cluster
        .workloads
        .iter()
        .flat_map(|workload| workload.containers().into_iter().map(|container| container.name.to_owned()))
        .collect();
    match (names.is_empty(), arguments.container.is_empty()) {
        (true, _) => "no workload in the input: give the Deployment, StatefulSet, DaemonSet or Pod as well".to_owned(),
        (_, true) => format!(
            "none of the containers ({}) looks like rws: say which is, with --container NAME",
            finding::short(&names.join(", "))
        ),
        (_, false) => format!("there is no container of that name, only {}", finding::short(&names.join(", "))),
    }
}

fn is_ignored(finding: &Finding, cluster: &Cluster<'_>, arguments: &Arguments) -> bool {
    let id = finding.rule.id;
    let listed = |list: Option<&str>| list.is_some_and(|list| list.split([',', ' ']).any(|own| own == id));
    let by_object = finding.place.is_some_and(|place| {
        cluster.objects.list.iter().filter(|object| object.node.place.contains(&place)).any(|object| {
            let template = workload::Workload::of(*object).and_then(|workload| workload.annotation(IGNORE));
            listed(object.annotation(IGNORE)) || listed(template)
        })
    });
    by_object || arguments.ignore.iter().any(|rule| rule.id == id)
}

fn conclude(arguments: &Arguments, inputs: &Inputs, mut findings: Vec<Finding>) -> ExitCode {
    findings.retain(|finding| finding.severity >= arguments.min_severity);
    findings
        .retain(|finding| finding.place.is_some() || !arguments.ignore.iter().any(|rule| rule.id == finding.rule.id));
    let failed = findings.iter().any(|finding| finding.severity >= arguments.deny);
    let report = Report { inputs, findings: &findings };
    report::write(&report.render(arguments.format), ExitCode::from(u8::from(failed)))
}

fn unusable(lines: &[String]) -> ExitCode {
    report::complain(lines);
    ExitCode::from(UNUSABLE)
}

#[cfg(test)]
mod tests;
