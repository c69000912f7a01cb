//! Configurations made in code: what an operator would have written for them, so that they are checked by the rules of the
//! table, and shown as all others are.

use std::path::Path;

use http::HeaderValue;

use super::error::{ConfigError, Report};
use super::gather::{Setting, Settings};
use super::load::{Loaded, apply, effective, uri_fits_into_head};
use super::source::Origin;
use super::table::{Kind, find};
use super::value::{show_bytes, show_millis};
use super::{ClientAuth, Config, TlsVersion, rules};
use crate::semantics::accept_encoding::Coding;
use crate::semantics::secrets::{Secret, Token, User};

/// The listener takes its place wherever a configuration made in code is used.
const NOT_USED: &str = "PORT";

impl From<Config> for Loaded {
    /// A configuration that was made in code, outside Kubernetes. Fields that are as in [`Config::default`] count as not
    /// set. What is wrong with the others, [`check`](Loaded::check) says, and whoever serves by it.
    fn from(mut config: Config) -> Self {
        let mut report = Report::new(true);
        let settings = settings(&config, &mut report);
        uri_fits_into_head(&mut config, &settings);
        let mut parsed = Config::default();
        for (name, setting) in &settings {
            apply(name, setting, &mut parsed, &settings, &mut report);
        }
        rules::check(&Config { port: 0, ..config.clone() }, &settings, false, &mut report);
        let mut effective = effective(&settings, &config);
        effective.retain(|value| value.variable().is_none_or(|variable| variable.name != NOT_USED));
        let (notices, faults) = match report.finish() {
            Ok(notices) => (notices, None),
            Err(errors) => (Vec::new(), Some(errors)),
        };
        let overruled = Settings::new();
        Loaded { config, notices, effective, settings, overruled, in_kubernetes: false, faults }
    }
}

/// What differs from the defaults.
fn settings(config: &Config, report: &mut Report) -> Settings {
    let defaults = texts(&Config::default());
    let mut settings = Settings::new();
    for (name, text) in texts(config) {
        if name == NOT_USED || defaults.iter().any(|default| (&default.0, &default.1) == (&name, &text)) {
            continue;
        }
        match find(&name) {
            Some(variable) => {
                settings.insert(name, Setting { variable, text, origin: Origin::Code, hidden: false });
            }
            None => report.error(ConfigError::new(&name, "is no name that a variable can have")),
        }
    }
    settings
}

