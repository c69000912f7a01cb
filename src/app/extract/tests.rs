use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::app::testing::TestRequest;
use crate::app::{App, Handler, Next, TestClient, any};

/// The status and the answer of a handler at `/x` to a request.
fn ask<H: Handler<M>, M: 'static>(handler: H, send: impl Fn(&TestClient) -> TestRequest<'_>) -> (u16, String) {
    let client = TestClient::new(App::new().route("/x", any(handler)).state(7u32)).unwrap();
    let response = send(&client).send();
    (response.status().as_u16(), response.text().to_owned())
}

fn problem<H: Handler<M>, M: 'static>(handler: H, send: impl Fn(&TestClient) -> TestRequest<'_>) -> Value {
    serde_json::from_str(&ask(handler, send).1).unwrap()
}

fn ok(text: &str) -> (u16, String) {
    (200, text.to_owned())
}

#[derive(Debug, Deserialize)]
struct Page {
    number: u32,
    size: Option<u8>,
}

#[derive(Debug, Deserialize)]
struct Order {
    items: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(rename = "a/b ~c")]
    amount: u32,
}

fn page(Query(page): Query<Page>) -> String {
    format!("{} {:?}", page.number, page.size)
}

fn order(Json(order): Json<Order>) -> String {
    order.items.iter().map(|line| line.amount.to_string()).collect()
}

