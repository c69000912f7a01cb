//! How many pods there are: rollouts, disruption budgets and autoscalers.

use crate::cli::check::data::data_of;
use crate::cli::check::finding::{Findings, Rule, Severity, short};
use crate::cli::check::metrics;
use crate::cli::check::objects::{Object, label_selector_selects, selects};
use crate::cli::check::place::Place;
use crate::cli::check::rules::Table;
use crate::cli::check::server::{Cluster, Server};
use crate::cli::check::workload::Workload;
use crate::cli::check::yaml::Node;

pub(super) static ROLLOUT: Rule = Rule {
    id: "rollout-takes-all-down",
    severity: Severity::Warning,
    summary: "a rollout that may stop all pods at once",
    explanation: "With strategy Recreate, or with maxUnavailable at 100 % or the number of replicas, every old pod may be \
                  gone before a new one works. If the new version is broken, for instance by a wrong probe, nothing is \
                  left.",
    fix: "Use RollingUpdate with maxUnavailable 0 and maxSurge 1, or leave both at their default of 25 %.",
};

pub(super) static PDB_BLOCKS: Rule = Rule {
    id: "pdb-blocks-drain",
    severity: Severity::Warning,
    summary: "a PodDisruptionBudget that never allows an eviction",
    explanation: "With minAvailable at the number of replicas, or maxUnavailable 0, no pod may ever be evicted: draining a \
                  node for an upgrade hangs until somebody deletes the pod or the budget.",
    fix: "Run at least two replicas and use maxUnavailable: 1.",
};

pub(super) static PDB_SELECTOR: Rule = Rule {
    id: "pdb-selector",
    severity: Severity::Warning,
    summary: "a PodDisruptionBudget that selects no pod",
    explanation: "It protects nothing: all pods may be evicted at the same time.",
    fix: "Make spec.selector match the labels of the pods.",
};

pub(super) static HPA_METRIC: Rule = Rule {
    id: "hpa-metric",
    severity: Severity::Warning,
    summary: "an autoscaler on a metric that rws does not export",
    explanation: "A metric that is never there leaves the autoscaler without a value: it does not scale at all \
                  (FailedGetPodsMetric). The metrics are listed in docs/OPERATIONS.md; an adapter may serve them under \
                  other names, usually as rates that end in _per_second.",
    fix: "Use a metric that rws exports, or the name that the adapter's rule gives it.",
};

pub(super) static HPA_TARGET: Rule = Rule {
    id: "hpa-target",
    severity: Severity::Error,
    summary: "an autoscaler whose target is not there",
    explanation: "scaleTargetRef names a workload by kind and name. If there is none of that name, nothing is scaled.",
    fix: "Correct the name in scaleTargetRef.",
};

pub(super) static HPA_RANGE: Rule = Rule {
    id: "hpa-range",
    severity: Severity::Error,
    summary: "an autoscaler that cannot scale",
    explanation: "maxReplicas below minReplicas is refused by the API; the same number for both scales nothing.",
    fix: "Set maxReplicas above minReplicas.",
};

pub(super) static HPA_REQUEST: Rule = Rule {
    id: "hpa-request",
    severity: Severity::Warning,
    summary: "an autoscaler on utilization without a request",
    explanation: "Utilization is a share of what the containers request. Without resources.requests for it in every \
                  container, or a LimitRange that sets them, the autoscaler has no value and does not scale.",
    fix: "Set resources.requests for the resource.",
};

pub(super) static HPA_REPLICAS: Rule = Rule {
    id: "hpa-replicas",
    severity: Severity::Note,
    summary: "replicas in a workload that an autoscaler scales",
    explanation: "Every apply sets the number of pods back to what the manifest says, until the autoscaler corrects it: a \
                  deployment at peak load stops most of the pods.",
    fix: "Remove replicas from the workload.",
};

pub(super) static SINGLE_REPLICA: Rule = Rule {
    id: "single-replica",
    severity: Severity::Note,
    summary: "a single replica behind a Service",
    explanation: "When its node fails or is drained there is no pod until another one has started.",
    fix: "Run at least two replicas.",
};

pub(super) static RULES: Table = &[
    &ROLLOUT,
    &PDB_BLOCKS,
    &PDB_SELECTOR,
    &HPA_METRIC,
    &HPA_TARGET,
    &HPA_RANGE,
    &HPA_REQUEST,
    &HPA_REPLICAS,
    &SINGLE_REPLICA,
];

pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for server in &cluster.servers {
        rollout(cluster, server, findings);
        single(cluster, server, findings);
    }
    cluster.objects.of_kind("PodDisruptionBudget").for_each(|budget| disruption(cluster, budget, findings));
    cluster.objects.of_kind("HorizontalPodAutoscaler").for_each(|scaler| autoscaler(cluster, scaler, findings));
}

/// The autoscaler of a workload.
fn scaler_of<'c>(cluster: &'c Cluster<'_>, workload: &Workload<'_>) -> Option<&'c Object<'c>> {
    let workload = &workload.object;
    cluster.objects.of_kind("HorizontalPodAutoscaler").filter(|scaler| cluster.objects.beside(scaler, workload)).find(
        |scaler| {
            let target = scaler.spec(&["scaleTargetRef"]);
            let text = |key| target.and_then(|target| target.text_of(key));
            text("name") == Some(workload.name) && text("kind") == Some(workload.kind)
        },
    )
}

/// The fewest pods that are meant to run.
fn fewest(cluster: &Cluster<'_>, workload: &Workload<'_>) -> Option<i64> {
    let least = |scaler: &Object<'_>, field, default| scaler.spec(&[field]).and_then(Node::number).unwrap_or(default);
    match scaler_of(cluster, workload) {
        Some(scaler) => Some(least(scaler, "minReplicas", 1)),
        None => match scaled_object_of(cluster, workload) {
            Some(scaled) => Some(least(scaled, "minReplicaCount", 0)),
            None => workload.replicas(),
        },
    }
}

/// KEDA's autoscaler of a workload, which makes the HorizontalPodAutoscaler in the cluster.
/// <https://keda.sh/docs/latest/reference/scaledobject-spec/>
fn scaled_object_of<'c>(cluster: &'c Cluster<'_>, workload: &Workload<'_>) -> Option<&'c Object<'c>> {
    let workload = &workload.object;
    cluster.objects.of_kind("ScaledObject").filter(|scaled| cluster.objects.beside(scaled, workload)).find(|scaled| {
        let text = |key| scaled.spec(&["scaleTargetRef", key]).and_then(Node::text);
        text("name") == Some(workload.name) && text("kind").unwrap_or("Deployment") == workload.kind
    })
}

fn rollout(cluster: &Cluster<'_>, server: &Server<'_>, findings: &mut Findings) {
    let object = &server.workload.object;
    let Some(strategy) = object.spec(&["strategy"]).filter(|_| object.kind == "Deployment") else { return };
    if strategy.text_of("type") == Some("Recreate") {
        // A volume that only one pod can have leaves no choice.
        let volumes = server.workload.pod.items_of("volumes");
        let claims = volumes.iter().any(|volume| volume.get("persistentVolumeClaim").is_some());
        let severity = if claims { Severity::Note } else { ROLLOUT.severity };
        let message = "strategy Recreate stops all pods before it starts new ones; use RollingUpdate";
        let place = strategy.get("type").map_or(strategy.place, |node| node.place);
        return findings.add_as(severity, &ROLLOUT, place, message);
    }
    let unavailable = strategy.path(&["rollingUpdate", "maxUnavailable"]);
    let (Some(node), Some(replicas)) = (unavailable, fewest(cluster, &server.workload)) else { return };
    let Some(may) = share(node, replicas, false) else { return };
    if may >= replicas && replicas > 0 {
        let message = format!(
            "maxUnavailable {} lets a rollout stop all {replicas} pods before a new one works; use maxUnavailable: 0 \
             and maxSurge: 1",
            node.text().unwrap_or_default()
        );
        findings.add(&ROLLOUT, node.place, message);
    }
}

/// A number, or a percentage of `whole`.
fn share(node: &Node, whole: i64, round_up: bool) -> Option<i64> {
    match node.text()?.trim().strip_suffix('%') {
        None => node.number(),
        Some(percent) => {
            let parts = percent.parse::<i64>().ok()?.checked_mul(whole)?;
            Some(if round_up { (parts + 99) / 100 } else { parts / 100 })
        }
    }
}