/// Every field as its variable would be written.
fn texts(config: &Config) -> Vec<(String, String)> {
    // So that a field that is added is not forgotten here.
    let Config {
        ip,
        port,
        admin_port,
        admin_ip,
        thread_count,
        reactor_count,
        queue_depth,
        max_connections,
        max_connections_per_ip,
        max_requests_per_connection,
        max_head_bytes,
        max_headers,
        max_uri_bytes,
        max_body_size_in_bytes,
        rate_limit_max_requests,
        rate_limit_window_secs,
        auth_basic,
        auth_bearer,
        auth_realm,
        auth_exempt_prefixes,
        head_timeout,
        body_timeout,
        idle_timeout,
        write_timeout,
        tls_handshake_timeout,
        handler_timeout,
        drain_delay,
        drain_timeout,
        drain_ready_status,
        log_format: _,
        log_level: _,
        log_probes: _,
        log_redact_query,
        log_gcp_project,
        trusted_proxies,
        healthz_path,
        readyz_path,
        startupz_path,
        metrics_path,
        health_details: _,
        liveness_stall,
        startup_timeout,
        static_dir,
        static_prefix,
        static_cache_control,
        static_immutable: _,
        static_immutable_prefixes,
        spa_fallback,
        spa_fallback_exclude_prefixes,
        directory_listing,
        static_cache_bytes,
        compression,
        demo_routes,
        routes,
        cors_allow_all,
        cors_allow_origins,
        cors_allow_methods,
        cors_allow_headers,
        cors_allow_credentials,
        cors_expose_headers,
        cors_max_age,
        security_headers,
        csp,
        csp_report_only,
        hsts,
        tls_cert_file,
        tls_key_file,
        virtual_hosts,
        tls_min_version,
        tls_client_ca_file,
        tls_client_auth,
        http_redirect_port,
        http_redirect_to_port,
        dir,
        strict,
        allow_loopback,
    } = config;
    // These have no other names than those in the table.
    let choices = ["LOG_FORMAT", "LOG_LEVEL", "LOG_PROBES", "HEALTH_DETAILS", "STATIC_IMMUTABLE"];
    let time = |time: &std::time::Duration| show_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let fields = [
        ("IP", ip.to_string()),
        ("PORT", port.to_string()),
        ("ADMIN_PORT", or_empty(admin_port.as_ref())),
        ("ADMIN_IP", or_empty(admin_ip.as_ref())),
        ("THREAD_COUNT", thread_count.to_string()),
        ("REACTOR_COUNT", reactor_count.to_string()),
        ("QUEUE_DEPTH", queue_depth.to_string()),
        ("MAX_CONNECTIONS", max_connections.to_string()),
        ("MAX_CONNECTIONS_PER_IP", max_connections_per_ip.to_string()),
        ("MAX_REQUESTS_PER_CONNECTION", max_requests_per_connection.to_string()),
        ("MAX_HEAD_BYTES", show_bytes(*max_head_bytes as u64)),
        ("MAX_HEADERS", max_headers.to_string()),
        ("MAX_URI_BYTES", show_bytes(*max_uri_bytes as u64)),
        ("MAX_BODY_SIZE_IN_BYTES", show_bytes(*max_body_size_in_bytes)),
        ("RATE_LIMIT_MAX_REQUESTS", rate_limit_max_requests.to_string()),
        ("RATE_LIMIT_WINDOW_SECS", rate_limit_window_secs.to_string()),
        ("AUTH_BASIC", lines(auth_basic, user)),
        ("AUTH_BEARER", lines(auth_bearer, token)),
        ("AUTH_REALM", auth_realm.clone()),
        ("AUTH_EXEMPT_PREFIXES", list(auth_exempt_prefixes)),
        ("HEAD_TIMEOUT", time(head_timeout)),
        ("BODY_TIMEOUT", time(body_timeout)),
        ("IDLE_TIMEOUT", time(idle_timeout)),
        ("WRITE_TIMEOUT", time(write_timeout)),
        ("TLS_HANDSHAKE_TIMEOUT", time(tls_handshake_timeout)),
        ("HANDLER_TIMEOUT", time(handler_timeout)),
        ("DRAIN_DELAY", time(drain_delay)),
        ("DRAIN_TIMEOUT", time(drain_timeout)),
        ("DRAIN_READY_STATUS", drain_ready_status.to_string()),
        ("LOG_REDACT_QUERY", list(log_redact_query)),
        ("LOG_GCP_PROJECT", log_gcp_project.clone()),
        ("TRUSTED_PROXIES", list(trusted_proxies)),
        ("HEALTHZ_PATH", healthz_path.clone()),
        ("READYZ_PATH", readyz_path.clone()),
        ("STARTUPZ_PATH", startupz_path.clone()),
        ("METRICS_PATH", metrics_path.clone()),
        ("LIVENESS_STALL", time(liveness_stall)),
        ("STARTUP_TIMEOUT", time(startup_timeout)),
        ("STATIC_DIR", path(static_dir.as_deref())),
        ("STATIC_PREFIX", static_prefix.clone()),
        ("STATIC_CACHE_CONTROL", value(static_cache_control.as_ref())),
        ("STATIC_IMMUTABLE_PREFIXES", list(static_immutable_prefixes)),
        ("SPA_FALLBACK", spa_fallback.clone().unwrap_or_default()),
        ("SPA_FALLBACK_EXCLUDE_PREFIXES", list(spa_fallback_exclude_prefixes)),
        ("DIRECTORY_LISTING", directory_listing.to_string()),
        ("STATIC_CACHE_BYTES", show_bytes(*static_cache_bytes)),
        ("COMPRESSION", codings(compression)),
        ("DEMO_ROUTES", demo_routes.to_string()),
        ("CORS_ALLOW_ALL", cors_allow_all.to_string()),
        ("CORS_ALLOW_ORIGINS", list(cors_allow_origins)),
        ("CORS_ALLOW_METHODS", list(cors_allow_methods)),
        ("CORS_ALLOW_HEADERS", list(cors_allow_headers)),
        ("CORS_ALLOW_CREDENTIALS", cors_allow_credentials.to_string()),
        ("CORS_EXPOSE_HEADERS", list(cors_expose_headers)),
        ("CORS_MAX_AGE", time(cors_max_age)),
        ("SECURITY_HEADERS", security_headers.to_string()),
        ("CSP", value(csp.as_ref())),
        ("CSP_REPORT_ONLY", value(csp_report_only.as_ref())),
        ("HSTS", or_empty(hsts.as_ref())),
        ("TLS_CERT_FILE", path(tls_cert_file.as_deref())),
        ("TLS_KEY_FILE", path(tls_key_file.as_deref())),
        ("TLS_MIN_VERSION", if *tls_min_version == TlsVersion::Tls13 { "1.3" } else { "1.2" }.to_owned()),
        ("TLS_CLIENT_AUTH", if *tls_client_auth == ClientAuth::Optional { "optional" } else { "required" }.to_owned()),
        ("TLS_CLIENT_CA_FILE", path(tls_client_ca_file.as_deref())),
        ("HTTP_REDIRECT_PORT", or_empty(http_redirect_port.as_ref())),
        ("HTTP_REDIRECT_TO_PORT", or_empty(http_redirect_to_port.as_ref())),
        ("DIR", path(dir.as_deref())),
        ("STRICT", strict.to_string()),
        ("ALLOW_LOOPBACK", allow_loopback.to_string()),
    ];
    let fields = fields.into_iter().chain(choices.map(|name| (name, choice(name, config))));
    let fields = fields.map(|(name, text)| (name.to_owned(), text));
    let routes = routes.iter().map(|route| (format!("ROUTE_{}", route.name), route.to_string()));
    let hosts = virtual_hosts.iter().flat_map(|host| {
        let name = |part: &str| format!("VIRTUAL_HOST_{}_{part}", host.number);
        let files = [("CERT_FILE", &host.cert_file), ("KEY_FILE", &host.key_file)];
        let files = files.map(|(part, file)| (name(part), path(file.as_deref())));
        [(name("DOMAIN"), list(&host.domains))].into_iter().chain(files)
    });
    fields.chain(routes).chain(hosts.filter(|(_, text)| !text.is_empty())).collect()
}

