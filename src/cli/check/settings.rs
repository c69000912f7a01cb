//! The configuration that a container gives rws: command line, environment and RWS_CONFIG_DIR in order, loaded by
//! the same code that loads it at the start of a server, with every error and notice put where its value is written.
//!
//! What only the container can tell, such as whether a directory exists, is left out; what is not in the input is
//! not known, and whoever asks is told so.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::finding::{Findings, Severity};
use super::place::Place;
use super::rules::configuration::{self, LOOPBACK_BIND};
use super::volumes::{FileAt, Mounts};
use crate::config::{Config, ConfigError, PREFIX, Sources, Status, find};

/// What every container has, whatever its address.
const KUBERNETES: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");
const FILE: &str = "_FILE";

/// Where a setting is made. A later layer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    Directory,
    Environment,
    CommandLine,
}

/// One setting as it is written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) layer: Layer,
    /// The variable's name without `RWS_CONFIG_`, and without the `_FILE` of a file that holds its value.
    pub(super) name: String,
    /// The name as it is written, with its prefix.
    pub(super) written: String,
    /// `None`: not in the input.
    pub(super) text: Option<String>,
    /// For a value from a file: the path of that file.
    pub(super) file: Option<String>,
    pub(super) place: Place,
    pub(super) name_place: Place,
    pub(super) secret: bool,
    pub(super) env_from: Option<String>,
}

/// What is known of a variable.
#[derive(Debug)]
pub(super) enum Known<'s> {
    /// Nobody sets it.
    Unset,
    /// It is set, or may be, by something that is not in the input.
    No,
    Set(&'s Setting),
}

/// All settings of a container, and the configuration they come to.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) list: Vec<Setting>,
    /// Whether something that is not in the input may set more.
    pub(super) open: bool,
    /// The same for the environment alone.
    environment_open: bool,
    /// What is valid of it; defaults for the rest.
    pub(super) config: Config,
}

/// Gathers, loads, and reports what the load finds.
pub(super) fn load(
    environment: &Environment,
    mounts: &Mounts<'_>,
    command_line: Option<(Vec<(String, String)>, Place)>,
    findings: &mut Findings,
) -> Settings {
    let mut list = Vec::new();
    if let Some((pairs, place)) = command_line {
        list.extend(pairs.into_iter().map(|(name, text)| on_command_line(name, text, place)));
    }
    for (name, value) in environment.values.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let mut setting = setting(Layer::Environment, name, value.text.clone(), value.place, value.name_place);
        setting.secret = value.secret;
        setting.env_from.clone_from(&value.env_from);
        list.push(setting);
    }
    // Where settings are kept elsewhere, a Secret that is made by something else has passwords; otherwise it may have all.
    let open = environment.open || environment.secret_absent && list.is_empty();
    let mut settings = Settings { list, open, environment_open: open, config: Config::default() };
    settings.add_directory(mounts);
    settings.report_both(findings);
    settings.read_files(mounts);
    settings.load(findings);
    settings
}

fn on_command_line(name: String, text: String, place: Place) -> Setting {
    setting(Layer::CommandLine, &name, Some(text), place, place)
}

/// A name that is known as a whole comes first: TLS_CERT_FILE is not the file of a TLS_CERT.
fn setting(layer: Layer, written: &str, text: Option<String>, place: Place, name_place: Place) -> Setting {
    let short = written.strip_prefix(PREFIX).unwrap_or(written);
    let of_file = short.strip_suffix(FILE).filter(|rest| find(short).is_none() && find(rest).is_some());
    let (name, file) = match of_file {
        Some(rest) => (rest.to_owned(), Some(text.clone().unwrap_or_default())),
        None => (short.to_owned(), None),
    };
    let written = format!("{PREFIX}{short}");
    Setting { layer, name, written, text, file, place, name_place, secret: false, env_from: None }
}

