//! Tests of applications without sockets: requests go through routing, middleware, extractors and handlers,
//! and responses come back as the server would frame them.

#[cfg(feature = "cookies")]
mod cookies;
#[cfg(feature = "multipart")]
mod multipart;
mod response;
mod stream;

use std::any::type_name;
use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Version};
use serde::Serialize;

#[cfg(feature = "multipart")]
pub use self::multipart::TestPart;
pub use self::response::TestResponse;
pub use self::stream::{TestEvent, TestStream};
use super::application::App;
use super::body::{Body, BodyError};
use super::context::States;
use super::error::BuildErrors;
use super::into_response::IntoResponse;
use super::problem::Problem;
use super::request::{Received, Request};
use super::response::Response;
use super::service::{BodyUse, Service};
use crate::semantics::client_certificate::ClientCertificate;
use crate::semantics::head::{Field, RequestHead, Span};

/// Sends requests to an application, in the same thread and without sockets.
///
/// What the server adds is there as far as a test may ask for it: bodies over the limit are refused, bodies that no handler
/// takes are discarded, answers to HEAD have no body, `Content-Length` is set. `Date`, `X-Request-Id` and what concerns
/// connections are not. A handler that panics makes the test panic.
///
/// ```
/// use rws::app::{App, Json, TestClient, post};
/// use serde_json::{Value, json};
///
/// let app = App::new().route("/sum", post(|Json(numbers): Json<Vec<i64>>| Json(numbers.iter().sum::<i64>())));
/// let client = TestClient::new(app)?;
/// assert_eq!(client.post("/sum").json(&[1, 2, 3]).send().json::<i64>(), 6);
///
/// let refused = client.post("/sum").json(&json!([1, "two"])).send();
/// assert_eq!(refused.status(), 422);
/// assert_eq!(refused.json::<Value>()["errors"][0]["pointer"], "#/1");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
pub struct TestClient {
    service: Box<dyn Service>,
    /// What the application keeps for its handlers.
    states: Arc<States>,
    max_body_bytes: u64,
    #[cfg(feature = "cookies")]
    cookies: Option<cookies::Cookies>,
}

/// The server's default limit for request bodies.
const MAX_BODY_BYTES: u64 = 2 << 20;

/// A request that is being put together.
#[must_use]
pub struct TestRequest<'c> {
    client: &'c TestClient,
    method: Method,
    target: String,
    fields: Vec<(String, Vec<u8>)>,
    is_secure: bool,
    client_certificate: Option<ClientCertificate>,
    client_ip: IpAddr,
    body: Body,
}

impl TestClient {
    /// A client for an application, or the mistakes in it.
    pub fn new(app: App) -> Result<Self, BuildErrors> {
        let app = app.build()?;
        let states = app.states();
        Ok(TestClient { states, ..TestClient::of(app) })
    }

    /// A client for any service.
    pub fn of(service: impl Service) -> Self {
        TestClient {
            service: Box::new(service),
            states: Arc::default(),
            max_body_bytes: MAX_BODY_BYTES,
            #[cfg(feature = "cookies")]
            cookies: None,
        }
    }

    /// The application's [`State<T>`](super::extract::State): for a test to look at what handlers have done, or to change what
    /// they will find.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// use rws::{App, State, TestClient, post};
    ///
    /// type Orders = Arc<AtomicU32>;
    /// let order = |State(orders): State<Orders>| format!("order {}", orders.fetch_add(1, Ordering::Relaxed));
    /// let client = TestClient::new(App::new().route("/", post(order)).state(Orders::default()))?;
    /// client.state::<Orders>().store(7, Ordering::Relaxed);
    /// assert_eq!(client.post("/").send().text(), "order 7");
    /// assert_eq!(client.state::<Orders>().load(Ordering::Relaxed), 8);
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no state of this type, and with a client [`of`](Self::of) a service.
    pub fn state<T: 'static>(&self) -> &T {
        self.states.get().unwrap_or_else(|| panic!("the application has no state of the type {}", type_name::<T>()))
    }

    /// The same client with a memory for cookies, as a browser has it: what a response sets goes with later requests, as
    /// far as its `Path`, `Secure`, `Max-Age` and `Expires` say. A request that brings a `Cookie` field of its own gets
    /// no other.
    ///
    /// ```
    /// use rws::{App, Request, TestClient, get};
    /// use rws::http::HeaderName;
    ///
    /// fn seen(request: Request) -> String {
    ///     String::from_utf8_lossy(request.head().field("cookie").unwrap_or_default()).into_owned()
    /// }
    ///
    /// let login = || [(HeaderName::from_static("set-cookie"), "user=7; Path=/")];
    /// let app = App::new().route("/login", get(move || (login(), "welcome"))).route("/seen", get(seen));
    /// let client = TestClient::new(app)?.with_cookies();
    /// client.get("/login").send();
    /// assert_eq!(client.get("/seen").send().text(), "user=7");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    #[cfg(feature = "cookies")]
    #[must_use]
    pub fn with_cookies(mut self) -> Self {
        self.cookies = Some(cookies::Cookies::default());
        self
    }

    /// The same client with another limit for request bodies of routes that have none of their own, in bytes (2 MiB by default).
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: u64) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Begins a request; `target` is a path and perhaps a query, or `*`.
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_> {
        let (fields, body) = (Vec::new(), Body::empty());
        let (target, client_ip) = (target.to_owned(), Received::default().client_ip);
        TestRequest {
            client: self,
            method,
            target,
            fields,
            is_secure: false,
            client_certificate: None,
            client_ip,
            body,
        }
    }
}

