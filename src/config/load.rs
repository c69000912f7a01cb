//! From sources to a [`Config`], or to everything that is wrong with them.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{ConfigError, ConfigErrors, Notice, REDACTED, Report, full_name};
use super::gather::{Gathered, Setting, Settings, Unknown, gather};
use super::hosts::{self, VirtualHost};
use super::places::Places;
use super::route::{RouteError, RouteSpec};
use super::source::{Origin, Sources};
use super::table::{Kind, Status, Variable, find};
use super::value::{
    boolean, codings, directives, duration, is_url_path, list, networks, number, page, show_bytes, show_millis, size,
};
use super::{Config, PREFIX, VARIABLES, rules};
use crate::semantics::credentials::is_realm;
use crate::semantics::secrets;

/// DRAIN_DELAY=auto inside Kubernetes: kube-proxy and ingress controllers need a moment to drop an endpoint.
const DRAIN_DELAY_IN_KUBERNETES: Duration = Duration::from_secs(5);

/// A valid configuration and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings for the log.
    pub notices: Vec<Notice>,
    /// Every supported variable, and each other one that is set, in the order of the table.
    pub effective: Vec<Effective>,
    pub(super) settings: Settings,
    pub(super) overruled: Settings,
    pub(super) in_kubernetes: bool,
    /// What is wrong with a configuration that was made in code.
    pub(super) faults: Option<ConfigErrors>,
}

/// The value of one variable and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The full name.
    pub name: String,
    /// The value as it was written, or the default; secrets are redacted.
    pub value: String,
    /// Whether `value` stands for one that must not be shown: a secret, or one from a file of its own.
    pub redacted: bool,
    /// Where it came from.
    pub origin: Origin,
}

impl Loaded {
    /// Whether the sources say that this is a container of a Kubernetes pod.
    pub fn in_kubernetes(&self) -> bool {
        self.in_kubernetes
    }

    /// Whether it can be served by. What [`Config::load`] has returned can.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with a [`Config`] made in code, each with the name of its variable, which is that of the
    /// field in upper case: values outside of their ranges, some that do not go together, and what needs a cargo feature
    /// that this build does not have.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        self.faults.clone().map_or(Ok(()), Err)
    }
}

impl Effective {
    /// What its name stands for.
    pub fn variable(&self) -> Option<&'static Variable> {
        find(self.name.strip_prefix(PREFIX)?)
    }
}

impl Config {
    /// Reads every value from `sources` and from the files they name, and checks it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, together.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        Self::load_from_places(sources).1
    }

    /// As [`load`](Self::load), and tells where the files are that were read, or should have been.
    pub fn load_from_places(sources: &Sources) -> (Places, Result<Loaded, ConfigErrors>) {
        let mut report = Report::new(sources.elsewhere);
        let Gathered { settings, unknown, places, overruled, .. } = gather(sources, &mut report);
        let loaded = build(settings, unknown, sources.in_kubernetes(), report);
        (places, loaded.map(|loaded| Loaded { overruled, ..loaded }))
    }

    /// Reads the variables and families called `names` (without prefix) and no other, and checks each by itself: for whoever only
    /// needs to find a server that runs already, and must not fail because of the rest of its configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with those variables, together.
    pub fn load_only(sources: &Sources, names: &[&str]) -> Result<Config, ConfigErrors> {
        let mut report = Report::default();
        let Gathered { mut settings, .. } = gather(sources, &mut report);
        report.keep(names);
        settings.retain(|name, setting| names.contains(&name.as_str()) || names.contains(&setting.variable.name));
        let mut config = Config::before_settings(sources.in_kubernetes());
        for (name, setting) in &settings {
            apply(name, setting, &mut config, &settings, &mut report);
        }
        report.finish().map(|_| config)
    }

    /// The defaults of this place.
    pub(super) fn before_settings(in_kubernetes: bool) -> Self {
        let drain_delay = if in_kubernetes { DRAIN_DELAY_IN_KUBERNETES } else { Duration::ZERO };
        Config { drain_delay, ..Config::default() }
    }
}

/// Parses every setting and checks the whole.
pub(super) fn build(
    settings: Settings,
    unknown: Vec<Unknown>,
    in_kubernetes: bool,
    mut report: Report,
) -> Result<Loaded, ConfigErrors> {
    let mut config = Config::before_settings(in_kubernetes);
    for variable in VARIABLES {
        for (name, setting) in settings.iter().filter(|(_, setting)| std::ptr::eq(setting.variable, variable)) {
            apply(name, setting, &mut config, &settings, &mut report);
        }
    }
    uri_fits_into_head(&mut config, &settings);
    judge_unknown(unknown, config.strict, &mut report);
    rules::check(&config, &settings, in_kubernetes, &mut report);
    let effective = effective(&settings, &config);
    report.finish().map(|notices| Loaded {
        config,
        notices,
        effective,
        settings,
        overruled: Settings::new(),
        in_kubernetes,
        faults: None,
    })
}

