//! What to do about a health check that went astray: which of the server's probes was meant, and what to set.
//!
//! Knows the paths of the server's probes and the conventions of others; nothing of requests but their path.

use std::net::IpAddr;

use strsim::normalized_damerau_levenshtein;

use super::Reason;
use super::probers::{Kind, Prober};
use crate::config::Config;
use crate::ops::probes::Probe;

/// Where the server's own endpoints are.
#[derive(Debug)]
pub(super) struct Paths {
    /// Liveness, readiness, start-up.
    probes: [(Probe, String); 3],
    metrics: String,
    admin_port: Option<u16>,
}

/// Which probe a path was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nearest {
    probe: Probe,
    /// Why the path is not quite it, if that is all there is to say.
    but: &'static str,
    /// Whether such a path is as often asked for readiness.
    is_general: bool,
}

/// Words for each question in the paths of other frameworks, the most telling question first: Spring's
/// `/actuator/health/readiness`, MicroProfile's and Quarkus' `/q/health/ready`, `/health/started`, GitLab's `/-/readiness`, App
/// Engine's `/_ah/health` and `/_ah/warmup`, ASP.NET's `/hc`, Django's `/ht/`, Rails' `/up`, Dockerflow's `/__lbheartbeat__`.
const WORDS: [(Probe, &[&str]); 3] = [
    (Probe::Readyz, &["ready", "readyz", "readiness"]),
    (Probe::Startupz, &["startup", "startupz", "started", "start", "warmup"]),
    (
        Probe::Healthz,
        &[
            "live",
            "livez",
            "liveness",
            "alive",
            "health",
            "healthz",
            "healthy",
            "heartbeat",
            "ping",
            "status",
            "up",
            "hc",
            "ht",
            "ok",
            "check",
        ],
    ),
];

/// Those of them that say nothing of liveness: one path for every question.
const GENERAL: [&str; 9] = ["health", "healthy", "ping", "status", "up", "hc", "ht", "ok", "check"];

/// From this length on, a word is also found at the beginning or end of a longer one: `isReady`, `healthcheck`.
const LONG: usize = 5;
/// From here on two words are more likely the same one with a slip than two words.
const SIMILAR: f64 = 0.7;

impl Paths {
    pub(super) fn new(config: &Config) -> Self {
        Paths {
            probes: [
                (Probe::Healthz, config.healthz_path.clone()),
                (Probe::Readyz, config.readyz_path.clone()),
                (Probe::Startupz, config.startupz_path.clone()),
            ],
            metrics: config.metrics_path.clone(),
            admin_port: config.admin_port,
        }
    }

    /// Why it failed and what to set, as the end of a sentence. `overloaded`: the server refused it before the handler ran.
    pub(super) fn advice(&self, prober: Prober, reason: Reason, path: &str, overloaded: bool) -> String {
        if prober.kind == Kind::Scraper {
            return self.about_metrics();
        }
        let nearest = self.nearest(path);
        let but = nearest.map_or("", |nearest| nearest.but);
        let why = match reason {
            Reason::NotFound => but,
            Reason::Method => "Probes are asked with GET or HEAD. ",
            Reason::Auth => "A health check has no credentials, and this server's own probes ask for none. ",
            Reason::Redirect if prober.kind == Kind::Kubelet => {
                "A kubelet follows redirects within the host only, and takes one to another host for success, so this \
                 probe says nothing about the server. "
            }
            Reason::Redirect => "A health check follows no redirects. ",
            Reason::Server if overloaded => {
                "That path is a route of the application, for which there was no worker and no room in the queue; this \
                 server's own probes never wait for either. "
            }
            Reason::Server => "That path is a route of the application and not one of this server's probes. ",
            Reason::Metrics => "Metrics are costly to gather and tell nothing about health. ",
            _ => "",
        };
        format!("{why}This server's probes are {}; {}", self.list(), self.fix(prober, nearest))
    }

    fn about_metrics(&self) -> String {
        let port = self.admin_port.map(|port| format!(" on the admin port {port}")).unwrap_or_default();
        format!(
            "The metrics are at {}{port}; set that where it is scraped (ServiceMonitor: endpoints.path and port, \
             annotations: prometheus.io/path and /port)",
            self.metrics
        )
    }

    fn list(&self) -> String {
        let [(_, healthz), (_, readyz), (_, startupz)] = &self.probes;
        format!("{healthz} (liveness), {readyz} (readiness), {startupz} (startup)")
    }

