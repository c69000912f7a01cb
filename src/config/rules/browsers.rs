//! Rules for what is told to browsers: combinations that they refuse without a word, and slips in policies.

use super::Rules;
use crate::config::PREFIX;
use crate::config::error::{Notice, full_name};
use crate::semantics::{cache_control, csp};

/// What the other settings of CORS are about.
const ORIGINS: [&str; 2] = ["CORS_ALLOW_ORIGINS", "CORS_ALLOW_ALL"];

impl Rules<'_> {
    pub(super) fn browsers_understand(&mut self) {
        self.credentials_have_names();
        self.cors_has_origins();
        self.policies_look_right();
        self.strict_transport_security_is_sent();
        self.shared_caches_keep_nothing_of_users();
    }

    /// Fetch standard, "CORS protocol and credentials": where there are credentials, `*` stands for nothing.
    fn credentials_have_names(&mut self) {
        if !self.config.cors_allow_credentials || self.report.failed("CORS_ALLOW_CREDENTIALS") {
            return;
        }
        let credentials = full_name("CORS_ALLOW_CREDENTIALS");
        if self.config.cors_allow_all {
            let message = format!(
                "has no effect: with {PREFIX}CORS_ALLOW_ALL=true every page that a user visits could act and read as that \
                 user, and browsers refuse it; name the origins in {PREFIX}CORS_ALLOW_ORIGINS instead"
            );
            self.report.notice(Notice::new("CORS_ALLOW_CREDENTIALS", message));
            return;
        }
        let stars = [
            (
                "CORS_ALLOW_METHODS",
                self.config.cors_allow_methods.iter().any(|name| is_star(name.as_str())),
                "GET, PUT",
            ),
            ("CORS_ALLOW_HEADERS", self.config.cors_allow_headers.iter().any(|name| is_star(name.as_str())), "X-Token"),
            ("CORS_EXPOSE_HEADERS", self.config.cors_expose_headers.iter().any(|name| is_star(name.as_str())), "ETag"),
        ];
        for (name, _, example) in stars.into_iter().filter(|(_, star, _)| *star) {
            let rule = format!("must name each one, since * stands for nothing where {credentials} is true");
            self.blame(name, rule, Some(example));
        }
        if self.config.cors_allow_origins.iter().any(|origin| origin.exact() == Some("null")) {
            let message = format!(
                "has null, and {credentials} is true: any page can make a frame of that origin, and act and read as the \
                 user who visits it"
            );
            self.report.notice(Notice::new("CORS_ALLOW_ORIGINS", message));
        }
    }

    fn cors_has_origins(&mut self) {
        let config = self.config;
        if self.any_failed(&ORIGINS) {
            return;
        }
        if config.cors_allow_all && !config.cors_allow_origins.is_empty() {
            let message = format!("has no effect: {PREFIX}CORS_ALLOW_ALL=true allows every origin");
            self.report.notice(Notice::new("CORS_ALLOW_ORIGINS", message));
        }
        if config.cors_allow_all || !config.cors_allow_origins.is_empty() {
            return;
        }
        let settings = self.settings;
        let idle = [
            ("CORS_ALLOW_METHODS", !config.cors_allow_methods.is_empty()),
            ("CORS_ALLOW_HEADERS", !config.cors_allow_headers.is_empty()),
            ("CORS_ALLOW_CREDENTIALS", config.cors_allow_credentials),
            ("CORS_EXPOSE_HEADERS", !config.cors_expose_headers.is_empty()),
            ("CORS_MAX_AGE", settings.contains_key("CORS_MAX_AGE")),
        ];
        for (name, _) in idle.into_iter().filter(|(_, set)| *set) {
            let message = format!("has no effect: no origin is allowed; name them in {PREFIX}CORS_ALLOW_ORIGINS");
            self.report.notice(Notice::new(name, message).unless_set(&ORIGINS));
        }
    }

    fn policies_look_right(&mut self) {
        let policies = [("CSP", &self.config.csp, false), ("CSP_REPORT_ONLY", &self.config.csp_report_only, true)];
        for (name, policy, report_only) in policies {
            let Some(text) = policy.as_ref().and_then(|policy| policy.to_str().ok()) else { continue };
            let slips = csp::slips(text, report_only);
            // The words are those of the value, which must not be shown if it came from a file of its own.
            let hidden = self.settings.get(name).is_some_and(|setting| setting.hidden);
            if slips.is_empty() {
                continue;
            }
            let slips = if hidden { "it has parts that browsers ignore".to_owned() } else { slips.join("; ") };
            self.report.notice(Notice::new(name, format!("is not what it looks like: {slips}")));
        }
    }

    fn strict_transport_security_is_sent(&mut self) {
        let Some(hsts) = self.config.hsts else { return };
        if !self.config.speaks_tls() && self.config.trusted_proxies.is_empty() {
            let message = format!(
                "is never sent: it is for requests over TLS (RFC 6797 section 7.2), and there is neither \
                 {PREFIX}TLS_CERT_FILE nor, for a proxy that says so in X-Forwarded-Proto, {PREFIX}TRUSTED_PROXIES"
            );
            self.report.notice(Notice::new("HSTS", message).unless_set(&["TLS_CERT_FILE", "TRUSTED_PROXIES"]));
        }
        if hsts.preload_is_refused() {
            let message = "asks to be preloaded, which takes includeSubDomains and a max-age of 31536000 at least \
                           (hstspreload.org)";
            self.report.notice(Notice::new("HSTS", message));
        }
    }

    /// RFC 9111 section 3.5: what was asked for with credentials is kept for everybody only if the answer says so.
    fn shared_caches_keep_nothing_of_users(&mut self) {
        let config = self.config;
        let Some(value) = &config.static_cache_control else { return };
        let is_asked = !config.auth_basic.is_empty() || !config.auth_bearer.is_empty();
        let has = |name: &&str| cache_control::has(value, name);
        if !is_asked || ["private", "no-store", "no-cache"].iter().any(has) {
            return;
        }
        if let Some(directive) = ["public", "s-maxage", "must-revalidate"].iter().find(|name| has(name)) {
            let message = format!(
                "has {directive}, which lets a CDN keep files that were asked for with a password or a token, and give \
                 them to everybody: write private instead"
            );
            self.report.notice(Notice::new("STATIC_CACHE_CONTROL", message));
        }
    }
}