macro_rules! methods {
    ($($name:ident $method:ident)*) => {
        impl TestClient {
            $(
                #[doc = concat!("Begins a ", stringify!($method), " request.")]
                pub fn $name(&self, target: &str) -> TestRequest<'_> {
                    self.request(Method::$method, target)
                }
            )*
        }
    };
}

methods! { get GET post POST put PUT delete DELETE patch PATCH head HEAD options OPTIONS }

impl TestRequest<'_> {
    /// Adds a header field.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds `value` to the query, behind what the target has: pairs, a map, or a struct.
    ///
    /// ```
    /// use rws::{App, Query, TestClient, get};
    ///
    /// let first = |Query(pairs): Query<Vec<(String, String)>>| format!("{pairs:?}");
    /// let client = TestClient::new(App::new().route("/", get(first)))?;
    /// let answer = client.get("/?a=1").query(&[("b", "x y&z")]).send();
    /// assert_eq!(answer.text(), r#"[("a", "1"), ("b", "x y&z")]"#);
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `value` cannot be written as a query.
    pub fn query(mut self, value: &impl Serialize) -> Self {
        let query = serde_urlencoded::to_string(value).expect("a test's value can be written as a query");
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(&query);
        self
    }

    /// Adds `Authorization` with a bearer token (RFC 6750 section 2.1).
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Has it come through TLS; see [`Request::is_secure`].
    pub fn secure(mut self) -> Self {
        self.is_secure = true;
        self
    }

    /// Has the client present a certificate, and so come through TLS.
    pub fn client_certificate(mut self, certificate: ClientCertificate) -> Self {
        (self.is_secure, self.client_certificate) = (true, Some(certificate));
        self
    }

    /// Has it come from a client of this address (0.0.0.0 by default), for what goes by it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rws::app::middleware::RateLimit;
    /// use rws::{App, TestClient, get};
    ///
    /// let app = App::new().route("/", get(|| "hello")).layer(RateLimit::new(1, Duration::from_secs(60))?);
    /// let client = TestClient::new(app)?;
    /// for (ip, status) in [([192, 0, 2, 1], 200), ([192, 0, 2, 1], 429), ([192, 0, 2, 2], 200)] {
    ///     assert_eq!(client.get("/").client_ip(ip).send().status(), status);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_ip(mut self, ip: impl Into<IpAddr>) -> Self {
        self.client_ip = ip.into();
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to `value` as JSON, and `Content-Type`.
    ///
    /// # Panics
    ///
    /// If `value` cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("a test's value can be written as JSON");
        self.header("content-type", "application/json").body(json)
    }

    /// Sets the body to `value` as a form, and `Content-Type`.
    ///
    /// # Panics
    ///
    /// If `value` cannot be written as a form.
    pub fn form(self, value: &impl Serialize) -> Self {
        let form = serde_urlencoded::to_string(value).expect("a test's value can be written as a form");
        self.header("content-type", "application/x-www-form-urlencoded").body(form)
    }

    /// Sends it and waits for the whole response.
    ///
    /// # Panics
    ///
    /// If the handler panics, and if the response's body cannot be read.
    pub fn send(self) -> TestResponse {
        let (method, response) = self.answered();
        TestResponse::whole(&method, response)
    }

    /// Sends it; the body of the response is still to be read.
    fn answered(self) -> (Method, Response) {
        let TestRequest { client, method, target, mut fields, is_secure, client_certificate, client_ip, body } = self;
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            fields.insert(0, ("host".to_owned(), b"localhost".to_vec()));
        }
        client.add_cookies(&target, is_secure, &mut fields);
        let head = assemble(&method, &target, &fields);
        let id = "test".to_owned();
        let received = Received { head, is_secure, client_certificate, client_ip, id, ..Received::default() };
        let response = client.answer(received, body);
        client.keep_cookies(&target, &response);
        (method, response)
    }
}

