use std::ffi::OsString;
use std::fs::{self, File};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Instant;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::table::find;
use super::super::{Change, HealthDetails, LogFormat, LogLevel, LogProbes, PREFIX};
use super::*;

const KUBERNETES: (&str, &str) = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");

/// An environment of variables given without their prefix.
fn environment<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Sources {
    Sources::new(settings.into_iter().map(|(name, value)| match name {
        "KUBERNETES_SERVICE_HOST" => (name.to_owned(), value.to_owned()),
        name => (format!("{PREFIX}{name}"), value.to_owned()),
    }))
}

fn loaded<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Loaded {
    Config::load(&environment(settings)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The errors as displayed.
fn errors<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    Config::load(&environment(settings)).expect_err("the settings are wrong").to_string()
}

fn notices(loaded: &Loaded) -> Vec<String> {
    loaded.notices.iter().map(ToString::to_string).collect()
}

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("a file");
    }
    dir
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

fn command_line(sources: Sources, settings: &[(&str, &str)]) -> Sources {
    sources.with_command_line(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn effective<'l>(loaded: &'l Loaded, name: &str) -> &'l Effective {
    let name = format!("{PREFIX}{name}");
    loaded.effective.iter().find(|effective| effective.name == name).expect("it is listed")
}

// The table

#[test]
fn the_defaults_in_the_table_are_the_defaults_of_config() {
    let nothing = loaded([]);
    assert_eq!(nothing.config, Config::default());
    assert_eq!(nothing.notices, []);

    let written = VARIABLES.iter().filter(|variable| !variable.default.is_empty());
    let all = loaded(written.map(|variable| (variable.name, variable.default)));
    assert_eq!(all.config, Config::default());
}

#[test]
fn every_row_is_complete_and_its_example_is_valid() {
    for variable in VARIABLES {
        if matches!(variable.status, Status::Refused(_) | Status::NoEffect(_)) {
            continue;
        }
        assert!(!variable.help.is_empty() && !variable.rule().is_empty(), "{}", variable.name);
        let is_directory = matches!(variable.kind, Kind::Directory { .. });
        assert!(!variable.example.is_empty(), "{}", variable.name);
        let example = if is_directory { "/" } else { variable.example };
        let name = variable.name.replace("<NAME>", "X").replace("<N>", "1");
        let parsed = parse(variable, &name, example, &mut Config::default());
        assert!(parsed.is_ok(), "{}={example}", variable.name);
    }
}

#[test]
fn names_are_unique_and_none_hides_another() {
    for variable in VARIABLES {
        let name = variable.name.replace("<NAME>", "X").replace("<N>", "1");
        let found = VARIABLES.iter().filter(|other| other.is_called(&name)).count();
        assert_eq!(found, 1, "{name}");
        assert!(find(name.trim_end_matches("_FILE")).is_none() || !name.ends_with("_FILE"), "{name}");
    }
}

#[test]
fn every_name_of_the_contract_is_known() {
    let names = "IP PORT THREAD_COUNT LOG_FORMAT MAX_BODY_SIZE_IN_BYTES TLS_CERT_FILE TLS_KEY_FILE TLS_CLIENT_CA_FILE \
        HTTP_REDIRECT_PORT VIRTUAL_HOST_1_DOMAIN VIRTUAL_HOST_22_CERT_FILE VIRTUAL_HOST_0_KEY_FILE CORS_ALLOW_ALL \
        CORS_ALLOW_ORIGINS CORS_ALLOW_METHODS CORS_ALLOW_HEADERS CORS_ALLOW_CREDENTIALS CORS_EXPOSE_HEADERS \
        CORS_MAX_AGE CSP SPA_FALLBACK SPA_FALLBACK_EXCLUDE_PREFIXES RATE_LIMIT_MAX_REQUESTS RATE_LIMIT_WINDOW_SECS \
        REQUEST_ALLOCATION_SIZE_IN_BYTES DIR STRICT ALLOW_LOOPBACK LIVENESS_STALL ADMIN_IP ADMIN_PORT REACTOR_COUNT \
        QUEUE_DEPTH MAX_CONNECTIONS MAX_CONNECTIONS_PER_IP MAX_REQUESTS_PER_CONNECTION MAX_HEAD_BYTES MAX_HEADERS \
        MAX_URI_BYTES HEAD_TIMEOUT BODY_TIMEOUT IDLE_TIMEOUT WRITE_TIMEOUT HANDLER_TIMEOUT TLS_HANDSHAKE_TIMEOUT \
        DRAIN_DELAY DRAIN_TIMEOUT DRAIN_READY_STATUS STARTUP_TIMEOUT STATIC_DIR STATIC_PREFIX DIRECTORY_LISTING \
        COMPRESSION LOG_LEVEL LOG_PROBES LOG_REDACT_QUERY TRUSTED_PROXIES HEALTH_DETAILS HEALTHZ_PATH READYZ_PATH \
        STARTUPZ_PATH METRICS_PATH DEMO_ROUTES ROUTE_X ROUTE_a-b.C_9";
    for name in names.split_whitespace() {
        assert!(find(name).is_some(), "{name}");
    }
    for name in ["", "ROUTE_", "ROUTE_X_FILE", "ROUTE_a b", "VIRTUAL_HOST__DOMAIN", "VIRTUAL_HOST_X_DOMAIN", "port"] {
        assert!(find(name).is_none(), "{name}");
    }
}

// Values

