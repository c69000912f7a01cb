//! The containers that are rws, and what each of them would do: its settings, its listeners, the paths it serves.

use std::collections::BTreeSet;

use super::command::{Program, position_of_rws, runs_rws, script_of};
use super::environment::Environment;
use super::finding::Findings;
use super::objects::Objects;
use super::place::Place;
use super::settings::{self, Known, Settings};
use super::volumes::Mounts;
use super::workload::{Container, Role, Workload};
use crate::config::{PREFIX, Status, find};

/// Everything there is to check.
#[derive(Debug)]
pub(super) struct Cluster<'a> {
    pub(super) objects: Objects<'a>,
    pub(super) workloads: Vec<Workload<'a>>,
    pub(super) servers: Vec<Server<'a>>,
}

/// One container that is rws.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub(super) workload: Workload<'a>,
    pub(super) container: Container<'a>,
    /// Whether it runs the binary of this project, whose routes are known, or a program built on the library.
    pub(super) stock: bool,
    pub(super) program: Program,
    pub(super) environment: Environment,
    pub(super) mounts: Mounts<'a>,
    pub(super) settings: Settings,
}

/// A port that rws listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    /// `PORT`, `ADMIN_PORT` or `HTTP_REDIRECT_PORT`.
    pub(super) variable: &'static str,
    /// `None`: not known.
    pub(super) port: Option<u16>,
    /// `None`: not known.
    pub(super) tls: Option<bool>,
}

impl<'a> Cluster<'a> {
    /// Finds the containers that are rws: those called `only`, or those that look like it.
    pub(super) fn of(objects: Objects<'a>, only: &[String], findings: &mut Findings) -> Self {
        let workloads = Workload::all(&objects);
        let candidates: Vec<(Workload<'a>, Container<'a>)> = workloads
            .iter()
            .flat_map(|workload| workload.containers().into_iter().map(|container| (*workload, container)))
            .filter(|(_, container)| container.role != Role::Init)
            .collect();
        let is_wanted = |(workload, container): &&(Workload<'a>, Container<'a>)| {
            if only.is_empty() {
                is_rws(&objects, workload, container)
            } else {
                only.iter().any(|name| name == container.name)
            }
        };
        let mut chosen: Vec<_> = candidates.iter().filter(is_wanted).copied().collect();
        if let ([single], [], []) = (candidates.as_slice(), chosen.as_slice(), only) {
            chosen.push(*single);
        }
        let servers =
            chosen.into_iter().map(|(workload, container)| Server::of(&objects, workload, container, findings));
        let servers = servers.filter(|server| !matches!(server.program, Program::OtherCommand)).collect();
        Cluster { objects, workloads, servers }
    }
}

/// By its image, its command, or a variable of its environment. Of several containers that take their settings from the
/// same ConfigMap it is the one that says so itself, or the first: sidecars are often given everything that the
/// application gets, and two servers could not have the same port.
fn is_rws(objects: &Objects<'_>, workload: &Workload<'_>, container: &Container<'_>) -> bool {
    if says_so(container) {
        return true;
    }
    let own = sources_of_settings(objects, workload, container);
    let running = workload.running();
    let at = running.iter().position(|other| std::ptr::eq(other.node, container.node));
    let mut others = running.iter().enumerate().filter(|(index, _)| Some(*index) != at);
    let is_first = !others.any(|(index, other)| {
        (says_so(other) || Some(index) < at) && !own.is_disjoint(&sources_of_settings(objects, workload, other))
    });
    !own.is_empty() && is_first
}

fn says_so(container: &Container<'_>) -> bool {
    let image = container.image_name();
    let by_image = image.split(['-', '_', '.']).any(|word| word == "rws");
    let mut names = container.node.items_of("env").iter().filter_map(|variable| variable.text_of("name"));
    let prefixed = container.node.items_of("envFrom").iter().any(|source| source.text_of("prefix") == Some(PREFIX));
    by_image || is_command_of_rws(container) || prefixed || names.any(|name| name.starts_with(PREFIX))
}

fn is_command_of_rws(container: &Container<'_>) -> bool {
    let words: Vec<String> = container.words("command").into_iter().map(str::to_owned).collect();
    position_of_rws(&words).is_some() || script_of(&words).is_some_and(|script| runs_rws(&script))
}

/// The ConfigMaps and Secrets that bring settings with envFrom.
fn sources_of_settings(objects: &Objects<'_>, workload: &Workload<'_>, container: &Container<'_>) -> BTreeSet<String> {
    let values = Environment::of(objects, workload, container).values.into_iter();
    values.filter(|(name, _)| name.starts_with(PREFIX)).filter_map(|(_, value)| value.env_from).collect()
}

