//! `rws probe`: asks a running server how it is, where the image has no shell and no curl.
//!
//! It finds the server as the server found its place: from the same variables. It reads only those that tell where
//! probes are answered, since a ConfigMap that went bad after the start must not have a healthy server restarted.

mod client;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::output::{self, complain, finish};
use crate::config::{self, Config, ConfigErrors, PREFIX, Sources};
use client::{Answer, Scheme};

pub(super) const EXAMPLES: &str = "Examples:
  rws probe readyz                     should this server get traffic?
  rws probe readyz shutdown            the same for one check
  rws probe healthz --timeout 500ms
  rws probe livez --verbose            with the checks that pass

In a Dockerfile:
  HEALTHCHECK CMD [\"/usr/local/bin/rws\", \"probe\", \"healthz\"]

In a pod:
  livenessProbe: { exec: { command: [/usr/local/bin/rws, probe, livez] } }

It asks RWS_CONFIG_ADMIN_PORT, if that is set, else RWS_CONFIG_PORT, with TLS if the server has a certificate, at the
path of RWS_CONFIG_READYZ_PATH and so on: give it the environment and the options of the server.

Exit codes: 0 the server says yes, 1 it says no or does not answer in time, 2 wrong usage or configuration.";

#[derive(clap::Args)]
pub(super) struct Options {
    /// What to ask
    #[arg(value_enum)]
    question: Question,
    /// One check instead of all; for readyz
    check: Option<String>,
    /// Time for everything: to connect, to ask and to read the answer
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = time_limit)]
    timeout: Duration,
    /// Print the whole answer, not only what fails
    #[arg(short, long)]
    verbose: bool,
}

/// The probes, by the names that their paths have by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Question {
    /// Should it get traffic now?
    Readyz,
    /// Does the process work?
    Healthz,
    /// The same
    Livez,
    /// Has it started?
    Startupz,
}

impl Question {
    /// As it is written on the command line.
    fn name(self) -> &'static str {
        match self {
            Question::Readyz => "readyz",
            Question::Healthz => "healthz",
            Question::Livez => "livez",
            Question::Startupz => "startupz",
        }
    }
}

fn time_limit(text: &str) -> Result<Duration, &'static str> {
    let limit = config::duration(text).filter(|limit| !limit.is_zero());
    limit.ok_or("must be a duration such as 500ms, 1s or 1m, and longer than nothing")
}

/// Asks, prints what fails, and tells by the exit code.
pub(super) fn run(options: &Options, sources: &Sources) -> ExitCode {
    let place = match Place::find(options, sources) {
        Ok(place) => place,
        Err(error) => return complain(&error.to_string(), 2),
    };
    match client::get(place.scheme, &place.addresses, &place.path, options.timeout) {
        Ok(answer) => finish(&report(&answer, &place, options.verbose), ExitCode::from(u8::from(!answer.is_ok()))),
        Err(error) => output::fail(&format!("{place}: {error}")),
    }
}

/// Where to ask.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    scheme: Scheme,
    /// The first one that can be connected to.
    addresses: Vec<SocketAddr>,
    /// With its query.
    path: String,
}

/// Why there is no place to ask.
#[derive(Debug)]
enum NoPlace {
    Config(ConfigErrors),
    /// By this variable.
    ChosenBySystem(&'static str),
    /// The only port there is refuses who has none.
    ClientCertificate,
    OneCheckOf(Question),
    CheckName,
}

impl Place {
    /// The variables that tell where probes are answered.
    #[rustfmt::skip]
    const VARIABLES: &'static [&'static str] = &[
        "DIR", "IP", "PORT", "ADMIN_IP", "ADMIN_PORT", "HEALTHZ_PATH", "READYZ_PATH", "STARTUPZ_PATH",
        "TLS_CERT_FILE", "VIRTUAL_HOST_<N>_CERT_FILE", "TLS_CLIENT_CA_FILE", "TLS_CLIENT_AUTH",
    ];

    fn find(options: &Options, sources: &Sources) -> Result<Self, NoPlace> {
        let config = Config::load_only(sources, Self::VARIABLES).map_err(NoPlace::Config)?;
        // The admin port never runs out of connections, and looks at the main one itself to answer readyz.
        let (scheme, address) = match config.admin_address() {
            Some(address) => (Scheme::Http, address),
            None => (scheme(&config), SocketAddr::new(config.ip, config.port)),
        };
        if config.admin_port.is_none() && config.requires_client_certificates() {
            return Err(NoPlace::ClientCertificate);
        }
        if address.port() == 0 {
            return Err(NoPlace::ChosenBySystem(if config.admin_port.is_some() { "ADMIN_PORT" } else { "PORT" }));
        }
        let addresses = reachable(address.ip()).into_iter().map(|ip| SocketAddr::new(ip, address.port())).collect();
        Ok(Place { scheme, addresses, path: path(options, &config)? })
    }
}