fn single(cluster: &Cluster<'_>, server: &Server<'_>, findings: &mut Findings) {
    let object = &server.workload.object;
    if fewest(cluster, &server.workload) != Some(1) || !matches!(object.kind, "Deployment" | "Rollout") {
        return;
    }
    if shares_a_service(cluster, &server.workload) {
        return;
    }
    let scaler = scaler_of(cluster, &server.workload);
    let node = match scaler {
        Some(scaler) => scaler.spec(&["minReplicas"]),
        None => object.spec(&["replicas"]),
    };
    let place = node.map_or_else(|| scaler.unwrap_or(object).place(), |node| node.place);
    let message = format!("{} may run a single pod: there is none while its node is drained; run two", object.title());
    findings.add(&SINGLE_REPLICA, place, message);
}

/// Whether another workload stands behind the same Service: a canary may well be alone.
fn shares_a_service(cluster: &Cluster<'_>, workload: &Workload<'_>) -> bool {
    cluster.objects.of_kind("Service").any(|service| {
        let pods = service.spec(&["selector"]);
        let behind =
            |other: &&Workload<'_>| cluster.objects.beside(&other.object, service) && selects(pods, other.labels());
        behind(&workload) && cluster.workloads.iter().filter(behind).count() > 1
    })
}

fn disruption(cluster: &Cluster<'_>, budget: &Object<'_>, findings: &mut Findings) {
    let Some(selector) = budget.spec(&["selector"]) else { return };
    let selects = |workload: &Workload<'_>| {
        cluster.objects.beside(&workload.object, budget)
            && label_selector_selects(selector, workload.labels()).unwrap_or(true)
    };
    if !cluster.servers.iter().any(|server| selects(&server.workload)) {
        return selects_nothing(cluster, budget, selector, findings);
    }
    let selected = cluster.workloads.iter().filter(|workload| selects(workload));
    let replicas = selected.map(|workload| fewest(cluster, workload)).sum::<Option<i64>>();
    // Where there are no pods, something else makes them, or they are switched off: there is nothing to evict.
    let Some(replicas) = replicas.filter(|replicas| *replicas > 0) else { return };
    let blocked = |field: &str, is_blocking: fn(i64, i64) -> bool| {
        let node = budget.spec(&[field])?;
        // Both percentages are rounded up.
        let number = share(node, replicas, true)?;
        is_blocking(number, replicas).then_some((field.to_owned(), node))
    };
    let found = blocked("minAvailable", |min, replicas| min >= replicas);
    let Some((field, node)) = found.or_else(|| blocked("maxUnavailable", |max, _| max == 0)) else { return };
    let fix = if replicas < 2 { "run two replicas and use maxUnavailable: 1" } else { "use maxUnavailable: 1" };
    let message = format!(
        "{field} {} with {replicas} {} never allows an eviction: draining a node would hang; {fix}",
        node.text().unwrap_or_default(),
        if replicas == 1 { "replica" } else { "replicas" }
    );
    findings.add(&PDB_BLOCKS, node.place, message);
}

/// Only if it has the name of a workload that is rws: it may belong to something else.
fn selects_nothing(cluster: &Cluster<'_>, budget: &Object<'_>, selector: &Node, findings: &mut Findings) {
    let other = cluster.workloads.iter().any(|workload| {
        cluster.objects.beside(&workload.object, budget)
            && label_selector_selects(selector, workload.labels()) != Some(false)
    });
    let mut servers = cluster.servers.iter().filter(|server| cluster.objects.beside(&server.workload.object, budget));
    let alone = cluster.workloads.len() == 1 && cluster.objects.of_kind("PodDisruptionBudget").count() == 1;
    let named = servers.any(|server| server.workload.object.name == budget.name || alone);
    if named && !other {
        let message = format!("{} selects none of the pods: it protects nothing; correct its selector", budget.title());
        findings.add(&PDB_SELECTOR, selector.place, message);
    }
}

fn autoscaler(cluster: &Cluster<'_>, scaler: &Object<'_>, findings: &mut Findings) {
    let text = |key| scaler.spec(&["scaleTargetRef"]).and_then(|target| target.text_of(key));
    let Some(name) = text("name") else { return };
    let target = |server: &&Server<'_>| {
        let object = &server.workload.object;
        cluster.objects.beside(object, scaler) && object.name == name && text("kind") == Some(object.kind)
    };
    let Some(server) = cluster.servers.iter().find(target) else {
        return missing_target(cluster, scaler, name, findings);
    };
    range(scaler, findings);
    if let Some((key, node)) = server.workload.object.node.get("spec").and_then(|spec| spec.entry("replicas")) {
        let message = format!(
            "replicas {} is set at every apply, against {}; remove it",
            node.text().unwrap_or_default(),
            scaler.title()
        );
        findings.add(&HPA_REPLICAS, key.place.to(node.place), message);
    }
    if let Some(share) = scaler.spec(&["targetCPUUtilizationPercentage"]).filter(|share| !share.is_null()) {
        requests(server, "cpu", "targetCPUUtilizationPercentage", share.place, findings);
    }
    for metric in scaler.node.get("spec").map_or(&[][..], |spec| spec.items_of("metrics")) {
        check_metric(cluster, server, metric, findings);
    }
}