#[cfg(feature = "cookies")]
impl TestClient {
    fn add_cookies(&self, target: &str, is_secure: bool, fields: &mut Vec<(String, Vec<u8>)>) {
        let has_own = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let kept = self.cookies.as_ref().filter(|_| !has_own).and_then(|all| all.field(path_of(target), is_secure));
        fields.extend(kept.map(|value| ("cookie".to_owned(), value.into_bytes())));
    }

    fn keep_cookies(&self, target: &str, response: &Response) {
        if let Some(cookies) = &self.cookies {
            cookies.keep(path_of(target), &response.headers);
        }
    }
}

#[cfg(feature = "cookies")]
fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

#[cfg(not(feature = "cookies"))]
impl TestClient {
    fn add_cookies(&self, _: &str, _: bool, _: &mut Vec<(String, Vec<u8>)>) {}

    fn keep_cookies(&self, _: &str, _: &Response) {}
}

impl TestClient {
    /// What the server does between a complete head and the response.
    fn answer(&self, received: Received, body: Body) -> Response {
        let resolved = self.service.resolve(&received.head);
        let endpoint = &self.service.endpoints()[resolved.endpoint as usize];
        let limit = endpoint.max_body_bytes.unwrap_or(self.max_body_bytes);
        let length = body.length();
        if length.is_some_and(|length| length > limit) {
            return Problem::from(BodyError::TooLarge).into_response();
        }
        let limited = Body::reader(Limited { body, left: limit }, length);
        let body = match endpoint.body {
            BodyUse::Ignored => Body::empty(),
            BodyUse::Stream => limited,
            BodyUse::Whole => match limited.into_bytes() {
                Ok(bytes) => bytes.into(),
                Err(error) => {
                    return Problem::from(BodyError::of(&error).unwrap_or(BodyError::ClientGone)).into_response();
                }
            },
        };
        self.service.call(Request::new(Arc::new(received), resolved, body))
    }
}

/// A body that fails when it turns out to be too long.
struct Limited {
    body: Body,
    left: u64,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(BodyError::TooLarge)?;
        Ok(read)
    }
}

/// A head as if it had been received.
fn assemble(method: &Method, target: &str, fields: &[(String, Vec<u8>)]) -> RequestHead {
    let mut head = RequestHead { method: method.clone(), version: Version::HTTP_11, ..RequestHead::default() };
    let mut put = |bytes: &[u8]| {
        let start = head.raw.len();
        head.raw.extend_from_slice(bytes);
        Span::new(start, start + bytes.len())
    };
    head.target = put(target.as_bytes());
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    if path.starts_with('/') {
        head.path = Span::new(0, path.len());
    }
    head.query = query.map(|query| Span::new(target.len() - query.len(), target.len()));
    head.fields = fields.iter().map(|(name, value)| Field { name: put(name.as_bytes()), value: put(value) }).collect();
    head.host =
        head.fields.iter().find(|field| field.name.of(&head.raw).eq_ignore_ascii_case(b"host")).map(|f| f.value);
    head
}

