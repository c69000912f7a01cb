//! Collects the texts of all values: command line over environment over the files of RWS_CONFIG_DIR.
//!
//! It decides which text a variable has and where it came from, and reads the files. It does not parse a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::PREFIX;
use super::error::{ConfigError, Notice, Report, full_name, shown_path};
use super::files::{ValueFile, read_directory, read_value};
use super::places::Places;
use super::service_link::is_service_link;
use super::source::{Origin, Sources};
use super::table::{FILE_SUFFIX, Kind, Variable, find, nearest};

/// The text that a variable was given.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) variable: &'static Variable,
    pub(super) text: String,
    pub(super) origin: Origin,
    /// The text came through a `_FILE` variable. A wrong path may lead to a private key, so no error shows it.
    pub(super) hidden: bool,
}

impl fmt::Debug for Setting {
    /// Without the text, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}", self.origin)
    }
}

impl Setting {
    /// Whether a valid value may be a secret all the same. A number from a Secret is no more than a number.
    pub(super) fn is_secret(&self) -> bool {
        self.variable.secret || (self.hidden && self.variable.takes_any_text())
    }

    /// Adds the text, unless it may be secret, and its origin to an error.
    pub(super) fn blame(&self, error: ConfigError) -> ConfigError {
        let hide = self.hidden || self.variable.secret;
        let error = if hide { error.redacted_value() } else { error.value(&self.text) };
        error.origin(&self.origin)
    }
}

/// Settings by name without prefix; for a family, the name of the member.
pub(super) type Settings = BTreeMap<String, Setting>;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) settings: Settings,
    /// Warnings, or errors if STRICT is set, about names that mean nothing.
    pub(super) unknown: Vec<Unknown>,
    /// What files of RWS_CONFIG_DIR say of variables that a layer above has set.
    pub(super) overruled: BTreeMap<String, Setting>,
    /// Where the files are that were read.
    pub(super) places: Places,
    /// Names that some layer has set: the layers below it count no more, even when a file could not be read.
    taken: BTreeSet<String>,
}

/// A name that means nothing.
#[derive(Debug)]
pub(super) struct Unknown {
    /// Without its prefix.
    pub(super) name: String,
    pub(super) message: String,
}

/// One name and value of a layer.
struct Entry {
    /// As it was written, with or without prefix.
    name: String,
    text: String,
    origin: Origin,
}

/// What an entry's name refers to.
struct Meaning {
    variable: &'static Variable,
    /// The variable's name without prefix and `_FILE`.
    name: String,
    via_file: bool,
}

/// Collects from all sources, the one that wins first.
pub(super) fn gather(sources: &Sources, report: &mut Report) -> Gathered {
    let mut gathered = Gathered::default();
    gathered.add(command_line(sources, report), report);
    gathered.add(environment(sources, report), report);
    if let Some(setting) = gathered.settings.get("DIR") {
        let layer = directory(setting, report);
        gathered.places.add_directory(setting.text.trim());
        gathered.add(layer, report);
    }
    gathered
}

fn command_line(sources: &Sources, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, text) in &sources.command_line {
        if meaning(name).is_some() {
            entries.push(Entry { name: name.clone(), text: text.clone(), origin: Origin::CommandLine });
        } else {
            let name = without_prefix(name);
            report.error(ConfigError::new(name, unknown_message(name)).origin(&Origin::CommandLine));
        }
    }
    entries
}

fn environment(sources: &Sources, report: &mut Report) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, value) in &sources.environment {
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Some(name) = name.to_str() else {
            report.error(ConfigError::new(without_prefix(&name.to_string_lossy()), "the name must be UTF-8"));
            continue;
        };
        let short = without_prefix(name);
        let Some(text) = value.to_str() else {
            let secret = meaning(name).is_none_or(|meaning| meaning.variable.secret);
            let error = ConfigError::new(short, "the value must be UTF-8");
            report.error(if secret { error.redacted_value() } else { error.value(&value.to_string_lossy()) });
            continue;
        };
        if is_service_link(short, text) {
            explain_service_link(short, text, report);
        } else {
            entries.push(Entry { name: name.to_owned(), text: text.to_owned(), origin: Origin::Environment });
        }
    }
    entries
}

/// Only a link that takes the name of a variable is worth a word. Any link could be taken for the name of a route.
fn explain_service_link(name: &str, text: &str, report: &mut Report) {
    if find(name).is_none_or(|variable| matches!(variable.kind, Kind::Route { .. })) {
        return;
    }
    let service = format!("{PREFIX}{name}").trim_end_matches("_PORT").to_ascii_lowercase().replace('_', "-");
    let message = format!(
        "is ignored: its value \"{text}\" was injected by Kubernetes for a Service called {service}; \
         set enableServiceLinks: false in the pod's spec, or rename the Service"
    );
    report.notice(Notice::new(name, message));
}