/// The word that leaves `config` as it is.
fn choice(name: &str, config: &Config) -> String {
    let Some(Kind::OneOf(choices)) = find(name).map(|variable| &variable.kind) else { return String::new() };
    let leaves = |set: fn(&mut Config)| {
        let mut other = config.clone();
        set(&mut other);
        other == *config
    };
    let found = choices.iter().find(|(_, set)| leaves(*set));
    found.map(|(word, _)| (*word).to_owned()).unwrap_or_default()
}

fn or_empty(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn lines<T>(items: &[T], line: fn(&T) -> String) -> String {
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn path(path: Option<&Path>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

fn value(value: Option<&HeaderValue>) -> String {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn codings(codings: &[Coding]) -> String {
    if codings.is_empty() {
        "off".to_owned()
    } else {
        codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(",")
    }
}

fn user(user: &User) -> String {
    let (Secret::Plain(secret) | Secret::Bcrypt(secret)) = &user.secret;
    format!("{}:{secret}", user.name)
}

fn token(token: &Token) -> String {
    token.name.iter().map(|name| format!("{name}:")).collect::<String>() + &token.token
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::route::RouteSpec;
    use super::super::{Effective, Status, VARIABLES};
    use super::*;

    fn shown<'l>(loaded: &'l Loaded, name: &str) -> &'l Effective {
        loaded.effective.iter().find(|value| value.name.strip_prefix("RWS_CONFIG_") == Some(name)).unwrap()
    }

    #[test]
    fn every_variable_has_a_text() {
        let texts = texts(&Config::default()).into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
        let supported = VARIABLES.iter().filter(|variable| variable.status == Status::Supported);
        for variable in supported.filter(|variable| variable.family().is_none()) {
            assert!(texts.contains(variable.name), "{}", variable.name);
        }
        assert!(texts.iter().all(|name| find(name).is_some()), "{texts:?}");
    }

    #[test]
    fn the_defaults_are_right_and_come_from_nobody() {
        let loaded = Loaded::from(Config::default());
        assert_eq!(loaded.check(), Ok(()));
        assert!(loaded.effective.iter().all(|value| value.origin == Origin::Default), "{:?}", loaded.effective);
        assert_eq!(shown(&loaded, "THREAD_COUNT").value, "200");
        assert!(loaded.effective.iter().all(|value| value.name != "RWS_CONFIG_PORT"), "the listener says which it is");
    }

    #[test]
    fn what_differs_is_shown_as_it_would_be_written_and_secrets_are_not() {
        let route = RouteSpec::parse("HI", "GET /hi/{name} -> respond 200 text/plain Hi, {name}!").unwrap();
        let loaded = Loaded::from(Config {
            thread_count: 4,
            idle_timeout: std::time::Duration::from_millis(1500),
            log_redact_query: Vec::new(),
            compression: Vec::new(),
            routes: vec![route],
            ..Config::default()
        });
        assert_eq!(loaded.check(), Ok(()));
        for (name, value) in [
            ("THREAD_COUNT", "4"),
            ("IDLE_TIMEOUT", "1500ms"),
            ("LOG_REDACT_QUERY", ""),
            ("COMPRESSION", "off"),
            ("ROUTE_HI", "GET /hi/{name} -> respond 200 text/plain Hi, {name}!"),
        ] {
            let effective = shown(&loaded, name);
            assert_eq!((effective.value.as_str(), &effective.origin), (value, &Origin::Code), "{name}");
        }
    }

    #[cfg(feature = "auth")]
    #[test]
    fn secrets_are_taken_and_never_shown() {
        let user = User { name: "ada".to_owned(), secret: Secret::Plain("open sesame".to_owned()) };
        let tokens = [Some("ci".to_owned()), None]
            .map(|name| Token { token: format!("abcdefghijklmnop{}", name.is_some()), name });
        let config = Config { auth_basic: vec![user], auth_bearer: tokens.to_vec(), ..Config::default() };
        let loaded = Loaded::from(config.clone());
        assert_eq!((loaded.check(), &loaded.config), (Ok(()), &config));
        assert_eq!(shown(&loaded, "AUTH_BASIC").value, "<redacted>");
        let all = format!("{:?}", loaded.effective);
        assert!(!all.contains("sesame") && !all.contains("abcdefg"), "{all}");
    }

    #[test]
    fn a_smaller_head_has_a_smaller_target() {
        let loaded = Loaded::from(Config { max_head_bytes: 4096, ..Config::default() });
        assert_eq!((loaded.check(), loaded.config.max_uri_bytes), (Ok(()), 4096));
    }

    #[test]
    fn everything_that_is_wrong_is_told_by_name() {
        let config = Config {
            thread_count: 0,
            head_timeout: std::time::Duration::ZERO,
            readyz_path: "ready".to_owned(),
            metrics_path: "/healthz".to_owned(),
            tls_key_file: Some("/k".into()),
            ..Config::default()
        };
        let errors = Loaded::from(config).check().unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.variable().trim_start_matches("RWS_CONFIG_")).collect();
        assert!(["HEAD_TIMEOUT", "READYZ_PATH", "THREAD_COUNT"].iter().all(|name| names.contains(name)), "{errors}");
        assert!(names.iter().any(|name| name.starts_with("TLS_")), "{errors}");
        let text = errors.to_string();
        assert!(text.contains("RWS_CONFIG_THREAD_COUNT=\"0\"") && text.contains("whole number from 1"), "{text}");
        assert!(text.contains("code"), "{text}");
    }

    #[test]
    fn an_admin_port_may_be_the_one_that_nobody_listens_on() {
        let loaded = Loaded::from(Config { admin_port: Some(Config::default().port), ..Config::default() });
        assert_eq!(loaded.check(), Ok(()));
    }

    #[cfg(not(all(feature = "auth", feature = "tls")))]
    #[test]
    fn what_needs_a_feature_is_refused_by_the_name_of_both() {
        let user = User { name: "ada".to_owned(), secret: Secret::Plain("open sesame".to_owned()) };
        let asks = Config { auth_basic: vec![user], ..Config::default() };
        let secure = Config { tls_cert_file: Some("/c".into()), tls_key_file: Some("/k".into()), ..Config::default() };
        for (is_on, config, name, feature) in [
            (cfg!(feature = "auth"), asks, "AUTH_BASIC", "cargo feature auth"),
            (cfg!(feature = "tls"), secure, "TLS_CERT_FILE", "cargo feature tls"),
        ] {
            let said = Loaded::from(config).check().map_err(|errors| errors.to_string());
            assert_eq!(said.is_ok(), is_on, "{said:?}");
            let named = said.err().is_none_or(|text| text.contains(name) && text.contains(feature));
            assert!(named, "{name}");
        }
    }
}