#[test]
#[cfg(all(feature = "auth", feature = "compression", feature = "tls"))]
fn every_value_reaches_its_field() {
    use super::super::{ClientAuth, TlsVersion};
    use crate::semantics::secrets::{Secret, User};

    let dir = directory(&[]);
    let path = text(dir.path());
    let want = Config {
        ip: "::".parse().expect("an address"),
        port: 80,
        admin_port: Some(81),
        admin_ip: Some("::1".parse().expect("an address")),
        thread_count: 1,
        reactor_count: 2,
        queue_depth: 3,
        max_connections: 4,
        max_connections_per_ip: 4,
        max_requests_per_connection: 5,
        max_head_bytes: 6 << 10,
        max_headers: 7,
        max_uri_bytes: 18,
        max_body_size_in_bytes: 9,
        rate_limit_max_requests: 20,
        rate_limit_window_secs: 21,
        auth_basic: vec![User { name: "ada".to_owned(), secret: Secret::Plain("open sesame".to_owned()) }],
        auth_bearer: secrets::tokens("ci:abcdefghijklmnop").expect("a token"),
        auth_realm: "My \"shop\"".to_owned(),
        auth_exempt_prefixes: vec!["/a".to_owned(), "/b/".to_owned()],
        head_timeout: Duration::from_millis(10),
        body_timeout: Duration::from_secs(11),
        idle_timeout: Duration::from_secs(12),
        write_timeout: Duration::from_secs(13),
        tls_handshake_timeout: Duration::from_secs(18),
        handler_timeout: Duration::from_secs(14),
        drain_delay: Duration::from_secs(15),
        drain_timeout: Duration::from_secs(16),
        drain_ready_status: 517,
        log_format: LogFormat::Common,
        log_level: LogLevel::Trace,
        log_probes: LogProbes::None,
        log_redact_query: vec!["a".to_owned(), "b".to_owned()],
        log_gcp_project: "p-1".to_owned(),
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        healthz_path: "/h".to_owned(),
        readyz_path: "/r".to_owned(),
        startupz_path: "/s".to_owned(),
        metrics_path: "/m".to_owned(),
        health_details: HealthDetails::Full,
        liveness_stall: Duration::from_secs(18),
        startup_timeout: Duration::from_secs(19),
        static_dir: Some(dir.path().to_owned()),
        static_prefix: "/files/".to_owned(),
        static_cache_control: Some(http::HeaderValue::from_static("max-age=60")),
        static_immutable: false,
        static_immutable_prefixes: vec!["/assets/".to_owned()],
        spa_fallback: Some("app/shell.html".to_owned()),
        spa_fallback_exclude_prefixes: vec!["/a".to_owned(), "/b".to_owned()],
        directory_listing: true,
        static_cache_bytes: 1 << 20,
        compression: vec![crate::semantics::accept_encoding::Coding::Gzip],
        demo_routes: true,
        routes: Vec::new(),
        cors_allow_all: false,
        cors_allow_origins: vec!["https://a.example".parse().expect("an origin")],
        cors_allow_methods: vec![http::Method::PUT],
        cors_allow_headers: vec![http::HeaderName::from_static("x-a")],
        cors_allow_credentials: true,
        cors_expose_headers: vec![http::HeaderName::from_static("x-b")],
        cors_max_age: Duration::from_secs(20),
        security_headers: true,
        csp: Some(http::HeaderValue::from_static("default-src *")),
        csp_report_only: Some(http::HeaderValue::from_static("default-src 'none'; report-to x")),
        hsts: Some("max-age=5".parse().expect("a policy")),
        tls_cert_file: Some("/etc/tls/tls.crt".into()),
        tls_key_file: Some("/etc/tls/tls.key".into()),
        virtual_hosts: vec![VirtualHost {
            number: "7".to_owned(),
            domains: vec!["a.test".to_owned(), "*.a.test".to_owned()],
            cert_file: Some("/etc/a/tls.crt".into()),
            key_file: Some("/etc/a/tls.key".into()),
        }],
        tls_min_version: TlsVersion::Tls13,
        tls_client_ca_file: Some("/etc/clients/ca.crt".into()),
        tls_client_auth: ClientAuth::Optional,
        http_redirect_port: Some(82),
        http_redirect_to_port: Some(443),
        dir: Some(dir.path().to_owned()),
        strict: true,
        allow_loopback: true,
    };
    let got = loaded([
        ("IP", "::"),
        ("PORT", "80"),
        ("ADMIN_PORT", "81"),
        ("ADMIN_IP", "::1"),
        ("THREAD_COUNT", "1"),
        ("REACTOR_COUNT", "2"),
        ("QUEUE_DEPTH", "3"),
        ("MAX_CONNECTIONS", "4"),
        ("MAX_CONNECTIONS_PER_IP", "4"),
        ("MAX_REQUESTS_PER_CONNECTION", "5"),
        ("RATE_LIMIT_MAX_REQUESTS", "20"),
        ("RATE_LIMIT_WINDOW_SECS", "21"),
        ("AUTH_BASIC", "\nada:open sesame\n"),
        ("AUTH_BEARER", " ci:abcdefghijklmnop"),
        ("AUTH_REALM", "My \"shop\""),
        ("AUTH_EXEMPT_PREFIXES", "/a, /b/"),
        ("MAX_HEAD_BYTES", "6KiB"),
        ("MAX_HEADERS", "7"),
        ("MAX_URI_BYTES", "18"),
        ("MAX_BODY_SIZE_IN_BYTES", "9"),
        ("HEAD_TIMEOUT", "10ms"),
        ("BODY_TIMEOUT", "11"),
        ("IDLE_TIMEOUT", "12s"),
        ("WRITE_TIMEOUT", "13s"),
        ("TLS_HANDSHAKE_TIMEOUT", "18s"),
        ("TLS_CERT_FILE", "/etc/tls/tls.crt"),
        ("TLS_KEY_FILE", "/etc/tls/tls.key\n"),
        ("VIRTUAL_HOST_7_DOMAIN", "A.test., *.a.test"),
        ("VIRTUAL_HOST_7_CERT_FILE", "/etc/a/tls.crt\n"),
        ("VIRTUAL_HOST_7_KEY_FILE", "/etc/a/tls.key"),
        ("TLS_MIN_VERSION", "1.3"),
        ("TLS_CLIENT_CA_FILE", "/etc/clients/ca.crt"),
        ("TLS_CLIENT_AUTH", "optional"),
        ("HTTP_REDIRECT_PORT", "82"),
        ("HTTP_REDIRECT_TO_PORT", "443"),
        ("HANDLER_TIMEOUT", "14s"),
        ("DRAIN_DELAY", "15s"),
        ("DRAIN_TIMEOUT", "16s"),
        ("DRAIN_READY_STATUS", "517"),
        ("LOG_FORMAT", "Common"),
        ("LOG_LEVEL", "TRACE"),
        ("LOG_PROBES", " none\n"),
        ("LOG_REDACT_QUERY", "a, b"),
        ("LOG_GCP_PROJECT", "p-1"),
        ("TRUSTED_PROXIES", "10.1.2.3/8"),
        ("HEALTHZ_PATH", "/h"),
        ("READYZ_PATH", "/r"),
        ("STARTUPZ_PATH", "/s"),
        ("METRICS_PATH", "/m"),
        ("HEALTH_DETAILS", "full"),
        ("LIVENESS_STALL", "18s"),
        ("STARTUP_TIMEOUT", "19s"),
        ("STATIC_DIR", path),
        ("STATIC_PREFIX", "/files/"),
        ("STATIC_CACHE_CONTROL", "max-age=60"),
        ("STATIC_IMMUTABLE", "off"),
        ("STATIC_IMMUTABLE_PREFIXES", "/assets/"),
        ("SPA_FALLBACK", "/app/shell.html"),
        ("SPA_FALLBACK_EXCLUDE_PREFIXES", "/a, /b"),
        ("DIRECTORY_LISTING", "on"),
        ("STATIC_CACHE_BYTES", "1MiB"),
        ("COMPRESSION", "gzip"),
        ("DEMO_ROUTES", "on"),
        ("CORS_ALLOW_ALL", "off"),
        ("CORS_ALLOW_ORIGINS", "https://A.example:443"),
        ("CORS_ALLOW_METHODS", "put"),
        ("CORS_ALLOW_HEADERS", "X-A"),
        ("CORS_ALLOW_CREDENTIALS", "true"),
        ("CORS_EXPOSE_HEADERS", "X-B"),
        ("CORS_MAX_AGE", "20"),
        ("SECURITY_HEADERS", "true"),
        ("CSP", "default-src *"),
        ("CSP_REPORT_ONLY", "default-src 'none'; report-to x"),
        ("HSTS", "max-age=5"),
        ("DIR", path),
        ("STRICT", "1"),
        ("ALLOW_LOOPBACK", "YES"),
    ]);
    assert_eq!(got.config, want);
    assert_eq!(got.notices, []);

    // What is made in code is written as an operator would have.
    let made = Loaded::from(want.clone());
    assert_eq!(made.check(), Ok(()));
    let read = build(made.settings, Vec::new(), false, Report::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(Config { port: want.port, ..read.config }, want);
}

#[test]
fn every_choice_sets_its_own_value() {
    use HealthDetails as D;
    use LogFormat as F;
    use LogLevel as L;
    use LogProbes as P;
    for (text, format) in [("json", F::Json), ("combined", F::Combined), ("common", F::Common), ("off", F::Off)] {
        assert_eq!(loaded([("LOG_FORMAT", text)]).config.log_format, format);
    }
    for (text, level) in
        [("error", L::Error), ("warn", L::Warn), ("info", L::Info), ("debug", L::Debug), ("trace", L::Trace)]
    {
        assert_eq!(loaded([("LOG_LEVEL", text)]).config.log_level, level);
    }
    for (text, probes) in [("failures", P::Failures), ("all", P::All), ("none", P::None)] {
        assert_eq!(loaded([("LOG_PROBES", text)]).config.log_probes, probes);
    }
    for (text, details) in [("none", D::None), ("names", D::Names), ("full", D::Full)] {
        assert_eq!(loaded([("HEALTH_DETAILS", text)]).config.health_details, details);
    }
}

#[test]
fn wrong_values_are_explained() {
    const DURATION: &str = "must be a duration in seconds or with a unit (500ms, 5s, 2m, 1h; no fractions) from";
    const SIZE: &str = "must be a size in bytes or with a unit (64KiB, 2MiB, 1GiB; no fractions) from";
    let cases = [
        ("PORT", "banana", "must be a whole number from 0 to 65535, for example RWS_CONFIG_PORT=7878".to_owned()),
        ("PORT", "65536", "must be a whole number from 0 to 65535, for example RWS_CONFIG_PORT=7878".to_owned()),
        ("PORT", "", "must be a whole number from 0 to 65535, for example RWS_CONFIG_PORT=7878".to_owned()),
        ("THREAD_COUNT", "0", "must be a whole number from 1 to 65535, for example RWS_CONFIG_THREAD_COUNT=200".to_owned()),
        (
            "MAX_REQUESTS_PER_CONNECTION",
            "-1",
            "must be a whole number from 0 upwards, for example RWS_CONFIG_MAX_REQUESTS_PER_CONNECTION=1000".to_owned(),
        ),
        ("MAX_HEAD_BYTES", "1023", format!("{SIZE} 1KiB to 1GiB, for example RWS_CONFIG_MAX_HEAD_BYTES=16KiB")),
        ("HEAD_TIMEOUT", "0", format!("{DURATION} 1ms to 24h, for example RWS_CONFIG_HEAD_TIMEOUT=10s")),
        ("HEAD_TIMEOUT", "auto", format!("{DURATION} 1ms to 24h, for example RWS_CONFIG_HEAD_TIMEOUT=10s")),
        (
            "DRAIN_DELAY",
            "5sec",
            format!("{} 0s to 1h, for example RWS_CONFIG_DRAIN_DELAY=5s", DURATION.replace("be a", "be auto or a")),
        ),
        ("IP", "localhost", "must be an IPv4 or IPv6 address, for example RWS_CONFIG_IP=0.0.0.0".to_owned()),
        (
            "LOG_FORMAT",
            "text",
            "must be one of json, ecs, gcp, combined, common, off, for example RWS_CONFIG_LOG_FORMAT=json".to_owned(),
        ),
        (
            "STRICT",
            "maybe",
            "must be true or false (also 1 or 0, yes or no, on or off), for example RWS_CONFIG_STRICT=true".to_owned(),
        ),
        (
            "HEALTHZ_PATH",
            "healthz",
            "must be a path that starts with / and has no query, braces, spaces, percent signs, empty or dot \
             segments, for example RWS_CONFIG_HEALTHZ_PATH=/healthz"
                .to_owned(),
        ),
        (
            "STATIC_DIR",
            "/no/such/place",
            "must be an existing directory (No such file or directory (os error 2)), for example \
             RWS_CONFIG_STATIC_DIR=/srv/public"
                .to_owned(),
        ),
        (
            "ROUTE_X",
            "/x",
            r#"must be "[METHOD] /path/{name} -> respond STATUS CONTENT-TYPE TEXT" or "[METHOD] /path/{name} -> redirect STATUS LOCATION" (there is no ->), for example RWS_CONFIG_ROUTE_X=GET /hello/{name} -> respond 200 text/plain Hello, {name}!"#
                .to_owned(),
        ),
    ];
    for (name, value, rule) in cases {
        assert_eq!(errors([(name, value)]), format!("RWS_CONFIG_{name}=\"{value}\": {rule}"));
    }
}

#[test]
fn ranges_include_their_ends() {
    for variable in VARIABLES {
        let (low, high, unit) = match variable.kind {
            Kind::Number { min, max, .. } => (min, max, ""),
            Kind::Size { min, max, .. } => (min, max, "B"),
            Kind::Duration { min, max, .. } => (min, max, "ms"),
            _ => continue,
        };
        let fits = |value: Option<u64>| {
            let text = format!("{}{unit}", value?);
            Some(parse(variable, variable.name, &text, &mut Config::default()).is_ok())
        };
        assert_eq!(fits(Some(low)), Some(true), "{}", variable.name);
        assert_eq!(fits(Some(high)), Some(true), "{}", variable.name);
        assert_ne!(fits(low.checked_sub(1)), Some(true), "{}", variable.name);
        assert_ne!(fits(high.checked_add(1)), Some(true), "{}", variable.name);
    }
}

#[test]
fn a_file_is_no_static_directory() {
    let dir = directory(&[("page.html", "")]);
    let file = dir.path().join("page.html");
    let error = errors([("STATIC_DIR", text(&file))]);
    assert!(error.contains("must be an existing directory (not a directory)"), "{error}");
    assert_eq!(loaded([("STATIC_DIR", "")]).config.static_dir, None);
}

#[test]
fn all_errors_are_reported_together() {
    let text = errors([("PORT", "x"), ("IP", "y"), ("CSP", "ä"), ("PORT_FILE", "/nope"), ("HEAD_TIMEOUT", "1.5s")]);
    let variables: Vec<_> = text.lines().map(|line| line.split(['=', ':']).next().expect("a name")).collect();
    assert_eq!(variables, ["RWS_CONFIG_CSP", "RWS_CONFIG_HEAD_TIMEOUT", "RWS_CONFIG_IP", "RWS_CONFIG_PORT"]);
}

#[test]
fn errors_come_with_the_warnings_that_may_explain_them() {
    let found = Config::load(&environment([("PORT", "x"), ("PROT", "80")])).expect_err("the port is wrong");
    assert_eq!(found.notices().len(), 1);
}

// Layers

#[test]
fn the_command_line_wins_over_the_environment_over_the_directory_over_the_default() {
    let dir = directory(&[("PORT", "1"), ("RWS_CONFIG_THREAD_COUNT", "1"), ("QUEUE_DEPTH", "1")]);
    let sources = environment([("DIR", text(dir.path())), ("PORT", "2"), ("THREAD_COUNT", "2")]);
    let sources = command_line(sources, &[("PORT", "3")]);
    let loaded = Config::load(&sources).expect("valid");
    let config = &loaded.config;
    assert_eq!((config.port, config.thread_count, config.queue_depth, config.max_headers), (3, 2, 1, 100));
    let origin = |name| effective(&loaded, name).origin.clone();
    assert_eq!(origin("PORT"), Origin::CommandLine);
    assert_eq!(origin("THREAD_COUNT"), Origin::Environment);
    assert_eq!(origin("QUEUE_DEPTH"), Origin::File(dir.path().join("QUEUE_DEPTH")));
    assert_eq!(origin("MAX_HEADERS"), Origin::Default);
    assert_eq!(effective(&loaded, "MAX_HEADERS").value, "100");
}

#[test]
fn a_wrong_value_that_is_overridden_is_no_error() {
    let sources = command_line(environment([("PORT", "banana")]), &[("RWS_CONFIG_PORT", "3")]);
    assert_eq!(Config::load(&sources).expect("valid").config.port, 3);
}

#[test]
fn an_unreadable_value_file_that_is_overridden_is_no_error() {
    let sources = command_line(environment([("PORT_FILE", "/nope")]), &[("PORT", "3")]);
    assert_eq!(Config::load(&sources).expect("valid").config.port, 3);
}

#[test]
fn a_mounted_config_map_is_read_through_its_links() {
    let dir = directory(&[]);
    let data = dir.path().join("..2026_01_01");
    fs::create_dir(&data).expect("a directory");
    fs::write(data.join("RWS_CONFIG_PORT"), "81\n").expect("a file");
    fs::write(data.join("ROUTE_A"), "/a -> respond 200 text/plain a\n\n").expect("a file");
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, dir.path().join(name)).expect("a link");
    link("..2026_01_01", "..data");
    link("..data/RWS_CONFIG_PORT", "RWS_CONFIG_PORT");
    link("..data/ROUTE_A", "ROUTE_A");
    fs::create_dir(dir.path().join("lost+found")).expect("a directory");
    fs::write(dir.path().join(".hidden"), "").expect("a file");

    let loaded = loaded([("DIR", text(dir.path()))]);
    assert_eq!(loaded.config.port, 81);
    assert_eq!(loaded.notices, []);
    let route = RouteSpec::parse("A", "/a -> respond 200 text/plain a\n").expect("a route");
    assert_eq!(loaded.config.routes, [route], "one line break is trimmed, and only one");
}

