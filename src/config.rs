//! Configuration, layer 1: everything an operator can set, read from `RWS_CONFIG_*` into a typed, immutable
//! [`Config`]. The only place in the crate that reads the environment. What files say is read again while a server runs;
//! [`Live`] has the configuration that is in force.
//!
//! One [`Variable`] per setting, in [`VARIABLES`], drives parsing, error messages, docs/CONFIGURATION.md and the
//! list of effective values. [`Config::load`] tells the story: collect from every source, parse, check the rules
//! that span variables, report all errors together.
//!
//! It knows names, values and the files they come from; it must not know sockets, HTTP handling or logging:
//! what is worth a log line is handed back as a [`Notice`].

mod browsers;
mod code;
mod docs;
mod error;
mod files;
mod gather;
mod hosts;
mod live;
mod load;
mod places;
mod reload;
pub mod route;
mod rows;
mod rules;
mod service_link;
mod source;
mod table;
mod value;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

pub use docs::reference;
pub use error::{ConfigError, ConfigErrors, Notice};
pub use hosts::VirtualHost;
pub use ipnet::IpNet;
pub use live::{Live, Outcome, Running};
pub use load::{Effective, Loaded};
pub use places::Places;
pub use reload::ChangedValue;
use route::RouteSpec;
pub use rows::VARIABLES;
pub use source::{Origin, Sources};
pub use table::{Change, Status, Variable, find};
pub use value::{duration, show_millis};

use crate::semantics::accept_encoding::Coding;
use crate::semantics::hsts::Hsts;
use crate::semantics::origin::OriginPattern;
use crate::semantics::secrets::{Token, User};

/// What every variable's name begins with.
pub const PREFIX: &str = "RWS_CONFIG_";

/// The effective configuration. Field names are the variables' names without `RWS_CONFIG_`.
///
/// The default is what an empty environment gives, outside Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is documented by its row of the table")]
pub struct Config {
    pub ip: IpAddr,
    pub port: u16,
    /// `None`: no admin port.
    pub admin_port: Option<u16>,
    /// `None`: the same as `ip`; see [`Config::admin_address`].
    pub admin_ip: Option<IpAddr>,
    pub thread_count: usize,
    /// 0: as many as there are CPUs; see [`Config::reactors`].
    pub reactor_count: usize,
    pub queue_depth: usize,
    pub max_connections: usize,
    /// 0: unlimited.
    pub max_connections_per_ip: usize,
    /// 0: unlimited.
    pub max_requests_per_connection: u64,
    pub max_head_bytes: usize,
    pub max_headers: usize,
    pub max_uri_bytes: usize,
    /// 0: unlimited.
    pub max_body_size_in_bytes: u64,
    /// 0: unlimited.
    pub rate_limit_max_requests: u32,
    pub rate_limit_window_secs: u32,
    /// With `auth_bearer` empty as well: nobody is asked.
    pub auth_basic: Vec<User>,
    pub auth_bearer: Vec<Token>,
    pub auth_realm: String,
    pub auth_exempt_prefixes: Vec<String>,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub tls_handshake_timeout: Duration,
    /// Zero: none. A handler that takes longer is reported, not killed.
    pub handler_timeout: Duration,
    /// `auto` is resolved here: 5 s inside Kubernetes, else zero.
    pub drain_delay: Duration,
    pub drain_timeout: Duration,
    /// What /readyz answers while draining.
    pub drain_ready_status: u16,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    pub log_probes: LogProbes,
    pub log_redact_query: Vec<String>,
    /// Project whose traces the `gcp` format names; empty: none.
    pub log_gcp_project: String,
    pub trusted_proxies: Vec<IpNet>,
    pub healthz_path: String,
    pub readyz_path: String,
    pub startupz_path: String,
    pub metrics_path: String,
    pub health_details: HealthDetails,
    /// Zero: never.
    pub liveness_stall: Duration,
    /// Zero: no limit.
    pub startup_timeout: Duration,
    pub static_dir: Option<PathBuf>,
    pub static_prefix: String,
    /// Of static files; `None`: no Cache-Control field.
    pub static_cache_control: Option<HeaderValue>,
    /// Whether names that hold a hash of the content make files immutable.
    pub static_immutable: bool,
    /// Where all names do.
    pub static_immutable_prefixes: Vec<String>,
    /// File below `static_dir`; `None`: unknown paths get 404.
    pub spa_fallback: Option<String>,
    pub spa_fallback_exclude_prefixes: Vec<String>,
    pub directory_listing: bool,
    /// For static files; 0: none are kept.
    pub static_cache_bytes: u64,
    /// Empty: nothing is compressed.
    pub compression: Vec<Coding>,
    pub demo_routes: bool,
    /// `ROUTE_<NAME>`, in order of the names.
    pub routes: Vec<RouteSpec>,
    pub cors_allow_all: bool,
    pub cors_allow_origins: Vec<OriginPattern>,
    /// `*` is a method of that name, as it is for browsers. Empty: GET, HEAD and POST, or with `cors_allow_all` all.
    pub cors_allow_methods: Vec<Method>,
    /// Empty: none, or with `cors_allow_all` all.
    pub cors_allow_headers: Vec<HeaderName>,
    pub cors_allow_credentials: bool,
    pub cors_expose_headers: Vec<HeaderName>,
    pub cors_max_age: Duration,
    pub security_headers: bool,
    pub csp: Option<HeaderValue>,
    pub csp_report_only: Option<HeaderValue>,
    pub hsts: Option<Hsts>,
    /// Set together with the key's file, or not at all.
    pub tls_cert_file: Option<PathBuf>,
    pub tls_key_file: Option<PathBuf>,
    /// `VIRTUAL_HOST_<N>`, in order of the numbers.
    pub virtual_hosts: Vec<VirtualHost>,
    pub tls_min_version: TlsVersion,
    /// `None`: clients are not asked for certificates.
    pub tls_client_ca_file: Option<PathBuf>,
    pub tls_client_auth: ClientAuth,
    /// `None`: nothing redirects to HTTPS.
    pub http_redirect_port: Option<u16>,
    /// `None`: see [`Config::https_port`].
    pub http_redirect_to_port: Option<u16>,
    pub dir: Option<PathBuf>,
    pub strict: bool,
    pub allow_loopback: bool,
}

