//! What pages of other origins get to see, as a table of origins, methods and settings.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, VARY};
use proptest::prelude::*;

use super::*;
use crate::app::{App, IntoResponse, TestClient, TestResponse, get};

const ALLOW: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
];

fn client(cors: Cors) -> TestClient {
    let own = || ([(ACCESS_CONTROL_ALLOW_ORIGIN, "https://other.example"), (VARY, "Cookie")], "own").into_response();
    let app = App::new().route("/", get(|| "hello").put(|| "put")).route("/own", get(own));
    TestClient::new(app.layer(cors)).unwrap()
}

fn listed() -> CorsBuilder {
    Cors::builder().allow_origins(["https://a.example", "https://*.b.example", "http://localhost:3000"])
}

/// The fields of the protocol that a response has, in short.
fn fields(response: &TestResponse) -> String {
    let named = response.headers().iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("access-control-")?;
        Some(format!("{name}={}", value.to_str().unwrap()))
    });
    named.collect::<Vec<_>>().join(" ")
}

#[test]
fn origins_are_allowed_if_they_are_listed() {
    let client = client(listed().build().unwrap());
    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://x.b.example", true),
        ("http://localhost:3000", true),
        ("https://b.example", false),
        ("https://a.example.evil.example", false),
        ("https://a.example:8443", false),
        ("http://a.example", false),
        ("http://localhost", false),
        ("null", false),
        ("*", false),
        ("", false),
        ("https://a.example, https://evil.example", false),
    ] {
        let answer = client.get("/").header("origin", origin).send();
        let wanted = if allowed { format!("allow-origin={origin}") } else { String::new() };
        assert_eq!((fields(&answer), answer.text()), (wanted, "hello"), "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{origin}");
    }
}

#[test]
fn two_origins_are_none() {
    let client = client(listed().build().unwrap());
    let twice = client.get("/").header("origin", "https://a.example").header("Origin", "https://a.example").send();
    assert_eq!(fields(&twice), "");
}

#[test]
fn without_an_origin_the_answer_says_that_it_could_be_another() {
    let answer = client(listed().build().unwrap()).get("/").send();
    assert_eq!((fields(&answer).as_str(), answer.header("vary")), ("", Some("Origin")));
}

#[test]
fn where_all_origins_are_allowed_the_answer_is_the_same_for_all() {
    let client = client(Cors::builder().allow_any_origin().build().unwrap());
    for request in [client.get("/"), client.get("/").header("origin", "null")] {
        let answer = request.send();
        assert_eq!((fields(&answer).as_str(), answer.header("vary")), ("allow-origin=*", None));
    }
}

#[test]
fn errors_have_the_fields_too() {
    let client = client(listed().build().unwrap());
    for (request, status) in [(client.get("/nowhere"), 404), (client.delete("/"), 405), (client.options("/"), 204)] {
        let answer = request.header("origin", "https://a.example").send();
        assert_eq!((answer.status().as_u16(), fields(&answer).as_str()), (status, "allow-origin=https://a.example"));
    }
}

#[test]
fn the_policy_replaces_what_handlers_say_and_adds_to_what_they_vary_by() {
    let client = client(listed().build().unwrap());
    for (origin, wanted) in [("https://a.example", "allow-origin=https://a.example"), ("https://other.example", "")] {
        let answer = client.get("/own").header("origin", origin).send();
        assert_eq!((fields(&answer).as_str(), answer.header("vary")), (wanted, Some("Cookie, Origin")), "{origin}");
    }
}

#[test]
fn preflights_are_answered_here() {
    let full = listed()
        .allow_methods([Method::PUT, Method::from_bytes(b"PURGE").unwrap()])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .allow_credentials(true)
        .expose_headers([HeaderName::from_static("x-total")])
        .max_age(Duration::from_millis(600_500));
    let all = "allow-credentials=true allow-methods=PUT, PURGE allow-headers=authorization, content-type max-age=600";
    let open = Cors::builder().allow_any_origin().allow_any_method().allow_any_header();
    let simple = "allow-methods=GET, HEAD, POST";
    for (builder, origin, wanted) in [
        (full.clone(), "https://a.example", format!("allow-origin=https://a.example {all}")),
        (full.clone(), "https://x.b.example", format!("allow-origin=https://x.b.example {all}")),
        (full, "https://evil.example", String::new()),
        (listed(), "https://a.example", format!("allow-origin=https://a.example {simple}")),
        (open, "https://any.example", "allow-origin=* allow-methods=* allow-headers=*".to_owned()),
    ] {
        let client = client(builder.build().unwrap());
        for path in ["/", "/nowhere", "*"] {
            let request = client.options(path).header("origin", origin).header("access-control-request-method", "PUT");
            let answer = request.send();
            assert_eq!((answer.status().as_u16(), fields(&answer)), (204, wanted.clone()), "{path} {origin}");
            assert_eq!((answer.header("vary"), answer.header("allow")), (Some(PREFLIGHT_VARY), None));
        }
    }
}

