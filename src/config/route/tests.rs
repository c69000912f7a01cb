use proptest::prelude::*;

use super::*;

fn literal(text: &str) -> Part {
    Part::Literal(text.to_owned())
}

fn placeholder(name: &str, index: usize) -> Part {
    Part::Placeholder { name: name.to_owned(), index }
}

fn respond(status: u16, content_type: &'static str, parts: impl Into<Vec<Part>>) -> Action {
    Action::Respond {
        status: StatusCode::from_u16(status).expect("a status"),
        content_type: HeaderValue::from_static(content_type),
        template: Template { parts: parts.into() },
    }
}

fn redirect(status: u16, parts: impl Into<Vec<Part>>) -> Action {
    Action::Redirect {
        status: StatusCode::from_u16(status).expect("a status"),
        location: Template { parts: parts.into() },
    }
}

#[test]
fn routes_are_read() {
    let get = Some(Method::GET);
    let cases = [
        (
            "GET /hello/{name} -> respond 200 text/plain Hello, {name}!",
            (get.clone(), "/hello/{name}"),
            respond(200, "text/plain", [literal("Hello, "), placeholder("name", 0), literal("!")]),
        ),
        (
            "/old/{*rest} -> redirect 308 /new/{rest}",
            (None, "/old/{*rest}"),
            redirect(308, [literal("/new/"), placeholder("rest", 0)]),
        ),
        ("/x -> respond 200 text/plain x", (get.clone(), "/x"), respond(200, "text/plain", [literal("x")])),
        ("POST /x -> redirect 303 /y", (Some(Method::POST), "/x"), redirect(303, [literal("/y")])),
        ("/ -> respond 404 text/html", (get.clone(), "/"), respond(404, "text/html", [])),
        ("/a/ -> respond 204 text/plain", (get.clone(), "/a/"), respond(204, "text/plain", [])),
        (
            " \t GET\n/a/{b}/{c}->respond  200\ttext/html;charset=utf-8  {c}{b} ",
            (get.clone(), "/a/{b}/{c}"),
            respond(
                200,
                "text/html;charset=utf-8",
                [literal(" "), placeholder("c", 1), placeholder("b", 0), literal(" ")],
            ),
        ),
        (
            "/a -> respond 200 text/plain a -> b\nc",
            (get.clone(), "/a"),
            respond(200, "text/plain", [literal("a -> b\nc")]),
        ),
        (
            "/{id} -> redirect 302 https://example.com/{id}?from={id}#{id} ",
            (None, "/{id}"),
            redirect(
                302,
                [
                    literal("https://example.com/"),
                    placeholder("id", 0),
                    literal("?from="),
                    placeholder("id", 0),
                    literal("#"),
                    placeholder("id", 0),
                ],
            ),
        ),
        ("/a -> redirect 301 http://example.com", (None, "/a"), redirect(301, [literal("http://example.com")])),
    ];
    for (text, (method, pattern), action) in cases {
        let expected = RouteSpec { name: "X".to_owned(), method, pattern: pattern.to_owned(), action };
        assert_eq!(RouteSpec::parse("X", text), Ok(expected), "{text:?}");
    }
}