#[test]
fn queries_are_read_by_name() {
    assert_eq!(ask(page, |c| c.get("/x?number=2&size=10&other=1")), ok("2 Some(10)"));
    assert_eq!(ask(page, |c| c.get("/x?%6Eumber=2")), ok("2 None"));
    assert_eq!(ask(|Query(all): Query<Vec<(String, String)>>| format!("{all:?}"), |c| c.get("/x")), ok("[]"));
    let all = |Query(all): Query<Vec<(String, String)>>| format!("{all:?}");
    assert_eq!(ask(all, |c| c.get("/x?a=b+c&a=%C3%A9&d")), ok(r#"[("a", "b c"), ("a", "é"), ("d", "")]"#));
}

#[test]
fn an_optional_query_may_be_absent_but_not_bad() {
    let number = |query: Option<Query<Page>>| format!("{:?}", query.map(|Query(page)| page.number));
    assert_eq!(ask(number, |c| c.get("/x")), ok("None"));
    assert_eq!(ask(number, |c| c.get("/x?number=2")), ok("Some(2)"));
    assert_eq!(ask(number, |c| c.get("/x?")).0, 400);
    assert_eq!(ask(number, |c| c.get("/x?number=x")).0, 400);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exact {
    #[serde(rename = "the name")]
    _name: u32,
}

#[test]
fn a_bad_query_or_form_names_the_parameter() {
    fn exact_query(_: Query<Exact>) {}
    fn exact_form(_: Form<Exact>) {}
    fn list(_: Query<(u8, u8)>) {}
    let unknown = "unknown field `other`, expected `the name`";
    for (sent, field, reason) in [
        ("", "the name", "missing field `the name`"),
        ("other=1", "other", unknown),
        ("the+name=1&the+name=2", "the name", "is there 2 times"),
        ("the+name=x", "the name", "invalid digit found in string"),
        ("the+name=", "the name", "cannot parse integer from empty string"),
    ] {
        let query = problem(exact_query, |c| c.get(&format!("/x?{sent}")));
        assert_eq!((&query["status"], &query["errors"]), (&json!(400), &json!([{"field": field, "detail": reason}])));
        let urlencoded = "application/x-www-form-urlencoded";
        let form = problem(exact_form, |c| c.post("/x").header("content-type", urlencoded).body(sent));
        assert_eq!((&form["status"], &form["errors"]), (&json!(422), &query["errors"]), "{form}");
        for (problem, what) in [(query, "the query"), (form, "the form")] {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with(&format!("{what}: ")) && detail.contains(&format!("`{field}`")), "{detail}");
        }
    }
    let no_name = problem(list, |c| c.get("/x"));
    assert!(no_name["errors"][0]["detail"].is_string() && no_name["errors"][0]["field"].is_null(), "{no_name}");
}

#[test]
fn forms_come_from_bodies_and_from_queries_of_get() {
    let form = |Form(page): Form<Page>| page.number.to_string();
    let urlencoded = "application/x-www-form-urlencoded; charset=utf-8";
    assert_eq!(ask(form, |c| c.post("/x").form(&[("number", 3)])), ok("3"));
    assert_eq!(ask(form, |c| c.post("/x").header("content-type", urlencoded).body("number=4")), ok("4"));
    assert_eq!(ask(form, |c| c.get("/x?number=5")), ok("5"));
    assert_eq!(ask(form, |c| c.get("/x?number=five")).0, 400);
    assert_eq!(ask(form, |c| c.post("/x").json(&json!({"number": 3}))).0, 415);
    assert_eq!(ask(form, |c| c.post("/x").body("number=3")).0, 415);
    let bad = problem(form, |c| c.post("/x").form(&[("number", "x")]));
    assert_eq!((&bad["status"], &bad["errors"][0]["field"]), (&422.into(), &"number".into()));
}

#[test]
fn json_needs_its_media_type() {
    for (media_type, status) in [
        ("application/json", 200),
        ("APPLICATION/JSON ; charset=utf-8", 200),
        ("application/merge-patch+json", 200),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("+json", 415),
        ("", 415),
    ] {
        let sent =
            |c: &TestClient| c.post("/x").header("content-type", media_type).body(r#"{"items":[]}"#).send().status();
        let client = TestClient::new(App::new().route("/x", any(order))).unwrap();
        assert_eq!(sent(&client), status, "{media_type}");
    }
    let none = problem(order, |c| c.post("/x").body("{}"));
    assert_eq!(none["status"], 415);
    assert_eq!(none["errors"], json!([{"field": "content-type", "detail": "must be application/json"}]));
}

#[test]
fn bad_json_says_where() {
    let send =
        |body: &'static str| problem(order, |c| c.post("/x").header("content-type", "application/json").body(body));
    for (body, detail) in [
        ("", "the request body is empty and should be JSON"),
        ("{\"items\":", "the request body is not JSON: EOF while parsing a value at line 1 column 9"),
        ("{\n  x", "the request body is not JSON: key must be a string at line 2 column 3"),
        ("{\"items\":[]} x", "the request body is not JSON: trailing characters at line 1 column 14"),
    ] {
        let problem = send(body);
        assert_eq!((&problem["status"], &problem["detail"]), (&400.into(), &detail.into()), "{body}");
    }
    for (body, pointer, detail) in [
        (
            r#"{"items":[{"a/b ~c":1},{"a/b ~c":"x"}]}"#,
            "#/items/1/a~1b%20~0c",
            "invalid type: string \"x\", expected u32",
        ),
        (r#"{"items":[{}]}"#, "#/items/0", "missing field `a/b ~c`"),
        (r#"{"items":7}"#, "#/items", "invalid type: integer `7`, expected a sequence"),
        (r#"[7]"#, "#/0", "invalid type: integer `7`, expected a sequence"),
        (r#"7"#, "#", "invalid type: integer `7`, expected struct Order"),
    ] {
        let problem = send(body);
        let error = &problem["errors"][0];
        assert_eq!((&problem["status"], &error["pointer"]), (&422.into(), &pointer.into()), "{problem}");
        assert!(error["detail"].as_str().unwrap().starts_with(detail), "{problem}");
    }
}

#[test]
fn an_optional_json_body_may_be_absent_but_not_bad() {
    let handler = |order: Option<Json<Order>>| order.map_or("none", |_| "some");
    assert_eq!(ask(handler, |c| c.post("/x")), ok("none"));
    assert_eq!(
        ask(handler, |c| c.post("/x").header("content-type", "application/json").body(r#"{"items":[]}"#)),
        ok("some")
    );
    assert_eq!(ask(handler, |c| c.post("/x").header("content-type", "application/json")).0, 400);
    assert_eq!(ask(handler, |c| c.post("/x").body("{}")).0, 415);
}

#[test]
fn results_leave_the_answer_to_the_handler() {
    let parts = |page: Result<Query<Page>, Problem>| {
        page.map_or_else(|p| p.errors()[0].field().unwrap().to_owned(), |_| "".into())
    };
    assert_eq!(ask(parts, |c| c.get("/x?number=x")), ok("number"));
    let body = |order: Result<Json<Order>, Problem>| order.map_or_else(|p| p.status().to_string(), |_| "".into());
    assert_eq!(ask(body, |c| c.post("/x")), ok("415 Unsupported Media Type"));
}

#[test]
fn bodies_come_as_bytes_text_and_streams() {
    assert_eq!(ask(|body: Bytes| body.len().to_string(), |c| c.post("/x").body("hello")), ok("5"));
    assert_eq!(ask(|body: Vec<u8>| body.len().to_string(), |c| c.post("/x").body("hello")), ok("5"));
    assert_eq!(ask(|text: String| text, |c| c.post("/x").body("héllo")), ok("héllo"));
    assert_eq!(ask(|body: Body| body, |c| c.post("/x").body("echo")), ok("echo"));
    assert_eq!(ask(|mut request: Request| request.take_body(), |c| c.post("/x").body("echo")), ok("echo"));
    let bad = problem(|text: String| text, |c| c.post("/x").body(&b"ab\xff"[..]));
    assert_eq!((&bad["status"], &bad["detail"]), (&400.into(), &"the request body is not UTF-8 from byte 2 on".into()));
}

#[test]
fn a_body_that_breaks_off_is_answered_by_its_reason() {
    use crate::app::body::BodyError::*;
    let context = Context::new("".into(), [].into(), Arc::default());
    for (reason, status) in [(TooLarge, 413), (Timeout, 408), (ClientGone, 400), (Malformed, 400)] {
        struct Broken(crate::app::BodyError);
        impl std::io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(self.0.into())
            }
        }
        let body = Body::reader(Broken(reason), None);
        let request = Request::new(Arc::default(), Default::default(), body);
        let problem = Bytes::from_request(request, &context).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.detail()), (status, Some(&*reason.to_string())));
    }
    let other = unsupported_io();
    assert_eq!((other.status().as_u16(), other.detail()), (500, None));
}

fn unsupported_io() -> Problem {
    Problem::from(std::io::Error::other("a disk broke"))
}

#[test]
fn how_the_body_is_taken_follows_from_the_last_argument() {
    fn of<H: Handler<M>, M>(_: H) -> BodyUse {
        H::BODY
    }
    assert_eq!(of(|| ()), BodyUse::Ignored);
    assert_eq!(of(|_: Method, _: HeaderMap| ()), BodyUse::Ignored);
    assert_eq!(of(|_: Method, _: String| ()), BodyUse::Whole);
    assert_eq!(of(|_: Option<Json<u8>>| ()), BodyUse::Whole);
    assert_eq!(of(|_: Result<Form<u8>, Problem>| ()), BodyUse::Whole);
    assert_eq!(of(|_: Method, _: Body| ()), BodyUse::Stream);
    assert_eq!(of(|_: Request| ()), BodyUse::Stream);
}

#[test]
fn parts_of_the_head_are_at_hand() {
    let parts = |method: Method,
                 headers: HeaderMap,
                 RequestId(id): RequestId,
                 ConnectInfo(remote): ConnectInfo,
                 MatchedPath(path): MatchedPath,
                 State(number): State<u32>,
                 missing: Option<Extension<u8>>,
                 body: String| {
        let many = headers.get_all("x-many").iter().count();
        format!("{method} {many} {id} {remote} {path} {number} {missing:?} {body}")
    };
    let sent = ask(parts, |c| c.put("/x").header("X-Many", "1").header("x-many", "2").body("body"));
    assert_eq!(sent, ok("PUT 2 test 0.0.0.0:0 /x 7 None body"));
}

#[test]
fn extensions_come_from_middleware() {
    let attach = |mut request: Request, next: Next<'_>| {
        request.extensions_mut().insert(5u8);
        next.run(request)
    };
    let app = App::new()
        .route("/with", any(|Extension(five): Extension<u8>| five.to_string()).layer(attach))
        .route("/without", any(|Extension(five): Extension<u8>| five.to_string()));
    let client = TestClient::new(app).unwrap();
    assert_eq!(client.get("/with").send().text(), "5");
    assert_eq!(client.get("/without").send().status(), 500);
}

#[test]
fn names_of_types_are_short() {
    assert_eq!(short_name::<Vec<Page>>(), "Vec<Page>");
    assert_eq!(short_name::<(Option<Order>, u8, &str)>(), "(Option<Order>, u8, &str)");
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Name,
    Date,
}

#[derive(Debug, Deserialize)]
struct Amount(#[expect(dead_code, reason = "it is shown")] u128);

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is shown")]
struct Filter {
    #[serde(default)]
    tag: Vec<String>,
    #[serde(default)]
    pair: Option<(u8, char)>,
    sort: Option<Sort>,
    amount: Option<Amount>,
    #[serde(default)]
    exact: bool,
    #[serde(default)]
    rest: (),
}

#[test]
fn queries_take_many_shapes() {
    let filter = |Query(filter): Query<Filter>| format!("{filter:?}").replace("Filter ", "");
    let nothing = "{ tag: [], pair: None, sort: None, amount: None, exact: false, rest: () }";
    for (query, expected) in [
        ("", nothing),
        ("?", nothing),
        ("?&&&", nothing),
        ("?=x", nothing),
        (
            "?tag=a&sort=date&tag=b+c&tag=",
            &nothing.replace("[]", r#"["a", "b c", ""]"#).replace("sort: None", "sort: Some(Date)"),
        ),
        ("?pair=7&pair=%C3%A9", &nothing.replace("pair: None", "pair: Some((7, 'é'))")),
        (
            "?amount=340282366920938463463374607431768211455",
            &nothing.replace("amount: None", &format!("amount: Some(Amount({}))", u128::MAX)),
        ),
        ("?exact=true&unknown=1&unknown=2", &nothing.replace("false", "true")),
        ("?tag=%zz%&tag=%FF", &nothing.replace("[]", "[\"%zz%\", \"\u{fffd}\"]")),
    ] {
        assert_eq!(ask(filter, |c| c.get(&format!("/x{query}"))), ok(expected), "{query}");
    }
    let map = |Query(map): Query<std::collections::BTreeMap<String, String>>| format!("{map:?}");
    assert_eq!(ask(map, |c| c.get("/x?a=1&b&a=2")), ok(r#"{"a": "2", "b": ""}"#));
    let lists = |Query(map): Query<std::collections::BTreeMap<String, Vec<u8>>>| format!("{map:?}");
    assert_eq!(ask(lists, |c| c.get("/x?a=1&b=3&a=2")), ok(r#"{"a": [1, 2], "b": [3]}"#));
    assert_eq!(ask(|Query(()): Query<()>| "", |c| c.get("/x?a=1")), ok(""));
    assert_eq!(
        ask(|Query(page): Query<Option<Page>>| page.map_or(0, |p| p.number).to_string(), |c| c.get("/x?number=3")),
        ok("3")
    );
}

#[test]
fn what_does_not_fit_a_query_is_named() {
    let filter = |_: Query<Filter>| "";
    for (query, field, reason) in [
        ("sort=size", "sort", "unknown variant `size`, expected `name` or `date`"),
        ("sort=name&sort=date", "sort", "is there 2 times"),
        ("exact=yes", "exact", "provided string was not `true` or `false`"),
        ("exact=", "exact", "provided string was not `true` or `false`"),
        ("amount=-1", "amount", "invalid digit found in string"),
        ("amount=340282366920938463463374607431768211456", "amount", "number too large to fit in target type"),
        ("pair=1", "pair", "invalid length 1, expected a tuple of size 2"),
        ("pair=x&pair=y", "pair[0]", "invalid digit found in string"),
        ("pair=1&pair=xy", "pair[1]", "invalid value: string \"xy\", expected a character"),
    ] {
        let problem = problem(filter, |c| c.get(&format!("/x?{query}")));
        assert_eq!(
            (&problem["status"], &problem["errors"][0]["field"]),
            (&json!(400), &json!(field)),
            "{query}: {problem}"
        );
        assert_eq!(problem["errors"][0]["detail"], reason, "{query}");
    }
}

#[test]
fn flattened_members_are_text() {
    #[derive(Deserialize)]
    struct Outer {
        page: u32,
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        name: String,
    }
    let outer = |Query(outer): Query<Outer>| format!("{} {}", outer.page, outer.inner.name);
    assert_eq!(ask(outer, |c| c.get("/x?name=a&page=2")), ok("2 a"));
    let missing = problem(outer, |c| c.get("/x?page=2"));
    assert_eq!(missing["errors"][0]["field"], "name");
}

/// By ratio: 32 times as many names would take a thousand times as long if each were compared with all others.
#[test]
fn many_names_take_no_longer_each() {
    let time = |count: usize| {
        let form: String = (0..count).map(|n| format!("n{n}&")).collect();
        let start = std::time::Instant::now();
        let read = urlencoded::decode::<Filter>(form.as_bytes(), "the form", StatusCode::BAD_REQUEST);
        assert!(read.is_ok());
        start.elapsed()
    };
    let best = |count| (0..5).map(|_| time(count)).min().unwrap();
    let (few, many) = (best(2_000), best(64_000));
    assert!(many < few * 400, "{few:?} for 2000, {many:?} for 64000");
}

#[test]
fn text_in_another_charset_is_415() {
    let text = |text: String| text;
    let form = |Form(page): Form<Page>| page.number.to_string();
    for (parameters, status) in [
        ("", 200),
        ("; charset=utf-8", 200),
        (";charset=\"UTF-8\"; x=y", 200),
        ("; format=flowed; charset = us-ascii", 200),
        ("; charset=iso-8859-1", 415),
        ("; charset=utf-8; charset=latin1", 415),
        ("; CHARSET=UTF-16", 415),
        ("; charset=", 415),
    ] {
        let sent =
            ask(text, |c| c.post("/x").header("content-type", format!("text/plain{parameters}")).body("caf\u{e9}"));
        assert_eq!(sent.0, status, "text/plain{parameters}: {}", sent.1);
        let urlencoded = format!("application/x-www-form-urlencoded{parameters}");
        let sent = ask(form, |c| c.post("/x").header("content-type", &urlencoded).body("number=1"));
        assert_eq!(sent.0, status, "{urlencoded}: {}", sent.1);
    }
    let refused = problem(text, |c| c.post("/x").header("content-type", "text/plain; charset=latin1").body("x"));
    assert_eq!(refused["errors"], json!([{"field": "content-type", "detail": "must be UTF-8"}]));
    let latin1 = problem(text, |c| c.post("/x").header("content-type", "text/plain").body(&b"caf\xe9"[..]));
    assert_eq!(latin1["status"], 400);
}

#[test]
fn hostile_json_is_refused_in_time_and_says_why() {
    let bomb = "[".repeat(1 << 20);
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let value = |_: Json<Value>| "";
    let post =
        |body: String| ask(value, |c| c.post("/x").header("content-type", "application/json").body(body.clone()));
    for (body, status, part) in [
        (bomb, 400, "recursion limit exceeded"),
        (deep, 200, ""),
        ("\u{feff}{}".to_owned(), 400, "expected value at line 1 column 1"),
        ("null".to_owned(), 200, ""),
        (" \n".to_owned(), 400, "EOF"),
        ("{} {}".to_owned(), 400, "trailing characters"),
        ("NaN".to_owned(), 400, "expected"),
        ("1e999".to_owned(), 400, "number out of range"),
        (r#""\ud800""#.to_owned(), 400, "hex escape"),
        ("\"a\u{1}\"".to_owned(), 400, "control character"),
        (r#"{"a":1,"a":2}"#.to_owned(), 200, ""),
    ] {
        let answer = post(body.clone());
        assert_eq!(answer.0, status, "{:.40}: {}", body, answer.1);
        assert!(answer.1.contains(part), "{:.40}: {}", body, answer.1);
    }
    let raw = |body: &'static [u8]| ask(value, |c| c.post("/x").header("content-type", "application/json").body(body));
    assert_eq!(raw(b"\"\xff\"").0, 400);
    assert_eq!(raw(b"\xff\xfe{\0}\0").0, 400, "UTF-16");
    let typed = |body: &'static str| {
        let send = |c: &TestClient| c.post("/x").header("content-type", "application/json").body(body).send().json();
        let page = |_: Json<Page>| "";
        let client = TestClient::new(App::new().route("/x", any(page))).unwrap();
        let problem: Value = send(&client);
        (problem["status"].as_u64().unwrap(), problem["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(typed("null"), (422, "#".to_owned()));
    assert_eq!(typed(r#"{"number":4294967296}"#), (422, "#/number".to_owned()));
    assert_eq!(typed(r#"{"number":-1}"#), (422, "#/number".to_owned()));
    assert_eq!(typed(r#"{"number":1.5}"#), (422, "#/number".to_owned()));
    assert_eq!(typed(r#"{"number":1,"size":256}"#), (422, "#/size".to_owned()));
    assert_eq!(typed(r#"{"number":1,"number":2}"#), (422, "#".to_owned()));
}

#[test]
fn two_content_types_are_none() {
    let sent = ask(order, |c| {
        let request = c.post("/x").header("content-type", "application/json").header("content-type", "text/plain");
        request.body(r#"{"items":[]}"#)
    });
    assert_eq!(sent.0, 415);
}
