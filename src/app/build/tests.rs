mod mistakes;

use http::Method;
use proptest::prelude::*;

use crate::app::error::BuildErrors;
use crate::app::extract::{MatchedPath, Path, State};
use crate::app::method::{any, delete, get, on, post};
use crate::app::service::{BodyUse, EndpointKind, Placement, Service};
use crate::app::testing::TestClient;
use crate::app::{App, Body, Next, Request, Response, Router};

fn client(app: App) -> TestClient {
    TestClient::new(app).unwrap()
}

/// A handler that tells its pattern and its parameters.
fn tell(MatchedPath(pattern): MatchedPath, Path(params): Path<Vec<String>>) -> String {
    format!("{pattern} {}", params.join(","))
}

/// A middleware that wraps the body in a name.
fn wrap(name: &'static str) -> impl Fn(Request, Next<'_>) -> Response {
    move |request: Request, next: Next<'_>| {
        let mut response = next.run(request);
        let inner = std::mem::take(response.body_mut()).into_bytes().unwrap();
        response.with_body(format!("{name}({})", String::from_utf8_lossy(&inner)))
    }
}

#[test]
fn paths_find_their_patterns() {
    let patterns = [
        "/",
        "/users",
        "/users/",
        "/users/{id}",
        "/users/me",
        "/users/{id}/posts/{post}",
        "/files/{*rest}",
        "/img-{name}.png",
        "/{{literal}}",
        "/a/{b}/{c}/{d}/{e}/{f}",
        "/enc%20oded",
    ];
    let client = client(patterns.iter().fold(App::new(), |app, pattern| app.route(*pattern, get(tell))));
    for (path, expected) in [
        ("/", "/ "),
        ("/users", "/users "),
        ("/users/", "/users/ "),
        ("/users/7", "/users/{id} 7"),
        ("/users/7?id=8", "/users/{id} 7"),
        ("/users/me", "/users/me "),
        ("/users/a%2Fb", "/users/{id} a/b"),
        ("/users/7/posts/9", "/users/{id}/posts/{post} 7,9"),
        ("/files/a/b//c", "/files/{*rest} a/b//c"),
        ("/files/../x", "/files/{*rest} ../x"),
        ("/img-cat.png", "/img-{name}.png cat"),
        ("/{literal}", "/{{literal}} "),
        ("/a/1/2/3/4/5", "/a/{b}/{c}/{d}/{e}/{f} 1,2,3,4,5"),
        ("/enc%20oded", "/enc%20oded "),
    ] {
        assert_eq!(client.get(path).send().text(), expected, "{path}");
    }
    for path in ["/user", "/users/7/", "/users//", "//", "/files/", "/files", "/USERS", "/a/1/2/3/4", "/img-.png"] {
        assert_eq!(client.get(path).send().status(), 404, "{path}");
    }
}

#[test]
fn a_root_wildcard_stands_beside_more_special_routes() {
    let app = App::new()
        .route("/", get(|| "root"))
        .route("/{*path}", get(|Path(path): Path<String>| path))
        .route("/api/users", get(|| "users"));
    let client = client(app);
    for (path, text) in [("/", "root"), ("/api/users", "users"), ("/api/other", "api/other"), ("/x", "x")] {
        assert_eq!(client.get(path).send().text(), text);
    }
}