#[test]
fn what_is_wrong_in_the_directory_names_the_file() {
    let dir = directory(&[("PORT", "banana"), ("RWS_CONFIG_IP", "x"), ("IP", "y"), ("LOG_FROMAT", "json")]);
    let path = text(dir.path());
    std::os::unix::fs::symlink("gone", dir.path().join("CSP")).expect("a link");
    fs::write(dir.path().join("QUEUE_DEPTH"), [0xff]).expect("a file");
    let found = Config::load(&environment([("DIR", path)])).expect_err("there is much wrong");
    let expected = [
        format!("RWS_CONFIG_CSP (from {path}/CSP): the file cannot be read (No such file or directory (os error 2))"),
        format!("RWS_CONFIG_IP (from {path}): is set by both IP and RWS_CONFIG_IP; keep one"),
        format!(
            "RWS_CONFIG_PORT=\"banana\" (from {path}/PORT): must be a whole number from 0 to 65535, for example \
             RWS_CONFIG_PORT=7878"
        ),
        format!("RWS_CONFIG_QUEUE_DEPTH (from {path}/QUEUE_DEPTH): the file cannot be read (it is not UTF-8 text)"),
    ];
    let notice = format!(
        "RWS_CONFIG_LOG_FROMAT (from {path}/LOG_FROMAT) is not a known setting and has no effect; did you mean \
         RWS_CONFIG_LOG_FORMAT?"
    );
    assert_eq!(found.to_string(), format!("{}\nwarning: {notice}", expected.join("\n")));
    assert_eq!(found.notices()[0].to_string(), notice);
}

