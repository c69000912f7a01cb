//! The table: one row for each variable, in the order of the documentation.
//!
//! To implement a variable that is only known so far, replace its `refused` or `no_effect` row by one with a type.

use super::browsers::{header_names, hsts, methods, origins, policy};
use super::table::Variable;
#[cfg(feature = "tls")]
use super::{ClientAuth, TlsVersion};
use super::{HealthDetails, LogFormat, LogLevel, LogProbes};
#[cfg(feature = "auth")]
use crate::semantics::secrets::{tokens, users};

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;

/// Durations are bounded in milliseconds.
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

#[cfg(not(feature = "tls"))]
const NO_TLS: &str = "it was built without TLS (cargo feature tls), so clients would get plain HTTP";

#[cfg(not(feature = "auth"))]
const NO_AUTH: &str = "it was built without authentication (cargo feature auth), so everybody would come in";
#[cfg(not(feature = "auth"))]
const NOBODY_IS_ASKED: &str = "it was built without authentication (cargo feature auth)";

#[cfg(feature = "auth")]
const USERS: (&str, &str, &str) =
    ("list of users", "a line user:hash for each user, as htpasswd -nB writes it, or user:password", "line");
#[cfg(feature = "auth")]
const TOKENS: (&str, &str, &str) =
    ("list of tokens", "a list of tokens or name:token, separated by commas or spaces", "token");
const METHODS: (&str, &str) = ("list of methods", "a list of methods separated by commas");
const HEADER_NAMES: (&str, &str) = ("list of names", "a list of header names separated by commas");
const POLICY: (&str, &str) = ("policy", "a Content-Security-Policy");