#[test]
fn methods_have_their_handlers_and_the_rest_is_automatic() {
    let purge = Method::from_bytes(b"PURGE").unwrap();
    let app = App::new()
        .route("/item", get(|| "got").put(|| "put"))
        .route("/item", on(purge.clone(), || "purged"))
        .route("/any", any(|| "any").post(|| "posted"))
        .route("/own", get(|| "got").options(|| "options"));
    let client = client(app);
    let allow = "GET, HEAD, OPTIONS, PURGE, PUT";
    for (method, path, status, text, allowed) in [
        (Method::GET, "/item", 200, "got", None),
        (Method::PUT, "/item", 200, "put", None),
        (purge.clone(), "/item", 200, "purged", None),
        (Method::OPTIONS, "/item", 204, "", Some(allow)),
        (Method::TRACE, "/any", 200, "any", None),
        (Method::OPTIONS, "/any", 200, "any", None),
        (Method::POST, "/any", 200, "posted", None),
        (purge, "/any", 200, "any", None),
        (Method::OPTIONS, "/own", 200, "options", None),
        (Method::OPTIONS, "*", 204, "", Some("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT")),
    ] {
        let response = client.request(method.clone(), path).send();
        assert_eq!((response.status().as_u16(), response.text()), (status, text), "{method} {path}");
        assert_eq!(response.header("allow"), allowed, "{method} {path}");
    }
    let refused = client.delete("/item").send();
    assert_eq!((refused.status().as_u16(), refused.header("allow")), (405, Some(allow)));
    assert_eq!(refused.content_type(), Some("application/problem+json"));
    assert_eq!(client.get("*").send().status(), 404);
}