fn directory(setting: &Setting, report: &mut Report) -> Vec<Entry> {
    let dir = setting.text.trim();
    if dir.is_empty() {
        return Vec::new();
    }
    match read_directory(Path::new(dir), |name| meaning(name).is_some()) {
        Ok(files) => files.into_iter().filter_map(|file| directory_entry(file, report)).collect(),
        Err(error) => {
            // One that is not there is told in the words of the check of its value, which comes later and may be the first
            // to miss it: a reload tells once what it has told before.
            let rule = match error.kind() {
                io::ErrorKind::NotFound => setting.variable.rule(),
                _ => "must be a directory that can be read".to_owned(),
            };
            let rule = format!("{rule} ({error})");
            report.error(setting.blame(ConfigError::new("DIR", rule)).example(setting.variable.example));
            Vec::new()
        }
    }
}

fn directory_entry(file: ValueFile, report: &mut Report) -> Option<Entry> {
    let ValueFile { name, path, text } = file;
    match text {
        Ok(text) => Some(Entry { name, text, origin: Origin::File(path) }),
        Err(error) => {
            let rule = format!("the file cannot be read ({error})");
            report.error(ConfigError::new(without_prefix(&name), rule).origin(&Origin::File(path)));
            None
        }
    }
}

impl Gathered {
    /// Adds a layer beneath those that are there.
    fn add(&mut self, layer: Vec<Entry>, report: &mut Report) {
        let mut written = BTreeMap::<String, String>::new();
        for entry in layer {
            let Some(meaning) = meaning(&entry.name) else {
                self.unknown.push(unknown(&entry));
                continue;
            };
            if let Some(first) = written.get(&meaning.name) {
                report.error(set_twice(&meaning.name, first, &entry));
                continue;
            }
            written.insert(meaning.name.clone(), entry.name.clone());
            if self.taken.insert(meaning.name.clone()) {
                self.set(meaning, entry, report);
            } else if let (false, Origin::File(_)) = (meaning.via_file, &entry.origin) {
                let Entry { text, origin, .. } = entry;
                let setting = Setting { variable: meaning.variable, text, origin, hidden: false };
                self.overruled.insert(meaning.name, setting);
            }
        }
    }

    fn set(&mut self, meaning: Meaning, entry: Entry, report: &mut Report) {
        let Meaning { variable, name, via_file } = meaning;
        if !via_file {
            let Entry { text, origin, .. } = entry;
            self.settings.insert(name, Setting { variable, text, origin, hidden: false });
            return;
        }
        let path = PathBuf::from(entry.text.trim());
        self.places.add_file(&path);
        match read_value(&path) {
            Ok(text) => {
                let origin = Origin::File(path);
                self.settings.insert(name, Setting { variable, text, origin, hidden: true });
            }
            Err(error) => {
                let rule = format!("must be the path of a file that can be read ({error})");
                let example = format!("/run/secrets/{}", name.to_ascii_lowercase());
                let error = ConfigError::new(&(name + FILE_SUFFIX), rule).value(&entry.text);
                report.error(error.origin(&entry.origin).example(&example));
            }
        }
    }
}

fn set_twice(name: &str, first: &str, second: &Entry) -> ConfigError {
    let rule = if first == second.name {
        "is set more than once; keep one".to_owned()
    } else {
        format!("is set by both {first} and {}; keep one", second.name)
    };
    match &second.origin {
        // The directory is of interest; the environment goes without saying.
        Origin::File(path) => ConfigError::new(name, rule).origin(&Origin::File(parent(path))),
        origin => ConfigError::new(name, rule).origin(origin),
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn unknown(entry: &Entry) -> Unknown {
    let name = without_prefix(&entry.name).to_owned();
    let from = match &entry.origin {
        Origin::File(path) => format!("(from {}) ", shown_path(path)),
        _ => String::new(),
    };
    Unknown { message: from + &unknown_message(&name), name }
}

fn unknown_message(name: &str) -> String {
    let suggestion = nearest(name).map(|name| format!("; did you mean {}?", full_name(name)));
    format!("is not a known setting and has no effect{}", suggestion.unwrap_or_default())
}

/// A name that is known as a whole comes first: TLS_CERT_FILE is not the file of a TLS_CERT.
fn meaning(written: &str) -> Option<Meaning> {
    let name = without_prefix(written);
    if let Some(variable) = find(name) {
        return Some(Meaning { variable, name: name.to_owned(), via_file: false });
    }
    let name = name.strip_suffix(FILE_SUFFIX)?;
    Some(Meaning { variable: find(name)?, name: name.to_owned(), via_file: true })
}

fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}
