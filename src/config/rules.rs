//! Rules that span variables. Each is silent when one of its variables has an error of its own, and each blames
//! the variable that the operator should change.

mod browsers;

use std::collections::BTreeMap;

use http::Method;
use matchit::{InsertError, Router};

use super::error::{ConfigError, Notice, Report, full_name, shown};
use super::gather::{Setting, Settings};
use super::route::RouteSpec;
use super::source::Origin;
use super::table::{Kind, find};
use super::{Config, PREFIX};
use crate::semantics::secrets::Secret;

/// Answers like HEALTHZ_PATH, whatever that is.
const LIVEZ: &str = "/livez";

/// What else is on the admin port.
const ADMIN_PATHS: [&str; 4] = ["/", "/configz", "/statusz", "/drain"];

/// Checks all rules. `settings` tells what the operator wrote.
pub(super) fn check(config: &Config, settings: &Settings, in_kubernetes: bool, report: &mut Report) {
    let mut rules = Rules { config, settings, report };
    rules.target_fits_into_head();
    if in_kubernetes {
        rules.pod_ip_is_reachable();
        rules.clients_can_be_told_apart();
    }
    rules.admin_port_is_another(in_kubernetes);
    rules.a_file_of_users_lets_nobody_else_in();
    rules.secrets_are_hard_to_guess();
    rules.certificate_has_a_key();
    rules.hosts_are_complete();
    rules.hosts_have_names_of_their_own();
    rules.clients_are_authenticated_with_tls(in_kubernetes);
    rules.redirect_leads_somewhere();
    rules.built_in_paths_differ();
    rules.routes_do_not_clash();
    rules.files_do_not_clash();
    rules.browsers_understand();
}

struct Rules<'a> {
    config: &'a Config,
    settings: &'a Settings,
    report: &'a mut Report,
}