fn is_star(name: &str) -> bool {
    name == "*"
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use crate::config::{Config, PREFIX, Sources};

    /// Errors and notices without the prefix, one on each line.
    fn told(settings: &[(&str, &str)]) -> String {
        let sources =
            Sources::new(settings.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())));
        let text = match Config::load(&sources) {
            Ok(loaded) => loaded.notices.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Err(errors) => errors.to_string(),
        };
        text.replace(PREFIX, "")
    }

    const NAMED: (&str, &str) = ("CORS_ALLOW_ORIGINS", "https://a.example");
    const WITH: (&str, &str) = ("CORS_ALLOW_CREDENTIALS", "true");

    #[test]
    fn all_that_is_wrong_is_told_together() {
        let text = told(&[
            NAMED,
            WITH,
            ("CORS_ALLOW_METHODS", "*"),
            ("CORS_ALLOW_HEADERS", "X-A, *"),
            ("CORS_EXPOSE_HEADERS", "*"),
            ("CORS_MAX_AGE", "25h"),
            ("HSTS", "1 year"),
            ("CSP", "default-src ‘self’"),
        ]);
        let wanted = [
            "CORS_ALLOW_HEADERS=\"X-A, *\": must name each one, since * stands for nothing where CORS_ALLOW_CREDENTIALS is true",
            "CORS_ALLOW_METHODS=\"*\": must name each one",
            "CORS_EXPOSE_HEADERS=\"*\": must name each one",
            "CORS_MAX_AGE=\"25h\": must be a duration",
            "CSP=\"default-src ‘self’\": must be a Content-Security-Policy (it holds something else than printable ASCII)",
            "HSTS=\"1 year\": must be the value of a Strict-Transport-Security field, or its max-age alone as a duration",
        ];
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), wanted.len(), "{text}");
        for (line, start) in lines.iter().zip(wanted) {
            assert!(line.starts_with(start), "{line}\n{start}");
        }
    }

    #[test]
    fn origins_are_explained_one_by_one() {
        let text = told(&[("CORS_ALLOW_ORIGINS", "https://a.example/, b.example")]);
        assert_eq!(
            text,
            "CORS_ALLOW_ORIGINS=\"https://a.example/, b.example\": must be a list of origins separated by commas \
             (\"https://a.example/\" has something behind the host, and an origin has no path: write \
             https://a.example; \"b.example\" has no scheme: write https://b.example), for example \
             CORS_ALLOW_ORIGINS=https://app.example.com, https://*.preview.example.com"
        );
    }

    #[test]
    fn what_has_no_effect_is_told() {
        let never = "HSTS is never sent: it is for requests over TLS (RFC 6797 section 7.2), and there is neither \
                     TLS_CERT_FILE nor, for a proxy that says so in X-Forwarded-Proto, TRUSTED_PROXIES";
        let idle = "has no effect: no origin is allowed; name them in CORS_ALLOW_ORIGINS";
        for (settings, wanted) in [
            (&[NAMED, WITH, ("CORS_ALLOW_METHODS", "put"), ("CORS_MAX_AGE", "86400")][..], String::new()),
            (&[("CORS_ALLOW_ALL", "true"), ("CORS_ALLOW_METHODS", "*"), ("CORS_ALLOW_HEADERS", "*")], String::new()),
            (&[("CORS_ALLOW_ALL", "false"), ("CORS_ALLOW_CREDENTIALS", "false")], String::new()),
            (&[NAMED, ("CORS_ALLOW_CREDENTIALS", "")], String::new()),
            (
                &[("CORS_ALLOW_ALL", "true"), WITH],
                "CORS_ALLOW_CREDENTIALS has no effect: with CORS_ALLOW_ALL=true every page that a user visits could act and \
                 read as that user, and browsers refuse it; name the origins in CORS_ALLOW_ORIGINS instead"
                    .to_owned(),
            ),
            (&[WITH], format!("CORS_ALLOW_CREDENTIALS {idle}")),
            (&[("CORS_ALLOW_METHODS", "PUT")], format!("CORS_ALLOW_METHODS {idle}")),
            (&[("CORS_MAX_AGE", "1h")], format!("CORS_MAX_AGE {idle}")),
            (
                &[NAMED, ("CORS_ALLOW_ALL", "true")],
                "CORS_ALLOW_ORIGINS has no effect: CORS_ALLOW_ALL=true allows every origin".to_owned(),
            ),
            (
                &[("CORS_ALLOW_ORIGINS", "null"), WITH],
                "CORS_ALLOW_ORIGINS has null, and CORS_ALLOW_CREDENTIALS is true: any page can make a frame of that \
                 origin, and act and read as the user who visits it"
                    .to_owned(),
            ),
            (&[("HSTS", "8760h")], never.to_owned()),
            (&[("HSTS", "max-age=1"), ("TRUSTED_PROXIES", "10.0.0.0/8")], String::new()),
            (
                &[("HSTS", "max-age=1; preload"), ("TRUSTED_PROXIES", "10.0.0.0/8")],
                "HSTS asks to be preloaded, which takes includeSubDomains and a max-age of 31536000 at least \
                 (hstspreload.org)"
                    .to_owned(),
            ),
            (&[("CSP", "default-src 'self'")], String::new()),
            (
                &[("CSP", "default-src self; script-src 'none' x")],
                "CSP is not what it looks like: self in default-src is a host of that name: the keyword is 'self', with \
                 single quotes; 'none' in script-src counts only if it stands alone"
                    .to_owned(),
            ),
            (
                &[("CSP_REPORT_ONLY", "default-src 'self'")],
                "CSP_REPORT_ONLY is not what it looks like: there is neither report-to nor report-uri, so only the \
                 console of each browser tells"
                    .to_owned(),
            ),
        ] {
            assert_eq!(told(settings), wanted, "{settings:?}");
        }
    }

    #[test]
    #[cfg(feature = "auth")]
    fn what_a_cdn_would_give_to_everybody_is_told() {
        let told =
            |auth: &str, cache: &str| told(&[(auth, "ada:correct-horse-battery"), ("STATIC_CACHE_CONTROL", cache)]);
        for (auth, cache, directive) in [
            ("AUTH_BASIC", "public, max-age=60", Some("public")),
            ("AUTH_BEARER", "s-maxage=60", Some("s-maxage")),
            ("AUTH_BASIC", "max-age=60, must-revalidate", Some("must-revalidate")),
            ("AUTH_BASIC", "max-age=60", None),
            ("AUTH_BASIC", "public, no-cache", None),
            ("AUTH_BASIC", "private, max-age=60", None),
            ("AUTH_BASIC", "", None),
            ("AUTH_REALM", "public, max-age=60", None),
        ] {
            let wanted = directive.map_or(String::new(), |directive| {
                format!(
                    "STATIC_CACHE_CONTROL has {directive}, which lets a CDN keep files that were asked for with a \
                     password or a token, and give them to everybody: write private instead"
                )
            });
            assert_eq!(told(auth, cache), wanted, "{auth} {cache}");
        }
    }

    #[test]
    fn a_policy_from_a_file_of_its_own_is_not_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret-src self").unwrap();
        let text = told(&[("CSP_FILE", file.path().to_str().unwrap())]);
        assert_eq!(text, "CSP is not what it looks like: it has parts that browsers ignore");
    }
}
