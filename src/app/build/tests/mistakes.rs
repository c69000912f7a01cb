//! What a build refuses, and how it names what is wrong.

use crate::app::error::BuildError;
use crate::app::extract::{Path, State};
use crate::app::method::{any, get, post};
use crate::app::service::EndpointKind;
use crate::app::{App, Router};

fn errors(app: App) -> Vec<BuildError> {
    app.build().unwrap_err().iter().cloned().collect()
}

#[test]
fn a_route_cannot_hide_one_path_of_a_built_in_pattern() {
    fn show() {}
    for (route, clashes) in [
        ("/readyz/ping", true),
        ("/readyz/a{x}", true),
        ("/{a}/{b}", false),
        ("/{*rest}", false),
        ("/readyz", false),
        ("/readyz/ping/more", false),
        ("/ready/ping", false),
    ] {
        let app = App::new().route(route, get(show)).mount("/readyz/{check}", get(show), EndpointKind::Probe);
        match app.build() {
            Ok(_) => assert!(!clashes, "{route}"),
            Err(errors) => {
                let text = errors.to_string();
                assert!(clashes && text.contains("takes requests from GET /readyz/{check} (built-in probe)"), "{text}");
            }
        }
    }
}

#[test]
fn every_mistake_is_reported_with_both_routes() {
    fn show() {}
    fn list() {}
    let app = App::new()
        .route("/users/{id}", get(show))
        .route("/users/{name}", post(list))
        .route("/users/{id}", get(list))
        .route("/x", any(show).any(list))
        .route("bad", get(show))
        .route("/a/{*b}/c", get(show))
        .route("/a{", get(show))
        .route("/{a}{b}", get(show))
        .route("/{id}/{id}", get(show))
        .route("/healthz", post(show))
        .mount("/healthz", get(show), EndpointKind::Probe)
        .route("/state", get(|_: State<u32>, Path(_): Path<(u8, u8)>| ()))
        .state("text")
        .state("more")
        .fallback(show)
        .fallback(list)
        .nest("/{*x}", Router::new().fallback(show));
    let errors = app.build().unwrap_err();
    let text = errors.to_string();
    let kinds: Vec<_> = errors.iter().map(|error| format!("{error:?}").split_once(' ').unwrap().0.to_owned()).collect();
    let expected = "State Duplicate Conflict Duplicate Pattern Pattern Pattern Pattern Pattern Reserved Extractor Extractor \
                    Duplicate Pattern";
    assert_eq!(kinds.join(" "), expected, "{text}");
    for part in [
        "14 mistakes",
        "GET /users/{id} (rws::app::build::tests::mistakes::every_mistake_is_reported_with_both_routes::list, src/app/build/tests/mistakes.rs:",
        "is already answered by GET /users/{id} (rws::",
        "POST /users/{name} (rws::",
        "conflicts with GET",
        "* /x (rws::",
        "a pattern starts with `/`",
        "GET /healthz (built-in probe) has the same path as POST /healthz (rws::",
        "it takes State<u32>, but the application has no such state",
        "it takes 2 path parameters and the pattern has 0",
        "already a state of type &str (src/app/build/tests/mistakes.rs:",
        "* /… (rws::",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn the_rival_of_a_conflict_is_a_real_route() {
    for (first, second) in
        [("/a/{x}", "/a/{y}"), ("/a/{x}", "/a/{*y}"), ("/a/{*x}", "/a/{y}/b"), ("/f/{x}.png", "/f/a{x}")]
    {
        let app = App::new().route("/other", get(|| "")).route(first, get(|| "")).route(second, get(|| ""));
        match &errors(app)[..] {
            [BuildError::Conflict { route, with }] => {
                assert_eq!((&*route.pattern, &*with.pattern), (second, first));
            }
            other => panic!("{first} {second}: {other:?}"),
        }
    }
}

#[test]
fn mistakes_in_hosts_name_the_host_and_both_routes() {
    fn show() {}
    let router = |pattern: &str| Router::new().route(pattern, get(show));
    for (one, other, kind, parts) in [
        (("a.b", "/x"), ("A.b", "/x"), "Duplicate", ["GET a.b/x (", "already answered by GET a.b/x ("]),
        (("a.b", "/{x}"), ("a.b", "/{y}"), "Conflict", ["GET a.b/{y} (", "conflicts with GET a.b/{x} ("]),
        (("*.b", "/x"), ("*.b", "bad"), "Pattern", ["GET *.bbad (", "starts with `/`"]),
        (("a.b", "/x"), ("a.b", "/healthz"), "Reserved", ["GET a.b/healthz (", "same path as GET /healthz (built-in"]),
        (
            ("a.b", "/x"),
            ("a.b", "/ready/x"),
            "Reserved",
            ["GET a.b/ready/x (", "takes requests from GET /ready/{c} (built-in"],
        ),
        (
            ("a.b", "/x"),
            ("a.b:80", "/x"),
            "Host",
            ["host \"a.b:80\" (src/app/build/tests/mistakes.rs:", "write \"a.b\""],
        ),
        (("a.b", "/x"), ("a.*", "/x"), "Host", ["host \"a.*\" (src/app/build/tests/mistakes.rs:", "`*.` and a name"]),
    ] {
        let app = App::new()
            .mount("/healthz", get(show), EndpointKind::Probe)
            .mount("/ready/{c}", get(show), EndpointKind::Probe)
            .host(one.0, router(one.1))
            .host(other.0, router(other.1));
        let found = errors(app);
        assert_eq!(found.len(), 1, "{found:?}");
        let text = found[0].to_string();
        assert!(format!("{:?}", found[0]).starts_with(kind), "{found:?}");
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let same_path_on_other_hosts =
        App::new().route("/x", get(show)).host("a.b", router("/x")).host("*.b", router("/{y}"));
    let built = same_path_on_other_hosts.build().unwrap();
    let shown: Vec<_> =
        built.routes().iter().map(|route| route.to_string().split_once(" (").unwrap().0.to_owned()).collect();
    assert_eq!(shown, ["GET /x", "GET a.b/x", "GET *.b/{y}"]);
}

#[test]
fn the_same_parameter_twice_is_refused_across_nests_and_names_the_whole_pattern() {
    let inner = Router::new().route("/posts/{id}", get(|| ""));
    let found = errors(App::new().nest("/users/{id}", inner));
    let [BuildError::Pattern { route, reason }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*route.pattern, reason.contains("`id`")), ("/users/{id}/posts/{id}", true), "{reason}");
}
