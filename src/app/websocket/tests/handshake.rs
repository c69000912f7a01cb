//! The opening handshake, through a router.

use http::Method;

use crate::app::websocket::{ConnectionLimit, Message, WebSocket, WebSocketUpgrade};
use crate::app::{App, Response, State, TestClient, TestResponse, any};
use crate::semantics::origin::OriginPattern;

const FIELDS: [(&str, &str); 4] = [
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Asks with other fields in place of those above; those that are empty are left out.
fn ask(client: &TestClient, method: Method, target: &str, others: &[(&str, &str)]) -> TestResponse {
    let usual = FIELDS.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    let fields = usual.chain(others).filter(|(_, value)| !value.is_empty());
    fields.fold(client.request(method, target), |request, (name, value)| request.header(name, value)).send()
}

fn ignore(_: &WebSocket, _: Message) {}

fn client() -> TestClient {
    let allowed: OriginPattern = "https://*.example.com".parse().unwrap();
    let app = App::new()
        .route("/", any(|upgrade: WebSocketUpgrade| upgrade.on_message(ignore)))
        .route("/any", any(|upgrade: WebSocketUpgrade| upgrade.any_origin().on_message(ignore)))
        .route(
            "/some",
            any(|State(allowed): State<OriginPattern>, upgrade: WebSocketUpgrade| {
                upgrade.allowed_origins([&allowed]).on_message(ignore)
            }),
        )
        .route("/chat", any(|upgrade: WebSocketUpgrade| upgrade.protocols(["chat.v2", "chat.v1"]).on_message(ignore)))
        .state(allowed);
    TestClient::new(app).unwrap()
}

#[test]
fn what_is_no_websocket_is_told_why() {
    let client = client();
    for (field, value, status) in [
        ("upgrade", "", 426),
        ("upgrade", "h2c", 426),
        ("connection", "", 400),
        ("connection", "keep-alive", 400),
        ("sec-websocket-version", "", 426),
        ("sec-websocket-version", "8", 426),
        ("sec-websocket-key", "", 400),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ("sec-websocket-key", "c2hvcnQ=", 400),
        ("sec-websocket-key", "not base64!", 400),
        ("origin", "https://evil.example", 403),
    ] {
        let response = ask(&client, Method::GET, "/", &[(field, value)]);
        assert_eq!(response.status(), status, "{field}: {value}");
        assert_eq!(response.content_type(), Some("application/problem+json"));
        assert_eq!(response.json::<serde_json::Value>()["errors"][0]["field"], field, "{field}: {value}");
        if status == 426 {
            assert_eq!(response.header("sec-websocket-version"), Some("13"));
            assert_eq!(response.header("upgrade"), Some("websocket"));
        }
    }
    assert_eq!(ask(&client, Method::POST, "/", &[]).status(), 405);
    assert_eq!(ask(&client, Method::HEAD, "/", &[]).header("allow"), Some("GET"));
}

#[test]
fn the_key_is_answered() {
    let response = ask(&client(), Method::GET, "/", &[]);
    assert_eq!(response.status(), 101);
    assert_eq!(response.header("upgrade"), Some("websocket"));
    assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(response.header("sec-websocket-protocol"), None);
}

#[test]
fn the_first_protocol_of_ours_is_chosen_that_is_offered() {
    for (offered, chosen) in [
        ("chat.v1", Some("chat.v1")),
        ("chat.v1, chat.v2", Some("chat.v2")),
        ("other,chat.v1", Some("chat.v1")),
        ("CHAT.V1", None),
        ("", None),
    ] {
        let response = ask(&client(), Method::GET, "/chat", &[("sec-websocket-protocol", offered)]);
        assert_eq!((response.status().as_u16(), response.header("sec-websocket-protocol")), (101, chosen), "{offered}");
    }
}

#[test]
fn pages_of_other_origins_may_if_they_are_allowed() {
    for (target, origin, status) in [
        ("/", "http://localhost", 101),
        ("/", "https://localhost", 101),
        ("/", "https://localhost:8443", 403),
        ("/", "null", 403),
        ("/", "https://a.example.com", 403),
        ("/some", "http://localhost", 101),
        ("/some", "https://a.example.com", 101),
        ("/some", "https://example.com", 403),
        ("/any", "https://evil.example", 101),
        ("/any", "null", 101),
    ] {
        let response = ask(&client(), Method::GET, target, &[("origin", origin)]);
        assert_eq!(response.status(), status, "{target} from {origin}");
    }
}

#[test]
fn there_are_no_more_than_may_be() {
    fn limited(State(limit): State<ConnectionLimit>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.limit(&limit).on_message(ignore)
    }
    let limit = ConnectionLimit::new(1);
    let client = TestClient::new(App::new().route("/", any(limited)).state(limit.clone())).unwrap();
    let place = limit.enter().unwrap();
    let refused = ask(&client, Method::GET, "/", &[]);
    assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (503, Some("5")));
    drop(place);
    assert_eq!(ask(&client, Method::GET, "/", &[]).status(), 101);
    assert_eq!(limit.active(), 0, "the response was dropped, and with it the place");
}