#[test]
fn whatever_lies_in_the_directory_is_an_answer_in_no_time() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    type Make = fn(&Path);
    let cases: &[(Make, &str)] = &[
        (|path| symlink("PORT", path).expect("a link"), "Too many levels of symbolic links"),
        (|path| fs::write(path, [0, 159, 146, 150]).expect("a file"), "it is not UTF-8 text"),
        (|path| fs::create_dir(path).expect("a directory"), "it is a directory"),
        (|path| symlink("/dev/zero", path).expect("a link"), "it is not a regular file"),
        (|path| File::create(path).expect("a file").set_len(100_000_000).expect("room"), "larger than 1048576 bytes"),
        (
            |path| {
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
            },
            "it is not a regular file",
        ),
        (
            |path| {
                fs::write(path, "80").expect("a file");
                fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("a mode");
            },
            "Permission denied",
        ),
    ];
    for (make, expected) in cases {
        let dir = directory(&[]);
        make(&dir.path().join("PORT"));
        // Who is root may read everything.
        if *expected == "Permission denied" && fs::read(dir.path().join("PORT")).is_ok() {
            continue;
        }
        let before = Instant::now();
        let error = errors([("DIR", text(dir.path()))]);
        assert!(error.contains("/PORT): the file cannot be read (") && error.contains(expected), "{error}");
        assert!(before.elapsed() < Duration::from_secs(5), "{expected}: {:?}", before.elapsed());
        // The same through a variable of its own.
        let error = errors([("PORT_FILE", text(&dir.path().join("PORT")))]);
        assert!(error.contains("RWS_CONFIG_PORT_FILE=") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_directory_that_is_no_config_map_is_told_briefly() {
    let names: Vec<String> = (0..100).map(|n| format!("readme-{n:02}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let dir = directory(&files);
    let notices = loaded([("DIR", text(dir.path()))]).notices;
    assert_eq!(notices.len(), 20);
    assert!(notices[19].to_string().ends_with("(and so are 80 more names)"), "{}", notices[19]);
    let error = errors([("DIR", text(dir.path())), ("STRICT", "true")]);
    assert_eq!(error.lines().count(), 20, "{error}");
    assert!(error.contains("RWS_CONFIG_readme-00: (from "), "{error}");
    for n in 0..5000 {
        File::create(dir.path().join(n.to_string())).expect("a file");
    }
    let error = errors([("DIR", text(dir.path()))]);
    assert!(error.contains("must be a directory that can be read (it has more than 5000 files)"), "{error}");
}

#[test]
fn files_behind_the_data_link_are_seen_as_they_were_at_one_moment() {
    use std::os::unix::fs::symlink;
    let dir = directory(&[]);
    for (name, port) in [("..old", "81"), ("..new", "82")] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
        fs::write(dir.path().join(name).join("PORT"), port).expect("a file");
    }
    fs::write(dir.path().join("..old/THREAD_COUNT"), "7").expect("a file");
    // Some versions make the link of a new key only afterwards.
    fs::write(dir.path().join("..new/QUEUE_DEPTH"), "9").expect("a file");
    symlink("..data/PORT", dir.path().join("PORT")).expect("a link");
    symlink("..data/THREAD_COUNT", dir.path().join("THREAD_COUNT")).expect("a link");
    symlink("..new", dir.path().join("..data")).expect("a link");
    // The kubelet has swapped the link, and has not removed yet what is gone.
    let loaded = loaded([("DIR", text(dir.path()))]);
    let config = &loaded.config;
    assert_eq!((config.port, config.thread_count, config.queue_depth), (82, 200, 9));
    let port = loaded.effective.iter().find(|effective| effective.name == "RWS_CONFIG_PORT").expect("it is there");
    assert_eq!(port.origin, Origin::File(dir.path().join("PORT")), "where the operator finds it");
}

#[test]
fn a_directory_that_cannot_be_read_is_one_error() {
    let expected = "RWS_CONFIG_DIR=\"/no/such/place\": must be an existing directory (No such file or directory \
                    (os error 2)), for example RWS_CONFIG_DIR=/etc/rws";
    assert_eq!(errors([("DIR", "/no/such/place")]), expected);
    assert_eq!(loaded([("DIR", "")]).config.dir, None);
}

#[test]
fn the_directory_can_come_from_any_layer_above_it() {
    let dir = directory(&[("PORT", "81"), ("DIR", "/no/such/place")]);
    let pointer = directory(&[("dir", text(dir.path()))]);
    let file = pointer.path().join("dir");
    for sources in [
        environment([("DIR", text(dir.path()))]),
        environment([("DIR_FILE", text(&file))]),
        command_line(environment([("DIR", "/no/such/place")]), &[("DIR", text(dir.path()))]),
    ] {
        let config = Config::load(&sources).expect("valid").config;
        assert_eq!((config.port, config.dir.as_deref()), (81, Some(dir.path())));
    }
}

// _FILE

#[test]
fn every_variable_can_be_read_from_a_file() {
    let dir = directory(&[
        ("port", "81\n"),
        ("route", "/a -> respond 200 text/plain a\r\n"),
        ("format", "off"),
        ("two", "82\n\n"),
    ]);
    let at = |name: &str| text(&dir.path().join(name)).to_owned();
    let (port, route, format, two) = (at("port"), at("route"), at("format"), at("two"));
    let loaded = loaded([
        ("PORT_FILE", port.as_str()),
        ("ROUTE_A_FILE", route.as_str()),
        ("LOG_FORMAT_FILE", format.as_str()),
        ("THREAD_COUNT_FILE", two.as_str()),
    ]);
    assert_eq!((loaded.config.port, loaded.config.thread_count), (81, 82));
    assert_eq!(loaded.config.log_format, LogFormat::Off);
    assert_eq!(loaded.config.routes, [RouteSpec::parse("A", "/a -> respond 200 text/plain a").expect("a route")]);
    assert_eq!(effective(&loaded, "PORT").origin, Origin::File(dir.path().join("port")));
    // It may come from a Secret.
    assert_eq!(
        (effective(&loaded, "ROUTE_A").value.as_str(), effective(&loaded, "ROUTE_A").redacted),
        ("<redacted>", true)
    );
    // But not everything does.
    assert_eq!((effective(&loaded, "PORT").value.as_str(), effective(&loaded, "PORT").redacted), ("81", false));
}

#[test]
#[cfg(feature = "tls")]
fn a_name_that_ends_in_file_by_itself_is_not_a_value_file() {
    let both = loaded([("TLS_CERT_FILE", "/no/such/place"), ("TLS_KEY_FILE", "/nor/this")]);
    assert_eq!(both.config.tls_cert_file, Some("/no/such/place".into()));
    let error = errors([("VIRTUAL_HOST_1_KEY_FILE", "/no/such/place")]);
    assert!(error.contains("RWS_CONFIG_VIRTUAL_HOST_1_DOMAIN: must be set as well"), "{error}");
    let error = errors([("TLS_CERT_FILE_FILE", "/no/such/place")]);
    assert!(error.starts_with("RWS_CONFIG_TLS_CERT_FILE_FILE=\"/no/such/place\": must be the path"), "{error}");
}

#[test]
fn a_value_and_its_file_in_one_layer_are_an_error() {
    let expected = "RWS_CONFIG_PORT: is set by both RWS_CONFIG_PORT and RWS_CONFIG_PORT_FILE; keep one";
    let dir = directory(&[("port", "81")]);
    let file = dir.path().join("port");
    assert_eq!(errors([("PORT", "80"), ("PORT_FILE", text(&file))]), expected);
}

#[test]
fn an_unreadable_value_file_names_the_path_and_the_reason() {
    let expected = "RWS_CONFIG_PORT_FILE=\"/no/such/place\": must be the path of a file that can be read (No such file \
                    or directory (os error 2)), for example RWS_CONFIG_PORT_FILE=/run/secrets/port";
    assert_eq!(errors([("PORT_FILE", "/no/such/place")]), expected);
    let dir = directory(&[]);
    assert!(errors([("PORT_FILE", text(dir.path()))]).contains("it is a directory"));
    assert!(errors([("PORT_FILE", "")]).contains("must be the path of a file"));
    assert!(errors([("PORT_FILE", "/dev/zero")]).contains("it is not a regular file"));
}

#[test]
fn an_error_does_not_show_what_a_value_file_holds() {
    let dir = directory(&[("tls.key", "-----BEGIN PRIVATE KEY-----")]);
    let file = dir.path().join("tls.key");
    let error = errors([("PORT_FILE", text(&file))]);
    let expected = format!("RWS_CONFIG_PORT=<redacted> (from {}): must be a whole number", text(&file));
    assert!(error.starts_with(&expected), "{error}");
    assert!(!error.contains("PRIVATE"), "{error}");

    let dir = directory(&[("token", "hunter2 -> hunter3")]);
    for name in ["ROUTE_X_FILE", "DIR_FILE", "STATIC_DIR_FILE", "IP_FILE", "HEALTHZ_PATH_FILE", "LOG_FORMAT_FILE"] {
        let error = errors([(name, text(&dir.path().join("token")))]);
        assert!(error.contains("must be") && !error.contains("hunter"), "{error}");
    }
}

#[test]
fn secrets_are_redacted() {
    static SECRET: Variable = Variable { secret: true, ..Variable::number("SECRET", "", (0, 9), |_, _| {}) };
    let setting = Setting { variable: &SECRET, text: "hunter2".to_owned(), origin: Origin::Environment, hidden: false };
    let error = setting.blame(ConfigError::new("SECRET", "must be a number")).to_string();
    assert_eq!(error, "RWS_CONFIG_SECRET=<redacted>: must be a number");
    assert_eq!(resolved(&SECRET, "hunter2", &Config::default()), "<redacted>");
}

// Names

#[test]
fn an_unknown_name_is_a_warning_with_a_suggestion() {
    let unknown = "is not a known setting and has no effect";
    let cases = [
        ("LOG_FROMAT", Some("LOG_FORMAT")),
        ("LOGFORMAT", Some("LOG_FORMAT")),
        ("log_format", Some("LOG_FORMAT")),
        ("PROT", Some("PORT")),
        ("PORTS", Some("PORT")),
        ("PROT_FILE", Some("PORT")),
        ("THREADS", Some("THREAD_COUNT")),
        ("MAX_BODY_SIZE", Some("MAX_BODY_SIZE_IN_BYTES")),
        ("MAX_CONECTIONS", Some("MAX_CONNECTIONS")),
        ("HEALTH_PATH", Some("HEALTHZ_PATH")),
        ("ROUTE_", Some("ROUTE_<NAME>")),
        ("TLS_CERT", Some("TLS_CERT_FILE")),
        ("HOST", None),
        ("WORKERS", None),
        ("DATABASE_URL", None),
        ("FOO", None),
        ("", None),
    ];
    for (name, suggestion) in cases {
        let suggestion = suggestion.map(|name| format!("; did you mean RWS_CONFIG_{name}?")).unwrap_or_default();
        let expected = format!("RWS_CONFIG_{name} {unknown}{suggestion}");
        assert_eq!(notices(&loaded([(name, "json")])).join("\n"), expected);
        let error = errors([(name, "json"), ("STRICT", "true")]);
        assert_eq!(error, expected.replacen(" is", ": is", 1));
    }
}

#[test]
fn an_unknown_name_is_escaped() {
    assert_eq!(
        notices(&loaded([("A\n\u{1b}[2J", "x")])),
        [r"RWS_CONFIG_A\n\u{1b}[2J is not a known setting and has no effect"]
    );
}

#[test]
fn an_unknown_name_on_the_command_line_is_an_error() {
    let sources = command_line(Sources::default(), &[("PROT", "80")]);
    let error = Config::load(&sources).expect_err("there is no such setting").to_string();
    assert_eq!(
        error,
        "RWS_CONFIG_PROT (from the command line): is not a known setting and has no effect; did you mean RWS_CONFIG_PORT?"
    );
}

#[test]
fn names_and_values_must_be_utf8() {
    let bytes = |text: &[u8]| OsString::from_vec(text.to_vec());
    let sources = Sources::new([
        (bytes(b"RWS_CONFIG_A\xff"), bytes(b"x")),
        (bytes(b"RWS_CONFIG_PORT"), bytes(b"8\xff")),
        (bytes(b"RWS_CONFIG_B"), bytes(b"8\xff")),
        (bytes(b"OTHER\xff"), bytes(b"\xff")),
    ]);
    let error = Config::load(&sources).expect_err("bytes").to_string();
    assert_eq!(
        error,
        "RWS_CONFIG_A\u{fffd}: the name must be UTF-8\n\
         RWS_CONFIG_B=<redacted>: the value must be UTF-8\n\
         RWS_CONFIG_PORT=\"8\u{fffd}\": the value must be UTF-8"
    );
}

#[test]
fn a_service_called_rws_config_does_not_set_the_port() {
    let links = [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "7878"),
        ("SERVICE_PORT_HTTP", "7878"),
        ("PORT", "tcp://10.0.0.1:7878"),
        ("PORT_7878_TCP", "tcp://10.0.0.1:7878"),
        ("PORT_7878_TCP_PROTO", "tcp"),
        ("PORT_7878_TCP_PORT", "7878"),
        ("PORT_7878_TCP_ADDR", "10.0.0.1"),
        ("STRICT", "true"),
        KUBERNETES,
    ];
    let with_links = loaded(links);
    assert_eq!(with_links.config.port, 7878);
    assert_eq!(effective(&with_links, "PORT").origin, Origin::Default);
    assert_eq!(
        notices(&with_links),
        [
            "RWS_CONFIG_PORT is ignored: its value \"tcp://10.0.0.1:7878\" was injected by Kubernetes for a Service called \
          rws-config; set enableServiceLinks: false in the pod's spec, or rename the Service"
        ]
    );
    let dir = directory(&[("PORT", "81")]);
    assert_eq!(loaded(links.into_iter().chain([("DIR", text(dir.path()))])).config.port, 81);
}

#[test]
fn links_of_other_services_are_recognised_too() {
    let found = notices(&loaded([("ADMIN_PORT", "tcp://10.0.0.1:9090"), ("ADMIN_SERVICE_HOST", "10.0.0.1")]));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("a Service called rws-config-admin;"), "{found:?}");
    let route = loaded([("ROUTE_PORT", "tcp://10.0.0.1:80"), ("ROUTE_SERVICE_HOST", "10.0.0.1"), ("STRICT", "true")]);
    assert_eq!((route.notices, route.config.routes), (Vec::new(), Vec::new()));
}

// Names of other versions

#[test]
fn a_feature_that_is_missing_stops_the_start_only_when_it_is_asked_for() {
    for variable in VARIABLES {
        let name = variable.name.replace("<N>", "1");
        let (because, refused) = match variable.status {
            Status::Refused(because) => (because, true),
            Status::NoEffect(because) => (because, false),
            Status::Supported | Status::ReplacedBy(_) => continue,
        };
        for off in ["off", "false", "0", "no", "", " OFF\n"] {
            assert_eq!(notices(&loaded([(name.as_str(), off)])), Vec::<String>::new(), "{name}={off}");
        }
        if refused {
            let value = if variable.secret { "<redacted>" } else { "\"on\"" };
            let expected = format!("RWS_CONFIG_{name}={value}: is not supported by this version: {because}; unset it");
            assert_eq!(errors([(name.as_str(), "on")]), expected);
        } else {
            let expected = format!("RWS_CONFIG_{name} is not supported by this version and has no effect: {because}");
            assert_eq!(notices(&loaded([(name.as_str(), "on")])), [expected]);
        }
    }
}

#[test]
fn the_old_name_of_the_head_limit_sets_it_and_says_so() {
    let old = loaded([("REQUEST_ALLOCATION_SIZE_IN_BYTES", "10000")]);
    assert_eq!(old.config.max_head_bytes, 10_000);
    assert_eq!(
        notices(&old),
        [
            "RWS_CONFIG_REQUEST_ALLOCATION_SIZE_IN_BYTES is the old name of RWS_CONFIG_MAX_HEAD_BYTES and sets that limit; \
          rename it"
        ]
    );
    assert_eq!(effective(&old, "MAX_HEAD_BYTES").value, "10000");
    assert_eq!(effective(&old, "MAX_HEAD_BYTES").origin, Origin::Environment);

    let both = loaded([("REQUEST_ALLOCATION_SIZE_IN_BYTES", "10000"), ("MAX_HEAD_BYTES", "20000")]);
    assert_eq!(both.config.max_head_bytes, 20_000);
    assert!(notices(&both)[0].contains("has no effect"), "{:?}", both.notices);
}

#[test]
fn the_target_limit_follows_a_small_head_limit_unless_it_is_set() {
    let small = loaded([("REQUEST_ALLOCATION_SIZE_IN_BYTES", "4096")]);
    assert_eq!((small.config.max_head_bytes, small.config.max_uri_bytes), (4096, 4096));
    assert_eq!(effective(&small, "MAX_URI_BYTES").value, "4KiB");
    assert!(errors([("MAX_HEAD_BYTES", "4096"), ("MAX_URI_BYTES", "8KiB")]).contains("MAX_URI_BYTES"));
}

// Builds without a feature

#[test]
#[cfg(not(feature = "auth"))]
fn a_build_without_authentication_refuses_to_let_everybody_in() {
    let error = errors([("AUTH_BASIC", "ada:open sesame"), ("AUTH_BEARER", "abcdefghijklmnop")]);
    assert!(error.contains("RWS_CONFIG_AUTH_BASIC") && error.contains("RWS_CONFIG_AUTH_BEARER"), "{error}");
    assert!(error.contains("cargo feature auth") && !error.contains("sesame"), "{error}");
    assert_eq!(loaded([("AUTH_BASIC", ""), ("AUTH_BEARER", " ")]).config, Config::default());
    assert_eq!(notices(&loaded([("AUTH_REALM", "Shop")])).len(), 1);
}

// TLS

#[test]
#[cfg(feature = "tls")]
fn what_of_tls_does_not_fit_together_is_an_error_that_names_what_to_change() {
    const PAIR: [(&str, &str); 2] = [("TLS_CERT_FILE", "/c"), ("TLS_KEY_FILE", "/k")];
    const FIRST: [(&str, &str); 3] =
        [("VIRTUAL_HOST_1_DOMAIN", "a.test"), ("VIRTUAL_HOST_1_CERT_FILE", "/c"), ("VIRTUAL_HOST_1_KEY_FILE", "/k")];
    let second = |domain| {
        [("VIRTUAL_HOST_2_DOMAIN", domain), ("VIRTUAL_HOST_2_CERT_FILE", "/c"), ("VIRTUAL_HOST_2_KEY_FILE", "/k")]
    };
    /// Settings, and what their errors say.
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        (FIRST.to_vec(), &[]),
        (
            FIRST[..1].to_vec(),
            &[
                "RWS_CONFIG_VIRTUAL_HOST_1_CERT_FILE: must be set as well, since RWS_CONFIG_VIRTUAL_HOST_1_DOMAIN is",
                "RWS_CONFIG_VIRTUAL_HOST_1_KEY_FILE: must be set as well",
            ],
        ),
        (FIRST[1..].to_vec(), &["RWS_CONFIG_VIRTUAL_HOST_1_DOMAIN: must be set as well"]),
        (
            [&FIRST[..], &second("b.test, A.TEST")].concat(),
            &["RWS_CONFIG_VIRTUAL_HOST_2_DOMAIN=\"b.test, A.TEST\": must not name a.test, which \
             RWS_CONFIG_VIRTUAL_HOST_1_DOMAIN does"],
        ),
        ([&FIRST[..], &second("*.a.test")].concat(), &[]),
        ([&FIRST[..], &second("bücher.test")].concat(), &["xn--bcher-kva.test"]),
        (
            vec![("TLS_CLIENT_CA_FILE", "/ca")],
            &["RWS_CONFIG_TLS_CLIENT_CA_FILE=\"/ca\": needs RWS_CONFIG_TLS_CERT_FILE"],
        ),
        ([&FIRST[..], &[("TLS_CLIENT_CA_FILE", "/ca")]].concat(), &[]),
        ([&PAIR[..], &[("TLS_CLIENT_AUTH", "maybe")]].concat(), &["must be one of required, optional"]),
        (vec![("HTTP_REDIRECT_PORT", "80")], &["RWS_CONFIG_HTTP_REDIRECT_PORT=\"80\": needs RWS_CONFIG_TLS_CERT_FILE"]),
        ([&PAIR[..], &[("HTTP_REDIRECT_PORT", "7878")]].concat(), &["must differ from RWS_CONFIG_PORT (7878)"]),
        (
            [&PAIR[..], &[("HTTP_REDIRECT_PORT", "81"), ("ADMIN_PORT", "81")]].concat(),
            &["must differ from RWS_CONFIG_ADMIN_PORT (81)"],
        ),
        (
            [&PAIR[..], &[("HTTP_REDIRECT_PORT", "80"), ("HTTP_REDIRECT_TO_PORT", "0")]].concat(),
            &["must be a port that clients can go to"],
        ),
        ([&PAIR[..], &[("TLS_MIN_VERSION", "1.1")]].concat(), &["must be one of 1.2, 1.3"]),
    ];
    for (settings, expected) in cases {
        if expected.is_empty() {
            loaded(settings.iter().copied());
        } else {
            let error = errors(settings.iter().copied());
            assert_eq!(error.lines().count(), expected.len(), "{settings:?}: {error}");
            assert!(expected.iter().all(|expected| error.contains(expected)), "{settings:?}: {error}");
        }
    }
}

