use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::app::testing::TestResponse;
use crate::app::{App, Handler, TestClient, get};

fn ask<H: Handler<M>, M: 'static>(pattern: &str, handler: H, path: &str) -> TestResponse {
    TestClient::new(App::new().route(pattern, get(handler))).unwrap().get(path).send()
}

fn text<H: Handler<M>, M: 'static>(pattern: &str, handler: H, path: &str) -> String {
    ask(pattern, handler, path).text().to_owned()
}

#[derive(Debug, Deserialize)]
struct ById {
    user: String,
    id: u32,
    missing: Option<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
    Blue,
}

#[derive(Debug, Deserialize)]
struct Wrapped(u8);

/// Deserialised through a function of its own.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Even(u32);

impl TryFrom<String> for Even {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().ok().filter(|n| n % 2 == 0).map(Even).ok_or_else(|| format!("{text} is not even"))
    }
}

#[test]
fn values_take_many_shapes() {
    let two = "/{user}/{id}";
    assert_eq!(text("/{a}", |Path(v): Path<u64>| v.to_string(), "/7"), "7");
    assert_eq!(text("/{a}", |Path(v): Path<i8>| v.to_string(), "/-7"), "-7");
    assert_eq!(text("/{a}", |Path(v): Path<f64>| v.to_string(), "/2.5"), "2.5");
    assert_eq!(text("/{a}", |Path(v): Path<bool>| v.to_string(), "/true"), "true");
    assert_eq!(text("/{a}", |Path(v): Path<char>| v.to_string(), "/%C3%A9"), "é");
    assert_eq!(text("/{a}", |Path(v): Path<String>| v, "/a%20b%2Fc+d%25"), "a b/c+d%");
    assert_eq!(text("/{a}", |Path(v): Path<Option<u8>>| format!("{v:?}"), "/3"), "Some(3)");
    assert_eq!(text("/{a}", |Path(v): Path<Color>| format!("{v:?}"), "/blue"), "Blue");
    assert_eq!(text("/{a}", |Path(Wrapped(v)): Path<Wrapped>| v.to_string(), "/3"), "3");
    assert_eq!(text("/{a}", |Path(Even(v)): Path<Even>| v.to_string(), "/4"), "4");
    assert_eq!(text("/{a}", |Path((v,)): Path<(u8,)>| v.to_string(), "/3"), "3");
    assert_eq!(text(two, |Path((a, b)): Path<(String, Color)>| format!("{a} {b:?}"), "/x/red"), "x Red");
    assert_eq!(text(two, |Path(v): Path<[u8; 2]>| format!("{v:?}"), "/1/2"), "[1, 2]");
    assert_eq!(text(two, |Path(v): Path<Vec<u8>>| format!("{v:?}"), "/1/2"), "[1, 2]");
    assert_eq!(text(two, |Path(v): Path<ById>| format!("{} {} {:?}", v.user, v.id, v.missing), "/x/2"), "x 2 None");
    let map = |Path(v): Path<BTreeMap<String, String>>| format!("{v:?}");
    assert_eq!(text(two, map, "/x/2"), r#"{"id": "2", "user": "x"}"#);
    assert_eq!(text("/fixed", |Path(v): Path<Vec<u8>>| format!("{v:?}"), "/fixed"), "[]");
}

#[test]
fn an_optional_path_is_none_where_the_route_has_no_parameters() {
    let page = |page: Option<Path<u32>>| format!("{:?}", page.map(|Path(page)| page));
    assert_eq!(text("/pages", page, "/pages"), "None");
    assert_eq!(text("/pages/{page}", page, "/pages/7"), "Some(7)");
    assert_eq!(ask("/pages/{page}", page, "/pages/x").status(), 400);
    let errors = App::new().route("/{a}/{b}", get(page)).build().unwrap_err().to_string();
    assert!(errors.contains("it takes 1 path parameter and the pattern has 2"), "{errors}");
}

#[test]
fn a_bad_value_is_400_and_names_the_parameter() {
    let two = "/{user}/{id}";
    let cases = [
        (ask("/{id}", |_: Path<u64>| "", "/x"), "id", "`x` is not a whole number of 64 bits that is not negative"),
        (ask("/{id}", |_: Path<u8>| "", "/256"), "id", "`256` is not a whole number between 0 and 255"),
        (ask(two, |_: Path<(String, u8)>| "", "/a/b"), "id", "`b` is not a whole number between 0 and 255"),
        (ask(two, |_: Path<ById>| "", "/a/-1"), "id", "`-1` is not a whole number of 32 bits that is not negative"),
        (ask("/{c}", |_: Path<Color>| "", "/green"), "c", "unknown variant `green`, expected `red` or `blue`"),
        (ask("/{a}", |_: Path<String>| "", "/%zz"), "a", "`%` must be followed by two hexadecimal digits"),
        (ask("/{a}", |_: Path<String>| "", "/x%4"), "a", "`%` must be followed by two hexadecimal digits"),
        (ask("/{a}", |_: Path<String>| "", "/%"), "a", "`%` must be followed by two hexadecimal digits"),
        (ask(two, |_: Path<(String, String)>| "", "/a/%FF"), "id", "is not UTF-8"),
    ];
    for (response, field, detail) in cases {
        let problem: Value = response.json();
        assert_eq!(response.status(), 400, "{problem}");
        assert_eq!(problem["errors"], serde_json::json!([{"field": field, "detail": detail}]));
        assert_eq!(problem["detail"], format!("path parameter `{field}`: {detail}"));
    }
    let unnamed = ask("/{n}", |_: Path<Even>| "", "/3");
    assert_eq!((unnamed.status().as_u16(), &unnamed.json::<Value>()["detail"]), (400, &"path: 3 is not even".into()));
}

#[test]
fn a_type_that_cannot_fit_is_found_at_build_or_is_a_500() {
    let refused = |pattern: &str, method: crate::app::MethodRouter| {
        App::new().route(pattern, method).build().map(drop).unwrap_err().to_string()
    };
    assert!(refused("/{a}/{b}", get(|_: Path<u8>| "")).contains("takes 1 path parameter and the pattern has 2"));
    assert!(refused("/{a}", get(|_: Path<(u8, u8)>| "")).contains("takes 2 path parameters and the pattern has 1"));
    assert!(refused("/a", get(|_: Path<Even>| "")).contains("takes 1 path parameter and the pattern has 0"));

    let response = ask("/{other}", |_: Path<ById>| "", "/1");
    assert_eq!(response.status(), 500);
    assert!(!response.text().contains("user"), "the cause is not for clients");
}

#[test]
fn shapes_are_counted() {
    assert_eq!(shape::count::<u8>(), Some(1));
    assert_eq!(shape::count::<String>(), Some(1));
    assert_eq!(shape::count::<Wrapped>(), Some(1));
    assert_eq!(shape::count::<Color>(), Some(1));
    assert_eq!(shape::count::<Option<Even>>(), Some(1));
    assert_eq!(shape::count::<(u8, String, char)>(), Some(3));
    assert_eq!(shape::count::<[u8; 4]>(), Some(4));
    assert_eq!(shape::count::<ById>(), None);
    assert_eq!(shape::count::<Vec<u8>>(), None);
    assert_eq!(shape::count::<Value>(), None);
}

#[test]
fn numbers_at_their_limits_and_beyond() {
    let largest = u128::MAX.to_string();
    assert_eq!(text("/{a}", |Path(v): Path<u128>| v.to_string(), &format!("/{largest}")), largest);
    assert_eq!(text("/{a}", |Path(v): Path<i128>| v.to_string(), &format!("/{}", i128::MIN)), i128::MIN.to_string());
    for path in [format!("/{largest}0"), "/-1".to_owned(), "/0x10".to_owned(), "/1_000".to_owned(), "/%201".to_owned()]
    {
        assert_eq!(ask("/{a}", |_: Path<u128>| "", &path).status(), 400, "{path}");
    }
    for path in ["/٣", "/%D9%A3", "/1e3", "/1.0", "/%00", "/+%2B1"] {
        assert_eq!(ask("/{a}", |_: Path<u8>| "", path).status(), 400, "{path}");
    }
}

#[test]
fn what_is_encoded_stays_within_its_segment() {
    let tell = |Path(v): Path<Vec<String>>| v.join("|");
    assert_eq!(text("/{a}/{b}", tell, "/x%2Fy/..%2f..%2fetc"), "x/y|../../etc");
    assert_eq!(text("/files/{*rest}", tell, "/files/a/%2e%2e/b%2Fc/"), "a/../b/c/");
    assert_eq!(ask("/{a}/x", tell, "/a%2Fx").status(), 404, "an encoded slash parts nothing");
    assert_eq!(ask("/admin", || "", "/%61dmin").status(), 404, "fixed text is compared as it is");
    assert_eq!(text("/{a}", tell, "/%2500"), "%00", "decoded once");
}

#[test]
fn optional_extractors_and_results_leave_nothing_unsaid() {
    let result = |path: Result<Path<u8>, Problem>| match path {
        Ok(Path(id)) => id.to_string(),
        Err(problem) => problem.errors()[0].field().unwrap().to_owned(),
    };
    assert_eq!(text("/{id}", result, "/7"), "7");
    assert_eq!(text("/{id}", result, "/x"), "id");
    let refused = |methods| App::new().route("/a", methods).build().map(drop).unwrap_err().to_string();
    assert!(refused(get(|_: Result<Path<u8>, Problem>| "")).contains("1 path parameter"));
}