impl Config {
    /// Where to listen for operators, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.admin_ip.unwrap_or(self.ip), self.admin_port?))
    }

    /// Where to listen for plain HTTP that is redirected, if anywhere.
    pub fn redirect_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip, self.http_redirect_port?))
    }

    /// Where clients find the port that speaks HTTPS on `port`: inside Kubernetes behind a Service.
    pub fn https_port(&self, port: u16, in_kubernetes: bool) -> u16 {
        self.http_redirect_to_port.unwrap_or(if in_kubernetes { 443 } else { port })
    }

    /// Whether the main port speaks HTTPS.
    pub fn speaks_tls(&self) -> bool {
        self.tls_cert_file.is_some() || !self.virtual_hosts.is_empty()
    }

    /// Whether who has no certificate is refused on the main port.
    pub fn requires_client_certificates(&self) -> bool {
        self.tls_client_ca_file.is_some() && self.tls_client_auth == ClientAuth::Required
    }

    /// The number of reactors to run: REACTOR_COUNT, or the CPUs that affinity and the cgroup's quota grant
    /// (1 when the system does not tell).
    pub fn reactors(&self) -> usize {
        match self.reactor_count {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            count => count,
        }
    }
}

/// Formats of the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum LogFormat {
    #[default]
    Json,
    Ecs,
    Gcp,
    Combined,
    Common,
    Off,
}

/// Levels of the diagnostics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Which probe requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum LogProbes {
    #[default]
    Failures,
    All,
    None,
}

/// What the probes' bodies tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum HealthDetails {
    None,
    #[default]
    Names,
    Full,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

/// What becomes of a client without a certificate. One whose certificate cannot be verified is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the setting's values")]
pub enum ClientAuth {
    #[default]
    Required,
    Optional,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 7878,
            admin_port: None,
            admin_ip: None,
            thread_count: 200,
            reactor_count: 0,
            queue_depth: 1000,
            max_connections: 10_000,
            max_connections_per_ip: 0,
            max_requests_per_connection: 0,
            max_head_bytes: 16 * 1024,
            max_headers: 100,
            max_uri_bytes: 8 * 1024,
            max_body_size_in_bytes: 2 * 1024 * 1024,
            rate_limit_max_requests: 0,
            rate_limit_window_secs: 60,
            auth_basic: Vec::new(),
            auth_bearer: Vec::new(),
            auth_realm: "Restricted".into(),
            auth_exempt_prefixes: Vec::new(),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            handler_timeout: Duration::ZERO,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(20),
            drain_ready_status: 503,
            log_format: LogFormat::Json,
            log_level: LogLevel::Info,
            log_probes: LogProbes::Failures,
            log_redact_query: ["token", "password", "secret", "key", "code", "signature"].map(String::from).to_vec(),
            log_gcp_project: String::new(),
            trusted_proxies: Vec::new(),
            healthz_path: "/healthz".into(),
            readyz_path: "/readyz".into(),
            startupz_path: "/startupz".into(),
            metrics_path: "/metrics".into(),
            health_details: HealthDetails::Names,
            liveness_stall: Duration::from_secs(60),
            startup_timeout: Duration::ZERO,
            static_dir: None,
            static_prefix: "/".into(),
            static_cache_control: Some(HeaderValue::from_static("no-cache")),
            static_immutable: true,
            static_immutable_prefixes: Vec::new(),
            spa_fallback: None,
            spa_fallback_exclude_prefixes: vec!["/api".into()],
            directory_listing: false,
            static_cache_bytes: 16 << 20,
            compression: Coding::AVAILABLE.to_vec(),
            demo_routes: false,
            routes: Vec::new(),
            cors_allow_all: false,
            cors_allow_origins: Vec::new(),
            cors_allow_methods: Vec::new(),
            cors_allow_headers: Vec::new(),
            cors_allow_credentials: false,
            cors_expose_headers: Vec::new(),
            cors_max_age: Duration::from_secs(600),
            security_headers: false,
            csp: None,
            csp_report_only: None,
            hsts: None,
            tls_cert_file: None,
            tls_key_file: None,
            virtual_hosts: Vec::new(),
            tls_min_version: TlsVersion::Tls12,
            tls_client_ca_file: None,
            tls_client_auth: ClientAuth::Required,
            http_redirect_port: None,
            http_redirect_to_port: None,
            dir: None,
            strict: false,
            allow_loopback: false,
        }
    }
}