impl Rules<'_> {
    fn target_fits_into_head(&mut self) {
        let fine = self.config.max_uri_bytes <= self.config.max_head_bytes;
        if fine || self.any_failed(&["MAX_URI_BYTES", "MAX_HEAD_BYTES", "REQUEST_ALLOCATION_SIZE_IN_BYTES"]) {
            return;
        }
        let head = self.config.max_head_bytes;
        let rule = format!("must not be more than {PREFIX}MAX_HEAD_BYTES ({head}), which includes it");
        let example = head.to_string();
        self.blame("MAX_URI_BYTES", rule, Some(&example));
    }

    /// The outage this prevents: the server starts, listens on 127.0.0.1, and every probe is refused.
    fn pod_ip_is_reachable(&mut self) {
        let fine = !self.config.ip.to_canonical().is_loopback() || self.config.allow_loopback;
        if fine || self.any_failed(&["IP", "ALLOW_LOOPBACK"]) {
            return;
        }
        let rule = format!(
            "must not be a loopback address inside Kubernetes: kubelet probes and Services reach the pod IP, never \
             127.0.0.1: set {PREFIX}IP=0.0.0.0 (or {PREFIX}ALLOW_LOOPBACK=true if only this pod is to reach it)"
        );
        self.blame("IP", rule, None);
    }

    /// The outage this prevents: all of an ingress' clients share the allowance of one, and the kubelet that of a node.
    fn clients_can_be_told_apart(&mut self) {
        let config = self.config;
        if config.trusted_proxies.is_empty() && !self.any_failed(&["TRUSTED_PROXIES"]) {
            let limits = [
                ("RATE_LIMIT_MAX_REQUESTS", config.rate_limit_max_requests > 0),
                ("MAX_CONNECTIONS_PER_IP", config.max_connections_per_ip > 0),
            ];
            for (name, _) in limits.into_iter().filter(|(_, is_on)| *is_on) {
                let message = format!(
                    "takes everybody behind an ingress or a load balancer for one client, since {PREFIX}TRUSTED_PROXIES \
                     is empty: name their networks there"
                );
                self.report.notice(Notice::new(name, message));
            }
        }
        if config.max_connections_per_ip > 0 && config.admin_port.is_none() {
            let message = format!(
                "counts the kubelet's probes with all else that comes from the node's address, as NodePorts and load \
                 balancers do with externalTrafficPolicy: Cluster: at the limit probes fail and the pod is restarted; \
                 set {PREFIX}ADMIN_PORT and have the probes ask that, where nothing is limited"
            );
            self.report.notice(Notice::new("MAX_CONNECTIONS_PER_IP", message));
        }
    }

    /// The leak this prevents: a Secret is emptied by mistake, and the running server opens its doors. Whoever wants that
    /// unsets the variable.
    fn a_file_of_users_lets_nobody_else_in(&mut self) {
        let lists = [
            ("AUTH_BASIC", "user", self.config.auth_basic.is_empty()),
            ("AUTH_BEARER", "token", self.config.auth_bearer.is_empty()),
        ];
        for (name, what, is_empty) in lists {
            let from_file = self.settings.get(name).is_some_and(|setting| matches!(setting.origin, Origin::File(_)));
            if is_empty && from_file && !self.any_failed(&[name]) {
                let rule = format!(
                    "must name a {what}, since the file is there: remove the file or unset the variable to ask nobody"
                );
                self.blame(name, rule, None);
            }
        }
        let everything = self.config.auth_exempt_prefixes.iter().any(|prefix| prefix == "/");
        if everything && lists.iter().any(|(_, _, is_empty)| !is_empty) {
            let message = "has /, below which everything lies: nobody is asked for anything";
            self.report.notice(Notice::new("AUTH_EXEMPT_PREFIXES", message));
        }
    }

    fn secrets_are_hard_to_guess(&mut self) {
        /// Characters that are the least for what a person chooses, and for what a machine makes.
        const PASSWORD: usize = 8;
        const TOKEN: usize = 16;
        let is_weak = |text: &str, least: usize| {
            text.chars().count() < least || ["changeme", "password"].iter().any(|word| text.eq_ignore_ascii_case(word))
        };
        let config = self.config;
        for user in &config.auth_basic {
            if matches!(&user.secret, Secret::Plain(password) if is_weak(password, PASSWORD)) {
                let message =
                    format!("has a password that is easily guessed, that of {}: take a longer one", shown(&user.name));
                self.report.notice(Notice::new("AUTH_BASIC", message));
            }
        }
        for (index, token) in config.auth_bearer.iter().enumerate() {
            if is_weak(&token.token, TOKEN) {
                let message = format!(
                    "has a token that is easily guessed, number {}: openssl rand -hex 32 makes a better one",
                    index + 1
                );
                self.report.notice(Notice::new("AUTH_BEARER", message));
            }
        }
    }

    /// Two listeners cannot share a port. That one of them might have another address is no reason to make it harder
    /// to tell them apart in a manifest.
    fn admin_port_is_another(&mut self, in_kubernetes: bool) {
        let Some(port) = self.config.admin_port else { return };
        if self.any_failed(&["PORT", "ADMIN_PORT"]) {
            return;
        }
        if port != 0 && port == self.config.port {
            let rule = format!("must differ from {PREFIX}PORT ({port})");
            self.blame("ADMIN_PORT", rule, Some("9090"));
        }
        let reachable = !self.config.admin_ip.is_some_and(|ip| ip.to_canonical().is_loopback());
        if in_kubernetes && !reachable && !self.config.allow_loopback {
            let message =
                "is a loopback address: only this pod and kubectl port-forward reach it, neither kubelet probes \
                           nor Prometheus, and metrics are nowhere else; let the probes ask PORT"
                    .to_owned();
            self.report.notice(Notice::new("ADMIN_IP", message));
        }
    }

    fn certificate_has_a_key(&mut self) {
        let (present, missing) = match (&self.config.tls_cert_file, &self.config.tls_key_file) {
            (Some(_), None) => ("TLS_CERT_FILE", "TLS_KEY_FILE"),
            (None, Some(_)) => ("TLS_KEY_FILE", "TLS_CERT_FILE"),
            _ => return,
        };
        if !self.any_failed(&[present, missing]) {
            let example = find(missing).map(|variable| variable.example);
            self.blame(missing, format!("must be set as well, since {} is", full_name(present)), example);
        }
    }

    fn hosts_are_complete(&mut self) {
        let config = self.config;
        for host in &config.virtual_hosts {
            let name = |part: &str| format!("VIRTUAL_HOST_{}_{part}", host.number);
            let parts = [
                ("DOMAIN", !host.domains.is_empty()),
                ("CERT_FILE", host.cert_file.is_some()),
                ("KEY_FILE", host.key_file.is_some()),
            ];
            let Some((present, _)) = parts.iter().find(|(_, is_there)| *is_there) else { continue };
            for (part, is_there) in &parts {
                let missing = name(part);
                if *is_there || self.report.failed(&missing) {
                    continue;
                }
                let example = find(&missing).map(|variable| variable.example);
                let rule = format!("must be set as well, since {} is", full_name(&name(present)));
                self.blame(&missing, rule, example);
            }
        }
    }

    fn hosts_have_names_of_their_own(&mut self) {
        let config = self.config;
        let mut owners = BTreeMap::<&str, &str>::new();
        for host in &config.virtual_hosts {
            for domain in &host.domains {
                if let Some(owner) = owners.get(domain.as_str()) {
                    let owner = full_name(&format!("VIRTUAL_HOST_{owner}_DOMAIN"));
                    let rule = format!("must not name {domain}, which {owner} does: a name has one certificate");
                    self.blame(&format!("VIRTUAL_HOST_{}_DOMAIN", host.number), rule, None);
                } else {
                    owners.insert(domain, &host.number);
                }
            }
        }
    }

    /// Whether a variable was given a value other than an empty one.
    /// Whether it says something to a build that reads it.
    fn is_set(&self, name: &str) -> bool {
        let is_read = |setting: &&Setting| !matches!(setting.variable.kind, Kind::Unread);
        self.settings.get(name).filter(is_read).is_some_and(|setting| !setting.text.trim().is_empty())
    }

    /// Whether it is certain that there is no certificate.
    fn is_plain(&self) -> bool {
        let in_doubt = |name: &&String| name.starts_with("VIRTUAL_HOST_") || *name == "TLS_CERT_FILE";
        !self.config.speaks_tls() && !self.settings.keys().filter(in_doubt).any(|name| self.report.failed(name))
    }

    /// What an operator believes to be closed must not be open.
    fn clients_are_authenticated_with_tls(&mut self, in_kubernetes: bool) {
        let with = |other: &str| format!("needs {PREFIX}{other} as well");
        let has_authorities = self.config.tls_client_ca_file.is_some();
        if has_authorities && self.is_plain() {
            let rule = format!("{}: clients present certificates in TLS handshakes only", with("TLS_CERT_FILE"));
            self.blame("TLS_CLIENT_CA_FILE", rule, None);
        }
        if self.is_set("TLS_CLIENT_AUTH") && !has_authorities && !self.any_failed(&["TLS_CLIENT_AUTH"]) {
            let message = format!("{}: without it no client is asked for a certificate", with("TLS_CLIENT_CA_FILE"));
            self.report.notice(Notice::new("TLS_CLIENT_AUTH", message));
        }
        let fine = !in_kubernetes || !self.config.requires_client_certificates() || self.config.admin_port.is_some();
        if !fine && !self.any_failed(&["TLS_CLIENT_AUTH", "ADMIN_PORT"]) {
            let message = format!(
                "refuses the kubelet's httpGet probes of {PREFIX}PORT, which have no client certificate: set \
                 {PREFIX}ADMIN_PORT and let the probes ask that, or set {PREFIX}TLS_CLIENT_AUTH=optional"
            );
            self.report.notice(Notice::new("TLS_CLIENT_CA_FILE", message));
        }
    }

    fn redirect_leads_somewhere(&mut self) {
        if self.config.http_redirect_to_port == Some(0) {
            self.blame("HTTP_REDIRECT_TO_PORT", "must be a port that clients can go to".to_owned(), Some("443"));
        }
        let Some(port) = self.config.http_redirect_port else { return };
        for (name, other) in [("PORT", Some(self.config.port)), ("ADMIN_PORT", self.config.admin_port)] {
            if port != 0 && other == Some(port) && !self.any_failed(&[name, "HTTP_REDIRECT_PORT"]) {
                let rule = format!("must differ from {PREFIX}{name} ({port})");
                self.blame("HTTP_REDIRECT_PORT", rule, Some("8080"));
            }
        }
        if self.is_plain() {
            let rule = format!("needs {PREFIX}TLS_CERT_FILE as well: nothing speaks HTTPS that it could redirect to");
            self.blame("HTTP_REDIRECT_PORT", rule, None);
        }
    }

    fn built_in_paths_differ(&mut self) {
        let paths = self.built_in_paths();
        for (index, (name, path)) in paths.iter().enumerate() {
            for (other, _) in paths[..index].iter().filter(|(_, earlier)| earlier == path) {
                let (name, other) = if self.settings.contains_key(*name) { (name, other) } else { (other, name) };
                let rule = format!("must differ from {} ({path})", full_name(other));
                self.blame(name, rule, default_of(name));
            }
            if self.config.admin_port.is_some() && ADMIN_PATHS.contains(&path.as_str()) {
                let rule = format!("must not be {path}, which is a page of the admin port");
                self.blame(name, rule, default_of(name));
            }
            if *name != "HEALTHZ_PATH" && path == LIVEZ {
                let rule = format!("must not be {LIVEZ}, which is the liveness probe as well");
                self.blame(name, rule, default_of(name));
            }
        }
        self.single_checks_have_room(&paths);
    }

    /// `/readyz/{check}` answers for single checks.
    fn single_checks_have_room(&mut self, paths: &[(&'static str, String)]) {
        let Some((_, readyz)) = paths.iter().find(|(name, _)| *name == "READYZ_PATH") else { return };
        let below = format!("{}/", readyz.trim_end_matches('/'));
        for (name, path) in paths.iter().filter(|(name, path)| *name != "READYZ_PATH" && path.starts_with(&below)) {
            let blamed = if self.settings.contains_key(*name) { name } else { "READYZ_PATH" };
            let (upper, lower) = (full_name("READYZ_PATH"), full_name(name));
            let rule =
                format!("{lower} ({path}) must not lie below {upper} ({readyz}), where single checks are answered");
            self.blame(blamed, rule, default_of(blamed));
        }
    }

    fn routes_do_not_clash(&mut self) {
        let config = self.config;
        let checks = self.pattern_of_single_checks();
        let mut routers = BTreeMap::<Option<&str>, Router<()>>::new();
        for (index, route) in config.routes.iter().enumerate() {
            let method = route.method.as_ref().map(Method::as_str);
            let router = routers.entry(method).or_insert_with(|| self.router_of_built_in_paths());
            let clash = match router.insert(&route.pattern, ()) {
                Ok(()) => match checks.as_deref().filter(|checks| takes_from(&route.pattern, checks)) {
                    Some(checks) => clash(route, checks, &[]),
                    None => continue,
                },
                Err(InsertError::Conflict { with }) => clash(route, &with, &config.routes[..index]),
                Err(error) => format!("the pattern cannot be routed ({error})"),
            };
            self.blame(&format!("ROUTE_{}", route.name), clash, None);
        }
    }

    fn files_do_not_clash(&mut self) {
        let prefix = self.config.static_prefix.trim_end_matches('/');
        if prefix.is_empty() || self.any_failed(&["STATIC_PREFIX"]) {
            return;
        }
        let checks = self.pattern_of_single_checks().filter(|checks| takes_from(prefix, checks));
        let clash = match self.router_of_built_in_paths().insert(prefix, ()) {
            Err(InsertError::Conflict { with }) => Some(with),
            _ => checks,
        };
        if let Some(with) = clash {
            self.blame("STATIC_PREFIX", format!("must not be the built-in path {with}"), Some("/files"));
        }
    }

    /// Built-in paths answer every method, if only with 405.
    fn router_of_built_in_paths(&self) -> Router<()> {
        let mut patterns = vec![LIVEZ.to_owned()];
        patterns.extend(self.pattern_of_single_checks());
        patterns.extend(self.built_in_paths().into_iter().map(|(_, path)| path));
        let mut router = Router::new();
        for pattern in patterns {
            // Paths that are equal have been reported already.
            let _ = router.insert(pattern, ());
        }
        router
    }

    /// `/readyz/{check}`, unless READYZ_PATH is no path.
    fn pattern_of_single_checks(&self) -> Option<String> {
        let path = Some(&self.config.readyz_path).filter(|_| !self.report.failed("READYZ_PATH"))?;
        Some(format!("{}/{{check}}", path.trim_end_matches('/')))
    }

    /// The names and paths that are valid by themselves.
    fn built_in_paths(&self) -> Vec<(&'static str, String)> {
        let config = self.config;
        let paths = [
            ("HEALTHZ_PATH", &config.healthz_path),
            ("READYZ_PATH", &config.readyz_path),
            ("STARTUPZ_PATH", &config.startupz_path),
            ("METRICS_PATH", &config.metrics_path),
        ];
        paths
            .into_iter()
            .filter(|(name, _)| !self.report.failed(name))
            .map(|(name, path)| (name, path.clone()))
            .collect()
    }

    fn any_failed(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.report.failed(name))
    }

    fn blame(&mut self, name: &str, rule: String, example: Option<&str>) {
        let error = ConfigError::new(name, rule);
        let error = match self.settings.get(name) {
            Some(setting) => setting.blame(error),
            None => error,
        };
        self.report.error(match example {
            Some(example) => error.example(example),
            None => error,
        });
    }
}

/// Whether a route would be asked in place of `built_in`, although a router can tell their patterns apart: the more
/// special one goes first.
fn takes_from(pattern: &str, built_in: &str) -> bool {
    let mut router = Router::new();
    !pattern.contains("{*") && router.insert(built_in, ()).is_ok() && router.at(pattern).is_ok()
}

fn clash(route: &RouteSpec, with: &str, earlier: &[RouteSpec]) -> String {
    let same = |other: &&RouteSpec| other.method == route.method && other.pattern == with;
    match earlier.iter().find(same) {
        Some(other) => format!("clashes with {} ({with})", full_name(&format!("ROUTE_{}", other.name))),
        None => format!("clashes with the built-in path {with}"),
    }
}

fn default_of(name: &str) -> Option<&'static str> {
    find(name).map(|variable| variable.default)
}