impl Settings {
    /// What is known of the variable `name`, without prefix.
    pub(super) fn known(&self, name: &str) -> Known<'_> {
        let set = self.list.iter().filter(|setting| setting.name == name);
        match set.max_by_key(|setting| setting.layer) {
            Some(setting) if setting.text.is_none() => Known::No,
            // The environment wins over the directory, and may have it.
            Some(setting) if setting.layer == Layer::Directory && self.environment_open => Known::No,
            Some(setting) => Known::Set(setting),
            None if self.open => Known::No,
            None => Known::Unset,
        }
    }

    /// The text that a variable is known to be set to.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.known(name) {
            Known::Set(setting) => setting.text.as_deref().map(str::trim).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// Where a variable is set.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        match self.known(name) {
            Known::Set(setting) => Some(setting.place),
            _ => None,
        }
    }

    /// Whether its effective value is known.
    pub(super) fn is_known(&self, name: &str) -> bool {
        !matches!(self.known(name), Known::No)
    }

    fn add_directory(&mut self, mounts: &Mounts<'_>) {
        let directory = match self.known("DIR") {
            Known::Set(setting) => setting.text.clone().unwrap_or_default(),
            Known::No | Known::Unset => return,
        };
        let directory = directory.trim().trim_end_matches('/').to_owned();
        if directory.is_empty() {
            return;
        }
        self.open |= mounts.in_directory(&directory).any(|mount| mount.files.is_none());
        for file in mounts.files_in(&directory) {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            let datum = &file.datum;
            let text = datum.text.as_deref().map(without_line_break);
            let mut setting = setting(Layer::Directory, name, text, datum.place, datum.key_place);
            setting.secret = datum.secret;
            self.list.push(setting);
        }
    }

    /// A value that is written out and one from a file in the same place: rws cannot tell which is meant.
    fn report_both(&self, findings: &mut Findings) {
        for of_file in self.list.iter().filter(|setting| setting.file.is_some()) {
            let same = |other: &&Setting| (other.layer, &other.name) == (of_file.layer, &of_file.name);
            if let Some(other) = self.list.iter().filter(same).find(|other| other.file.is_none()) {
                let message = format!(
                    "{PREFIX}{}: is set by both {} and {}; keep one",
                    other.name, other.written, of_file.written
                );
                findings.add(&configuration::ENV_INVALID, of_file.name_place, message);
            }
        }
    }

    /// Puts what a file holds in the place of its path, if the input has it.
    fn read_files(&mut self, mounts: &Mounts<'_>) {
        for setting in &mut self.list {
            let Some(path) = &setting.file else { continue };
            setting.secret = true;
            setting.text = match mounts.file_at(path.trim()) {
                FileAt::Known(file) => file.datum.text.as_deref().map(without_line_break),
                _ => None,
            };
        }
    }

    /// Loads what can be known here. What has an error is left out and the rest loaded again, so that the other rules
    /// have something to go by.
    fn load(&mut self, findings: &mut Findings) {
        let mut left_out: Vec<String> = Vec::new();
        let mut notices = None;
        // Each round leaves out one variable at least.
        for _ in 0..=self.list.len() {
            let (found, errors) = match Config::load(&self.sources(&left_out)) {
                Ok(loaded) => {
                    self.config = loaded.config;
                    (loaded.notices, None)
                }
                Err(errors) => (errors.notices().to_vec(), Some(errors)),
            };
            notices.get_or_insert(found);
            let Some(errors) = errors else { break };
            for error in errors.iter() {
                let blamed = self.setting(error.variable()).or_else(|| self.reason_for(error));
                self.report_error(error, blamed, findings);
                left_out.push(error.variable().to_owned());
                left_out.extend(blamed.map(|setting| setting.written.clone()));
            }
        }
        for notice in notices.unwrap_or_default() {
            if notice.is_void_with().iter().all(|name| self.is_known(name)) {
                self.report_notice(notice.variable(), notice.message(), findings);
            }
        }
    }

    fn sources(&self, left_out: &[String]) -> Sources {
        let mut winners: BTreeMap<&str, Layer> = BTreeMap::new();
        for setting in &self.list {
            let layer = winners.entry(&setting.name).or_insert(setting.layer);
            *layer = setting.layer.max(*layer);
        }
        let mut taken = BTreeSet::new();
        let (mut environment, mut command_line) =
            (vec![(KUBERNETES.0.to_owned(), KUBERNETES.1.to_owned())], Vec::new());
        for setting in &self.list {
            let name = format!("{PREFIX}{}", setting.name);
            let wins = winners.get(setting.name.as_str()) == Some(&setting.layer);
            let skip = !wins || left_out.contains(&name) || left_out.contains(&setting.written);
            let Some(text) = setting.text.clone().filter(|_| !skip && can_be_known_here(&setting.name)) else {
                continue;
            };
            // A value from a file and one that is written out would be set twice: the first is enough here.
            if !taken.insert(name.clone()) {
                continue;
            }
            let layer = if setting.layer == Layer::CommandLine { &mut command_line } else { &mut environment };
            layer.push((name, text));
        }
        Sources::new(environment).with_command_line(command_line)
    }

    /// The setting because of which a variable that nobody sets is wrong: the rule speaks of it.
    fn reason_for(&self, error: &ConfigError) -> Option<&Setting> {
        let words = || error.rule().split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named = |setting: &&Setting| words().any(|word| word == format!("{PREFIX}{}", setting.name));
        self.list.iter().find(named)
    }

    fn report_error(&self, error: &ConfigError, blamed: Option<&Setting>, findings: &mut Findings) {
        let name = error.variable();
        // It may be set by something that is not in the input.
        if matches!(self.known(name.strip_prefix(PREFIX).unwrap_or(name)), Known::No) {
            return;
        }
        let rule = if name == "RWS_CONFIG_IP" && error.rule().contains("loopback") {
            &LOOPBACK_BIND
        } else if find(name.strip_prefix(PREFIX).unwrap_or(name)).is_none() {
            &configuration::ENV_UNKNOWN
        } else {
            &configuration::ENV_INVALID
        };
        let Some(setting) = blamed else { return };
        let message = if setting.secret { format!("{name}: {}", error.rule()) } else { error.to_string() };
        findings.add_as(Severity::Error, rule, setting.place, message);
    }

    fn report_notice(&self, name: &str, message: &str, findings: &mut Findings) {
        let Some(setting) = self.setting(name) else { return };
        let (rule, place) = match find(name.strip_prefix(PREFIX).unwrap_or(name)) {
            None => (&configuration::ENV_UNKNOWN, setting.name_place),
            Some(_) => (&configuration::ENV_NO_EFFECT, setting.name_place),
        };
        findings.add(rule, place, format!("{name} {message}"));
    }

    fn setting(&self, full_name: &str) -> Option<&Setting> {
        let own = |setting: &&Setting| setting.written == full_name || format!("{PREFIX}{}", setting.name) == full_name;
        self.list.iter().filter(own).max_by_key(|setting| setting.layer)
    }
}

/// Whether a value can be judged outside of its container: whether a directory exists cannot.
fn can_be_known_here(name: &str) -> bool {
    find(name).is_none_or(|variable| variable.status != Status::Supported || variable.type_name() != "directory")
}

/// As rws reads files: without the line break at their end.
fn without_line_break(text: &str) -> String {
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    line.unwrap_or(text).to_owned()
}