/// A smaller head makes the default smaller that is for a part of it.
pub(super) fn uri_fits_into_head(config: &mut Config, settings: &Settings) {
    if !settings.contains_key("MAX_URI_BYTES") {
        config.max_uri_bytes = config.max_uri_bytes.min(config.max_head_bytes);
    }
}

pub(super) fn apply(name: &str, setting: &Setting, config: &mut Config, settings: &Settings, report: &mut Report) {
    let variable = setting.variable;
    match variable.status {
        Status::Refused(_) | Status::NoEffect(_) if is_off(&setting.text) => return,
        Status::Refused(because) => {
            let rule = format!("is not supported by this version: {because}; unset it");
            return report.error(setting.blame(ConfigError::new(name, rule)));
        }
        Status::NoEffect(because) => {
            let message = format!("is not supported by this version and has no effect: {because}");
            return report.notice(Notice::new(name, message));
        }
        Status::ReplacedBy(newer) => report.notice(replaced(name, newer, settings)),
        Status::Supported => {}
    }
    // One error for a variable is enough.
    if report.failed(name) {
        return;
    }
    if let (Kind::Directory { set }, true) = (&variable.kind, report.elsewhere) {
        return set(config, Some(setting.text.trim()).filter(|path| !path.is_empty()).map(PathBuf::from));
    }
    if let Err(fault) = parse(variable, name, &setting.text, config) {
        let rule = match fault {
            // The detail quotes the text.
            Fault::Route(_) | Fault::Text(_) | Fault::Domain(_) if setting.hidden => variable.rule(),
            fault => format!("{}{fault}", variable.rule()),
        };
        let error = setting.blame(ConfigError::new(name, rule));
        report.error(error.example(variable.example));
    }
}

fn is_off(text: &str) -> bool {
    text.trim().is_empty() || boolean(text.trim()) == Some(false)
}

fn replaced(name: &str, newer: &str, settings: &Settings) -> Notice {
    let newer_name = full_name(newer);
    let message = if settings.contains_key(newer) {
        format!("has no effect: it is the old name of {newer_name}, which is set as well; unset it")
    } else {
        format!("is the old name of {newer_name} and sets that limit; rename it")
    };
    Notice::new(name, message)
}

/// Why a text is not a value: it breaks the variable's rule, and sometimes there is more to say.
pub(super) enum Fault {
    Rule,
    Io(io::Error),
    Route(RouteError),
    Text(String),
    /// With the word for what is counted there. It never shows what was written.
    Secret(&'static str, secrets::Fault),
    Domain(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// Characters of a detail that are shown: it may quote the value.
        const SHOWN: usize = 200;
        match self {
            Fault::Rule => Ok(()),
            Fault::Io(error) => write!(f, " ({error})"),
            Fault::Secret(what, fault) => write!(f, " ({what} {} {})", fault.place, fault.reason),
            Fault::Route(error) => write!(f, " ({:.SHOWN$})", error.to_string()),
            Fault::Text(reason) => write!(f, " ({:.SHOWN$})", reason),
            Fault::Domain(why) => write!(f, " ({why:.SHOWN$})"),
        }
    }
}

/// Puts the value of `text` in its place. White space around values is forgiven, since YAML's block texts end in a
/// line break; the text of a route is taken as it is.
pub(super) fn parse(variable: &Variable, name: &str, text: &str, config: &mut Config) -> Result<(), Fault> {
    let trimmed = text.trim();
    match &variable.kind {
        Kind::Number { .. } if trimmed.is_empty() && variable.default.is_empty() => {}
        Kind::Number { min, max, set } => set(config, within(number(trimmed), *min, *max)?),
        Kind::Size { min, max, set } => set(config, within(size(trimmed), *min, *max)?),
        Kind::Duration { auto: true, .. } if trimmed == "auto" => {}
        Kind::Duration { min, max, set, .. } => {
            let value = duration(trimmed).ok_or(Fault::Rule)?;
            within(u64::try_from(value.as_millis()).ok(), *min, *max)?;
            set(config, value);
        }
        Kind::Boolean { .. } if trimmed.is_empty() && variable.default.is_empty() => {}
        Kind::Boolean { set } => set(config, boolean(trimmed).ok_or(Fault::Rule)?),
        Kind::Port { .. } | Kind::Address { .. } if trimmed.is_empty() && variable.default.is_empty() => {}
        Kind::Port { set } => set(config, within(number(trimmed), 0, 65_535)? as u16),
        Kind::Address { set } => set(config, trimmed.parse().map_err(|_| Fault::Rule)?),
        Kind::OneOf(choices) => {
            let choice = choices.iter().find(|(choice, _)| choice.eq_ignore_ascii_case(trimmed));
            choice.ok_or(Fault::Rule)?.1(config);
        }
        Kind::UrlPath { set } if is_url_path(trimmed) => set(config, trimmed.to_owned()),
        Kind::UrlPath { .. } => return Err(Fault::Rule),
        Kind::UrlPaths { set } => {
            let paths = list(trimmed);
            set(config, Some(paths).filter(|paths| paths.iter().all(|path| is_url_path(path))).ok_or(Fault::Rule)?);
        }
        Kind::Page { set } => set(config, page(trimmed).ok_or(Fault::Rule)?),
        Kind::Directory { set } => set(config, directory(trimmed).map_err(Fault::Io)?),
        Kind::File { set } => set(config, Some(trimmed).filter(|path| !path.is_empty()).map(PathBuf::from)),
        Kind::Domains { .. } | Kind::HostFile { .. } if trimmed.is_empty() => {}
        Kind::Domains { set } => {
            let domains = hosts::domains(trimmed).map_err(Fault::Domain)?;
            set(VirtualHost::of(&mut config.virtual_hosts, chosen(variable, name)), domains);
        }
        Kind::HostFile { set } => {
            set(VirtualHost::of(&mut config.virtual_hosts, chosen(variable, name)), PathBuf::from(trimmed));
        }
        Kind::List { set } => set(config, list(trimmed)),
        Kind::Word { set } if trimmed.bytes().all(|byte| byte.is_ascii_graphic()) => set(config, trimmed.to_owned()),
        Kind::Word { .. } => return Err(Fault::Rule),
        Kind::Networks { set } => set(config, networks(trimmed).ok_or(Fault::Rule)?),
        Kind::Secrets { read, place, .. } => read(config, text).map_err(|fault| Fault::Secret(place, fault))?,
        Kind::Realm { set } if is_realm(trimmed) => set(config, trimmed.to_owned()),
        Kind::Realm { .. } => return Err(Fault::Rule),
        Kind::Directives { set } => set(config, directives(trimmed).ok_or(Fault::Rule)?),
        Kind::Codings { set } => set(config, codings(trimmed).ok_or(Fault::Rule)?),
        Kind::Route { add } => {
            add(config, RouteSpec::parse(chosen(variable, name), text).map_err(Fault::Route)?);
        }
        Kind::Text { read, .. } => read(config, trimmed).map_err(Fault::Text)?,
        Kind::Unread => {}
    }
    Ok(())
}

/// What the operator chose in the name of a member of a family.
fn chosen<'a>(variable: &Variable, name: &'a str) -> &'a str {
    variable.family().map_or(name, |(start, end)| &name[start.len()..name.len() - end.len()])
}

