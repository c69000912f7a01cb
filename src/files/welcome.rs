//! The page at `/` of a server that was given nothing to serve: live status, links to the probes, what to do next.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};

use super::listing::escaped;
use super::refusal;
use crate::app::response::Response;
use crate::config::Config;
use crate::semantics::head::RequestHead;

#[cfg(test)]
pub(crate) mod csp;

const TEMPLATE: &str = include_str!("welcome.html");

/// Where the metrics are, if there is no admin port.
const METRICS: &str = "<li><a href=\"{{metrics}}\"><code>{{metrics}}</code></a>: figures for Prometheus.</li>";

/// And if there is one of the system's choice.
const SOMEWHERE: &str = "<li>Status, configuration and metrics: on the admin port, which the log names.</li>";

/// And if there is another. The script makes links of what has a port, since only the browser knows by which name it came.
const ELSEWHERE: &str = "<li>On the admin port, RWS_CONFIG_ADMIN_PORT={{port}}: \
    <a data-port=\"{{port}}\"><code>/statusz</code></a>, how the server is; \
    <a data-port=\"{{port}}\"><code>/configz</code></a>, its configuration; \
    <a data-port=\"{{port}}\"><code>{{metrics}}</code></a>, figures for Prometheus.</li>";

/// The page may run its one script and its one style sheet, known by their SHA-256, and ask this server; nothing else.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; \
    script-src 'sha256-6vcTxVIr4IOaPqNiu4iyT6RmbmzOUE7kTJZyLec3jR4='; style-src 'sha256-3oFByGF65DPQgqto/v8avZOdU8kkcqTjAPVK7sKW8sU='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The built-in page, made once.
#[derive(Debug)]
pub struct Welcome {
    page: Bytes,
}

impl Welcome {
    /// The page for a server whose probes and metrics are where `config` says.
    pub fn new(config: &Config) -> Welcome {
        let paths = [
            ("{{healthz}}", &config.healthz_path),
            ("{{readyz}}", &config.readyz_path),
            ("{{startupz}}", &config.startupz_path),
            ("{{metrics}}", &config.metrics_path),
            ("{{port}}", &config.admin_port.map(|port| port.to_string()).unwrap_or_default()),
        ];
        let metrics = match config.admin_port {
            None => METRICS,
            Some(0) => SOMEWHERE,
            Some(_) => ELSEWHERE,
        };
        let template = TEMPLATE.replace("{{admin}}", metrics);
        let page = paths.iter().fold(template, |page, (placeholder, path)| page.replace(placeholder, &escaped(path)));
        Welcome { page: page.into() }
    }

    /// Answers GET and HEAD with the page, anything else with 405.
    pub fn serve(&self, head: &RequestHead) -> Response {
        const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");
        if ![Method::GET, Method::HEAD].contains(head.method()) {
            return refusal::method_not_allowed();
        }
        Response::new(StatusCode::OK)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
            .with_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
            .with_header(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
            .with_header(NOSNIFF, HeaderValue::from_static("nosniff"))
            .with_body(self.page.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::semantics::conditional::tests::head;

    fn page(config: &Config) -> String {
        let mut text = String::new();
        Welcome::new(config).serve(&head(Method::GET, "/", &[])).body_mut().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn the_page_links_to_the_probes_wherever_they_are() {
        let config = Config { readyz_path: "/is-it/ready".into(), ..Config::default() };
        let page = page(&config);
        for link in [
            "href=\"/healthz\"",
            "href=\"/is-it/ready?verbose\"",
            "data-readyz=\"/is-it/ready\"",
            "href=\"/startupz\"",
            "href=\"/metrics\"",
            "RWS_CONFIG_STATIC_DIR",
        ] {
            assert!(page.contains(link), "{link}");
        }
        assert!(!page.contains("{{") && !page.contains("/readyz\""));
    }

    #[test]
    fn with_an_admin_port_the_page_leads_there() {
        let page = page(&Config { admin_port: Some(9090), ..Config::default() });
        for part in ["<a data-port=\"9090\"><code>/statusz</code>", "<a data-port=\"9090\"><code>/metrics</code>"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("href=\"/metrics") && !page.contains("{{"));
    }

    #[test]
    fn an_admin_port_of_the_systems_choice_is_no_link() {
        let page = page(&Config { admin_port: Some(0), ..Config::default() });
        assert!(page.contains("which the log names") && !page.contains("data-port=\"0\""));
    }

    #[test]
    fn paths_cannot_break_out_of_the_page() {
        let page = page(&Config { metrics_path: "/\"><script>'&".into(), ..Config::default() });
        assert!(page.contains("href=\"/&quot;&gt;&lt;script&gt;&#39;&amp;\""));
    }

    #[test]
    fn it_needs_nothing_from_elsewhere() {
        assert!(!TEMPLATE.contains("//") && !TEMPLATE.contains("src="));
        for element in ["<html lang=", "<title>", "name=\"viewport\"", "role=\"status\"", "<noscript>", "dark"] {
            assert!(TEMPLATE.contains(element), "{element}");
        }
    }

    #[test]
    fn only_get_and_head() {
        let welcome = Welcome::new(&Config::default());
        let [get, other] = [Method::GET, Method::HEAD].map(|method| welcome.serve(&head(method, "/", &[])));
        assert_eq!((get.status(), other.status()), (StatusCode::OK, StatusCode::OK));
        assert_eq!(get.body().length(), other.body().length());
        let post = welcome.serve(&head(Method::POST, "/", &[]));
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(post.headers().get(&header::ALLOW).unwrap(), "GET, HEAD");
    }

    #[test]
    fn the_policy_allows_this_script_and_this_style_sheet() {
        for (element, directive) in [("script", "script-src"), ("style", "style-src")] {
            let content = between(TEMPLATE, &format!("<{element}>"), &format!("</{element}>"));
            let source = csp::source(directive, content);
            assert!(POLICY.contains(&source), "the policy should have {source}");
            assert_eq!(TEMPLATE.matches(&format!("<{element}")).count(), 1);
        }
        assert!(!TEMPLATE.contains(" style=") && !TEMPLATE.contains(" on"), "neither is allowed by the policy");
    }

    fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
        text.split_once(start).unwrap().1.split_once(end).unwrap().0
    }
}