impl<'a> Server<'a> {
    fn of(objects: &Objects<'a>, workload: Workload<'a>, container: Container<'a>, findings: &mut Findings) -> Self {
        let environment = Environment::of(objects, &workload, &container);
        let mounts = Mounts::of(objects, &workload, &container);
        let stock = container.image_name() == "rws" || is_command_of_rws(&container);
        let program = Program::of(&container, &environment, stock);
        let place = container.node.get("args").or(container.node.get("command")).map_or(container.place(), |n| n.place);
        let command_line = match &program {
            Program::Rws(pairs) => Some((pairs.clone(), place)),
            _ => None,
        };
        let mut settings = settings::load(&environment, &mounts, command_line, findings);
        // A script may set anything on its way to rws.
        settings.open |= match &program {
            Program::Shell { script, .. } => script.contains(PREFIX) || script.contains(" -"),
            // What a wrapper does before it runs rws is not known; a program of its own reads the environment.
            Program::Other => stock,
            _ => false,
        };
        Server { workload, container, stock, program, environment, mounts, settings }
    }

    /// `container web of Deployment web`.
    pub(super) fn title(&self) -> String {
        format!("container {} of {}", self.container.name, self.workload.object.title())
    }

    /// The ports it listens on. Those that nobody sets are not there.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        let main = Listener {
            variable: "PORT",
            port: self.settings.is_known("PORT").then_some(self.settings.config.port),
            tls: self.tls(),
        };
        let other = |variable| {
            let port = match self.settings.known(variable) {
                Known::Unset => return None,
                Known::No => None,
                Known::Set(_) if !is_supported(variable) => return None,
                Known::Set(setting) => Some(setting.text.as_deref()?.trim().parse().ok().filter(|port| *port != 0)?),
            };
            Some(Listener { variable, port, tls: Some(false) })
        };
        [Some(main), other("ADMIN_PORT"), other("HTTP_REDIRECT_PORT")].into_iter().flatten().collect()
    }

    /// The listener on a port; `Err`: there may be one, but that depends on what is not known.
    pub(super) fn listener_on(&self, port: u16) -> Result<Option<Listener>, ()> {
        let listeners = self.listeners();
        match listeners.iter().find(|listener| listener.port == Some(port)) {
            Some(listener) => Ok(Some(*listener)),
            None if self.may_listen_itself(port) => Err(()),
            None if listeners.iter().any(|listener| listener.port.is_none()) => Err(()),
            None => Ok(None),
        }
    }

    /// A program on the library may have further listeners, which it declares beside those of rws.
    fn may_listen_itself(&self, port: u16) -> bool {
        let declares = |number| self.container.ports().any(|port| port.number == Some(number));
        !self.stock && declares(port) && declares(self.main_port())
    }

    /// `8080 (PORT) and 9090 (ADMIN_PORT)`.
    pub(super) fn shown_listeners(&self) -> String {
        let shown = |listener: Listener| Some(format!("{} ({PREFIX}{})", listener.port?, listener.variable));
        self.listeners().into_iter().filter_map(shown).collect::<Vec<_>>().join(" and ")
    }

    /// The port with the probes that a manifest should name.
    pub(super) fn main_port(&self) -> u16 {
        self.settings.config.port
    }

    fn tls(&self) -> Option<bool> {
        if !is_supported("TLS_CERT_FILE") {
            return Some(false);
        }
        if self.settings.config.speaks_tls() {
            return Some(true);
        }
        match self.settings.known("TLS_CERT_FILE") {
            Known::Unset => Some(false),
            Known::No => None,
            Known::Set(setting) => Some(setting.text.as_deref().is_some_and(|text| !text.trim().is_empty())),
        }
    }

    /// Whether who has no client certificate is refused on the main port, as far as is known.
    pub(super) fn requires_client_certificates(&self) -> bool {
        self.settings.config.requires_client_certificates() && self.settings.is_known("TLS_CLIENT_AUTH")
    }

    /// Where a variable is set.
    pub(super) fn place_of(&self, variable: &str) -> Option<Place> {
        self.settings.place(variable)
    }

    /// Whether another container that runs beside it declares this port.
    pub(super) fn port_of_another(&self, port: u16) -> bool {
        let others = self.workload.running().into_iter().filter(|other| other.name != self.container.name);
        others.into_iter().any(|other| other.ports().any(|declared| declared.number == Some(port)))
    }
}

fn is_supported(variable: &str) -> bool {
    find(variable).is_some_and(|variable| variable.status == Status::Supported)
}
