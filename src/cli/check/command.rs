//! What a container runs: rws itself, rws behind a shell, or something else.

use clap::Parser;

use super::environment::Environment;
use super::place::Place;
use super::workload::Container;
use crate::cli::{Cli, Command};

const SHELLS: [&str; 6] = ["sh", "bash", "ash", "dash", "zsh", "busybox"];

/// What `command` and `args` make of a container.
#[derive(Debug)]
pub(super) enum Program {
    /// What the image says, without arguments of the manifest's.
    Image,
    /// rws with the settings of its command line.
    Rws(Vec<(String, String)>),
    /// rws with a command line that it would refuse, for this reason.
    Refused { why: String, place: Place },
    /// Another command of the binary, such as `rws probe`.
    OtherCommand,
    /// A script in a shell.
    Shell { script: String, place: Place },
    /// Something else, or something that depends on what is not known.
    Other,
}

impl Program {
    /// `stock`: the image's own program is rws.
    pub(super) fn of(container: &Container<'_>, environment: &Environment, stock: bool) -> Self {
        let (command, args) = (container.words("command"), container.words("args"));
        let field = if args.is_empty() { "command" } else { "args" };
        let place = container.node.get(field).map_or(container.place(), |node| node.place);
        let words: Vec<&str> = command.iter().chain(&args).copied().collect();
        if words.is_empty() {
            return Program::Image;
        }
        let Some(words) = words.iter().map(|word| environment.expand(word)).collect::<Option<Vec<String>>>() else {
            return Program::Other;
        };
        if let Some(script) = script_of(&words) {
            return Program::Shell { script, place };
        }
        match position_of_rws(&words) {
            Some(at) => settings(&words[at + 1..], place),
            None if command.is_empty() && stock => settings(&words, place),
            None => Program::Other,
        }
    }
}

/// `probe` of `["/bin/sh", "-c", "probe"]`.
pub(super) fn script_of(words: &[String]) -> Option<String> {
    let first = words.first()?;
    let option = words.iter().position(|word| word.starts_with('-') && word.ends_with('c'))?;
    is_shell(first).then(|| words.get(option + 1).cloned()).flatten()
}

/// Where rws stands among the words of a command, alone or behind others that start it, such as `tini --`. The value of
/// an option, as in `--static-dir /srv/rws`, is none.
pub(super) fn position_of_rws(words: &[String]) -> Option<usize> {
    let is_option = |word: &String| word.len() > 2 && word.starts_with("--");
    let is_value = |at: usize| at.checked_sub(1).is_some_and(|before| is_option(&words[before]));
    (0..words.len()).find(|at| base_name(&words[*at]) == "rws" && !is_value(*at))
}

pub(super) fn is_shell(word: &str) -> bool {
    SHELLS.contains(&base_name(word))
}

pub(super) fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a script runs rws.
pub(super) fn runs_rws(script: &str) -> bool {
    script.split(|c: char| c.is_whitespace() || ";&|()".contains(c)).any(|word| base_name(word) == "rws")
}

/// Why rws would refuse these words, if the first of them is rws.
pub(super) fn refused(words: &[String]) -> Option<String> {
    let (first, arguments) = words.split_first()?;
    (base_name(first) == "rws").then(|| parse(arguments).err()).flatten()
}

/// Read as the binary itself reads them.
fn settings(arguments: &[String], place: Place) -> Program {
    match parse(arguments) {
        Ok(Some(Cli { command: None | Some(Command::Serve), settings })) => Program::Rws(settings.into_pairs()),
        Ok(_) => Program::OtherCommand,
        Err(why) => Program::Refused { why, place },
    }
}

/// `None`: it only asks for help or the version.
fn parse(arguments: &[String]) -> Result<Option<Cli>, String> {
    let words = std::iter::once("rws").chain(arguments.iter().map(String::as_str));
    match Cli::try_parse_from(words) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => Ok(None),
        Err(error) => {
            let text = error.render().to_string();
            Err(text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned())
        }
    }
}