// The admin port

#[test]
fn the_admin_port_is_none_unless_it_is_set_and_has_the_address_of_the_main_one() {
    for (settings, expected) in [
        (&[][..], None),
        (&[("ADMIN_IP", "127.0.0.1")], None),
        (&[("ADMIN_PORT", "")], None),
        (&[("ADMIN_PORT", "9090")], Some("0.0.0.0:9090")),
        (&[("ADMIN_PORT", "9090"), ("IP", "10.0.0.7")], Some("10.0.0.7:9090")),
        (&[("ADMIN_PORT", "9090"), ("IP", "10.0.0.7"), ("ADMIN_IP", "::")], Some("[::]:9090")),
        (&[("ADMIN_PORT", "9090"), ("ADMIN_IP", " ")], Some("0.0.0.0:9090")),
        (&[("ADMIN_PORT", "0"), ("PORT", "0")], Some("0.0.0.0:0")),
    ] {
        let address = loaded(settings.iter().copied()).config.admin_address();
        assert_eq!(address.map(|address| address.to_string()).as_deref(), expected, "{settings:?}");
    }
    assert_eq!(effective(&loaded([("IP", "10.0.0.7")]), "ADMIN_IP").value, "10.0.0.7");
    assert!(errors([("ADMIN_PORT", "65536")]).contains("must be a port number from 0 to 65535, or empty for none"));
    assert!(errors([("ADMIN_IP", "here")]).contains("RWS_CONFIG_ADMIN_IP=\"here\": must be an IPv4 or IPv6 address"));
}