#[cfg(feature = "tls")]
fn scheme(config: &Config) -> Scheme {
    if config.speaks_tls() { Scheme::Https } else { Scheme::Http }
}

/// Without TLS in the program, the variable that asks for it is an error.
#[cfg(not(feature = "tls"))]
fn scheme(_: &Config) -> Scheme {
    Scheme::Http
}

/// The path and query that ask `options`' question. `verbose`, so that degraded checks are seen as well.
fn path(options: &Options, config: &Config) -> Result<String, NoPlace> {
    let path = match options.question {
        Question::Readyz => &config.readyz_path,
        Question::Healthz | Question::Livez => &config.healthz_path,
        Question::Startupz => &config.startupz_path,
    };
    match &options.check {
        None => Ok(format!("{path}?verbose")),
        Some(_) if options.question != Question::Readyz => Err(NoPlace::OneCheckOf(options.question)),
        Some(check) if !is_check_name(check) => Err(NoPlace::CheckName),
        Some(check) => Ok(format!("{}/{check}?verbose", path.trim_end_matches('/'))),
    }
}

/// What `Check::name` promises.
fn is_check_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && !matches!(name, "." | "..") && name.bytes().all(plain)
}

/// From inside the pod, a server on all addresses is reached on loopback. One on `::` takes IPv4 as well, and a
/// container may be without `::1`.
fn reachable(ip: IpAddr) -> Vec<IpAddr> {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(ip) if ip.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        ip => vec![ip],
    }
}

/// What to print: the lines of what fails or is degraded, or all of them.
fn report(answer: &Answer, place: &Place, verbose: bool) -> String {
    let lines: Vec<&str> = answer.body.lines().collect();
    let wanted = |line: &&&str| verbose || line.starts_with("[-]") || line.starts_with("[~]");
    let mut text: String = lines.iter().filter(wanted).map(|line| format!("{}\n", plain(line))).collect();
    if answer.is_ok() {
        return if verbose { text } else { text + "ok\n" };
    }
    // Not one of our probes, or a page of something else that listens there.
    if text.is_empty() {
        text = lines.first().map(|line| format!("{}\n", plain(line))).unwrap_or_default();
    }
    text + &format!("{place} answered {}\n", answer.status)
}

