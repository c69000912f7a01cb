//! The routes every server has: probes, metrics, static files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;

use crate::app::request::Received;
use crate::app::service::EndpointKind;
use crate::app::{App, get};
use crate::config::{Config, Live};
use crate::error::{Error, ErrorKind};
use crate::files::Files;
use crate::files::welcome::Welcome;
use crate::ops::metrics::Metrics;
use crate::ops::probes::{Probe, Probes};

use super::site;

/// What is served where the configuration says nothing.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    /// A directory of files to serve at `/`, if it exists.
    pub static_dir: Option<PathBuf>,
    /// Whether a welcome page is shown if there are no files to serve.
    pub welcome: bool,
}

/// Adds probes and metrics. A route of the user's at the same place is an error when the application is built.
pub(super) fn mount(app: App, live: &Live, probes: &Arc<Probes>, metrics: &Arc<Metrics>) -> App {
    let running = live.running();
    let config = &running.loaded.config;
    let told = probes.clone();
    live.follow(move |config| told.reconfigure(config));
    let app = mount_probes(app, config, probes);
    match config.admin_port {
        None => mount_metrics(app, config, metrics),
        Some(_) => mount_moved_metrics(app, config),
    }
}

/// Adds the metrics.
pub(super) fn mount_metrics(app: App, config: &Config, metrics: &Arc<Metrics>) -> App {
    let metrics = metrics.clone();
    let render = get(move |received: Arc<Received>| metrics.render(&received.head));
    app.mount(&config.metrics_path, render, EndpointKind::Metrics)
}

/// Keeps the place of metrics that are on the admin port, so that no fallback answers a scrape with a page.
fn mount_moved_metrics(app: App, config: &Config) -> App {
    let warned = AtomicBool::new(false);
    let moved = get(move || {
        if !warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("somebody asked this port for metrics; they are on RWS_CONFIG_ADMIN_PORT: scrape that");
        }
        (StatusCode::NOT_FOUND, "404 Not Found: the metrics of this server are on its admin port.\n")
    });
    app.mount(&config.metrics_path, moved, EndpointKind::Metrics)
}

/// Adds the probes.
pub(super) fn mount_probes(mut app: App, config: &Config, probes: &Arc<Probes>) -> App {
    const LIVEZ: &str = "/livez";
    let mut paths = vec![
        (config.healthz_path.as_str(), Probe::Healthz),
        (config.readyz_path.as_str(), Probe::Readyz),
        (config.startupz_path.as_str(), Probe::Startupz),
    ];
    // The alias gives way to a probe that was moved to its place.
    if !paths.iter().any(|(path, _)| *path == LIVEZ) {
        paths.push((LIVEZ, Probe::Livez));
    }
    for (path, probe) in paths {
        let all = probes.clone();
        let answer = get(move |received: Arc<Received>| all.answer(probe, &received.head)).label(probe.name());
        app = app.mount(path, answer, EndpointKind::Probe);
        if probe == Probe::Readyz {
            let one = probes.clone();
            // The path may end in a slash itself.
            let prefix = format!("{}/", path.trim_end_matches('/'));
            let pattern = format!("{prefix}{{check}}");
            let answer = get(move |received: Arc<Received>| {
                let name = received.head.path().strip_prefix(&prefix).unwrap_or_default();
                one.answer_check(probe, name, &received.head)
            });
            app = app.mount(pattern, answer.label(probe.name()), EndpointKind::Probe);
        }
    }
    app
}

/// Adds static files, with a health check, or the welcome page.
pub(super) fn mount_files(app: App, live: &Live, defaults: Defaults) -> Result<App, Error> {
    let running = live.running();
    let config = &running.loaded.config;
    let standard = defaults.static_dir.filter(|dir| dir.is_dir());
    if let Some(dir) = config.static_dir.as_deref().or(standard.as_deref()) {
        return mount_directory(app, dir, config.static_prefix.trim_end_matches('/'), live);
    }
    site::tell_of_nothing(config);
    if !defaults.welcome {
        return Ok(app);
    }
    let welcome = Welcome::new(config);
    Ok(app.route("/", get(move |received: Arc<Received>| welcome.serve(&received.head))))
}

fn mount_directory(mut app: App, dir: &Path, prefix: &str, live: &Live) -> Result<App, Error> {
    let files = Arc::new(Files::new(dir).map_err(ErrorKind::StaticDir)?);
    let (checked, told) = (files.clone(), files.clone());
    // The check comes round every few seconds, which is as often as files that nobody asks for should be let go.
    app.health().check("static-dir").public().run(move || {
        checked.sweep();
        checked.check()
    });
    live.follow(move |config| site::choose(&told, config));
    let serve = || files.shared_route(prefix);
    if prefix.is_empty() {
        // Behind all routes, whichever there are.
        return Ok(app.fallback_route(serve()));
    }
    Ok(app.route(prefix, serve()).route(format!("{prefix}/"), serve()).route(format!("{prefix}/{{*path}}"), serve()))
}