#[test]
fn the_admin_port_is_another_than_the_main_one() {
    let text = errors([("ADMIN_PORT", "7878")]);
    assert!(text.contains("RWS_CONFIG_ADMIN_PORT=\"7878\": must differ from RWS_CONFIG_PORT (7878)"), "{text}");
    let text = errors([("ADMIN_PORT", "80"), ("PORT", "80"), ("ADMIN_IP", "127.0.0.1")]);
    assert!(text.contains("must differ"), "two addresses do not make it better: {text}");
}

#[test]
fn no_probe_is_in_the_place_of_an_admin_page() {
    let text = errors([("ADMIN_PORT", "9090"), ("METRICS_PATH", "/statusz")]);
    assert!(text.contains("RWS_CONFIG_METRICS_PATH=\"/statusz\": must not be /statusz"), "{text}");
    assert_eq!(loaded([("METRICS_PATH", "/statusz")]).config.metrics_path, "/statusz");
}

#[test]
fn a_loopback_admin_port_inside_kubernetes_is_worth_a_warning() {
    let inside = |settings: &[(&str, &str)]| notices(&loaded(settings.iter().copied().chain([KUBERNETES])));
    let found = inside(&[("ADMIN_PORT", "9090"), ("ADMIN_IP", "127.0.0.1")]);
    assert!(found[0].contains("RWS_CONFIG_ADMIN_IP") && found[0].contains("Prometheus"), "{found:?}");
    for quiet in [
        &[("ADMIN_PORT", "9090")][..],
        &[("ADMIN_IP", "127.0.0.1")],
        &[("ADMIN_PORT", "9090"), ("ADMIN_IP", "127.0.0.1"), ("ALLOW_LOOPBACK", "true")],
    ] {
        assert_eq!(inside(quiet), Vec::<String>::new(), "{quiet:?}");
    }
}