/// Whatever listens there must not paint the terminal.
fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        let address = self.addresses.first().map(ToString::to_string).unwrap_or_default();
        let scheme = if self.scheme == Scheme::Http { "http" } else { "https" };
        write!(f, "{scheme}://{address}{path}")
    }
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPlace::Config(errors) => write!(f, "{errors}"),
            NoPlace::ChosenBySystem(name) => write!(
                f,
                "{PREFIX}{name}=0 lets the system choose the port, so a probe cannot know it; set a port, or give the \
                 one that the server's log tells with --set {name}=..."
            ),
            NoPlace::ClientCertificate => write!(
                f,
                "{PREFIX}TLS_CLIENT_CA_FILE has {PREFIX}PORT refuse who has no client certificate, as probes have none: set \
                 {PREFIX}ADMIN_PORT, which they ask then, or {PREFIX}TLS_CLIENT_AUTH=optional"
            ),
            NoPlace::OneCheckOf(question) => {
                write!(f, "single checks are answered by readyz only, not by {}: leave the check out", question.name())
            }
            NoPlace::CheckName => f.write_str("the name of a check has letters, digits, `-`, `_` and `.` only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(question: Question, check: Option<&str>) -> Options {
        let (check, timeout) = (check.map(String::from), Duration::from_secs(1));
        Options { question, check, timeout, verbose: false }
    }

    fn find(question: Question, check: Option<&str>, settings: &[(&str, &str)]) -> Result<String, String> {
        let sources = Sources::new(settings.iter().copied());
        let place = Place::find(&options(question, check), &sources).map_err(|error| error.to_string())?;
        let addresses: Vec<_> = place.addresses.iter().map(ToString::to_string).collect();
        Ok(format!("{} {}", addresses.join(" "), place.path))
    }

    /// A question, a check, settings, and what comes of them.
    type Case<'a> = (Question, Option<&'a str>, &'a [(&'a str, &'a str)], &'a str);

    #[test]
    fn the_place_follows_from_the_configuration() {
        use Question::{Healthz, Livez, Readyz, Startupz};
        let cases: &[Case<'_>] = &[
            (Readyz, None, &[], "127.0.0.1:7878 /readyz?verbose"),
            (Healthz, None, &[("RWS_CONFIG_PORT", "81")], "127.0.0.1:81 /healthz?verbose"),
            (Livez, None, &[("RWS_CONFIG_HEALTHZ_PATH", "/alive")], "127.0.0.1:7878 /alive?verbose"),
            (Startupz, None, &[("RWS_CONFIG_STARTUPZ_PATH", "/up")], "127.0.0.1:7878 /up?verbose"),
            (Readyz, Some("db"), &[("RWS_CONFIG_READYZ_PATH", "/r")], "127.0.0.1:7878 /r/db?verbose"),
            (Readyz, None, &[("RWS_CONFIG_IP", "::")], "[::1]:7878 127.0.0.1:7878 /readyz?verbose"),
            (Readyz, None, &[("RWS_CONFIG_IP", "10.1.2.3")], "10.1.2.3:7878 /readyz?verbose"),
            (Readyz, None, &[("RWS_CONFIG_IP", "fd00::7")], "[fd00::7]:7878 /readyz?verbose"),
            (Readyz, None, &[("RWS_CONFIG_ADMIN_PORT", "9090")], "127.0.0.1:9090 /readyz?verbose"),
            (
                Readyz,
                None,
                &[("RWS_CONFIG_ADMIN_PORT", "9090"), ("RWS_CONFIG_ADMIN_IP", "10.1.2.3")],
                "10.1.2.3:9090 /readyz?verbose",
            ),
            #[cfg(feature = "tls")]
            (
                Readyz,
                None,
                &[("RWS_CONFIG_TLS_CLIENT_CA_FILE", "/ca"), ("RWS_CONFIG_ADMIN_PORT", "9090")],
                "127.0.0.1:9090 /readyz?verbose",
            ),
            #[cfg(feature = "tls")]
            (
                Readyz,
                None,
                &[("RWS_CONFIG_TLS_CLIENT_CA_FILE", "/ca"), ("RWS_CONFIG_TLS_CLIENT_AUTH", "optional")],
                "127.0.0.1:7878 /readyz?verbose",
            ),
            // What else is wrong is not the probe's business.
            (
                Readyz,
                None,
                &[("RWS_CONFIG_LOG_FORMAT", "xml"), ("RWS_CONFIG_STRICT", "x")],
                "127.0.0.1:7878 /readyz?verbose",
            ),
        ];
        for (question, check, settings, expected) in cases {
            assert_eq!(find(*question, *check, settings).as_deref(), Ok(*expected), "{settings:?}");
        }
    }

    #[test]
    fn without_a_place_the_reason_is_told() {
        use Question::{Healthz, Readyz};
        let cases: &[Case<'_>] = &[
            (Readyz, None, &[("RWS_CONFIG_PORT", "banana")], "must be a whole number"),
            (Readyz, None, &[("RWS_CONFIG_PORT", "0")], "RWS_CONFIG_PORT=0 lets the system choose"),
            (Readyz, None, &[("RWS_CONFIG_ADMIN_PORT", "0")], "RWS_CONFIG_ADMIN_PORT=0 lets the system choose"),
            (Readyz, None, &[("RWS_CONFIG_DIR", "/nonexistent")], "must be a"),
            #[cfg(feature = "tls")]
            (
                Readyz,
                None,
                &[("RWS_CONFIG_VIRTUAL_HOST_1_CERT_FILE", "/c"), ("RWS_CONFIG_TLS_CLIENT_CA_FILE", "/ca")],
                "set RWS_CONFIG_ADMIN_PORT",
            ),
            (Healthz, Some("db"), &[], "readyz only"),
            (Readyz, Some("a b"), &[], "letters, digits"),
            (Readyz, Some(".."), &[], "letters, digits"),
            (Readyz, Some(""), &[], "letters, digits"),
        ];
        for (question, check, settings, expected) in cases {
            let error = find(*question, *check, settings).expect_err("there is none");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_fails_is_printed_and_nothing_else() {
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 7878))];
        let place = Place { scheme: Scheme::Http, addresses, path: "/readyz?verbose".into() };
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        let failing = "[+]ping ok\n[-]db failed: reason withheld\n[~]cache degraded\nreadyz check failed\n";
        let cases = [
            (answer(200, "[+]ping ok\nreadyz check passed\n"), false, "ok\n"),
            (answer(200, "[+]ping ok\n[~]cache degraded\nreadyz check passed\n"), false, "[~]cache degraded\nok\n"),
            (answer(200, "[+]ping ok\nreadyz check passed\n"), true, "[+]ping ok\nreadyz check passed\n"),
            (
                answer(503, failing),
                false,
                "[-]db failed: reason withheld\n[~]cache degraded\nhttp://127.0.0.1:7878/readyz answered 503\n",
            ),
            (answer(404, "<h1>\u{1b}[31mNo\n</h1>"), false, "<h1>[31mNo\nhttp://127.0.0.1:7878/readyz answered 404\n"),
            (answer(500, ""), false, "http://127.0.0.1:7878/readyz answered 500\n"),
        ];
        for (answer, verbose, expected) in cases {
            assert_eq!(report(&answer, &place, verbose), expected);
        }
    }
}