#[test]
fn another_options_is_no_preflight() {
    let client = client(listed().build().unwrap());
    let origin = ("origin", "https://a.example");
    let method = ("access-control-request-method", "PUT");
    for (fields, preflight) in [(&[][..], false), (&[origin], false), (&[method], false), (&[origin, method], true)] {
        let request = fields.iter().fold(client.options("/"), |request, (name, value)| request.header(name, value));
        assert_eq!(request.send().header("allow").is_none(), preflight, "{fields:?}");
    }
    let get = client.get("/").header(origin.0, origin.1).header(method.0, method.1).send();
    assert_eq!(get.text(), "hello");
}

#[test]
fn preflights_do_not_reach_what_is_inside() {
    fn locked(_: Request, _: Next<'_>) -> StatusCode {
        StatusCode::UNAUTHORIZED
    }
    let app = App::new().route("/", get(|| "")).layer(listed().build().unwrap()).layer(locked);
    let client = TestClient::new(app).unwrap();
    let preflight = client.options("/").header("access-control-request-method", "PUT");
    assert_eq!(preflight.header("origin", "https://a.example").send().status(), 204);
    let answer = client.get("/").header("origin", "https://a.example").send();
    assert_eq!((answer.status().as_u16(), fields(&answer).as_str()), (401, "allow-origin=https://a.example"));
}

#[test]
fn credentials_and_exposed_headers_go_to_allowed_origins_only() {
    let exposing = listed().allow_credentials(true).expose_headers([HeaderName::from_static("x-total")]);
    let client = client(exposing.build().unwrap());
    for (origin, wanted) in [
        ("https://a.example", "allow-origin=https://a.example allow-credentials=true expose-headers=x-total"),
        ("https://evil.example", ""),
    ] {
        assert_eq!(fields(&client.get("/").header("origin", origin).send()), wanted);
    }
}

#[test]
fn everything_that_is_wrong_is_told_together() {
    let star = HeaderName::from_static("*");
    for (builder, wanted) in [
        (Cors::builder(), "CORS: no origin is allowed: name some, or allow any"),
        (
            Cors::builder().allow_origins(["a.example", "https://b.example/x", "https://c.example"]),
            "CORS: the origin \"a.example\" has no scheme: write https://a.example; the origin \"https://b.example/x\" \
             has something behind the host, and an origin has no path: write https://b.example",
        ),
        (
            Cors::builder().allow_any_origin().allow_credentials(true),
            "CORS: credentials are not for all origins, and browsers refuse that: name the origins",
        ),
        (
            listed().allow_credentials(true).allow_any_method().allow_any_header().expose_headers([star]),
            "CORS: * in access-control-allow-methods stands for nothing where credentials are allowed: write the names; \
             * in access-control-allow-headers stands for nothing where credentials are allowed: write the names; \
             * in access-control-expose-headers stands for nothing where credentials are allowed: write the names",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), wanted);
    }
}

proptest! {
    #[test]
    fn only_listed_origins_are_ever_allowed(
        origin in prop_oneof!["\\PC*", "https?://([a-z.]{0,6}a\\.example|[a-z.]{0,6}\\.?b\\.example)(:[0-9]{1,3})?", "null"],
        preflight: bool,
    ) {
        let client = client(listed().allow_credentials(true).build().unwrap());
        let request = if preflight {
            client.options("/").header("access-control-request-method", "GET")
        } else {
            client.get("/")
        };
        let answer = request.header("origin", &origin).send();
        let host = origin.strip_prefix("https://").unwrap_or_default();
        let labels = host.strip_suffix(".b.example").unwrap_or_default();
        let plain = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        let listed = host == "a.example" || origin == "http://localhost:3000" || labels.split('.').all(plain);
        let wanted = listed.then_some(origin.as_str());
        prop_assert_eq!(answer.header(ALLOW[0]), wanted);
        prop_assert_eq!(ALLOW[1..].iter().any(|name| answer.header(name).is_some()), listed);
        prop_assert!(answer.header("vary").unwrap().starts_with("Origin"));
    }
}
