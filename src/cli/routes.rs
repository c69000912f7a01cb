//! `rws routes`: what the server would answer, and who says so.

use std::process::ExitCode;

use clap::builder::styling::Style;
use serde::Serialize;

use super::config::{self, Format};
use super::output::{DIM, Table, complain, finish};
use super::{application, defaults};
use crate::app::build::BuiltApp;
use crate::app::route_info::RouteInfo;
use crate::app::service::{EndpointKind, Service};
use crate::config::{Config, PREFIX, Sources};
use crate::files;
use crate::run::assemble;

pub(super) const EXAMPLES: &str = "Examples:
  rws routes
  rws routes --format json
  RWS_CONFIG_ROUTE_HELLO='GET /hello/{name} -> respond 200 text/plain Hello!' rws routes

HEAD is answered wherever GET is, and OPTIONS everywhere. The routes of a host have its name before the pattern. The label is what metrics and logs call the route.
Exit codes: 0, or 2 when the configuration is wrong or routes contradict each other.";

#[derive(clap::Args)]
pub(super) struct Options {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
}

/// Assembles the application as `rws serve` does, and lists its routes.
pub(super) fn run(options: &Options, sources: &Sources) -> ExitCode {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let config = loaded.config.clone();
    let built = match assemble(application(), loaded, defaults()) {
        Ok(built) => built,
        Err(error) => return complain(&error.to_string(), 2),
    };
    let entries = entries(&built, &config);
    let text = match options.format {
        Format::Text => table(&entries),
        // Texts only, so that nothing can fail.
        Format::Json => serde_json::to_string_pretty(&entries).unwrap_or_default() + "\n",
    };
    finish(&text, ExitCode::SUCCESS)
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    methods: &'a str,
    /// `None`: every host that has no routes of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    pattern: &'a str,
    kind: &'static str,
    label: &'a str,
    from: String,
}

fn entries<'a>(built: &'a BuiltApp, config: &Config) -> Vec<Entry<'a>> {
    // Endpoint 0 is what no route matches.
    let endpoints = built.endpoints().iter().skip(1);
    let entry = |(route, endpoint): (&'a RouteInfo, &'a crate::app::service::Endpoint)| Entry {
        methods: &route.method,
        host: route.host.as_deref(),
        pattern: &route.pattern,
        kind: kind(endpoint.kind),
        label: &endpoint.template,
        from: origin(route, &endpoint.template, config),
    };
    built.routes().iter().zip(endpoints).map(entry).collect()
}

fn kind(kind: EndpointKind) -> &'static str {
    match kind {
        EndpointKind::Route => "route",
        EndpointKind::Probe => "probe",
        EndpointKind::Metrics => "metrics",
        EndpointKind::Admin => "admin",
    }
}

/// What an operator would change to change the route.
fn origin(route: &RouteInfo, label: &str, config: &Config) -> String {
    let pattern = route.pattern.as_str();
    let setting = match route.kind {
        EndpointKind::Metrics if config.admin_port.is_some() => return format!("404: moved by {PREFIX}ADMIN_PORT"),
        EndpointKind::Metrics => "METRICS_PATH",
        EndpointKind::Probe if pattern == config.healthz_path => "HEALTHZ_PATH",
        EndpointKind::Probe if pattern == config.startupz_path => "STARTUPZ_PATH",
        EndpointKind::Probe if pattern.starts_with(&config.readyz_path) => "READYZ_PATH",
        EndpointKind::Probe | EndpointKind::Admin => return "built in".to_owned(),
        EndpointKind::Route => return origin_of_own(route, label, config),
    };
    format!("{PREFIX}{setting}")
}

fn origin_of_own(route: &RouteInfo, label: &str, config: &Config) -> String {
    let method = |spec: &crate::config::route::RouteSpec| match &spec.method {
        Some(method) => method.as_str() == route.method,
        None => true,
    };
    // Neither variables nor files are for one host.
    if route.host.is_some() {
        return route.at.to_string();
    }
    if let Some(spec) = config.routes.iter().find(|spec| spec.pattern == route.pattern && method(spec)) {
        return format!("{PREFIX}ROUTE_{}", spec.name);
    }
    match label {
        files::LABEL => match &config.static_dir {
            Some(dir) => format!("{PREFIX}STATIC_DIR ({})", dir.display()),
            None => "files in ./public".to_owned(),
        },
        _ if config.demo_routes && route.pattern.starts_with("/demo/") => format!("{PREFIX}DEMO_ROUTES"),
        "/" => "welcome page".to_owned(),
        _ => route.at.to_string(),
    }
}

fn table(entries: &[Entry<'_>]) -> String {
    let mut table = Table::new(&["METHOD", "PATTERN", "KIND", "LABEL", "FROM"]);
    for entry in entries {
        let style = if entry.kind == "route" { Style::new() } else { DIM };
        let pattern = format!("{}{}", entry.host.unwrap_or_default(), entry.pattern);
        table.add(style, [entry.methods, &pattern, entry.kind, entry.label, &entry.from].map(String::from).to_vec());
    }
    table.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, Router, get};

    #[test]
    fn the_routes_of_a_host_are_told_from_those_of_all() {
        let shop = Router::new().route("/", get(|| "shop"));
        let app = App::new().host("shop.example.com", shop).route("/", get(|| "all"));
        let config = Config::default();
        let built = assemble(app, config.clone().into(), crate::run::Defaults::default()).unwrap();
        let entries = entries(&built, &config);
        let hosts: Vec<_> = entries.iter().filter(|entry| entry.pattern == "/").map(|entry| entry.host).collect();
        assert_eq!(hosts.len(), 2);
        assert!(hosts.contains(&None) && hosts.contains(&Some("shop.example.com")), "{hosts:?}");
        let row = table(&entries).lines().find(|row| row.contains("shop.example.com/ ")).map(str::to_owned).unwrap();
        assert!(row.starts_with("GET") && row.contains("routes.rs:"), "{row}");
        let json = serde_json::to_value(&entries).unwrap();
        assert!(json.as_array().unwrap().iter().any(|entry| entry["host"] == "shop.example.com"));
    }
}