#[test]
fn other_methods_have_one_answer_on_all_paths_but_built_in_ones() {
    let explain = |method: Method, MatchedPath(path): MatchedPath| format!("no {method} of {path}");
    let api = Router::new().route("/{id}", get(tell)).layer(wrap("api"));
    let app = App::new()
        .route("/", get(|| "got"))
        .nest("/api", api)
        .host("a.b", Router::new().route("/", post(|| "posted")))
        .fallback_route(post(|| "posted"))
        .mount("/healthz", get(|| "ok"), EndpointKind::Probe)
        .method_not_allowed(explain);
    let client = client(app);
    for (method, host, path, status, text, allow) in [
        (Method::GET, "", "/", 200, "got", None),
        (Method::PUT, "", "/", 405, "no PUT of /", Some("GET, HEAD, OPTIONS")),
        (Method::PUT, "", "/api/7", 405, "api(no PUT of /api/{id})", Some("GET, HEAD, OPTIONS")),
        (Method::GET, "a.b", "/", 405, "no GET of /", Some("OPTIONS, POST")),
        (Method::GET, "", "/none", 405, "no GET of _unmatched", Some("OPTIONS, POST")),
        (Method::OPTIONS, "", "/", 204, "", Some("GET, HEAD, OPTIONS")),
    ] {
        let answer = client.request(method.clone(), path).header("host", host).send();
        assert_eq!((answer.status().as_u16(), answer.text()), (status, text), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    assert_eq!(client.put("/healthz").send().content_type(), Some("application/problem+json"));

    let hidden = App::new().route("/", get(|| "got")).method_not_allowed(|| http::StatusCode::NOT_FOUND);
    assert_eq!(TestClient::new(hidden).unwrap().put("/").send().status(), 404);
    let wrong = App::new().method_not_allowed(|_: State<u32>, _: String| "").method_not_allowed(|| "");
    let text = wrong.build().unwrap_err().to_string();
    for part in ["already answered by * /… (", "the application has no such state", "it takes a body"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn head_is_answered_as_get_without_the_body() {
    let app = App::new().route("/", get(|| "got")).route("/own", get(|| "got").head(|| ([("x-own", "head")], ())));
    let client = client(app);
    let response = client.head("/").send();
    assert_eq!((response.status().as_u16(), response.text(), response.header("content-length")), (200, "", Some("3")));
    assert_eq!(client.head("/own").send().header("x-own"), Some("head"));
    assert_eq!(client.get("/own").send().header("x-own"), None);
}

#[test]
fn nested_routes_stand_under_their_prefix() {
    let inner = || Router::new().route("/", get(tell)).route("/{post}", get(tell));
    let app = App::new()
        .nest("/posts", inner())
        .nest("/users/{user}/posts/", inner())
        .nest("/a", Router::new().nest("/b", inner()))
        .nest("", Router::new().route("/root", get(tell)));
    let client = client(app);
    for (path, expected) in [
        ("/posts", "/posts "),
        ("/posts/1", "/posts/{post} 1"),
        ("/users/7/posts/", "/users/{user}/posts/ 7"),
        ("/users/7/posts/1", "/users/{user}/posts/{post} 7,1"),
        ("/a/b", "/a/b "),
        ("/a/b/1", "/a/b/{post} 1"),
        ("/root", "/root "),
    ] {
        assert_eq!(client.get(path).send().text(), expected, "{path}");
    }
    for path in ["/posts/", "/users/7/posts", "/b/1"] {
        assert_eq!(client.get(path).send().status(), 404, "{path}");
    }
}

#[test]
fn the_closest_fallback_answers() {
    let api = Router::new().route("/users", get(|| "users")).fallback(|| "api");
    let tenant = Router::new().fallback(|| "tenant");
    let deep = Router::new().fallback_route(post(|| "deep"));
    let app = App::new().nest("/api", api).nest("/{tenant}/files", tenant).nest("/api/deep", deep).fallback(|| "root");
    let client = client(app);
    for (path, text) in [
        ("/api/users", "users"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/x/y", "api"),
        ("/apix", "root"),
        ("/acme/files/x", "tenant"),
        ("/api/files/x", "tenant"),
        ("/acme", "root"),
        ("//files", "root"),
    ] {
        assert_eq!(client.get(path).send().text(), text, "{path}");
    }
    assert_eq!(client.post("/api/deep/x").send().text(), "deep");
    assert_eq!(client.get("/api/deep/x").send().header("allow"), Some("OPTIONS, POST"));
    // A fallback is for unknown paths, not for other methods of known ones.
    assert_eq!(client.post("/api/users").send().status(), 405);
}

#[test]
fn middleware_stands_in_the_order_it_is_written_in() {
    let users = Router::new()
        .layer(wrap("users"))
        .route("/", get(|| "list").layer(wrap("route1")).layer(wrap("route2")))
        .fallback(|| "none");
    let api = Router::new().nest("/users", users).route("/plain", get(|| "plain")).layer(wrap("api"));
    let merged = Router::new().route("/merged", get(|| "merged")).layer(wrap("merge"));
    let app = App::new()
        .layer(wrap("app1"))
        .route("/", get(|| "root"))
        .nest("/api", api)
        .merge(merged)
        .layer(wrap("app2"))
        .mount("/healthz", get(|| "ok").layer(wrap("own")), EndpointKind::Probe)
        .nest("/p", Router::new().mount("/metrics", get(|| "m"), EndpointKind::Metrics).layer(wrap("p")));
    let client = client(app);
    for (path, text) in [
        ("/", "app1(app2(root))"),
        ("/api/users", "app1(app2(api(users(route1(route2(list))))))"),
        ("/api/users/x", "app1(app2(api(users(none))))"),
        ("/api/plain", "app1(app2(api(plain)))"),
        ("/merged", "app1(app2(merge(merged)))"),
        ("/healthz", "own(ok)"),
        ("/p/metrics", "m"),
    ] {
        assert_eq!(client.get(path).send().text(), text, "{path}");
    }
    let not_found = client.get("/none").send();
    assert_eq!(not_found.status(), 404);
    assert!(not_found.text().starts_with("app1(app2({"), "{}", not_found.text());
}

#[test]
fn automatic_answers_pass_the_middleware_that_all_routes_of_the_path_share() {
    let shared = Router::new()
        .route("/x", get(|| "").layer(wrap("get")))
        .route("/x", post(|| "").layer(wrap("post")))
        .route("/y", get(|| "").layer(wrap("get")))
        .layer(wrap("router"));
    let client = client(App::new().merge(shared).layer(wrap("app")));
    assert!(client.delete("/x").send().text().starts_with("app(router({"));
    assert!(client.delete("/y").send().text().starts_with("app(router(get({"));
    assert_eq!(client.options("/y").send().status(), 204);
}

#[test]
fn options_become_endpoints() {
    use BodyUse::{Ignored, Stream, Whole};
    use EndpointKind::{Probe, Route};

    let app = App::new()
        .route("/a/{id}", get(|| "").post(|_: String| "").blocking().body_limit(10))
        .route("/a/{id}", on(Method::PUT, |_: Body| "").inline())
        .mount("/{*path}", get(|| "").label("_static"), Route)
        .mount("/healthz", get(|| ""), Probe)
        .fallback(|_: Vec<u8>| "")
        .build()
        .unwrap();
    let seen: Vec<_> =
        app.endpoints().iter().map(|e| (&*e.template, e.kind, e.body, e.pace.placement(), e.max_body_bytes)).collect();
    let expected = [
        ("_unmatched", Route, Ignored, Placement::Learned, None),
        ("/a/{id}", Route, Ignored, Placement::Blocking, Some(10)),
        ("/a/{id}", Route, Whole, Placement::Blocking, Some(10)),
        ("/a/{id}", Route, Stream, Placement::Inline, None),
        ("_static", Route, Ignored, Placement::Learned, None),
        ("/healthz", Probe, Ignored, Placement::Learned, None),
        ("_unmatched", Route, Whole, Placement::Learned, None),
    ];
    assert_eq!(seen, expected);
    assert!(std::sync::Arc::ptr_eq(&app.endpoints()[1].template, &app.endpoints()[3].template));
    let routes: Vec<_> = app.routes().iter().map(|route| (&*route.method, &*route.pattern)).collect();
    let listed = [
        ("GET", "/a/{id}"),
        ("POST", "/a/{id}"),
        ("PUT", "/a/{id}"),
        ("GET", "/{*path}"),
        ("GET", "/healthz"),
        ("*", "/…"),
    ];
    assert_eq!(routes, listed);
}

#[test]
fn the_closest_body_limit_counts() {
    let take = || post(|_: Body| "");
    let inner = Router::new().route("/plain", take()).route("/own", take().body_limit(1)).body_limit(4);
    let limited = Router::new()
        .body_limit(3)
        .route("/plain", take())
        .route("/own", take().body_limit(u64::MAX))
        .mount("/probe", get(|| ""), EndpointKind::Probe)
        .nest("/inner", inner)
        .merge(Router::new().route("/merged", take()).body_limit(5))
        .merge(Router::new().route("/open", take()))
        .fallback(|_: Body| "");
    let app = App::new()
        .body_limit(9)
        .nest("/limited", limited)
        .nest("/other", Router::new().route("/plain", take()))
        .host("site", Router::new().route("/", take()))
        .host("small", Router::new().route("/", take()).body_limit(2))
        .body_limit(7)
        .build()
        .unwrap();
    let seen: Vec<_> =
        app.routes().iter().zip(&app.endpoints()[1..]).map(|(r, e)| (&*r.pattern, e.max_body_bytes)).collect();
    let expected = [
        ("/limited/plain", Some(3)),
        ("/limited/own", Some(u64::MAX)),
        ("/limited/probe", None),
        ("/limited/inner/plain", Some(4)),
        ("/limited/inner/own", Some(1)),
        ("/limited/merged", Some(5)),
        ("/limited/open", Some(3)),
        ("/other/plain", Some(7)),
        ("/limited/…", Some(3)),
        ("/", Some(7)),
        ("/", Some(2)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(app.endpoints()[0].max_body_bytes, Some(7), "what no route matches");
}

#[test]
fn hosts_have_sites_of_their_own_and_share_only_what_is_built_in() {
    let site = |name: &'static str| Router::new().route("/", get(move || name)).layer(wrap("site"));
    let users = Router::new().route("/users/{id}", get(tell)).fallback(|| "no such page");
    let app = App::new()
        .route("/", get(|| "main"))
        .route("/main", get(|| "main"))
        .fallback(|| "main fallback")
        .host("api.example.com", site("api"))
        .host("API.example.com.", users)
        .host("*.example.com", site("shop"))
        .host("*.example.com", Router::new().nest("/deep", Router::new().fallback(|| "deep")))
        .host("[2001:db8::1]", site("address"))
        .mount("/healthz", get(|| "ok"), EndpointKind::Probe)
        .mount("/readyz/{check}", get(tell), EndpointKind::Probe)
        .layer(wrap("app"));
    let client = client(app);
    for (host, path, expected) in [
        ("api.example.com", "/", "app(site(api))"),
        ("Api.Example.COM:8443", "/", "app(site(api))"),
        ("api.example.com.", "/users/7", "app(/users/{id} 7)"),
        ("api.example.com", "/main", "app(no such page)"),
        ("shoes.example.com", "/", "app(site(shop))"),
        ("shoes.example.com", "/deep/x", "app(deep)"),
        ("[2001:DB8::1]:80", "/", "app(site(address))"),
        ("example.com", "/", "app(main)"),
        ("a.shoes.example.com", "/", "app(main)"),
        (".example.com", "/", "app(main)"),
        ("", "/", "app(main)"),
        ("10.1.2.3:8080", "/x", "app(main fallback)"),
        ("api.example.com", "/healthz", "ok"),
        ("shoes.example.com", "/readyz/db", "/readyz/{check} db"),
        ("10.1.2.3:8080", "/healthz", "ok"),
    ] {
        let answer = client.get(path).header("host", host).send();
        assert_eq!(answer.text(), expected, "{host} {path}");
    }
    let shop = |method: Method, path: &str| client.request(method, path).header("host", "x.example.com").send();
    assert_eq!(shop(Method::GET, "/main").status(), 404, "the fallback of other hosts is not for it");
    let refused = shop(Method::POST, "/");
    assert_eq!((refused.status().as_u16(), refused.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
    assert!(refused.text().starts_with("app(site({"), "{}", refused.text());
    assert_eq!(shop(Method::OPTIONS, "*").status(), 204);
}

#[test]
fn an_application_without_routes_can_be_built() {
    let client = client(App::new());
    assert_eq!(client.get("/").send().status(), 404);
    assert_eq!(client.options("*").send().header("allow"), Some("OPTIONS"));
}

proptest! {
    #[test]
    fn no_pattern_makes_the_build_panic(patterns in prop::collection::vec("[/{}*ab.é ]{0,12}", 1..6)) {
        let app = patterns.iter().fold(App::new(), |app, pattern| app.route(pattern.as_str(), get(|| "")));
        let _: Result<_, BuildErrors> = app.build();
        let app = patterns.iter().fold(App::new(), |app, prefix| app.nest(prefix, Router::new().fallback(|| "")));
        let _: Result<_, BuildErrors> = app.build();
    }

    #[test]
    fn parameters_are_the_parts_of_the_path(user in "[a-zA-Z0-9._~-]{1,20}", rest in "[a-z/]{1,20}") {
        let app = App::new().route("/u/{user}/r/{*rest}", get(|Path(both): Path<(String, String)>| format!("{} {}", both.0, both.1)));
        let response = client(app).get(&format!("/u/{user}/r/{rest}")).send();
        prop_assert_eq!(response.text(), format!("{user} {rest}"));
    }

    #[test]
    fn every_path_has_an_answer(path in "/[ -~]{0,30}") {
        let app = App::new().route("/{a}/b", get(|| "")).route("/x-{y}.z", get(|| "")).route("/f/{*p}", get(|| ""));
        let status = client(app).get(&path).send().status();
        prop_assert!(status == 200 || status == 404);
    }
}

#[test]
fn paths_are_taken_as_they_are_written() {
    let inner = Router::new().route("/", get(tell)).route("/{id}", get(tell)).route("/x/{id}/y", get(tell));
    let app = App::new()
        .route("/", get(tell))
        .route("/a", get(tell))
        .route("/a/", get(tell))
        .nest("/n", inner)
        .nest("/{tenant}/deep/", Router::new().nest("/{user}", Router::new().route("/z/{id}", get(tell))))
        .nest("/", Router::new().route("/rooted", get(tell)));
    let client = client(app);
    for (path, expected) in [
        ("/", Some("/ ")),
        ("/a", Some("/a ")),
        ("/a/", Some("/a/ ")),
        ("/a//", None),
        ("//a", None),
        ("//evil.example/a", None),
        ("/n", Some("/n ")),
        ("/n/", None),
        ("/n//", None),
        ("/n/%2F", Some("/n/{id} /")),
        ("/n/x/%3F/y", Some("/n/x/{id}/y ?")),
        ("/n/x//y", None),
        ("/N", None),
        ("/rooted", Some("/rooted ")),
        ("/t/deep/u/z/7", Some("/{tenant}/deep/{user}/z/{id} t,u,7")),
        ("/t/deep//z/7", None),
        ("/./a", None),
        ("/n/../a", None),
    ] {
        let answer = client.get(path).send();
        match expected {
            Some(text) => assert_eq!(answer.text(), text, "{path}"),
            None => assert_eq!(answer.status(), 404, "{path}: {}", answer.text()),
        }
    }
}

#[test]
fn allow_tells_all_of_a_path_wherever_its_routes_were_written() {
    let site = || Router::new().route("/n/x", get(|| ""));
    let app = App::new()
        .route("/n/x", get(|| ""))
        .nest("/n", Router::new().route("/x", post(|| "")).fallback_route(get(|| "fallback")))
        .merge(Router::new().route("/n/x", delete(|| "")))
        .host("h.example", site());
    let client = client(app);
    for (host, method, path, status, allow) in [
        ("localhost", Method::PUT, "/n/x", 405, "DELETE, GET, HEAD, OPTIONS, POST"),
        ("localhost", Method::OPTIONS, "/n/x", 204, "DELETE, GET, HEAD, OPTIONS, POST"),
        ("localhost", Method::POST, "/n/other", 405, "GET, HEAD, OPTIONS"),
        ("localhost", Method::OPTIONS, "/n/other", 204, "GET, HEAD, OPTIONS"),
        ("h.example", Method::POST, "/n/x", 405, "GET, HEAD, OPTIONS"),
        ("h.example", Method::OPTIONS, "/n/x", 204, "GET, HEAD, OPTIONS"),
    ] {
        let answer = client.request(method.clone(), path).header("host", host).send();
        assert_eq!((answer.status().as_u16(), answer.header("allow")), (status, Some(allow)), "{host} {method} {path}");
    }
    assert_eq!(client.get("/n/other").header("host", "h.example").send().status(), 404);
    let head = client.head("/n/other").send();
    assert_eq!((head.status().as_u16(), head.header("content-length"), head.text()), (200, Some("8"), ""));
}

#[test]
fn a_host_is_found_however_it_is_written() {
    let named = |name: &'static str| Router::new().route("/", get(move || name));
    let app = App::new()
        .route("/", get(|| "others"))
        .host("a.example", named("a"))
        .host("*.example", named("some"))
        .host("[2001:DB8:0:0::1]", named("six"))
        .host("192.0.2.1", named("four"));
    let client = client(app);
    for (host, expected) in [
        ("A.Example", "a"),
        ("a.example.", "a"),
        ("a.example.:8080", "a"),
        ("a.example:", "a"),
        ("b.example:80", "some"),
        ("a.b.example", "others"),
        (".example", "others"),
        ("example", "others"),
        ("a.example..", "others"),
        ("[2001:db8::1]:443", "six"),
        ("[2001:DB8:0000::0001]", "six"),
        ("192.0.2.1:80", "four"),
        ("192.0.2.2", "others"),
        ("", "others"),
    ] {
        assert_eq!(client.get("/").header("host", host).send().text(), expected, "{host}");
    }
}
