//! What browsers are told: security headers and CORS, as RWS_CONFIG_* says.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method};

use crate::app::middleware::{Cors, Middleware, SecurityHeaders};
use crate::config::Config;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// SECURITY_HEADERS, CSP, CSP_REPORT_ONLY and HSTS, each by itself.
pub(super) fn security_headers(config: &Config) -> Option<Arc<dyn Middleware>> {
    let mut headers = if config.security_headers { SecurityHeaders::new() } else { SecurityHeaders::empty() };
    if config.security_headers && config.cors_allow_all {
        // Otherwise pages could read an image that they may not show.
        headers = headers.with(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
    if let Some(policy) = &config.csp {
        headers = headers.content_security_policy(policy.clone());
    }
    if let Some(policy) = &config.csp_report_only {
        headers = headers.content_security_policy_report_only(policy.clone());
    }
    if let Some(policy) = config.hsts {
        headers = headers.strict_transport_security(policy);
    }
    (!headers.is_empty()).then(|| Arc::new(headers) as Arc<dyn Middleware>)
}

/// CORS_*, if an origin is allowed.
pub(super) fn cors(config: &Config) -> Option<Arc<dyn Middleware>> {
    if !config.cors_allow_all && config.cors_allow_origins.is_empty() {
        return None;
    }
    let builder = Cors::builder().allow_origins(config.cors_allow_origins.iter().map(ToString::to_string));
    let builder = if config.cors_allow_all { builder.allow_any_origin() } else { builder };
    let builder = match (&config.cors_allow_methods[..], config.cors_allow_all) {
        ([], false) => builder.allow_methods([Method::GET, Method::HEAD, Method::POST]),
        ([], true) => builder.allow_any_method(),
        (methods, _) => builder.allow_methods(methods.iter().cloned()),
    };
    let builder = match (&config.cors_allow_headers[..], config.cors_allow_all) {
        // `*` is all but this one (Fetch standard, "CORS-preflight fetch").
        ([], true) => builder.allow_headers([HeaderName::from_static("*"), AUTHORIZATION]),
        (headers, _) => builder.allow_headers(headers.iter().cloned()),
    };
    let built = builder
        // With all origins, every page could act as its visitor: browsers refuse it, and so do we.
        .allow_credentials(config.cors_allow_credentials && !config.cors_allow_all)
        .expose_headers(config.cors_expose_headers.iter().cloned())
        .max_age(config.cors_max_age)
        .build();
    match built {
        Ok(cors) => Some(Arc::new(cors)),
        // The rules of the configuration let nothing pass that comes here; without CORS, browsers deny.
        Err(errors) => {
            tracing::error!("no origin is allowed: {errors}");
            None
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, TestClient, TestResponse, get};
    use crate::config::{PREFIX, Sources};

    /// The answer of an application around which there is what these settings ask for.
    fn answer(settings: &[(&str, &str)]) -> TestResponse {
        let sources =
            Sources::new(settings.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())));
        let config = Config::load(&sources).unwrap().config;
        let stack = crate::app::middleware::Stack::default();
        stack.set([security_headers(&config), cors(&config)].into_iter().flatten().collect());
        let client = TestClient::new(App::new().route("/", get(|| "")).layer(stack)).unwrap();
        client.get("/").header("origin", "https://a.example").secure().send()
    }

    fn names(response: &TestResponse) -> Vec<&str> {
        response.headers().iter().map(|(name, _)| name.as_str()).filter(|name| !name.starts_with("content-")).collect()
    }

    #[test]
    fn nothing_is_added_that_nobody_asked_for() {
        for settings in [&[][..], &[("CORS_MAX_AGE", "1h"), ("CORS_ALLOW_METHODS", "*"), ("CORS_ALLOW_ALL", "false")]] {
            assert_eq!(names(&answer(settings)), [""; 0]);
        }
    }

    #[test]
    fn each_setting_stands_alone() {
        for (name, value, field) in [
            ("CSP", "default-src 'self'", "content-security-policy"),
            ("CSP_REPORT_ONLY", "default-src 'self'; report-to x", "content-security-policy-report-only"),
            ("HSTS", "max-age=60", "strict-transport-security"),
        ] {
            assert_eq!(answer(&[(name, value)]).header(field), Some(value));
        }
    }

    #[test]
    fn what_all_may_read_all_may_embed() {
        let on = ("SECURITY_HEADERS", "true");
        for (settings, wanted) in [(&[on][..], "same-origin"), (&[on, ("CORS_ALLOW_ALL", "true")], "cross-origin")] {
            assert_eq!(answer(settings).header("cross-origin-resource-policy"), Some(wanted));
        }
    }

    #[test]
    fn cors_is_what_the_settings_say() {
        let answer = answer(&[
            ("CORS_ALLOW_ORIGINS", "https://b.example, https://a.example"),
            ("CORS_ALLOW_CREDENTIALS", "true"),
            ("CORS_EXPOSE_HEADERS", "ETag"),
        ]);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("etag"));
    }

    #[test]
    fn pages_of_all_origins_may_do_all_that_nothing_else_is_said_of() {
        let preflight = |settings: &[(&str, &str)]| {
            let sources =
                Sources::new(settings.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())));
            let layer = cors(&Config::load(&sources).unwrap().config).unwrap();
            let stack = crate::app::middleware::Stack::default();
            stack.set(vec![layer]);
            let client = TestClient::new(App::new().layer(stack)).unwrap();
            let request = client.request(Method::OPTIONS, "/").header("origin", "https://a.example");
            let answer = request.header("access-control-request-method", "PUT").send();
            ["access-control-allow-methods", "access-control-allow-headers"]
                .map(|name| answer.header(name).unwrap_or_default().to_ascii_lowercase())
        };
        // The original's ConfigMaps name every variable.
        let empty = [("CORS_ALLOW_ORIGINS", ""), ("CORS_ALLOW_METHODS", ""), ("CORS_ALLOW_HEADERS", "")];
        let all = [&[("CORS_ALLOW_ALL", "true")], &empty[..]].concat();
        assert_eq!(preflight(&all), ["*", "*, authorization"]);
        let some = [("CORS_ALLOW_ALL", "true"), ("CORS_ALLOW_METHODS", "PUT"), ("CORS_ALLOW_HEADERS", "x-a")];
        assert_eq!(preflight(&some), ["put", "x-a"]);
        assert_eq!(preflight(&[("CORS_ALLOW_ORIGINS", "https://a.example")]), ["get, head, post", ""]);
    }
}