#[test]
fn braces_that_are_no_placeholder_stand_for_themselves() {
    let n = || placeholder("n", 0);
    let cases = [
        (r#"{"hello":"{n}"}"#, vec![literal(r#"{"hello":""#), n(), literal(r#""}"#)]),
        (r#"{"a":{"b":{n}}}"#, vec![literal(r#"{"a":{"b":"#), n(), literal("}}")]),
        ("{{n}}", vec![literal("{n}")]),
        ("{{other}}", vec![literal("{other}")]),
        ("{{n}", vec![literal("{"), n()]),
        ("{n}}", vec![n(), literal("}")]),
        ("{", vec![literal("{")]),
        ("{}", vec![literal("{}")]),
        ("{ n }", vec![literal("{ n }")]),
        ("{9}", vec![literal("{9}")]),
        ("{n", vec![literal("{n")]),
        ("}{", vec![literal("}{")]),
        ("{é}", vec![literal("{é}")]),
        ("", vec![]),
    ];
    for (text, parts) in cases {
        assert_eq!(Template::parse(text, &["n"]), Ok(Template { parts }), "{text:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    use RouteError as E;
    let own = String::from;
    let cases = [
        ("", E::NoArrow),
        ("/x respond 200 text/plain x", E::NoArrow),
        ("-> respond 200 text/plain x", E::NoPattern),
        ("GET -> respond 200 text/plain x", E::NoPattern),
        ("get /x -> respond 200 text/plain x", E::UnknownMethod(own("get"))),
        ("TRACE /x -> respond 200 text/plain x", E::UnknownMethod(own("TRACE"))),
        ("x -> respond 200 text/plain x", E::UnknownMethod(own("x"))),
        ("GET x -> respond 200 text/plain x", E::InvalidPattern(own("x"))),
        ("/x y -> respond 200 text/plain x", E::ExtraBeforeArrow(own("y"))),
        ("/x?y -> respond 200 text/plain x", E::InvalidPattern(own("/x?y"))),
        ("/x%20y -> respond 200 text/plain x", E::InvalidPattern(own("/x%20y"))),
        ("/é -> respond 200 text/plain x", E::InvalidPattern(own("/é"))),
        ("/a//b -> respond 200 text/plain x", E::InvalidSegment(own(""))),
        ("/a/../b -> respond 200 text/plain x", E::InvalidSegment(own(".."))),
        ("/{ -> respond 200 text/plain x", E::InvalidParameter(own("{"))),
        ("/{} -> respond 200 text/plain x", E::InvalidParameter(own("{}"))),
        ("/{*} -> respond 200 text/plain x", E::InvalidParameter(own("{*}"))),
        ("/v{n} -> respond 200 text/plain x", E::InvalidParameter(own("v{n}"))),
        ("/{a}{b} -> respond 200 text/plain x", E::InvalidParameter(own("{a}{b}"))),
        ("/{a-b} -> respond 200 text/plain x", E::InvalidParameter(own("{a-b}"))),
        ("/{{a}} -> respond 200 text/plain x", E::InvalidParameter(own("{{a}}"))),
        ("/{a}/{a} -> respond 200 text/plain x", E::DuplicateParameter(own("a"))),
        ("/{*a}/b -> respond 200 text/plain x", E::CatchAllNotLast(own("{*a}"))),
        ("/{*a}/ -> respond 200 text/plain x", E::CatchAllNotLast(own("{*a}"))),
        ("/x -> ", E::UnknownAction(own(""))),
        ("/x -> answer 200 text/plain x", E::UnknownAction(own("answer"))),
        ("/x -> respond", E::InvalidStatus(own(""))),
        ("/x -> respond text/plain x", E::InvalidStatus(own("text/plain"))),
        ("/x -> respond 100 text/plain x", E::InvalidStatus(own("100"))),
        ("/x -> respond 600 text/plain x", E::InvalidStatus(own("600"))),
        ("/x -> respond +200 text/plain x", E::InvalidStatus(own("+200"))),
        ("/x -> respond 200", E::InvalidContentType(own(""))),
        ("/x -> respond 200 hello", E::InvalidContentType(own("hello"))),
        ("/x -> respond 200 text/ x", E::InvalidContentType(own("text/"))),
        ("/x -> respond 200 */* x", E::InvalidContentType(own("*/*"))),
        ("/x -> respond 200 text/* x", E::InvalidContentType(own("text/*"))),
        ("/x -> respond 200 text/plain;charset x", E::InvalidContentType(own("text/plain;charset"))),
        ("/x -> respond 204 text/plain x", E::ContentNotAllowed(StatusCode::NO_CONTENT)),
        ("/x -> respond 304 text/plain x", E::ContentNotAllowed(StatusCode::NOT_MODIFIED)),
        ("/x -> respond 200 text/plain {x}", E::UnknownPlaceholder(own("x"))),
        ("/{y} -> respond 200 text/plain {{y}} {x}", E::UnknownPlaceholder(own("x"))),
        ("/{*x} -> respond 200 text/plain {*x}", E::StarInPlaceholder(own("*x"))),
        ("/x -> redirect 200 /y", E::NotARedirect(StatusCode::OK)),
        ("/x -> redirect 304 /y", E::NotARedirect(StatusCode::NOT_MODIFIED)),
        ("/x -> redirect 308", E::InvalidLocation(own(""))),
        ("/x -> redirect 308 y", E::InvalidLocation(own("y"))),
        ("/x -> redirect 308 /y z", E::InvalidLocation(own("/y z"))),
        ("/x -> redirect 308 /y\r\nSet-Cookie:z", E::InvalidLocation(own("/y\r\nSet-Cookie:z"))),
        ("/x -> redirect 308 /é", E::InvalidLocation(own("/é"))),
        ("/x -> redirect 308 javascript:alert(1)", E::InvalidLocation(own("javascript:alert(1)"))),
        ("/x -> redirect 308 https://", E::InvalidLocation(own("https://"))),
    ];
    for (text, expected) in cases {
        assert_eq!(RouteSpec::parse("X", text), Err(expected), "{text:?}");
    }
}

#[test]
fn a_client_cannot_choose_the_host_of_a_redirect() {
    for location in [
        "{x}",
        "//{x}",
        "//example.com/{x}",
        "https://{x}",
        "https://{x}/",
        "https://example.com{x}",
        "https://example.com:{x}/",
        "https://example.com?{x}",
        "https:///{x}",
        "https:/{x}",
        "/\\{x}",
    ] {
        let parsed = RouteSpec::parse("X", &format!("/{{x}} -> redirect 302 {location}"));
        assert_eq!(parsed, Err(RouteError::InvalidLocation(location.to_owned())), "{location:?}");
    }
}

#[test]
fn errors_say_what_to_write_instead() {
    let cases = [
        (
            "/x -> respond 200 text/html <style>b{color}</style>",
            "{color} is not in the pattern (for the text {color} itself write {{color}})",
        ),
        ("/{*x} -> redirect 308 /{*x}", "in place of {*x} write {x}"),
        ("/x -> redirect 200 /y", "200 is not one of 301, 302, 303, 307, 308"),
        (
            "/x -> respond 200 \u{1b}[0m",
            r#""\u{1b}[0m" is not a content type such as text/plain or text/html;charset=utf-8"#,
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(RouteSpec::parse("X", text).expect_err("it is wrong").to_string(), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = RouteSpec::parse("X", &text);
    }

    #[test]
    fn no_text_that_is_nearly_a_route_panics(
        text in "(GET |get |)/[{}*a-c/]{0,8} ?-> ?(respond|redirect) (200|308|[0-9]{0,4}) ?[ -~é]{0,20}"
    ) {
        let _ = RouteSpec::parse("X", &text);
    }

    #[test]
    fn a_template_without_placeholders_is_its_text(text in "[^{}]{0,40}") {
        let template = Template::parse(&text, &[]).expect("there is no placeholder");
        let joined: String = template.parts.iter().map(|part| match part {
            Part::Literal(literal) => literal.as_str(),
            Part::Placeholder { .. } => "?",
        }).collect();
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn patterns_are_accepted_by_the_router(
        pattern in "(/[a-c]{1,2}|/\\{[a-c]\\}){1,4}(/\\{\\*rest\\})?"
    ) {
        if let Ok(route) = RouteSpec::parse("X", &format!("{pattern} -> respond 200 text/plain x")) {
            prop_assert!(matchit::Router::new().insert(route.pattern, ()).is_ok());
        }
    }
}
