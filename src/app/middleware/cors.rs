//! Cross-origin resource sharing (Fetch standard, "CORS protocol"): which other origins' pages may read the answers.
//!
//! Knows requests and responses; how it is put together and what can be wrong with that is in `builder`. It protects no
//! server: a browser sends simple requests in any case and asks the answer whether the page may see it.

mod builder;

use http::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS};
use http::{HeaderName, HeaderValue, Method, StatusCode};

pub use self::builder::{CorsBuilder, CorsError, CorsErrors};
use super::{Middleware, Next, vary};
use crate::app::request::Request;
use crate::app::response::{Headers, Response};
use crate::semantics::head::RequestHead;
use crate::semantics::origin::OriginPattern;

/// Fields that say what the policy says. A handler's own are not left beside them: two origins in an answer are none.
const OWN: [HeaderName; 3] =
    [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS];

/// What the answer to a preflight depends on. To other requests with OPTIONS there are other answers.
const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// Middleware that tells browsers which other origins' pages may read the answers
/// ([Fetch, CORS protocol](https://fetch.spec.whatwg.org/#http-cors-protocol),
/// [MDN](https://developer.mozilla.org/docs/Web/HTTP/Guides/CORS)).
///
/// - Origins are named one by one or as all subdomains of a name, see [`OriginPattern`]; or all are allowed.
/// - A preflight (OPTIONS with `Origin` and `Access-Control-Request-Method`) gets 204 from here: neither the handlers nor
///   the middleware inside, such as authentication, see it. Another OPTIONS goes its way.
/// - Every answer from inside has the fields, errors included: without them a page cannot see the status. The server's own
///   answers to requests that no application sees (a head that is too large, a body over the limit, a panic) have not.
/// - An origin that is not allowed gets no field at all, and the answer as it is: it is the browser that keeps it from the
///   page. `Vary: Origin` is there in any case, unless the answer is the same for all.
/// - What handlers say of origins, credentials and exposed headers on their own is replaced.
///
/// ```
/// use rws::http::header::{AUTHORIZATION, CONTENT_TYPE};
/// use rws::http::{HeaderName, Method};
/// use rws::app::middleware::Cors;
/// use rws::app::{App, TestClient, get};
///
/// let cors = Cors::builder()
///     .allow_origins(["https://app.example", "https://*.preview.example"])
///     .allow_methods([Method::GET, Method::PUT])
///     .allow_headers([AUTHORIZATION, CONTENT_TYPE])
///     .allow_credentials(true)
///     .expose_headers([HeaderName::from_static("x-total-count")])
///     .build()?;
/// let client = TestClient::new(App::new().route("/items", get(|| "[]")).layer(cors)).unwrap();
///
/// let answer = client.get("/items").header("origin", "https://app.example").send();
/// assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
/// assert_eq!(answer.header("access-control-expose-headers"), Some("x-total-count"));
/// assert_eq!(answer.header("vary"), Some("Origin"));
///
/// let answer = client.get("/items").header("origin", "https://evil.example").send();
/// assert_eq!(answer.header("access-control-allow-origin"), None);
///
/// let preflight = client
///     .options("/items")
///     .header("origin", "https://42.preview.example")
///     .header("access-control-request-method", "PUT")
///     .send();
/// assert_eq!(preflight.status(), 204);
/// assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, PUT"));
/// # Ok::<(), rws::app::middleware::CorsErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    /// What every answer to an allowed origin has besides it.
    fields: Vec<(HeaderName, HeaderValue)>,
    /// What answers to preflights have besides these.
    preflight: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Clone, Debug)]
enum Origins {
    Any,
    Listed {
        /// Sorted.
        exact: Vec<HeaderValue>,
        patterns: Vec<OriginPattern>,
    },
}

impl Cors {
    /// Begins with no origin, the methods that need no preflight, and no credentials.
    pub fn builder() -> CorsBuilder {
        CorsBuilder::default()
    }

    /// The value of `Access-Control-Allow-Origin`, if there is to be one.
    fn allowed(&self, head: &RequestHead) -> Option<HeaderValue> {
        let Origins::Listed { exact, patterns } = &self.origins else { return Some(HeaderValue::from_static("*")) };
        let mut origins = head.values("origin");
        let origin = origins.next()?;
        // No browser sends two. One of them might have been added on the way.
        if origins.next().is_some() {
            return None;
        }
        match exact.binary_search_by(|value| value.as_bytes().cmp(origin)) {
            Ok(place) => exact.get(place).cloned(),
            Err(_) if patterns.iter().any(|pattern| pattern.matches(origin)) => HeaderValue::from_bytes(origin).ok(),
            Err(_) => None,
        }
    }

    fn answer_preflight(&self, allowed: Option<HeaderValue>) -> Response {
        let mut response = Response::new(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        vary::add(headers, PREFLIGHT_VARY);
        if let Some(origin) = allowed {
            headers.append(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            append(headers, &self.preflight);
        }
        response
    }

    fn mark(&self, headers: &mut Headers, allowed: Option<HeaderValue>) {
        if headers.iter().any(|(name, _)| OWN.contains(name)) {
            OWN.iter().for_each(|name| headers.remove(name));
        }
        if let Some(origin) = allowed {
            headers.append(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            append(headers, &self.fields);
        }
        if matches!(self.origins, Origins::Listed { .. }) {
            vary::add(headers, "Origin");
        }
    }
}

impl Middleware for Cors {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        let allowed = self.allowed(request.head());
        if is_preflight(request.head()) {
            return self.answer_preflight(allowed);
        }
        let mut response = next.run(request);
        self.mark(response.headers_mut(), allowed);
        response
    }
}

/// "CORS-preflight request" of the Fetch standard.
fn is_preflight(head: &RequestHead) -> bool {
    head.method() == Method::OPTIONS
        && head.field("origin").is_some()
        && head.field("access-control-request-method").is_some()
}

fn append(headers: &mut Headers, fields: &[(HeaderName, HeaderValue)]) {
    fields.iter().for_each(|(name, value)| headers.append(name.clone(), value.clone()));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
