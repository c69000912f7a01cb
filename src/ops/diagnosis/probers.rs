//! Who sends health checks, told by their User-Agent, and where their path is set.
//!
//! Knows the names that the makers document or their sources have; a check that names nobody cannot be recognised, with
//! one exception that has a shape of its own.

use http::{Method, Version};

use crate::semantics::head::RequestHead;

/// Somebody that sends health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prober {
    /// How its User-Agent begins.
    agent: &'static str,
    /// The beginning of a sentence about it.
    does: &'static str,
    /// Where its path is set: what follows "set"; empty if that depends on which probe it is.
    pub(super) setting: &'static str,
    pub(super) kind: Kind,
}

/// What its checks decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Liveness, readiness and start-up: the path may tell which.
    Kubelet,
    /// Whether to send traffic.
    Balancer,
    /// Nothing: it collects metrics.
    Scraper,
}

const fn balancer(agent: &'static str, does: &'static str, setting: &'static str) -> Prober {
    Prober { agent, does, setting, kind: Kind::Balancer }
}

/// The path of a health check in general.
const CHECK: &str = "the path of its health check";

/// By the beginning of the User-Agent.
const PROBERS: [Prober; 9] = [
    Prober { agent: "kube-probe/", does: "kubelet probes", setting: "", kind: Kind::Kubelet },
    balancer(
        "GoogleHC/",
        "Google's load balancer checks",
        "requestPath in the health check of the BackendConfig or HealthCheckPolicy",
    ),
    balancer(
        "ELB-HealthChecker/",
        "AWS's load balancer checks",
        "the health check path of the target group (alb.ingress.kubernetes.io/healthcheck-path)",
    ),
    balancer("Amazon-Route53-Health-Check-Service", "Route 53 checks", CHECK),
    balancer(
        "Load Balancer Agent",
        "Azure's load balancer checks",
        "the probe's path (service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path)",
    ),
    balancer("Edge Health Probe", "Azure Front Door checks", CHECK),
    balancer("Azure Traffic Manager Endpoint Monitor", "Azure Traffic Manager checks", CHECK),
    balancer("Envoy/HC", "Envoy checks", "http_health_check.path"),
    balancer("Consul Health Check", "Consul checks", "the URL of its health check"),
];

/// HAProxy's `option httpchk` names nobody: it is `OPTIONS / HTTP/1.0` and nothing else.
const HAPROXY: Prober =
    balancer("", "a health check, by its shape HAProxy's, sends", "`option httpchk` to GET and the path");

/// Whatever scrapes as Prometheus does says how long it waits.
const SCRAPER: Prober = Prober { agent: "", does: "Prometheus scrapes", setting: "", kind: Kind::Scraper };

impl Prober {
    /// Who sent this, if it is somebody that sends health checks or scrapes.
    pub(super) fn of(head: &RequestHead) -> Option<Self> {
        if let Some(agent) = head.field("user-agent")
            && let Some(prober) = PROBERS.iter().find(|prober| agent.starts_with(prober.agent.as_bytes()))
        {
            return Some(*prober);
        }
        if head.field("x-prometheus-scrape-timeout-seconds").is_some() {
            return Some(SCRAPER);
        }
        let bare = head.method() == Method::OPTIONS && head.version() == Version::HTTP_10;
        (bare && head.raw_fields().next().is_none()).then_some(HAPROXY)
    }

    /// The beginning of a sentence: `kubelet probes`.
    pub(super) fn does(self) -> &'static str {
        self.does
    }

    pub(super) fn is_scraper(self) -> bool {
        self.kind == Kind::Scraper
    }
}
