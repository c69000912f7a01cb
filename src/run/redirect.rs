//! The port that sends clients of plain HTTP on to HTTPS: a small server of its own that answers every request with 308
//! and the same URL under https.
//!
//! 308 (RFC 9110 section 15.4.9) rather than 301, so that a POST remains one. Where the port leads is decided once: in
//! a cluster clients come through a Service, which has HTTPS on 443 whatever the container's port is.

use std::net::{Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode};

use super::assembly::Assembly;
use super::instance::Logs;
use crate::app::request::Request;
use crate::app::response::Response;
use crate::app::service::{BodyUse, Endpoint, EndpointKind, Pace, Placement, Resolved, Service};
use crate::config::{Config, Live};
use crate::error::{Error, ErrorKind};
use crate::net::listener;
use crate::ops::telemetry::Telemetry;
use crate::semantics::head::RequestHead;
use crate::server::role::{REDIRECT_CONNECTIONS, Role};
use crate::server::{Server, Stop, Verdict};

/// The label of all its requests in metrics and logs.
const LABEL: &str = "_redirect";

/// The redirect port of a running server.
pub(super) struct RedirectPort {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl RedirectPort {
    /// Opens it, if there is to be one, beside a main server that listens on `main_port`.
    pub(super) fn open(main: &Assembly, live: &Live, logs: &Logs, main_port: u16) -> Result<Option<Self>, Error> {
        let running = live.running();
        let config = &running.loaded.config;
        let Some(address) = config.redirect_address() else { return Ok(None) };
        let own = listener::bind(address).map_err(|error| ErrorKind::RedirectBind(address, error))?;
        let to_port = config.https_port(main_port, running.loaded.in_kubernetes());
        Self::serve(own, to_port, main, live, logs).map(Some)
    }

    fn serve(listener: TcpListener, to_port: u16, main: &Assembly, live: &Live, logs: &Logs) -> Result<Self, Error> {
        let config = live.running().loaded.config.clone();
        let service = Arc::new(ToHttps::new(to_port));
        let here = as_seen_here(&config);
        let telemetry = Telemetry::new(&here, main.metrics.clone(), service.endpoints(), logs.access.clone());
        let telemetry = Arc::new(telemetry.on_redirect_port(config.port));
        let followed = telemetry.clone();
        live.follow(move |config| followed.apply(&as_seen_here(config)));
        let server = Server::new(listener, service, telemetry, own_config(&config)).with_role(Role::Redirect);
        let running = server.start().map_err(ErrorKind::System)?;
        let reconfigure = running.reconfigure();
        live.follow(move |config| reconfigure(&own_config(config)));
        tracing::info!(address = %running.address(), to_port, "redirect port: plain HTTP is sent on to HTTPS");
        let stop = running.stop();
        let wait = move || drop(running.wait());
        let thread = thread::Builder::new().name("rws-redirect".into()).spawn(wait).map_err(ErrorKind::System)?;
        Ok(RedirectPort { stop, thread })
    }

    /// The means to stop it.
    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Ends it, after the main server has ended. It has been draining for as long, unless nobody asked for that.
    pub(super) fn end(self, main: Verdict) {
        match main {
            Verdict::Drained => self.stop.end(),
            Verdict::TimedOut | Verdict::Failed => self.stop.abort(0),
            // Somebody has lost patience already.
            Verdict::Killed(signal) => self.stop.abort(signal),
        }
        // A panic in there has been told, and changes nothing now.
        let _ = self.thread.join();
    }
}

/// The configuration with what differs for a client of this port: which port it is on, and that there is no TLS.
fn as_seen_here(config: &Config) -> Config {
    let port = config.http_redirect_port.unwrap_or_default();
    Config { port, tls_cert_file: None, tls_key_file: None, virtual_hosts: Vec::new(), ..config.clone() }
}

/// What it is served with: little of everything. Requests are as large as those that the main port takes; bodies are
/// read and not kept.
fn own_config(config: &Config) -> Config {
    Config {
        reactor_count: 1,
        thread_count: 1,
        queue_depth: 16,
        max_connections: REDIRECT_CONNECTIONS,
        max_connections_per_ip: config.max_connections_per_ip,
        max_head_bytes: config.max_head_bytes,
        max_headers: config.max_headers,
        max_uri_bytes: config.max_uri_bytes,
        max_body_size_in_bytes: config.max_body_size_in_bytes,
        head_timeout: Duration::from_secs(5),
        body_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(10),
        drain_delay: config.drain_delay,
        drain_timeout: Duration::from_secs(1),
        trusted_proxies: config.trusted_proxies.clone(),
        ..Config::default()
    }
}

/// Answers everything with where it is under https.
struct ToHttps {
    endpoints: [Endpoint; 1],
    /// `:8443`, or nothing for 443.
    port: String,
    warned: AtomicBool,
}

impl ToHttps {
    fn new(port: u16) -> Self {
        let endpoint = Endpoint {
            template: LABEL.into(),
            kind: EndpointKind::Route,
            body: BodyUse::Ignored,
            pace: Pace::new(Placement::Inline),
            max_body_bytes: None,
        };
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        ToHttps { endpoints: [endpoint], port, warned: AtomicBool::new(false) }
    }