#[test]
fn what_came_from_a_secret_and_could_be_anything_is_not_shown() {
    let dir = directory(&[("secret", "-----BEGIN PRIVATE KEY-----"), ("port", "81")]);
    let path = |name: &str| text(&dir.path().join(name)).to_owned();
    let (secret, port) = (path("secret"), path("port"));
    let found = loaded([("LOG_REDACT_QUERY_FILE", secret.as_str()), ("PORT_FILE", port.as_str())]);
    assert_eq!(effective(&found, "LOG_REDACT_QUERY").value, "<redacted>");
    assert_eq!(effective(&found, "PORT").value, "81", "a port is no secret");
}

#[test]
#[cfg(feature = "tls")]
fn a_certificate_and_its_key_come_together() {
    let expected = "RWS_CONFIG_TLS_KEY_FILE: must be set as well, since RWS_CONFIG_TLS_CERT_FILE is, for example \
                    RWS_CONFIG_TLS_KEY_FILE=/etc/tls/tls.key";
    assert_eq!(errors([("TLS_CERT_FILE", "/a")]), expected);
    let expected = "RWS_CONFIG_TLS_CERT_FILE: must be set as well, since RWS_CONFIG_TLS_KEY_FILE is, for example \
                    RWS_CONFIG_TLS_CERT_FILE=/etc/tls/tls.crt";
    assert_eq!(errors([("TLS_KEY_FILE", "/a")]), expected);
    assert!(errors([("TLS_CERT_FILE", ""), ("TLS_KEY_FILE", "/a")]).contains("must be set as well"));
    assert_eq!(loaded([("TLS_CERT_FILE", ""), ("TLS_KEY_FILE", " ")]).config, Config::default());
}

// Kubernetes

/// The original server listened on 127.0.0.1 by default: it started, every probe was refused, and the pod was
/// restarted for ever.
#[test]
fn a_pod_never_starts_on_loopback_where_its_probes_are_refused() {
    for ip in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        let expected = format!(
            "RWS_CONFIG_IP=\"{ip}\": must not be a loopback address inside Kubernetes: kubelet probes and Services \
             reach the pod IP, never 127.0.0.1: set RWS_CONFIG_IP=0.0.0.0 (or RWS_CONFIG_ALLOW_LOOPBACK=true if only \
             this pod is to reach it)"
        );
        assert_eq!(errors([("IP", ip), KUBERNETES]), expected);
        assert_eq!(errors([("IP", ip), ("ALLOW_LOOPBACK", "false"), KUBERNETES]), expected);
        let address: IpAddr = ip.parse().expect("an address");
        assert_eq!(loaded([("IP", ip)]).config.ip, address);
        assert_eq!(loaded([("IP", ip), ("ALLOW_LOOPBACK", "true"), KUBERNETES]).config.ip, address);
        assert!(!errors([("IP", ip), ("ALLOW_LOOPBACK", "maybe"), KUBERNETES]).contains("loopback address"));
    }
    for ip in ["0.0.0.0", "::", "10.0.0.1"] {
        loaded([("IP", ip), KUBERNETES]);
    }
    loaded([KUBERNETES]);
}

#[test]
fn the_drain_delay_knows_where_it_runs() {
    let seconds = |settings: &[(&'static str, &'static str)]| {
        let loaded = loaded(settings.iter().copied());
        (loaded.config.drain_delay.as_secs(), effective(&loaded, "DRAIN_DELAY").value.clone())
    };
    assert_eq!(seconds(&[]), (0, "0s (auto)".to_owned()));
    assert_eq!(seconds(&[KUBERNETES]), (5, "5s (auto)".to_owned()));
    assert_eq!(seconds(&[KUBERNETES, ("DRAIN_DELAY", "auto")]), (5, "5s (auto)".to_owned()));
    assert_eq!(seconds(&[KUBERNETES, ("DRAIN_DELAY", "0")]), (0, "0".to_owned()));
    assert_eq!(seconds(&[("DRAIN_DELAY", "7")]), (7, "7".to_owned()));
}

#[test]
fn reactors_default_to_the_cpus() {
    assert_eq!(loaded([("REACTOR_COUNT", "3")]).config.reactors(), 3);
    assert!(Config::default().reactors() >= 1);
}

// Rules across variables

#[test]
fn rules_across_variables_blame_what_should_change() {
    let route = |pattern: &str| format!("{pattern} -> respond 200 text/plain x");
    let (healthz, livez, check, fallback) =
        (route("/healthz"), route("POST /livez"), route("/readyz/{name}"), route("/{*rest}"));
    let one_check = route("/r/ping");
    let (a, also_a, post_a) = (route("/a/{x}"), route("GET /a/{y}"), route("POST /a/{x}"));
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: &[Case] = &[
        (
            &[("MAX_URI_BYTES", "17KiB")],
            &[
                "MAX_URI_BYTES=\"17KiB\": must not be more than RWS_CONFIG_MAX_HEAD_BYTES (16384), which includes it, for \
               example RWS_CONFIG_MAX_URI_BYTES=16384",
            ],
        ),
        (&[("MAX_URI_BYTES", "16KiB")], &[]),
        (&[("MAX_URI_BYTES", "17KiB"), ("MAX_HEAD_BYTES", "1")], &["MAX_HEAD_BYTES=\"1\""]),
        (
            &[("READYZ_PATH", "/healthz")],
            &["READYZ_PATH=\"/healthz\": must differ from RWS_CONFIG_HEALTHZ_PATH (/healthz), for example \
               RWS_CONFIG_READYZ_PATH=/readyz"],
        ),
        (&[("HEALTHZ_PATH", "/metrics")], &["HEALTHZ_PATH=\"/metrics\": must differ from RWS_CONFIG_METRICS_PATH"]),
        (&[("HEALTHZ_PATH", "/readyz"), ("READYZ_PATH", "/healthz")], &[]),
        (&[("HEALTHZ_PATH", "/livez")], &[]),
        (&[("METRICS_PATH", "/livez")], &["METRICS_PATH=\"/livez\": must not be /livez"]),
        (&[("METRICS_PATH", "/readyz/metrics")], &["METRICS_PATH=\"/readyz/metrics\": RWS_CONFIG_METRICS_PATH"]),
        (&[("READYZ_PATH", "/ready/")], &[]),
        (
            &[("READYZ_PATH", "/")],
            &[
                "READYZ_PATH=\"/\": RWS_CONFIG_HEALTHZ_PATH",
                "READYZ_PATH=\"/\": RWS_CONFIG_STARTUPZ",
                "READYZ_PATH=\"/\": RWS_CONFIG_METRICS",
            ],
        ),
        (&[("READYZ_PATH", "x y"), ("HEALTHZ_PATH", "/readyz")], &["READYZ_PATH=\"x y\": must be a path"]),
        (
            &[("ROUTE_X", &healthz)],
            &["ROUTE_X=\"/healthz -> respond 200 text/plain x\": clashes with the built-in path /healthz"],
        ),
        (&[("ROUTE_X", &healthz), ("HEALTHZ_PATH", "/health")], &[]),
        (
            &[("STATIC_PREFIX", "/healthz/")],
            &["STATIC_PREFIX=\"/healthz/\": must not be the built-in path /healthz, for example \
               RWS_CONFIG_STATIC_PREFIX=/files"],
        ),
        (&[("STATIC_PREFIX", "/livez")], &["STATIC_PREFIX=\"/livez\": must not be the built-in path /livez"]),
        (&[("STATIC_PREFIX", "/readyz/db")], &["STATIC_PREFIX=\"/readyz/db\": must not be the built-in path"]),
        (&[("STATIC_PREFIX", "/healthz"), ("HEALTHZ_PATH", "/health")], &[]),
        (&[("STATIC_PREFIX", "/healthz/more")], &[]),
        (
            &[("ROUTE_X", &livez)],
            &["ROUTE_X=\"POST /livez -> respond 200 text/plain x\": clashes with the built-in path /livez"],
        ),
        (
            &[("ROUTE_X", &check)],
            &["ROUTE_X=\"/readyz/{name} -> respond 200 text/plain x\": clashes with the built-in path"],
        ),
        (
            &[("ROUTE_X", &one_check), ("READYZ_PATH", "/r/")],
            &["ROUTE_X=\"/r/ping -> respond 200 text/plain x\": clashes with the built-in path /r/{check}"],
        ),
        (&[("ROUTE_X", &one_check)], &[]),
        (&[("ROUTE_X", &fallback)], &[]),
        (
            &[("ROUTE_A", &a), ("ROUTE_B", &also_a)],
            &["ROUTE_B=\"GET /a/{y} -> respond 200 text/plain x\": clashes with RWS_CONFIG_ROUTE_A (/a/{x})"],
        ),
        (&[("ROUTE_A", &a), ("ROUTE_B", &post_a)], &[]),
    ];
    for (settings, expected) in cases {
        let found = match Config::load(&environment(settings.iter().copied())) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(found.len(), expected.len(), "{settings:?}: {found:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            assert!(found.starts_with(&format!("RWS_CONFIG_{expected}")), "{settings:?}: {found}");
        }
    }
}

