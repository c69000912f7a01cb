//! What requests meet, through the public interface.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::app::testing::TestResponse;
use crate::app::{App, TestClient, get};

const OPEN: [&str; 2] = ["/public", "/docs/"];

fn client(layer: impl Middleware) -> TestClient {
    let who =
        |user: Option<AuthenticatedUser>| user.map_or("nobody".to_owned(), |AuthenticatedUser(name)| name.to_string());
    TestClient::new(App::new().fallback(who).layer(layer)).unwrap()
}

fn either() -> EitherAuth {
    let basic = BasicAuth::new("A \"shop\"", Users::htpasswd("ada:open:sesame\nbéa:pässword").unwrap()).unwrap();
    basic.or(BearerAuth::new("API", "ci:abc123==, anonymous").unwrap()).except(OPEN).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn challenges(response: &TestResponse) -> Vec<&str> {
    let fields = response.headers().iter().filter(|(name, _)| *name == WWW_AUTHENTICATE);
    fields.map(|(_, value)| value.to_str().unwrap()).collect()
}

#[test]
fn who_proves_who_they_are_is_let_in() {
    let client = client(either());
    let cases = [
        (basic("ada", "open:sesame"), Some("ada")),
        (basic("béa", "pässword"), Some("béa")),
        (basic("ada", "open:sesame").replace("Basic", "bASIC"), Some("ada")),
        ("Bearer abc123==".to_owned(), Some("ci")),
        ("BEARER  anonymous".to_owned(), Some("nobody")),
        (basic("ada", "open"), None),
        (basic("ada", ""), None),
        (basic("", ""), None),
        (basic("béa", "pässword").replace('=', ""), None),
        ("Bearer abc123".to_owned(), None),
        ("Bearer ci:abc123==".to_owned(), None),
        ("Bearer abc123==,anonymous".to_owned(), None),
        (basic("ada", "open:sesame").replace("Basic", "Bearer"), None),
        (basic("ada", "open:sesame").replace("Basic", "Negotiate"), None),
        ("Basic".to_owned(), None),
        (String::new(), None),
    ];
    for (field, expected) in cases {
        let response = client.get("/").header("Authorization", &field).send();
        match expected {
            Some(name) => assert_eq!((response.status().as_u16(), response.text()), (200, name), "{field}"),
            None => assert_eq!(response.status(), 401, "{field}"),
        }
    }
    let right = basic("ada", "open:sesame");
    let twice = client.get("/").header("authorization", &right).header("authorization", &right).send();
    assert_eq!(twice.status(), 401, "two fields are none");
    for target in ["/?access_token=anonymous", "/?token=anonymous"] {
        assert_eq!(client.get(target).send().status(), 401, "{target}");
    }
}

#[test]
fn a_refusal_says_what_would_be_right() {
    let client = client(either());
    const BASIC: &str = r#"Basic realm="A \"shop\"", charset="UTF-8""#;
    for (field, bearer) in [
        (None, "Bearer realm=\"API\""),
        (Some(basic("ada", "x")), "Bearer realm=\"API\""),
        (Some("Digest x".to_owned()), "Bearer realm=\"API\""),
        (Some("Bearer x".to_owned()), "Bearer realm=\"API\", error=\"invalid_token\""),
    ] {
        let request = client.get("/");
        let response = match &field {
            Some(field) => request.header("authorization", field).send(),
            None => request.send(),
        };
        assert_eq!(response.status(), 401);
        assert_eq!(challenges(&response), [BASIC, bearer], "{field:?}");
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.content_type(), Some("application/problem+json"));
    }
    assert_eq!(client.head("/").send().status(), 401);
    assert_eq!(client.options("/").send().status(), 401);
}

#[test]
fn some_paths_are_open_and_nothing_beside_them() {
    let client = client(either());
    for path in ["/public", "/public/", "/public/a/b", "/docs", "/docs/x?a=/../", "/public/a%20b", "/public//x"] {
        assert_eq!(client.get(path).send().text(), "nobody", "{path}");
    }
    for path in [
        "/",
        "/publicity",
        "/Public",
        "/%70ublic",
        "/publi",
        "/x/public",
        "/public/../secret",
        "/public/..",
        "/public/./x",
        "/public/%2e%2E/secret",
        "/public/.%2e/secret",
        "/public/..%2fsecret",
        "/public/%2e%2e%2fsecret",
        "/public/a%5c..%5csecret",
        "/public/%00",
    ] {
        assert_eq!(client.get(path).send().status(), 401, "{path}");
    }
    let with = client.get("/public/x").header("authorization", basic("ada", "wrong")).send();
    assert_eq!(with.text(), "nobody", "nobody looks at credentials there");
}

#[test]
fn each_scheme_can_stand_alone_and_be_verified_by_a_function() {
    let basic_only = client(BasicAuth::verified_by("x", |user, password| user == password).unwrap());
    let refused = basic_only.get("/").send();
    assert_eq!(challenges(&refused), ["Basic realm=\"x\", charset=\"UTF-8\""]);
    assert_eq!(basic_only.get("/").header("authorization", basic("a", "a")).send().text(), "a");
    assert_eq!(basic_only.get("/").header("authorization", basic("a", "b")).send().status(), 401);
    let bearer_only =
        client(BearerAuth::verified_by("x", |token| token.strip_prefix("user-").map(str::to_owned)).unwrap());
    assert_eq!(bearer_only.get("/").header("authorization", "bearer user-7").send().text(), "7");
    assert_eq!(bearer_only.get("/").header("authorization", basic("a", "a")).send().status(), 401);
}

#[test]
fn what_cannot_be_is_an_error_and_shows_no_secret() {
    let users = || Users::htpasswd("a:hunter2").unwrap();
    for realm in ["", "é", "a\nb"] {
        assert_eq!(BasicAuth::new(realm, users()).unwrap_err(), AuthError::Realm);
        assert_eq!(BearerAuth::new(realm, "x").unwrap_err(), AuthError::Realm);
    }
    assert_eq!(BearerAuth::new("x", " , ").unwrap_err(), AuthError::Nobody);
    assert!(matches!(BearerAuth::new("x", "a,hunter2!").unwrap_err(), AuthError::Token(2, _)));
    assert_eq!(
        BasicAuth::new("x", users()).unwrap().except(["public"]).unwrap_err(),
        AuthError::Prefix("public".into())
    );
    let shown = format!("{:?} {:?}", users(), BearerAuth::new("x", "hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn who_asks_for_a_user_where_nobody_finds_out_made_a_mistake() {
    let app = App::new().route("/", get(|AuthenticatedUser(name)| name.to_string()));
    assert_eq!(TestClient::new(app).unwrap().get("/").send().status(), 500);
}

#[test]
fn a_crowd_is_told_to_come_back() {
    let response = busy().into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers().get(&RETRY_AFTER).unwrap(), "1");
    assert_eq!(response.headers().get(&CACHE_CONTROL).unwrap(), "no-store");
}
