//! Diagnosis: tells the operator in the log when somebody's health checks or scrapes are not set up for this server, and
//! what to set instead.
//!
//! A kubelet that gets 404 restarts the pod and says nothing but "statuscode: 404"; the server knows more: which paths it
//! has, and which of them was meant. The same goes for a TLS client on the plain port, a plain one on the TLS port, an HTTP/2 client and a PROXY
//! preface. Each finding is one warning a minute, however often it occurs, and counts in `rws_probe_misrouted_total`.
//!
//! Knows what an exchange looks like once it is over; answers nothing itself. Ordinary requests cost one comparison.

mod advice;
mod probers;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;

use self::advice::Paths;
use self::probers::Prober;
use super::throttle::{Say, Throttle};
use crate::app::request::Received;
use crate::app::service::EndpointKind;
use crate::config::Config;
use crate::semantics::head::RequestHead;
use crate::server::observe::{Exchange, Outcome, ProtoError};

/// Whether a request is somebody's health check or scrape, by what it says of itself.
pub(crate) fn is_health_check(head: &RequestHead) -> bool {
    Prober::of(head).is_some()
}

/// What was wrong: the label of `rws_probe_misrouted_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// 404: no such path.
    NotFound,
    /// 405 or 501: a method the path does not have.
    Method,
    /// 401 or 403: probes have no credentials.
    Auth,
    /// A redirect, which a kubelet follows or takes for success, and a load balancer for a failure.
    Redirect,
    /// 400 and the other statuses of the kind "it is the client's fault".
    Client,
    /// 500 and above from a route of the application, or from the queue in front of it.
    Server,
    /// A health check of the metrics.
    Metrics,
    /// A scrape of something that is not the metrics.
    Scrape,
    /// TLS on the plain port.
    Tls,
    /// Plain HTTP on the TLS port.
    Plain,
    /// HTTP/2 with prior knowledge, as gRPC probes speak it.
    Http2,
    /// The preface of the PROXY protocol.
    ProxyProtocol,
}

impl Reason {
    /// All reasons, in order.
    pub(super) const ALL: [Reason; 12] = [
        Reason::NotFound,
        Reason::Method,
        Reason::Auth,
        Reason::Redirect,
        Reason::Client,
        Reason::Server,
        Reason::Metrics,
        Reason::Scrape,
        Reason::Tls,
        Reason::Plain,
        Reason::Http2,
        Reason::ProxyProtocol,
    ];

    /// The label's value.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::NotFound => "not_found",
            Reason::Method => "method",
            Reason::Auth => "auth",
            Reason::Redirect => "redirect",
            Reason::Client => "client_error",
            Reason::Server => "server_error",
            Reason::Metrics => "metrics",
            Reason::Scrape => "scrape",
            Reason::Tls => "tls_on_plain_port",
            Reason::Plain => "plain_on_tls_port",
            Reason::Http2 => "http2",
            Reason::ProxyProtocol => "proxy_protocol",
        }
    }

    /// What is wrong with an answer of this status to a health check; `None` if nothing is.
    fn of(kind: EndpointKind, status: StatusCode) -> Option<Self> {
        let reason = match (kind, status.as_u16()) {
            (_, 404) => Reason::NotFound,
            (_, 405 | 501) => Reason::Method,
            // Else a probe's answer is what was asked for, whatever it is.
            (EndpointKind::Probe, _) => return None,
            (EndpointKind::Metrics, _) => Reason::Metrics,
            (_, 401 | 403) => Reason::Auth,
            (_, 301 | 302 | 303 | 307 | 308) => Reason::Redirect,
            (_, 400..500) => Reason::Client,
            (_, 500..) => Reason::Server,
            _ => return None,
        };
        Some(reason)
    }
}

/// How often each reason has occurred.
#[derive(Debug, Default)]
pub(super) struct Misrouted([AtomicU64; Reason::ALL.len()]);

