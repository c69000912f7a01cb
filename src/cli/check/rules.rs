//! The rules, one file for each group. A rule is a row of its group's table and a function that finds it.
//!
//! A rule may claim only what follows from the input. Where something is not known, such as a Secret that is made
//! elsewhere, it stays silent: a false alarm costs more than a miss.

mod clients;
pub(super) mod configuration;
mod container_ports;
mod files;
mod manifests;
mod monitoring;
mod probe_roles;
mod probe_targets;
mod resources;
mod scaling;
mod security;
mod services;
mod shutdown;
mod timing;

use super::finding::{Findings, Rule};
use super::input::Inputs;
use super::server::Cluster;

/// A group's table.
pub(super) type Table = &'static [&'static Rule];

/// A group's function.
type Check = fn(&Cluster<'_>, &mut Findings);

const GROUPS: &[(&str, Table, Check)] = &[
    ("Manifests", manifests::RULES, manifests::check),
    ("Configuration", configuration::RULES, configuration::check),
    ("Ports", container_ports::RULES, container_ports::check),
    ("Where probes ask", probe_targets::RULES, probe_targets::check),
    ("What probes ask", probe_roles::RULES, probe_roles::check),
    ("When probes ask", timing::RULES, timing::check),
    ("Shutdown", shutdown::RULES, shutdown::check),
    ("Services", services::RULES, services::check),
    ("Files", files::RULES, files::check),
    ("Clients", clients::RULES, clients::check),
    ("Rollout and scaling", scaling::RULES, scaling::check),
    ("Monitoring", monitoring::RULES, monitoring::check),
    ("Resources", resources::RULES, resources::check),
    ("Security", security::RULES, security::check),
];

/// All rules by the name of their group.
pub(super) fn groups() -> impl Iterator<Item = (&'static str, Table)> {
    GROUPS.iter().map(|(name, table, _)| (*name, *table))
}

pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().flat_map(|(_, table, _)| table.iter().copied())
}

pub(super) fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id)
}

/// Runs every rule.
pub(super) fn check(cluster: &Cluster<'_>, findings: &mut Findings) {
    for (_, _, check) in GROUPS {
        check(cluster, findings);
    }
}

/// Runs the rules that are about the text of the input.
pub(super) fn inputs(inputs: &Inputs, findings: &mut Findings) {
    manifests::check_text(inputs, findings);
}