    fn fix(&self, prober: Prober, nearest: Option<Nearest>) -> String {
        match (prober.kind, nearest) {
            (Kind::Kubelet, Some(Nearest { probe, is_general, .. })) => {
                let set = format!("set {}.httpGet.path to {}", field(probe), self.path(probe));
                match is_general {
                    true => format!("{set}, or that of a readinessProbe to {}", self.path(Probe::Readyz)),
                    false => set,
                }
            }
            (Kind::Kubelet, None) => {
                let each = self.probes.iter().map(|(probe, path)| format!("{}.httpGet.path to {path}", field(*probe)));
                format!("set {}", each.collect::<Vec<_>>().join(", "))
            }
            // Whether to send traffic is what readiness says, whatever the path was called.
            _ => format!("set {} to {}", prober.setting, self.path(Probe::Readyz)),
        }
    }

    fn path(&self, probe: Probe) -> &str {
        self.probes.iter().find(|(other, _)| *other == probe).map_or("", |(_, path)| path)
    }

    /// Which probe was meant by `path`: one whose path differs in slash or case, one that other servers call so, or one that
    /// is spelled like it.
    fn nearest(&self, path: &str) -> Option<Nearest> {
        let bare = path.trim_end_matches('/');
        let same = |eq: fn(&str, &str) -> bool| self.probes.iter().find(|(_, own)| eq(own.trim_end_matches('/'), bare));
        if let Some((probe, own)) = same(|own, path| own == path) {
            let but = if *own == path { "" } else { "There is no slash at the end of its path. " };
            return Some(Nearest { probe: *probe, but, is_general: false });
        }
        if let Some((probe, _)) = same(str::eq_ignore_ascii_case) {
            return Some(Nearest { probe: *probe, but: "Paths are case-sensitive. ", is_general: false });
        }
        let path = bare.to_ascii_lowercase();
        let words: Vec<&str> =
            path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let by = |eq: fn(&str, &str) -> bool| {
            let said = |known: &&&str| words.iter().any(|word| eq(word, known));
            WORDS.iter().find_map(|(probe, known)| {
                let mut said = known.iter().filter(said).peekable();
                said.peek()?;
                Some(Nearest { probe: *probe, but: "", is_general: said.all(|known| GENERAL.contains(known)) })
            })
        };
        by(is_word)
            .or_else(|| by(|word, known| known.len() >= LONG && normalized_damerau_levenshtein(word, known) >= SIMILAR))
    }
}

fn is_word(word: &str, known: &str) -> bool {
    word == known || (known.len() >= LONG && (word.starts_with(known) || word.ends_with(known)))
}

/// The field of a container that holds this probe.
fn field(probe: Probe) -> &'static str {
    match probe {
        Probe::Healthz | Probe::Livez => "livenessProbe",
        Probe::Readyz => "readinessProbe",
        Probe::Startupz => "startupProbe",
    }
}

/// What to do about a health check of the port that only redirects.
pub(super) fn on_redirect_port(prober: Prober, https: u16) -> String {
    let port =
        if https == 0 { "the HTTPS port (RWS_CONFIG_PORT)".to_owned() } else { format!("the HTTPS port {https}") };
    let set = match prober.kind {
        Kind::Kubelet => format!("probe {port} with httpGet.scheme: HTTPS"),
        Kind::Scraper => format!("scrape {port} with scheme: https"),
        _ => format!("have {} ask {port} through HTTPS", prober.setting),
    };
    format!("This port sends everything to HTTPS and says nothing about the server: {set}")
}

/// What to do about TLS there.
pub(super) fn tls_on_redirect_port(port: u16, https: u16, client: IpAddr) -> String {
    format!(
        "a TLS client ({client}) connected to the port {port} that redirects plain HTTP to HTTPS, which is on port {https}: \
         let targetPort of the Service's HTTPS port, or the proxy, lead there"
    )
}