fn within(value: Option<u64>, min: u64, max: u64) -> Result<u64, Fault> {
    value.filter(|value| (min..=max).contains(value)).ok_or(Fault::Rule)
}

fn directory(text: &str) -> io::Result<Option<PathBuf>> {
    match text {
        "" => Ok(None),
        path if fs::metadata(path)?.is_dir() => Ok(Some(PathBuf::from(path))),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn judge_unknown(unknown: Vec<Unknown>, strict: bool, report: &mut Report) {
    /// More say nothing more: RWS_CONFIG_DIR is not what was meant.
    const TOLD: usize = 20;
    let more = unknown.len().saturating_sub(TOLD);
    for (index, Unknown { name, message }) in unknown.into_iter().take(TOLD).enumerate() {
        let message = match more {
            1.. if index == TOLD - 1 => format!("{message} (and so are {more} more names)"),
            _ => message,
        };
        if strict {
            report.error(ConfigError::new(&name, message));
        } else {
            report.notice(Notice::new(&name, message));
        }
    }
}

pub(super) fn effective(settings: &Settings, config: &Config) -> Vec<Effective> {
    let mut effective = Vec::new();
    for variable in VARIABLES {
        let set = settings.iter().filter(|(_, setting)| std::ptr::eq(setting.variable, variable));
        let before = effective.len();
        effective.extend(set.map(|(name, setting)| Effective {
            name: full_name(name),
            value: if setting.is_secret() { REDACTED.to_owned() } else { resolved(variable, &setting.text, config) },
            redacted: setting.is_secret(),
            origin: setting.origin.clone(),
        }));
        let has_default = variable.status == Status::Supported && variable.family().is_none();
        if effective.len() == before && has_default {
            effective.push(unset(variable, settings, config));
        }
    }
    effective
}

/// The value of a variable that is not set, at least not by its own name.
fn unset(variable: &Variable, settings: &Settings, config: &Config) -> Effective {
    let older = settings.values().find(|setting| setting.variable.status == Status::ReplacedBy(variable.name));
    let (text, origin) = older.map_or((variable.default, Origin::Default), |older| (&older.text, older.origin.clone()));
    let text = match variable.name {
        "MAX_URI_BYTES" => &show_bytes(config.max_uri_bytes as u64),
        "ADMIN_IP" => &config.ip.to_string(),
        _ => text,
    };
    let value = resolved(variable, text, config);
    Effective { name: full_name(variable.name), value, redacted: variable.secret, origin }
}

/// The text to show: no secret, and what `auto` came to.
fn resolved(variable: &Variable, text: &str, config: &Config) -> String {
    match text.trim() {
        _ if variable.secret => REDACTED.to_owned(),
        "auto" if variable.name == "DRAIN_DELAY" => {
            format!("{} (auto)", show_millis(config.drain_delay.as_millis() as u64))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
