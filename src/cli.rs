//! The command line of the `rws` binary: its commands, and the settings that all of them take.

pub mod check;
mod config;
mod documents;
mod manifest;
mod output;
mod probe;
mod routes;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::app::App;
use crate::config::{PREFIX, Sources};
use crate::run::{Defaults, leave_reason, run};

const ABOUT: &str = "An HTTP/1.1 application server for Kubernetes";

// Each paragraph is one line, to be broken where the terminal ends.
const LONG_ABOUT: &str = "An HTTP/1.1 application server for Kubernetes.

Serves static files and the routes of its configuration, with health probes (/healthz, /readyz, /startupz), Prometheus \
metrics (/metrics), a JSON access log on stdout and a drain that loses no request.

Everything is set by RWS_CONFIG_* variables; see docs/CONFIGURATION.md, or rws config.";

const EXAMPLES: &str = "Examples:
  rws                                               serve ./public, or a welcome page, on port 7878
  RWS_CONFIG_PORT=8080 RWS_CONFIG_STATIC_DIR=/srv rws
  rws --port 8080 --static-dir /srv                 the same
  rws --set DEMO_ROUTES=true --set LOG_FORMAT=combined
  RWS_CONFIG_ROUTE_HELLO='GET /hello/{name} -> respond 200 text/plain Hello, {name}!' rws

Exit codes: 0 drained, 1 failed at run time, 2 bad configuration, 3 cannot bind, 4 drain timed out,
128+n ended by a second signal n.";

#[derive(Parser)]
#[command(name = "rws", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (what happens without a command as well)
    #[command(after_help = EXAMPLES)]
    Serve,
    /// Check a configuration, or the manifests that deploy it
    #[command(after_help = check::EXAMPLES)]
    Check(check::Arguments),
    /// Ask a running server how it is: for HEALTHCHECK and exec probes
    #[command(after_help = probe::EXAMPLES)]
    Probe(probe::Options),
    /// Print every effective value and where it came from
    #[command(after_help = config::EXAMPLES)]
    Config(config::Options),
    /// List the routes
    #[command(after_help = routes::EXAMPLES)]
    Routes(routes::Options),
    /// Print Kubernetes objects that fit this configuration
    #[command(after_help = manifest::EXAMPLES)]
    Manifest(manifest::Options),
    /// Print a completion script for a shell
    #[command(after_help = documents::COMPLETIONS_EXAMPLES)]
    Completions(documents::Completions),
    /// Print the manual page
    #[command(after_help = documents::MAN_EXAMPLES)]
    Man(documents::Page),
}

/// Settings that take precedence over the environment.
#[derive(clap::Args)]
struct Settings {
    /// Address to listen on [RWS_CONFIG_IP]
    #[arg(short, long, global = true, value_name = "ADDRESS")]
    ip: Option<String>,
    /// Port to listen on [RWS_CONFIG_PORT]
    #[arg(short, long, global = true, value_name = "PORT")]
    port: Option<String>,
    /// Directory of files to serve [RWS_CONFIG_STATIC_DIR]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    static_dir: Option<String>,
    /// Any variable, with or without RWS_CONFIG_; may be repeated
    #[arg(long = "set", global = true, value_name = "NAME=VALUE", value_parser = name_and_value)]
    set: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE, for example PORT=8080")?;
    Ok((name.strip_prefix(PREFIX).unwrap_or(name).to_owned(), value.to_owned()))
}

impl Settings {
    fn into_pairs(self) -> Vec<(String, String)> {
        let named = [("IP", self.ip), ("PORT", self.port), ("STATIC_DIR", self.static_dir)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        named.chain(self.set).map(|(name, value)| (format!("{PREFIX}{name}"), value)).collect()
    }
}

/// Ends because of the arguments, or because they ask for no more than help. What keeps a server from starting is left
/// for `kubectl describe pod`; what is wrong with a command beside it, such as a probe's, is not why the pod ends.
fn refuse(error: &clap::Error) -> ! {
    let matches = Cli::command().ignore_errors(true).try_get_matches().ok();
    let aside = matches.is_some_and(|matches| matches.subcommand_name().is_some_and(|name| name != "serve"));
    if error.use_stderr() && !aside {
        leave_reason(&error.render().to_string());
    }
    error.exit()
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let Cli { command, settings } = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    let mut settings = settings.into_pairs();
    if let (Some(Command::Probe(_)), true) = (&command, settings.is_empty()) {
        settings = settings_of_the_server().unwrap_or_default();
    }
    let sources = Sources::from_process().with_command_line(settings.clone());
    match command.unwrap_or(Command::Serve) {
        Command::Serve => run(application(), &sources, defaults()),
        Command::Check(arguments) => check::run(&arguments, settings),
        Command::Probe(options) => probe::run(&options, &sources),
        Command::Config(options) => config::run(&options, &sources),
        Command::Routes(options) => routes::run(&options, &sources),
        Command::Manifest(options) => manifest::run(&options, sources),
        Command::Completions(options) => documents::completions(&options, Cli::command()),
        Command::Man(options) => documents::man(&options, Cli::command()),
    }
}

/// What the server of this container, its first process, has on its command line: a probe gets the container's environment
/// and not these.
fn settings_of_the_server() -> Option<Vec<(String, String)>> {
    let program = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
    if program("1")? != program("self")? {
        return None;
    }
    let words = String::from_utf8(fs::read("/proc/1/cmdline").ok()?).ok()?;
    match Cli::try_parse_from(words.split_terminator('\0')).ok()? {
        Cli { command: None | Some(Command::Serve), settings } => Some(settings.into_pairs()),
        _ => None,
    }
}

/// What the binary serves besides what its configuration says.
fn application() -> App {
    App::new()
}

fn defaults() -> Defaults {
    Defaults { static_dir: Some(PathBuf::from("public")), welcome: true }
}
