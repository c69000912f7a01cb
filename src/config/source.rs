//! Where values come from: a snapshot of the environment and of the command line, taken by the caller.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use super::PREFIX;
use super::error::shown_path;

/// Set by kubelet in every container.
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";

/// What [`Config::load`](super::Config::load) reads. Tests make their own; nothing else of the process is looked at.
/// Files are read when the configuration is loaded, so the same sources can be loaded again.
#[derive(Clone, Default)]
pub struct Sources {
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) command_line: Vec<(String, String)>,
    /// Whether they are for another machine.
    pub(super) elsewhere: bool,
}

impl Sources {
    /// Sources with this environment and an empty command line. Variables that are of no interest are dropped.
    pub fn new(environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>) -> Self {
        let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
        let of_interest =
            |name: &OsString| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) || name == KUBERNETES;
        Sources { environment: environment.filter(|(name, _)| of_interest(name)).collect(), ..Sources::default() }
    }

    /// The environment of this process: the only place where the crate reads it.
    pub fn from_process() -> Self {
        Sources::new(std::env::vars_os())
    }

    /// Adds settings of the command line, each a name (with or without `RWS_CONFIG_`) and a value. They win over
    /// everything else.
    #[must_use]
    pub fn with_command_line(mut self, settings: impl IntoIterator<Item = (String, String)>) -> Self {
        self.command_line.extend(settings);
        self
    }

    /// The same sources as a container of a Kubernetes pod would read them: its directories are not looked for here.
    #[must_use]
    pub fn for_a_pod(mut self) -> Self {
        self.environment.push((KUBERNETES.into(), "kubernetes.default.svc".into()));
        Sources { elsewhere: true, ..self }
    }

    /// Whether this is a container of a Kubernetes pod.
    pub fn in_kubernetes(&self) -> bool {
        self.environment.iter().any(|(name, value)| name == KUBERNETES && !value.is_empty())
    }
}

impl fmt::Debug for Sources {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = self.environment.iter().map(|(name, _)| name);
        let command_line = self.command_line.iter().map(|(name, _)| name);
        f.debug_struct("Sources")
            .field("environment", &environment.collect::<Vec<_>>())
            .field("command_line", &command_line.collect::<Vec<_>>())
            .finish()
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file: one in RWS_CONFIG_DIR, or one that a `_FILE` variable names.
    File(PathBuf),
    /// An environment variable.
    Environment,
    /// The command line.
    CommandLine,
    /// The program: a [`Config`](super::Config) made in code.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "file {}", shown_path(path)),
            Origin::Environment => f.write_str("environment"),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Code => f.write_str("code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_interest_is_kept_and_values_are_not_debugged() {
        let sources = Sources::new([("RWS_CONFIG_X", "hunter2"), ("HOME", "/root"), (KUBERNETES, "10.0.0.1")])
            .with_command_line([("PORT".to_owned(), "hunter3".to_owned())]);
        let debug = format!("{sources:?}");
        assert!(debug.contains("RWS_CONFIG_X") && debug.contains("PORT"), "{debug}");
        assert!(!debug.contains("hunter") && !debug.contains("HOME"), "{debug}");
    }

    #[test]
    fn kubernetes_is_recognised_by_its_service_host() {
        for (value, expected) in [("10.96.0.1", true), ("fd00::1", true), ("", false)] {
            assert_eq!(Sources::new([(KUBERNETES, value)]).in_kubernetes(), expected, "{value:?}");
        }
        assert!(!Sources::default().in_kubernetes());
    }
}