/// A target that is elsewhere is none of ours; one that is nearly called like a workload here is a slip.
fn missing_target(cluster: &Cluster<'_>, scaler: &Object<'_>, name: &str, findings: &mut Findings) {
    /// Jaro-Winkler similarity of a slip of the pen.
    const SIMILAR: f64 = 0.85;
    if cluster
        .workloads
        .iter()
        .any(|workload| workload.object.name == name && cluster.objects.beside(&workload.object, scaler))
    {
        return;
    }
    let near = cluster.servers.iter().map(|server| &server.workload.object).find(|object| {
        cluster.objects.beside(object, scaler)
            && (object.name == scaler.name || strsim::jaro_winkler(object.name, name) >= SIMILAR)
    });
    let (Some(near), Some(node)) = (near, scaler.spec(&["scaleTargetRef", "name"])) else { return };
    let message = format!("scaleTargetRef names {}, which is not there: did you mean {}?", short(name), near.title());
    findings.add(&HPA_TARGET, node.place, message);
}

fn range(scaler: &Object<'_>, findings: &mut Findings) {
    let (Some(max), min) = (scaler.spec(&["maxReplicas"]), scaler.spec(&["minReplicas"])) else { return };
    let (Some(most), least) = (max.number(), min.and_then(Node::number).unwrap_or(1)) else { return };
    if most < least {
        let message = format!("maxReplicas {most} is below minReplicas {least}: the API refuses it; raise it");
        findings.add(&HPA_RANGE, max.place, message);
    } else if most == least {
        let message = format!("minReplicas and maxReplicas are both {most}: nothing is scaled; raise maxReplicas");
        findings.add_as(Severity::Warning, &HPA_RANGE, max.place, message);
    }
}

fn check_metric(cluster: &Cluster<'_>, server: &Server<'_>, metric: &Node, findings: &mut Findings) {
    for field in ["pods", "object"] {
        let Some(node) = metric.path(&[field, "metric", "name"]) else { continue };
        if let Some(name) = node.text().filter(|name| !metrics::is_exported(name)) {
            unknown_metric(cluster, name, node.place, findings);
        }
    }
    let resource = metric.get("resource");
    let name = resource.and_then(|resource| resource.text_of("name"));
    let utilization = resource.and_then(|resource| resource.path(&["target", "averageUtilization"]));
    if let Some((name, utilization)) = name.zip(utilization) {
        requests(server, name, "averageUtilization", utilization.place, findings);
    }
}

/// Whether every container says what it requests, of which `field` is a share.
fn requests(server: &Server<'_>, name: &str, field: &str, place: Place, findings: &mut Findings) {
    for container in server.workload.running() {
        let limit = container.node.path(&["resources", "limits", name]);
        if container.node.path(&["resources", "requests", name]).or(limit).is_none() {
            let message = format!(
                "{field} of {name} needs resources.requests.{name} in container {}: without it nothing is \
                 scaled; set it",
                container.name
            );
            findings.add(&HPA_REQUEST, place, message);
        }
    }
}

/// Adapters give names of their own; a name like ours is certainly meant to be ours.
fn unknown_metric(cluster: &Cluster<'_>, name: &str, place: Place, findings: &mut Findings) {
    let shown = short(name);
    if metrics::looks_like_ours(name) {
        let near = metrics::nearest(name).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let message = format!("rws exports no metric {shown}: the autoscaler would not scale{near}");
        return findings.add(&HPA_METRIC, place, message);
    }
    let mut maps = cluster.objects.of_kind("ConfigMap").flat_map(data_of);
    if !maps.any(|datum| datum.text.is_some_and(|text| text.contains(name))) {
        let message = format!(
            "{shown} is no metric of rws itself: a rule of the metrics adapter has to make it, or the autoscaler does not \
             scale"
        );
        findings.add_as(Severity::Note, &HPA_METRIC, place, message);
    }
}