#[test]
fn routes_are_in_the_order_of_their_names() {
    let route = |name: &str| format!("/{name} -> redirect 308 /x");
    let (a, b, c) = (route("a"), route("b"), route("c"));
    let loaded = loaded([("ROUTE_C", c.as_str()), ("ROUTE_A", a.as_str()), ("ROUTE_B", b.as_str())]);
    let names: Vec<_> = loaded.config.routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(names, ["A", "B", "C"]);
    assert_eq!(effective(&loaded, "ROUTE_B").value, b);
}

#[test]
fn a_long_wrong_route_gives_a_short_error() {
    let long = "x".repeat(100_000);
    let error = errors([("ROUTE_X", format!("/x -> {long}").as_str())]);
    assert!(error.len() < 1000, "{} bytes", error.len());
}

#[test]
fn limits_may_change_at_a_reload_and_sockets_may_not() {
    let change = |name| find(name).expect("a variable").change;
    for name in ["HEAD_TIMEOUT", "THREAD_COUNT", "MAX_BODY_SIZE_IN_BYTES", "LOG_LEVEL", "DRAIN_TIMEOUT"] {
        assert_eq!(change(name), Change::Reload, "{name}");
    }
    for name in ["IP", "PORT", "REACTOR_COUNT", "DIR", "ROUTE_X"] {
        assert_eq!(change(name), Change::Restart, "{name}");
    }
}

/// Any known name, with the parts that an operator chooses filled in.
fn any_name() -> impl Strategy<Value = String> {
    let known = (0..VARIABLES.len()).prop_map(|row| VARIABLES[row].name.replace("<NAME>", "X").replace("<N>", "1"));
    // A _FILE name would read whatever file the value happens to name.
    prop_oneof![4 => known, 1 => "[A-Z_]{0,12}".prop_filter("no files", |name| !name.ends_with("_FILE"))]
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "-?[0-9]{0,22}(\\.[0-9])?(ms|s|m|h|k|KiB|MiB|GiB|B)?",
        "(GET )?/[a-z{}*/]{0,9} -> (respond|redirect) [0-9]{3} (text/plain )?[ -~]{0,12}",
        "(tcp://)?[0-9a-f.:]{0,20}",
        "(true|false|auto|json|off|/)",
    ]
}

proptest! {
    #[test]
    fn no_values_make_load_panic(
        settings in prop::collection::vec((any_name(), any_value()), 0..8),
        given in prop::collection::vec((any_name(), any_value()), 0..3),
        kubernetes: bool,
    ) {
        let kubernetes = kubernetes.then_some(KUBERNETES);
        let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let sources = environment(settings.chain(kubernetes)).with_command_line(given);
        match Config::load(&sources) {
            Ok(loaded) => prop_assert!(loaded.effective.len() >= 30),
            Err(errors) => {
                let text = errors.to_string();
                let count = errors.iter().count() + errors.notices().len();
                prop_assert_eq!(text.lines().count(), count, "one line each: {}", text);
                prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{:?}", text);
                prop_assert_eq!(errors.to_json_lines().lines().count(), count);
            }
        }
    }

    #[test]
    fn no_environment_of_bytes_makes_load_panic(
        settings in prop::collection::vec((prop::collection::vec(1u8.., 0..12), prop::collection::vec(1u8.., 0..12)), 0..4)
    ) {
        let os = |text: Vec<u8>, prefix: &[u8]| OsString::from_vec([prefix, &text].concat());
        let sources = Sources::new(settings.into_iter().map(|(n, v)| (os(n, PREFIX.as_bytes()), os(v, b""))));
        let _ = Config::load(&sources);
    }

    #[test]
    fn a_valid_number_is_taken_and_any_other_refused(port in 0u64..70_000) {
        let text = port.to_string();
        match Config::load(&environment([("PORT", text.as_str())])) {
            Ok(loaded) => prop_assert_eq!(u64::from(loaded.config.port), port),
            Err(_) => prop_assert!(port > 65_535),
        }
    }
}

/// A Service's port: name, number, protocol.
type Port = (&'static str, u16, &'static str);

/// What the kubelet injects for a Service:
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/envvars/envvars.go>.
fn service_link(service: &str, ip: &str, ports: &[Port]) -> Vec<(String, String)> {
    let upper = |name: &str| name.replace(['-', '.'], "_").to_ascii_uppercase();
    let prefix = upper(service);
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let mut variables = vec![
        (format!("{prefix}_SERVICE_HOST"), ip.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), ports[0].1.to_string()),
    ];
    let named = ports.iter().filter(|(name, ..)| !name.is_empty());
    variables.extend(named.map(|(name, port, _)| (format!("{prefix}_SERVICE_PORT_{}", upper(name)), port.to_string())));
    for (index, (_, port, protocol)) in ports.iter().enumerate() {
        let url = format!("{}://{host}:{port}", protocol.to_ascii_lowercase());
        if index == 0 {
            variables.push((format!("{prefix}_PORT"), url.clone()));
        }
        let prefix = format!("{prefix}_PORT_{port}_{protocol}");
        variables.extend([
            (prefix.clone(), url),
            (format!("{prefix}_PROTO"), protocol.to_ascii_lowercase()),
            (format!("{prefix}_PORT"), port.to_string()),
            (format!("{prefix}_ADDR"), ip.to_owned()),
        ]);
    }
    variables
}

#[test]
fn no_service_of_whatever_name_can_set_or_break_anything() {
    const HTTP: &[Port] = &[("", 7878, "TCP")];
    // What a Service is called, what it has, and which names of settings its link takes.
    type Case = (&'static str, &'static [Port], &'static [&'static str]);
    let cases: &[Case] = &[
        ("rws", HTTP, &[]),
        ("rws-config", HTTP, &["PORT"]),
        (
            "rws-config",
            &[("http", 80, "TCP"), ("metrics.v2", 9090, "TCP"), ("dns", 53, "UDP"), ("x", 1, "SCTP")],
            &["PORT"],
        ),
        ("rws-config-foo", HTTP, &[]),
        ("rws-config-admin", HTTP, &["ADMIN_PORT"]),
        ("rws-config-http-redirect", HTTP, &["HTTP_REDIRECT_PORT"]),
        ("rws-config-ip", HTTP, &[]),
        ("rws-config-dir", HTTP, &[]),
        ("rws-config-port", HTTP, &[]),
        ("rws-config-service-port", HTTP, &[]),
        ("rws-config-virtual-host-1", HTTP, &[]),
        // Any name could be that of a route, so there is nothing to say.
        ("rws-config-route", HTTP, &[]),
        ("rws-config-route-a", HTTP, &[]),
        ("rws-config-tls-cert-file", HTTP, &[]),
    ];
    for (service, ports, taken) in cases {
        for ip in ["10.96.0.7", "fd00:10:96::7"] {
            let link = service_link(service, ip, ports);
            let strict = [(format!("{PREFIX}STRICT"), "true".to_owned()), (KUBERNETES.0.into(), KUBERNETES.1.into())];
            let sources = Sources::new(link.iter().cloned().chain(strict));
            let loaded = Config::load(&sources).unwrap_or_else(|errors| panic!("{service} {ip}: {errors}"));
            assert_eq!(loaded.config.port, 7878, "{service}");
            assert!(loaded.config.routes.is_empty(), "{service}");
            let told: Vec<&str> = loaded.notices.iter().map(Notice::variable).collect();
            for name in *taken {
                let full = format!("{PREFIX}{name}");
                let notice = loaded.notices.iter().find(|notice| notice.variable() == full);
                let notice = notice.unwrap_or_else(|| panic!("{service}: {told:?}")).to_string();
                assert!(notice.contains("enableServiceLinks: false"), "{notice}");
                assert!(
                    !name.ends_with("PORT") || notice.contains(&format!("for a Service called {service};")),
                    "{notice}"
                );
            }
            assert_eq!(told.len(), taken.len(), "{service}: {told:?}");
        }
    }
}
