//! Routes that come from the configuration: `RWS_CONFIG_ROUTE_<NAME>` and `RWS_CONFIG_DEMO_ROUTES`.

use std::collections::HashMap;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::demo;
use crate::app::{App, IntoResponse, MethodRouter, Path, Response, any, get, on};
use crate::config::Config;
use crate::config::route::{Action, Part, RouteSpec, Template};

/// What a parameter may bring into a Location as it is: unreserved characters and slashes (RFC 3986 section 2.3).
const LOCATION_SET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Adds the routes.
pub(super) fn mount(app: App, config: &Config) -> App {
    let app = if config.demo_routes { demo::mount(app) } else { app };
    config.routes.iter().fold(app, |app, spec| app.route(&spec.pattern, methods(spec)))
}

type Params = Path<HashMap<String, String>>;

fn methods(spec: &RouteSpec) -> MethodRouter {
    let action = spec.action.clone();
    let handler = move |Path(params): Params| answer(&action, &params);
    match (&spec.method, &spec.action) {
        (Some(method), _) => on(method.clone(), handler),
        (None, Action::Respond { .. }) => get(handler),
        (None, Action::Redirect { .. }) => any(handler),
    }
}

fn answer(action: &Action, params: &HashMap<String, String>) -> Response {
    match action {
        Action::Respond { status, content_type, template } => {
            let text = fill(template, params, escape_for(content_type));
            Response::new(*status).with_header(CONTENT_TYPE, content_type.clone()).with_body(text)
        }
        Action::Redirect { status, location } => {
            let location = fill(location, params, |value| utf8_percent_encode(value, LOCATION_SET).to_string());
            match HeaderValue::try_from(one_site(location)) {
                Ok(location) => Response::new(*status).with_header(LOCATION, location),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    }
}

fn fill(template: &Template, params: &HashMap<String, String>, escape: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for part in &template.parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Placeholder { name, .. } => {
                text.push_str(&escape(params.get(name).map(String::as_str).unwrap_or_default()));
            }
        }
    }
    text
}

/// A reference that begins with two slashes names another host: a parameter must not be able to do that.
fn one_site(location: String) -> String {
    match location.strip_prefix("//") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => location,
    }
}

/// How a value is written into a text of this type so that it remains a value.
fn escape_for(content_type: &HeaderValue) -> fn(&str) -> String {
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence.ends_with("/json") || essence.ends_with("+json") {
        |value| {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
    } else if essence.ends_with("/html") || essence.ends_with("/xml") || essence.ends_with("+xml") {
        |value| {
            value
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&quot;")
                .replace('\'', "&#39;")
        }
    } else {
        str::to_owned
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::TestClient;

    fn client(routes: &[&str]) -> TestClient {
        let specs = routes.iter().map(|text| RouteSpec::parse("TEST", text).unwrap());
        TestClient::new(mount(App::new(), &Config { routes: specs.collect(), ..Config::default() })).unwrap()
    }

    #[test]
    fn values_are_escaped_for_the_type_of_the_text() {
        let client = client(&[
            "GET /plain/{x} -> respond 200 text/plain Hello, {x}!",
            "GET /json/{x} -> respond 200 application/json {\"x\":\"{x}\"}",
            "GET /html/{x} -> respond 200 text/html <p title=\"{x}\">{x}</p>",
        ]);
        for (path, text) in [
            ("/plain/%22%3Cb%3E", "Hello, \"<b>!"),
            ("/json/%22%5C%0A", r#"{"x":"\"\\\n"}"#),
            ("/html/%22%3Cb%3E'", "<p title=\"&quot;&lt;b&gt;&#39;\">&quot;&lt;b&gt;&#39;</p>"),
        ] {
            assert_eq!(client.get(path).send().text(), text, "{path}");
        }
    }

    #[test]
    fn a_parameter_cannot_redirect_to_another_host_or_add_a_field() {
        let client = client(&["/old/{*rest} -> redirect 308 /new/{rest}", "/bare/{*rest} -> redirect 302 /{rest}"]);
        for (path, location) in [
            ("/old/a/b%20c", "/new/a/b%20c"),
            ("/old/x%0D%0ASet-Cookie:%20a=b", "/new/x%0D%0ASet-Cookie%3A%20a%3Db"),
            ("/bare//evil.example/x", "/evil.example/x"),
            ("/bare/%5C%5Cevil.example", "/%5C%5Cevil.example"),
        ] {
            let response = client.get(path).send();
            assert_eq!(response.header("location"), Some(location), "{path}");
        }
    }
}
