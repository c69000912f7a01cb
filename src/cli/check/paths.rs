//! Which paths rws answers, and which of them a wrong one was probably meant to be.

use matchit::Router;

use super::server::{Listener, Server};
use super::settings::Known;
use super::workload::ProbeKind;
use crate::config::PREFIX;
use crate::semantics::target::is_below;

const LIVEZ: &str = "/livez";

/// The probes of rws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Healthz,
    Readyz,
    /// One check of readiness.
    OneCheck,
    Startupz,
}

/// What a path would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Probe(Endpoint),
    Metrics,
    /// Something of the user's, which is called so.
    Route(String),
    Nothing,
    /// It depends on what is not known.
    Unknown,
}

impl Server<'_> {
    /// What `target` gets on this listener.
    pub(super) fn answer(&self, target: &str, listener: Option<&Listener>) -> Answer {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let config = &self.settings.config;
        let built_in = [
            ("HEALTHZ_PATH", &config.healthz_path, Endpoint::Healthz),
            ("READYZ_PATH", &config.readyz_path, Endpoint::Readyz),
            ("STARTUPZ_PATH", &config.startupz_path, Endpoint::Startupz),
        ];
        if let Some((_, _, endpoint)) = built_in.iter().find(|(_, own, _)| *own == path) {
            return Answer::Probe(*endpoint);
        }
        let one = path.strip_prefix(config.readyz_path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
        if one.is_some_and(|name| !name.is_empty() && !name.contains('/')) {
            return Answer::Probe(Endpoint::OneCheck);
        }
        if path == LIVEZ {
            return Answer::Probe(Endpoint::Healthz);
        }
        // With an admin port the metrics are there and nowhere else.
        let on_admin = listener.map(|listener| listener.variable == "ADMIN_PORT");
        let metrics_on_admin = matches!(self.settings.known("ADMIN_PORT"), Known::Set(_));
        if path == config.metrics_path && on_admin.is_none_or(|on_admin| on_admin == metrics_on_admin) {
            return Answer::Metrics;
        }
        if on_admin == Some(true) {
            let page = ["/", "/configz", "/statusz"].contains(&path);
            return if page { Answer::Route("a page of the admin port".to_owned()) } else { Answer::Nothing };
        }
        self.own_route(path).unwrap_or(if self.settings.open { Answer::Unknown } else { Answer::Nothing })
    }

    fn own_route(&self, path: &str) -> Option<Answer> {
        let config = &self.settings.config;
        for route in &config.routes {
            let mut router = Router::new();
            let _ = router.insert(&route.pattern, ());
            if router.at(path).is_ok() {
                return Some(Answer::Route(format!("{PREFIX}ROUTE_{}", route.name)));
            }
        }
        if config.demo_routes && path.starts_with("/demo/") {
            return Some(Answer::Route("a demonstration route".to_owned()));
        }
        let below = is_below(path, &config.static_prefix);
        if self.settings.text("STATIC_DIR").is_some() {
            return below.then(|| Answer::Route("a file of RWS_CONFIG_STATIC_DIR".to_owned()));
        }
        // The welcome page, or the index of ./public.
        (path == "/" && self.stock).then(|| Answer::Route("the start page".to_owned()))
    }

    /// The path that is made for this kind of probe.
    pub(super) fn path_for(&self, kind: ProbeKind) -> &str {
        let config = &self.settings.config;
        match kind {
            ProbeKind::Startup => &config.startupz_path,
            ProbeKind::Liveness => &config.healthz_path,
            ProbeKind::Readiness => &config.readyz_path,
        }
    }
}

/// The path that `wrong` was meant to be, and what is wrong with it if it is a slip of the pen.
pub(super) fn nearest(server: &Server<'_>, wrong: &str, kind: ProbeKind) -> (String, Option<&'static str>) {
    let config = &server.settings.config;
    let own = [&config.healthz_path, &config.readyz_path, &config.startupz_path].map(String::as_str);
    let known = || own.into_iter().chain([LIVEZ]);
    let path = wrong.split('?').next().unwrap_or_default();
    let trimmed = path.trim_end_matches('/');
    if let Some(found) = known().find(|known| *known == trimmed) {
        return (found.to_owned(), Some("a slash at the end makes it another path"));
    }
    if let Some(found) = known().find(|known| known.eq_ignore_ascii_case(trimmed)) {
        return (found.to_owned(), Some("paths are case-sensitive"));
    }
    if let Some(found) = known().find(|known| known.trim_start_matches('/') == trimmed.trim_start_matches('/')) {
        return (found.to_owned(), Some("it must begin with one slash"));
    }
    if let Some(moved) = moved(server, trimmed) {
        return (moved.to_owned(), Some("the path was moved"));
    }
    (server.path_for(kind).to_owned(), None)
}

/// Where a probe went that is not at its usual place.
fn moved<'s>(server: &'s Server<'_>, path: &str) -> Option<&'s str> {
    let config = &server.settings.config;
    match path {
        "/healthz" => Some(&config.healthz_path),
        "/readyz" => Some(&config.readyz_path),
        "/startupz" => Some(&config.startupz_path),
        _ => None,
    }
}