/// Every variable this version knows.
pub static VARIABLES: &[Variable] = &[
    // Listening
    Variable::address("IP", "0.0.0.0", |config, ip| config.ip = ip)
        .example("0.0.0.0")
        .help("Address to listen on. Loopback is refused inside Kubernetes, see ALLOW_LOOPBACK."),
    Variable::number("PORT", "7878", (0, 65_535), |config, port| config.port = port as u16)
        .example("7878")
        .help("TCP port to listen on. 0: the system chooses."),
    Variable::switch("ALLOW_LOOPBACK", |config, allow| config.allow_loopback = allow)
        .help("Allow a loopback IP inside Kubernetes, for a server that only its own pod talks to."),
    Variable::optional_port("ADMIN_PORT", |config, port| config.admin_port = Some(port)).example("9090").help(
        "TCP port for operators: probes, metrics, /configz, /statusz and POST /drain. Empty: none, and metrics are on \
               PORT. 0: the system chooses.",
    ),
    Variable::address("ADMIN_IP", "", |config, ip| config.admin_ip = Some(ip))
        .example("0.0.0.0")
        .help("Address of ADMIN_PORT. Empty: the same as IP. Neither kubelet nor Prometheus reach a loopback address."),
    // Threads
    Variable::number("THREAD_COUNT", "200", (1, 65_535), |config, count| config.thread_count = count as usize)
        .reloadable()
        .example("200")
        .help("Handlers that may block at the same time."),
    Variable::number("REACTOR_COUNT", "0", (0, 1_024), |config, count| config.reactor_count = count as usize)
        .example("4")
        .help("Event loops. 0: one for each CPU that affinity and the cgroup's quota grant."),
    Variable::number("QUEUE_DEPTH", "1000", (0, 1_000_000), |config, depth| config.queue_depth = depth as usize)
        .reloadable()
        .example("1000")
        .help("Requests that may wait for a thread. Any more get 503 with Retry-After."),
    // TLS
    #[cfg(feature = "tls")]
    Variable::file("TLS_CERT_FILE", |config, file| config.tls_cert_file = file)
        .example("/etc/tls/tls.crt")
        .help(
            "Certificate and its chain (PEM). With TLS_KEY_FILE, PORT speaks HTTPS, probes and metrics included. A \
               renewed file is taken up.",
        ),
    #[cfg(feature = "tls")]
    Variable::file("TLS_KEY_FILE", |config, file| config.tls_key_file = file)
        .example("/etc/tls/tls.key")
        .help("Private key of the certificate (PEM, not encrypted)."),
    #[cfg(feature = "tls")]
    Variable::duration("TLS_HANDSHAKE_TIMEOUT", "10s", (1, DAY), |config, limit| config.tls_handshake_timeout = limit)
        .reloadable()
        .example("10s")
        .help("Time for the TLS handshake, from the connection on."),
    #[cfg(feature = "tls")]
    Variable::one_of(
        "TLS_MIN_VERSION",
        "1.2",
        &[
            ("1.2", |config| config.tls_min_version = TlsVersion::Tls12),
            ("1.3", |config| config.tls_min_version = TlsVersion::Tls13),
        ],
    )
    .example("1.3")
    .help("Oldest version of TLS that is spoken."),
    #[cfg(feature = "tls")]
    Variable::domains("VIRTUAL_HOST_<N>_DOMAIN", |host, domains| host.domains = domains)
        .example("shop.example.com, *.shop.example.com")
        .help(
            "Names whose clients get this host's certificate; * stands for one label. With its CERT_FILE and KEY_FILE. Who \
               asks for no or another name gets that of TLS_CERT_FILE, or of the lowest N.",
        ),
    #[cfg(feature = "tls")]
    Variable::host_file("VIRTUAL_HOST_<N>_CERT_FILE", |host, file| host.cert_file = Some(file))
        .example("/etc/tls/shop/tls.crt")
        .help("Certificate and chain (PEM) for the host's names. A renewed file is taken up."),
    #[cfg(feature = "tls")]
    Variable::host_file("VIRTUAL_HOST_<N>_KEY_FILE", |host, file| host.key_file = Some(file))
        .example("/etc/tls/shop/tls.key")
        .help("Private key of that certificate (PEM, not encrypted)."),
    #[cfg(feature = "tls")]
    Variable::file("TLS_CLIENT_CA_FILE", |config, file| config.tls_client_ca_file = file)
        .example("/etc/tls-clients/ca.crt")
        .help(
            "Authorities (PEM) whose certificates clients of PORT have to present; see TLS_CLIENT_AUTH. A changed file is \
               taken up. Probes of the kubelet have none: let them ask ADMIN_PORT.",
        ),
    #[cfg(feature = "tls")]
    Variable::one_of(
        "TLS_CLIENT_AUTH",
        "required",
        &[
            ("required", |config| config.tls_client_auth = ClientAuth::Required),
            ("optional", |config| config.tls_client_auth = ClientAuth::Optional),
        ],
    )
    .example("optional")
    .help(
        "With TLS_CLIENT_CA_FILE, whether a client without a certificate is refused, or served and left to the \
               application.",
    ),
    #[cfg(feature = "tls")]
    Variable::optional_port("HTTP_REDIRECT_PORT", |config, port| config.http_redirect_port = Some(port))
        .example("8080")
        .help(
            "TCP port for plain HTTP that answers every request with 308 to https:// on the same host. Empty: none. 0: the \
               system chooses.",
        ),
    #[cfg(feature = "tls")]
    Variable::optional_port("HTTP_REDIRECT_TO_PORT", |config, port| config.http_redirect_to_port = Some(port))
        .example("8443")
        .help("Port in those redirects. Empty: 443 inside Kubernetes, where Services have it, else PORT."),
    // Limits
    Variable::number("MAX_CONNECTIONS", "10000", (1, 10_000_000), |config, max| config.max_connections = max as usize)
        .reloadable()
        .example("10000")
        .help("Connections open at the same time. New ones wait in the listen backlog."),
    Variable::number("MAX_CONNECTIONS_PER_IP", "0", (0, 10_000_000), |config, max| {
        config.max_connections_per_ip = max as usize;
    })
    .reloadable()
    .example("100")
    .help(
        "Connections that one address (an IPv6 /64) may have open at the same time; more are turned away with 429. \
               TRUSTED_PROXIES are not counted. 0: unlimited.",
    ),
    Variable::number("MAX_REQUESTS_PER_CONNECTION", "0", (0, u64::MAX), |config, max| {
        config.max_requests_per_connection = max;
    })
    .reloadable()
    .example("1000")
    .help("Requests after which a connection is closed. 0: unlimited."),
    // Stands before MAX_HEAD_BYTES: rows are applied in order, and the newer name wins.
    Variable::size("REQUEST_ALLOCATION_SIZE_IN_BYTES", "", (KIB, GIB), |config, max| {
        config.max_head_bytes = max as usize;
    })
    .replaced_by("MAX_HEAD_BYTES")
    .reloadable()
    .example("16KiB")
    .help("Old name of MAX_HEAD_BYTES, which wins if both are set."),
    Variable::size("MAX_HEAD_BYTES", "16KiB", (KIB, GIB), |config, max| config.max_head_bytes = max as usize)
        .reloadable()
        .example("16KiB")
        .help("Size of a request's head: request line and fields. A larger one gets 431."),
    Variable::number("MAX_HEADERS", "100", (1, 10_000), |config, max| config.max_headers = max as usize)
        .reloadable()
        .example("100")
        .help("Header fields of a request. More get 431."),
    Variable::size("MAX_URI_BYTES", "8KiB", (16, GIB), |config, max| config.max_uri_bytes = max as usize)
        .reloadable()
        .example("8KiB")
        .help(
            "Size of a request's target; a longer one gets 414. At most MAX_HEAD_BYTES, and by default no more \
               than that.",
        ),
    Variable::size("MAX_BODY_SIZE_IN_BYTES", "2MiB", (0, u64::MAX), |config, max| config.max_body_size_in_bytes = max)
        .reloadable()
        .example("2MiB")
        .help("Size of a request's body; a larger one gets 413. 0: unlimited."),
    // Protection
    Variable::number("RATE_LIMIT_MAX_REQUESTS", "", (0, 1_000_000), |config, max| {
        config.rate_limit_max_requests = max as u32;
    })
    .reloadable()
    .example("600")
    .help(
        "Requests that one client (an IPv4 address, an IPv6 /64) may make in RATE_LIMIT_WINDOW_SECS; more get 429 with \
               Retry-After. Behind an ingress it needs TRUSTED_PROXIES. Empty or 0: unlimited.",
    ),
    Variable::number("RATE_LIMIT_WINDOW_SECS", "60", (1, 86_400), |config, seconds| {
        config.rate_limit_window_secs = seconds as u32;
    })
    .reloadable()
    .example("60")
    .help("Window of RATE_LIMIT_MAX_REQUESTS in seconds. All may come at once, and are regained evenly."),
    #[cfg(feature = "auth")]
    Variable::secrets("AUTH_BASIC", USERS, |config, text| users(text).map(|users| config.auth_basic = users))
        .reloadable()
        .example("ada:$2y$10$P/ebPGYq5pmT5zBjFo1cX.xU7o9QXIPWsN2R31VvpwTsUGGA4lHqS")
        .help(
            "Users that may come in with a password, a line user:hash (bcrypt, htpasswd -nB) or user:password for each. \
               Probes, metrics and the admin port ask nobody. Mount a Secret and set AUTH_BASIC_FILE. Empty: everybody.",
        ),
    #[cfg(feature = "auth")]
    Variable::secrets("AUTH_BEARER", TOKENS, |config, text| tokens(text).map(|tokens| config.auth_bearer = tokens))
        .reloadable()
        .example("ci:Zm9vYmFyYmF6cXV4MTIzNA")
        .help(
            "Bearer tokens with which requests may come in, beside AUTH_BASIC; name:token to see whose it was in the log. \
               Empty: none.",
        ),
    #[cfg(feature = "auth")]
    Variable::realm("AUTH_REALM", "Restricted", |config, realm| config.auth_realm = realm)
        .reloadable()
        .example("Shop")
        .help("What browsers show when they ask for a password."),
    #[cfg(feature = "auth")]
    Variable::url_paths("AUTH_EXEMPT_PREFIXES", "", |config, prefixes| config.auth_exempt_prefixes = prefixes)
        .reloadable()
        .example("/public,/favicon.ico")
        .help("Paths where nobody is asked, with all below them, in spite of AUTH_BASIC and AUTH_BEARER."),
    // Time
    Variable::duration("HEAD_TIMEOUT", "10s", (1, DAY), |config, limit| config.head_timeout = limit)
        .reloadable()
        .example("10s")
        .help("Time from the first byte of a request to the end of its head, then 408."),
    Variable::duration("BODY_TIMEOUT", "30s", (1, DAY), |config, limit| config.body_timeout = limit)
        .reloadable()
        .example("30s")
        .help("Time a request's body may make no progress."),
    Variable::duration("IDLE_TIMEOUT", "1m", (1, DAY), |config, limit| config.idle_timeout = limit)
        .reloadable()
        .example("1m")
        .help(
            "Time a connection may wait between requests. Keep it above the idle timeout of the load balancer in \
               front.",
        ),
    Variable::duration("WRITE_TIMEOUT", "30s", (1, DAY), |config, limit| config.write_timeout = limit)
        .reloadable()
        .example("30s")
        .help("Time a client may take no byte of its response."),
    Variable::duration("HANDLER_TIMEOUT", "0s", (0, DAY), |config, limit| config.handler_timeout = limit)
        .reloadable()
        .example("5s")
        .help("Time after which a handler is reported as slow; it is never killed. 0: never."),
    // The end
    Variable::auto_duration("DRAIN_DELAY", HOUR, |config, delay| config.drain_delay = delay)
        .reloadable()
        .example("5s")
        .help(
            "Time to go on serving after SIGTERM, until every endpoint list has dropped this pod. auto: 5s inside \
               Kubernetes, else 0.",
        ),
    Variable::duration("DRAIN_TIMEOUT", "20s", (0, HOUR), |config, limit| config.drain_timeout = limit)
        .reloadable()
        .example("20s")
        .help(
            "Time that requests in flight have to finish after DRAIN_DELAY. Keep both together below \
               terminationGracePeriodSeconds.",
        ),
    Variable::number("DRAIN_READY_STATUS", "503", (200, 599), |config, status| {
        config.drain_ready_status = status as u16;
    })
    .reloadable()
    .example("503")
    .help("Status of the readiness probe while draining."),
    // Logs
    Variable::one_of(
        "LOG_FORMAT",
        "json",
        &[
            ("json", |config| config.log_format = LogFormat::Json),
            ("ecs", |config| config.log_format = LogFormat::Ecs),
            ("gcp", |config| config.log_format = LogFormat::Gcp),
            ("combined", |config| config.log_format = LogFormat::Combined),
            ("common", |config| config.log_format = LogFormat::Common),
            ("off", |config| config.log_format = LogFormat::Off),
        ],
    )
    .reloadable()
    .example("json")
    .help("Format of the access log on stdout; with json, ecs and gcp, of the diagnostics on stderr as well."),
    Variable::one_of(
        "LOG_LEVEL",
        "info",
        &[
            ("error", |config| config.log_level = LogLevel::Error),
            ("warn", |config| config.log_level = LogLevel::Warn),
            ("info", |config| config.log_level = LogLevel::Info),
            ("debug", |config| config.log_level = LogLevel::Debug),
            ("trace", |config| config.log_level = LogLevel::Trace),
        ],
    )
    .reloadable()
    .example("info")
    .help("Least severe diagnostics that are written to stderr."),
    Variable::one_of(
        "LOG_PROBES",
        "failures",
        &[
            ("failures", |config| config.log_probes = LogProbes::Failures),
            ("all", |config| config.log_probes = LogProbes::All),
            ("none", |config| config.log_probes = LogProbes::None),
        ],
    )
    .reloadable()
    .example("failures")
    .help("Probe requests in the access log; failures includes changes."),
    Variable::list("LOG_REDACT_QUERY", "token,password,secret,key,code,signature", |config, keys| {
        config.log_redact_query = keys;
    })
    .reloadable()
    .example("token,password")
    .help("Query parameters whose values never appear in the log. Empty: none."),
    Variable::word("LOG_GCP_PROJECT", |config, project| config.log_gcp_project = project)
        .reloadable()
        .example("my-project-1")
        .help(
            "Google Cloud project to which the traces in LOG_FORMAT=gcp belong. Empty: lines have the bare trace id.",
        ),
    Variable::networks("TRUSTED_PROXIES", |config, networks| config.trusted_proxies = networks)
        .reloadable()
        .example("10.0.0.0/8, fd00::/8")
        .help(
            "Proxies whose Forwarded and X-Forwarded-For fields are believed. Empty: the client is the other end of \
               the connection.",
        ),
    // Built-in paths
    Variable::url_path("HEALTHZ_PATH", "/healthz", |config, path| config.healthz_path = path)
        .help("Path of the liveness probe."),
    Variable::url_path("READYZ_PATH", "/readyz", |config, path| config.readyz_path = path)
        .help("Path of the readiness probe."),
    Variable::url_path("STARTUPZ_PATH", "/startupz", |config, path| config.startupz_path = path)
        .help("Path of the startup probe."),
    Variable::url_path("METRICS_PATH", "/metrics", |config, path| config.metrics_path = path)
        .help("Path of the Prometheus metrics."),
    // Health
    Variable::one_of(
        "HEALTH_DETAILS",
        "names",
        &[
            ("none", |config| config.health_details = HealthDetails::None),
            ("names", |config| config.health_details = HealthDetails::Names),
            ("full", |config| config.health_details = HealthDetails::Full),
        ],
    )
    .reloadable()
    .example("full")
    .help(
        "What probes tell: none, only ok or failed; names, the checks and how they are; full, also why. Reasons may \
               hold addresses and the like. The log always has them.",
    ),
    Variable::duration("LIVENESS_STALL", "1m", (0, DAY), |config, limit| config.liveness_stall = limit)
        .reloadable()
        .example("2m")
        .help(
            "Time after which the liveness probe fails if an event loop does not come round, or if requests wait and \
               no worker has finished anything. Keep it above the slowest handler. 0: never.",
        ),
    Variable::duration("STARTUP_TIMEOUT", "0s", (0, DAY), |config, limit| config.startup_timeout = limit)
        .example("5m")
        .help(
            "Time that start-up hooks and the first pass of each check may take; then the process ends with code 1. \
               0: no limit.",
        ),
    // Content
    Variable::directory("STATIC_DIR", |config, dir| config.static_dir = dir)
        .example("/srv/public")
        .help("Directory of static files. Empty: none."),
    Variable::url_path("STATIC_PREFIX", "/", |config, prefix| config.static_prefix = prefix)
        .help("Path under which static files are served."),
    Variable::directives("STATIC_CACHE_CONTROL", "no-cache", |config, value| config.static_cache_control = value)
        .reloadable()
        .example("public, max-age=3600")
        .help(
            "Cache-Control of static files. no-cache: caches ask each time whether a file has changed. Empty: none, and \
               they guess.",
        ),
    Variable::one_of(
        "STATIC_IMMUTABLE",
        "auto",
        &[("auto", |config| config.static_immutable = true), ("off", |config| config.static_immutable = false)],
    )
    .reloadable()
    .example("off")
    .help(
        "auto: files whose names hold a hash of their content, as bundlers make them, get max-age=31536000, immutable. \
               Not if STATIC_CACHE_CONTROL has no-store or private.",
    ),
    Variable::url_paths("STATIC_IMMUTABLE_PREFIXES", "", |config, prefixes| config.static_immutable_prefixes = prefixes)
        .reloadable()
        .example("/assets/")
        .help("Paths below which every file but HTML pages is treated so, whatever its name."),
    Variable::page("SPA_FALLBACK", |config, page| config.spa_fallback = page)
        .reloadable()
        .example("index.html")
        .help(
            "File below STATIC_DIR that is answered, with 200, where a browser goes to a path that is none: the page of \
               a single-page application. true: index.html. Not for paths with a dot in the last segment, and not for \
               health checks.",
        ),
    Variable::url_paths("SPA_FALLBACK_EXCLUDE_PREFIXES", "/api", |config, prefixes| {
        config.spa_fallback_exclude_prefixes = prefixes;
    })
    .reloadable()
    .example("/api,/internal")
    .help("Paths below which unknown ones stay 404. Empty: none."),
    Variable::switch("DIRECTORY_LISTING", |config, listing| config.directory_listing = listing)
        .reloadable()
        .help("Answer a directory without index.html with a list of what is in it. Dotfiles are not."),
    Variable::size("STATIC_CACHE_BYTES", "16MiB", (0, u64::MAX), |config, bytes| config.static_cache_bytes = bytes)
        .reloadable()
        .example("64MiB")
        .help(
            "Memory for small static files and what is known about files; what is served is at most a second old. 0: \
               every request opens and reads its file.",
        ),
    Variable::codings("COMPRESSION", "on", |config, codings| config.compression = codings)
        .reloadable()
        .example(if cfg!(feature = "compression") { "br,gzip" } else { "gzip" })
        .help(
            "Content codings in which text, JSON and the like are sent to clients that accept them. on: br, zstd and gzip. \
               off: everything goes out as it is.",
        ),
    Variable::switch("DEMO_ROUTES", |config, demo| config.demo_routes = demo)
        .help("Mount the demonstration and benchmark routes under /demo."),
    Variable::route("ROUTE_<NAME>", |config, route| config.routes.push(route))
        .example("GET /hello/{name} -> respond 200 text/plain Hello, {name}!")
        .help("A route of the binary, see Routes. The name must not end in _FILE."),
    // For browsers
    Variable::switch("CORS_ALLOW_ALL", |config, all| config.cors_allow_all = all).reloadable().help(
        "Let pages of every origin read answers, for public data. CORS_ALLOW_CREDENTIALS then has no effect.",
    ),
    Variable::text(
        "CORS_ALLOW_ORIGINS",
        "",
        ("list of origins", "a list of origins separated by commas"),
        |config, text| origins(text).map(|origins| config.cors_allow_origins = origins),
    )
    .reloadable()
    .example("https://app.example.com, https://*.preview.example.com")
    .help(
        "Origins whose pages may read answers: scheme, host and port, or all subdomains of a name. null only where it is \
         named. Empty: none.",
    ),
    Variable::text("CORS_ALLOW_METHODS", "", METHODS, |config, text| {
        methods(text).map(|methods| config.cors_allow_methods = methods)
    })
    .reloadable()
    .example("GET, HEAD, POST, PUT, PATCH, DELETE")
    .help(
        "Methods that pages of other origins may use; browsers allow GET, HEAD and POST anyhow. *: all. Empty: these three, or \
         with CORS_ALLOW_ALL all.",
    ),
    Variable::text("CORS_ALLOW_HEADERS", "", HEADER_NAMES, |config, text| {
        header_names(text).map(|names| config.cors_allow_headers = names)
    })
    .reloadable()
    .example("Authorization, Content-Type")
    .help(
        "Header fields that pages of other origins may send. *: all but Authorization, which must be named. Empty: none, or \
         with CORS_ALLOW_ALL all, Authorization among them.",
    ),
    // Empty by default in the original, so it is in its ConfigMaps.
    Variable::switch_or_empty("CORS_ALLOW_CREDENTIALS", |config, allow| config.cors_allow_credentials = allow)
        .reloadable()
        .help("Let pages of other origins send cookies, client certificates and stored passwords, and read the answers. Empty: false."),
    Variable::text("CORS_EXPOSE_HEADERS", "", HEADER_NAMES, |config, text| {
        header_names(text).map(|names| config.cors_expose_headers = names)
    })
    .reloadable()
    .example("ETag, X-Request-Id")
    .help("Header fields of answers that pages of other origins may read besides the usual ones. *: all."),
    Variable::duration("CORS_MAX_AGE", "10m", (0, DAY), |config, age| config.cors_max_age = age)
        .reloadable()
        .example("2h")
        .help("Time for which browsers remember what a preflight allowed; Chromium no longer than 2h."),
    Variable::switch("SECURITY_HEADERS", |config, on| config.security_headers = on).reloadable().help(
        "Add X-Content-Type-Options, Referrer-Policy, X-Frame-Options, Cross-Origin-Opener-Policy and \
         Cross-Origin-Resource-Policy to answers that have none.",
    ),
    Variable::text("CSP", "", POLICY, |config, text| policy(text).map(|policy| config.csp = policy))
        .reloadable()
        .example("default-src 'self'; frame-ancestors 'none'")
        .help("Content-Security-Policy of answers that have none, word for word. Empty: none."),
    Variable::text("CSP_REPORT_ONLY", "", POLICY, |config, text| {
        policy(text).map(|policy| config.csp_report_only = policy)
    })
    .reloadable()
    .example("default-src 'self'; report-uri /csp-reports")
    .help("A policy that browsers only report on, to try it out: Content-Security-Policy-Report-Only. Empty: none."),
    Variable::text(
        "HSTS",
        "",
        ("policy", "the value of a Strict-Transport-Security field, or its max-age alone as a duration"),
        |config, text| hsts(text).map(|hsts| config.hsts = hsts),
    )
    .reloadable()
    .example("max-age=31536000; includeSubDomains")
    .help(
        "Strict-Transport-Security of answers to requests over TLS, here or at a trusted proxy: browsers come back over \
         TLS only, for that long. Empty: none.",
    ),
    // The configuration itself
    Variable::directory("DIR", |config, dir| config.dir = dir).example("/etc/rws").help(
        "Directory with a file for each variable, such as a mounted ConfigMap. Environment or command line \
               only.",
    ),
    Variable::switch("STRICT", |config, strict| config.strict = strict)
        .reloadable()
        .help("Make an unknown RWS_CONFIG_ name an error instead of a warning."),
    // Known, but not implemented by this version
    #[cfg(not(feature = "tls"))]
    Variable::refused("TLS_CERT_FILE", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("TLS_KEY_FILE", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::no_effect("TLS_HANDSHAKE_TIMEOUT", "it was built without TLS (cargo feature tls)"),
    #[cfg(not(feature = "tls"))]
    Variable::refused("TLS_MIN_VERSION", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("TLS_CLIENT_CA_FILE", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("TLS_CLIENT_AUTH", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("HTTP_REDIRECT_PORT", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("VIRTUAL_HOST_<N>_DOMAIN", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("VIRTUAL_HOST_<N>_CERT_FILE", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::refused("VIRTUAL_HOST_<N>_KEY_FILE", NO_TLS),
    #[cfg(not(feature = "tls"))]
    Variable::no_effect("HTTP_REDIRECT_TO_PORT", "it was built without TLS (cargo feature tls)"),
    #[cfg(not(feature = "auth"))]
    Variable { secret: true, ..Variable::refused("AUTH_BASIC", NO_AUTH) },
    #[cfg(not(feature = "auth"))]
    Variable { secret: true, ..Variable::refused("AUTH_BEARER", NO_AUTH) },
    #[cfg(not(feature = "auth"))]
    Variable::no_effect("AUTH_REALM", NOBODY_IS_ASKED),
    #[cfg(not(feature = "auth"))]
    Variable::no_effect("AUTH_EXEMPT_PREFIXES", NOBODY_IS_ASKED),
];