impl Misrouted {
    pub(super) fn count(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    fn add(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at exchanges, of all reactors, and speaks up.
#[derive(Debug)]
pub(super) struct Diagnosis {
    paths: Paths,
    /// 0: the system chose.
    port: u16,
    admin_port: Option<u16>,
    /// Where HTTPS is, if this is the port that sends there.
    redirects_to: Option<u16>,
    misrouted: std::sync::Arc<Misrouted>,
    throttle: Throttle,
    /// Of its own, so that whoever makes up paths leaves room for what only a connection's first bytes tell.
    throttle_of_bytes: Throttle,
}

/// How much of a path is quoted: clients choose it.
const SHOWN: usize = 200;

impl Diagnosis {
    pub(super) fn new(config: &Config, misrouted: std::sync::Arc<Misrouted>) -> Self {
        Diagnosis {
            paths: Paths::new(config),
            port: config.port,
            admin_port: config.admin_port,
            redirects_to: None,
            misrouted,
            throttle: Throttle::default(),
            throttle_of_bytes: Throttle::default(),
        }
    }

    /// For the port that does nothing but send clients to HTTPS, which the pod has on `port`.
    pub(super) fn redirects_to(&mut self, port: u16) {
        self.redirects_to = Some(port);
    }

    /// Whether it is worth a look: what went well is not, except that a health check may ask for the metrics.
    pub(super) fn may_concern(kind: EndpointKind, status: StatusCode) -> bool {
        let went_well = status.as_u16() < 300 || status == StatusCode::NOT_MODIFIED;
        !went_well || kind == EndpointKind::Metrics
    }

    /// Looks at an exchange that [may concern](Self::may_concern) it.
    pub(super) fn look(&self, kind: EndpointKind, exchange: &Exchange<'_>) {
        match (exchange.received, exchange.refused) {
            (Some(received), _) => self.look_at_request(kind, received, exchange),
            (None, Some(refused)) => self.look_at_bytes(refused, exchange),
            (None, None) => {}
        }
    }

    fn look_at_request(&self, kind: EndpointKind, received: &Received, exchange: &Exchange<'_>) {
        let Some(prober) = Prober::of(&received.head) else { return };
        let reason = match Reason::of(kind, exchange.status) {
            Some(Reason::Metrics) if prober.is_scraper() => return,
            Some(_) if prober.is_scraper() => Reason::Scrape,
            Some(reason) => reason,
            None => return,
        };
        self.misrouted.add(reason);
        let (method, status) = (received.head.method(), exchange.status.as_u16());
        let path: String = received.head.path().chars().take(SHOWN).collect();
        // A kubelet and a load balancer that ask for the same path are set in different places.
        match self.throttle.ask(&(prober.does(), reason, received.head.path(), status), exchange.now) {
            Say::Nothing => {}
            Say::More(hidden) => too_many(hidden),
            Say::Now(repeated) => {
                let overloaded = exchange.outcome == Outcome::Rejected;
                let advice = match self.redirects_to {
                    Some(https) => advice::on_redirect_port(prober, https),
                    None => {
                        let advice = self.paths.advice(prober, reason, received.head.path(), overloaded);
                        advice + &self.about_the_port(received)
                    }
                };
                let text = format!("{} {method} {path}: {status}. {advice}", prober.does());
                tracing::warn!(reason = reason.name(), status, path, remote = %exchange.remote, repeated, "{text}");
            }
        }
    }

    /// A Host that names another port is a hint of where the probe was meant to go.
    fn about_the_port(&self, received: &Received) -> String {
        let named = received.head.host().and_then(|host| host.rsplit_once(':')?.1.parse::<u16>().ok());
        match named {
            Some(named) if self.port != 0 && named != self.port && Some(named) != self.admin_port => {
                format!(". Its Host names port {named}, while this server listens on {}", self.port)
            }
            _ => String::new(),
        }
    }

    fn look_at_bytes(&self, refused: ProtoError, exchange: &Exchange<'_>) {
        let reason = match refused {
            ProtoError::TlsOnPlainPort => Reason::Tls,
            ProtoError::PlainOnTlsPort => Reason::Plain,
            ProtoError::Http2Preface => Reason::Http2,
            ProtoError::ProxyProtocol => Reason::ProxyProtocol,
            _ => return,
        };
        self.misrouted.add(reason);
        // There are so few reasons that none is ever without room.
        if let Say::Now(repeated) = self.throttle_of_bytes.ask(&reason, exchange.now) {
            let text = self.about_bytes(reason, remote_ip(exchange));
            tracing::warn!(reason = reason.name(), remote = %exchange.remote, repeated, "{text}");
        }
    }

    fn about_bytes(&self, reason: Reason, client: IpAddr) -> String {
        if let (Reason::Tls, Some(https)) = (reason, self.redirects_to) {
            return advice::tls_on_redirect_port(self.port, https, client);
        }
        let is_admin = self.port != 0 && self.admin_port == Some(self.port);
        advice::about_bytes(reason, self.port, is_admin, client)
    }
}

fn remote_ip(exchange: &Exchange<'_>) -> IpAddr {
    exchange.remote.ip().to_canonical()
}

fn too_many(hidden: u64) {
    tracing::warn!(hidden, "more health checks failed than are told apart, {hidden} since the last line like this one");
}

#[cfg(test)]
mod tests;