    fn answer(&self, request: &Request) -> Response {
        if request.is_secure() {
            self.warn_of_loop();
            let text = "421 Misdirected Request: this port only redirects to HTTPS, which the client uses already. The proxy \
                        in front has to send such requests to the HTTPS port.\n";
            return refusal(StatusCode::MISDIRECTED_REQUEST, text);
        }
        match self.location(request.head()) {
            Some(location) => Response::new(StatusCode::PERMANENT_REDIRECT).with_header(LOCATION, location),
            None => refusal(StatusCode::BAD_REQUEST, "400 Bad Request: there is no host to redirect to.\n"),
        }
    }

    /// The same URL under https. `None`: there is no host, or one that is better not repeated.
    fn location(&self, head: &RequestHead) -> Option<HeaderValue> {
        if *head.method() == Method::CONNECT {
            return None;
        }
        let host = without_port(head.host()?);
        let (mark, query) = head.query().map_or(("", ""), |query| ("?", query));
        let url = ["https://", is_plain(host).then_some(host)?, &self.port, head.path(), mark, query].concat();
        HeaderValue::try_from(url).ok()
    }

    /// Such a client would be redirected for ever.
    fn warn_of_loop(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a proxy of RWS_CONFIG_TRUSTED_PROXIES sends requests that came through HTTPS to RWS_CONFIG_HTTP_REDIRECT_PORT: \
                 have it send them to RWS_CONFIG_PORT"
            );
        }
    }
}

impl Service for ToHttps {
    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn resolve(&self, _: &RequestHead) -> Resolved {
        Resolved::default()
    }

    fn call(&self, request: Request) -> Response {
        self.answer(&request)
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response {
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Response::new(status).with_header(CONTENT_TYPE, plain).with_body(text)
}

/// The host of a `Host` that has been found valid.
fn without_port(host: &str) -> &str {
    match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Whether it is a name as DNS has them, or an address: the grammar of URLs allows more, which no browser sends.
fn is_plain(host: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::TestClient;

    fn asked(port: u16, method: Method, target: &str, host: &str) -> (u16, Option<String>) {
        let client = TestClient::of(ToHttps::new(port));
        let answer = client.request(method, target).header("host", host).send();
        (answer.status().as_u16(), answer.header("location").map(str::to_owned))
    }

    #[test]
    fn every_request_is_sent_to_the_same_url_under_https() {
        let cases = [
            (443, "/", "example.com", "https://example.com/"),
            (443, "/a%2Fb//c?x=%20&y=/../", "example.com:80", "https://example.com/a%2Fb//c?x=%20&y=/../"),
            (8443, "/a?", "Example.com:8080", "https://Example.com:8443/a?"),
            (443, "//evil.example/", "example.com", "https://example.com//evil.example/"),
            (443, "/", "192.0.2.7:80", "https://192.0.2.7/"),
            (8443, "/", "[2001:db8::7]:80", "https://[2001:db8::7]:8443/"),
            (443, "/", "[::1]", "https://[::1]/"),
            (443, "/", "a.svc.cluster.local.:", "https://a.svc.cluster.local./"),
        ];
        for (port, target, host, expected) in cases {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
                assert_eq!(asked(port, method, target, host), (308, Some(expected.to_owned())), "{host} {target}");
            }
        }
        let all = asked(443, Method::OPTIONS, "*", "example.com");
        assert_eq!(all, (308, Some("https://example.com".to_owned())));
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["", ":80", "a b", "user@a", "a%0d%0a", "a;b", "a,b", "(a)", "*", "[", "[a]", "[::1"] {
            assert_eq!(asked(443, Method::GET, "/", host), (400, None), "{host}");
        }
        assert_eq!(asked(443, Method::CONNECT, "a:443", "a:443").0, 400);
    }

    #[test]
    fn who_came_through_https_is_not_redirected_for_ever() {
        let client = TestClient::of(ToHttps::new(443));
        assert_eq!(client.get("/").secure().send().status(), 421);
    }
}