/// What a client said that does not speak HTTP/1.1, and what to do about it.
pub(super) fn about_bytes(reason: Reason, port: u16, is_admin: bool, client: IpAddr) -> String {
    let port = if port == 0 { String::new() } else { format!(" {port}") };
    match reason {
        Reason::Tls if is_admin => format!(
            "a TLS client ({client}) connected to the admin port{port}, which speaks plain HTTP only: set scheme: HTTP in the \
             probe or scrape"
        ),
        Reason::Tls => format!(
            "a TLS client ({client}) connected to the plain-HTTP port{port}: set scheme: HTTP in the probe and http in the \
             proxy's backend protocol, or turn TLS on with RWS_CONFIG_TLS_CERT_FILE and RWS_CONFIG_TLS_KEY_FILE"
        ),
        Reason::Plain => format!(
            "a plain-HTTP client ({client}) connected to the HTTPS port{port}: set httpGet.scheme: HTTPS in the probe, \
             scheme: https for a scrape, and https in the proxy's backend protocol"
        ),
        Reason::Http2 => format!(
            "an HTTP/2 client ({client}) connected to the HTTP/1.1 port{port}: use httpGet in place of grpc in the probe, \
             and HTTP/1.1 in the proxy's backend protocol (appProtocol: http)"
        ),
        _ => format!(
            "a proxy ({client}) begins its connections to port{port} with the PROXY protocol, which this server does not \
             read: turn it off in the proxy; for the clients' addresses have it send X-Forwarded-For and set \
             RWS_CONFIG_TRUSTED_PROXIES"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(config: &Config, path: &str) -> Option<(Probe, &'static str)> {
        Paths::new(config).nearest(path).map(|nearest| (nearest.probe, nearest.but))
    }

    #[test]
    fn the_probe_is_found_that_was_meant() {
        let slash = "There is no slash at the end of its path. ";
        let case = "Paths are case-sensitive. ";
        let cases = [
            // Nearly right.
            ("/healthz/", Some((Probe::Healthz, slash))),
            ("/readyz//", Some((Probe::Readyz, slash))),
            ("/Healthz", Some((Probe::Healthz, case))),
            ("/READYZ/", Some((Probe::Readyz, case))),
            // What others call it.
            ("/health", Some((Probe::Healthz, ""))),
            ("/v2/health", Some((Probe::Healthz, ""))),
            ("/health/live/", Some((Probe::Healthz, ""))),
            ("/health/ready", Some((Probe::Readyz, ""))),
            ("/health/started", Some((Probe::Startupz, ""))),
            ("/nonexistent-healthz", Some((Probe::Healthz, ""))),
            ("/ready", Some((Probe::Readyz, ""))),
            ("/live", Some((Probe::Healthz, ""))),
            ("/liveness_check", Some((Probe::Healthz, ""))),
            ("/readiness_check", Some((Probe::Readyz, ""))),
            ("/ping", Some((Probe::Healthz, ""))),
            ("/status", Some((Probe::Healthz, ""))),
            ("/up", Some((Probe::Healthz, ""))),
            ("/actuator/health", Some((Probe::Healthz, ""))),
            ("/actuator/health/liveness", Some((Probe::Healthz, ""))),
            ("/actuator/health/readiness", Some((Probe::Readyz, ""))),
            ("/q/health/ready", Some((Probe::Readyz, ""))),
            ("/_ah/health", Some((Probe::Healthz, ""))),
            ("/_ah/warmup", Some((Probe::Startupz, ""))),
            ("/-/readiness", Some((Probe::Readyz, ""))),
            ("/-/healthy", Some((Probe::Healthz, ""))),
            ("/ht/", Some((Probe::Healthz, ""))),
            ("/hc", Some((Probe::Healthz, ""))),
            ("/__lbheartbeat__", Some((Probe::Healthz, ""))),
            ("/api/isReady", Some((Probe::Readyz, ""))),
            ("/healthcheck.php", Some((Probe::Healthz, ""))),
            ("/app-health/web/readyz", Some((Probe::Readyz, ""))),
            // Slips.
            ("/heatlhz", Some((Probe::Healthz, ""))),
            ("/helthz", Some((Probe::Healthz, ""))),
            ("/raedyz", Some((Probe::Readyz, ""))),
            ("/startpuz", Some((Probe::Startupz, ""))),
            // Anybody's guess.
            ("/", None),
            ("", None),
            ("/index.html", None),
            ("/api/v1/orders", None),
        ];
        for (path, expected) in cases {
            assert_eq!(meant(&Config::default(), path), expected, "{path}");
        }
    }

    #[test]
    fn probes_that_were_moved_are_found_where_they_are() {
        let config = Config {
            healthz_path: "/internal/live".into(),
            readyz_path: "/internal/Ready".into(),
            ..Config::default()
        };
        assert_eq!(meant(&config, "/internal/ready"), Some((Probe::Readyz, "Paths are case-sensitive. ")));
        let kubelet = Prober::of(
            &crate::ops::telemetry::tests::received("GET", b"/healthz", &[("user-agent", b"kube-probe/1.31")]).head,
        );
        let advice = Paths::new(&config).advice(kubelet.expect("known"), Reason::NotFound, "/healthz", false);
        assert_eq!(
            advice,
            "This server's probes are /internal/live (liveness), /internal/Ready (readiness), /startupz (startup); \
             set livenessProbe.httpGet.path to /internal/live"
        );
    }
}