impl std::fmt::Debug for TestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestClient").field("endpoints", &self.service.endpoints().len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TestRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.target)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::app::method::{any, post};

    fn client() -> TestClient {
        let app = App::new()
            .route("/whole", post(|body: String| body.len().to_string()))
            .route("/small", post(|body: String| body).body_limit(3))
            .route(
                "/stream",
                post(|body: Body| body.into_bytes().map_err(|e| Problem::from(BodyError::of(&e).unwrap()))),
            )
            .route("/ignored", post(|| "ignored"))
            .route("/nothing", any(|| (StatusCode::NO_CONTENT, "text")))
            .route("/endless", any(|| Response::stream(&b"text"[..])));
        TestClient::new(app).unwrap().with_max_body_bytes(5)
    }

    #[test]
    fn bodies_over_the_limit_are_refused() {
        for (path, body, status) in [
            ("/whole", "12345", 200),
            ("/whole", "123456", 413),
            ("/small", "123", 200),
            ("/small", "1234", 413),
            ("/stream", "12345", 200),
            ("/stream", "123456", 413),
            ("/ignored", "12345", 200),
            ("/ignored", "123456", 413),
            ("/nowhere", "123456", 413),
        ] {
            assert_eq!(client().post(path).body(body).send().status(), status, "{path} {body}");
        }
        for path in ["/whole", "/stream"] {
            let chunked = Body::reader(&b"123456"[..], None);
            assert_eq!(client().post(path).body(chunked).send().status(), 413, "{path}");
        }
    }

    #[test]
    fn responses_are_framed_as_by_the_server() {
        let client = client();
        let seen = |response: TestResponse| {
            (
                response.status().as_u16(),
                response.header("content-length").map(str::to_owned),
                response.text().to_owned(),
            )
        };
        let length = |length: &str| Some(length.to_owned());
        assert_eq!(seen(client.post("/ignored").send()), (200, length("7"), "ignored".into()));
        assert_eq!(seen(client.get("/nothing").send()), (204, None, String::new()));
        assert_eq!(seen(client.get("/endless").send()), (200, None, "text".into()));
        assert_eq!(seen(client.head("/endless").send()), (200, None, String::new()));
    }

    #[test]
    fn a_request_is_secure_if_the_test_says_so() {
        let show = |request: Request| request.is_secure().to_string();
        let client = TestClient::new(App::new().route("/", any(show))).unwrap();
        let answers = [client.get("/"), client.get("/").secure()].map(|request| request.send().text().to_owned());
        assert_eq!(answers, ["false", "true"]);
    }

    #[cfg(feature = "cookies")]
    #[test]
    fn cookies_go_where_they_belong() {
        let seen =
            |request: Request| String::from_utf8_lossy(request.head().field("cookie").unwrap_or_default()).into_owned();
        let set = |request: Request| {
            let value = http::HeaderValue::from_bytes(request.head().field("x-set").unwrap_or_default()).unwrap();
            Response::new(StatusCode::OK).with_header(http::header::SET_COOKIE, value)
        };
        let app = App::new().route("/set/{*rest}", any(set)).route("/{*rest}", any(seen));
        let forgetful = TestClient::new(app).unwrap();
        forgetful.get("/set/a").header("x-set", "a=1; Path=/").send();
        assert_eq!(forgetful.get("/see").send().text(), "");

        let client = forgetful.with_cookies();
        let cases = [
            // what /set/a/b sets, then a path and what goes there
            ("a=1; Path=/", "/see", "a=1"),
            ("a=2; Path=/; HttpOnly", "/see", "a=2"),
            ("b=3; Path=/deep", "/deep/er", "b=3; a=2"),
            ("c=4", "/deeper", "a=2"),
            ("d=5; Path=/; Secure", "/deeper", "a=2"),
            ("a=; Path=/; Max-Age=0", "/see", ""),
            ("b=; Path=/deep; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/deep", ""),
            ("e=6; Path=/; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "/see?x=/", "e=6"),
        ];
        for (cookie, path, expected) in cases {
            client.get("/set/a/b").header("x-set", cookie).send();
            assert_eq!(client.get(path).send().text(), expected, "{cookie}");
        }
        assert_eq!(client.get("/see").secure().send().text(), "d=5; e=6");
        assert_eq!(client.get("/see").header("Cookie", "own=1").send().text(), "own=1");
    }

    #[test]
    fn heads_are_taken_apart() {
        let fields = [("Host".to_owned(), b"example.com:80".to_vec()), ("x-y".to_owned(), b"\xff".to_vec())];
        for (target, path, query) in
            [("/", "/", None), ("/a/b?c=d?e", "/a/b", Some("c=d?e")), ("/a?", "/a", Some("")), ("*", "", None)]
        {
            let head = assemble(&Method::GET, target, &fields);
            assert_eq!((head.target(), head.path(), head.query()), (target, path, query));
            assert_eq!((head.host(), head.field("X-Y")), (Some("example.com:80"), Some(&b"\xff"[..])));
        }
    }
}
