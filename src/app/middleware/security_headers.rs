//! Header fields by which a browser protects users of a site from other sites, from its own markup and from plain HTTP.
//!
//! Knows names and values; what a site needs is for whoever writes it to say.

use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use super::{Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::hsts::Hsts;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What [`SecurityHeaders::new`] begins with.
const STANDARD: [(HeaderName, HeaderValue); 5] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

/// Middleware that adds header fields for browsers to every answer that has not got them: what a handler sets stays.
///
/// [`new`](Self::new) begins with these, [`empty`](Self::empty) with none; each can be [set](Self::with) to another value
/// or [taken out](Self::without):
///
/// | field | value | what for |
/// |---|---|---|
/// | `X-Content-Type-Options` | `nosniff` | no script or style where the type says otherwise ([Fetch](https://fetch.spec.whatwg.org/#x-content-type-options-header)) |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` | other sites learn the origin, not the path ([W3C](https://www.w3.org/TR/referrer-policy/)) |
/// | `X-Frame-Options` | `SAMEORIGIN` | no frames on other sites (RFC 7034, HTML); `frame-ancestors` of a policy goes first |
/// | `Cross-Origin-Opener-Policy` | `same-origin` | windows of other sites lose sight of this one (HTML) |
/// | `Cross-Origin-Resource-Policy` | `same-origin` | other sites do not embed images and scripts ([Fetch](https://fetch.spec.whatwg.org/#cross-origin-resource-policy-header)); requests by CORS are not concerned |
///
/// A `Content-Security-Policy` and `Strict-Transport-Security` are for each site to decide.
///
/// ```
/// use http::HeaderValue;
/// use http::header::X_FRAME_OPTIONS;
/// use rws::app::middleware::SecurityHeaders;
/// use rws::app::{App, TestClient, get};
///
/// let headers = SecurityHeaders::new()
///     .content_security_policy(HeaderValue::from_static("default-src 'self'; frame-ancestors https://portal.example"))
///     .without(&X_FRAME_OPTIONS)
///     .strict_transport_security("max-age=31536000; includeSubDomains".parse()?);
/// let client = TestClient::new(App::new().route("/", get(|| "hello")).layer(headers)).unwrap();
///
/// let answer = client.get("/").secure().send();
/// assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
/// assert_eq!(answer.header("x-frame-options"), None);
/// assert_eq!(answer.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
///
/// // RFC 6797 section 7.2: not over plain HTTP.
/// assert_eq!(client.get("/").send().header("strict-transport-security"), None);
/// # Ok::<(), rws::semantics::hsts::HstsError>(())
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    fields: Vec<(HeaderName, HeaderValue)>,
    hsts: Option<HeaderValue>,
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        SecurityHeaders::new()
    }
}

impl SecurityHeaders {
    /// The fields of the table above.
    pub fn new() -> Self {
        SecurityHeaders { fields: STANDARD.to_vec(), hsts: None }
    }

    /// None.
    pub fn empty() -> Self {
        SecurityHeaders { fields: Vec::new(), hsts: None }
    }

    /// Sets a field, such as `Permissions-Policy` or `Cross-Origin-Embedder-Policy`, in place of any of that name.
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self = self.without(&name);
        self.fields.push((name, value));
        self
    }

    /// Takes a field out.
    pub fn without(mut self, name: &HeaderName) -> Self {
        self.fields.retain(|(present, _)| present != name);
        self
    }

    /// Sets the `Content-Security-Policy` ([CSP Level 3](https://www.w3.org/TR/CSP3/)): from where pages may load what.
    /// [`slips`](crate::semantics::csp::slips) finds common mistakes in one.
    pub fn content_security_policy(self, policy: HeaderValue) -> Self {
        self.with(CONTENT_SECURITY_POLICY, policy)
    }

    /// Sets a policy that is only reported on, to try one out.
    pub fn content_security_policy_report_only(self, policy: HeaderValue) -> Self {
        self.with(CONTENT_SECURITY_POLICY_REPORT_ONLY, policy)
    }

    /// Sets `Strict-Transport-Security` (RFC 6797), which is sent where [`Request::is_secure`] says that the client came
    /// over TLS.
    pub fn strict_transport_security(mut self, policy: Hsts) -> Self {
        self.hsts = Some(policy.value());
        self
    }

    /// Whether it adds nothing.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.hsts.is_none()
    }
}

impl Middleware for SecurityHeaders {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        let hsts = self.hsts.as_ref().filter(|_| request.is_secure());
        let mut response = next.run(request);
        let headers = response.headers_mut();
        let hsts = hsts.map(|value| (&STRICT_TRANSPORT_SECURITY, value));
        for (name, value) in self.fields.iter().map(|(name, value)| (name, value)).chain(hsts) {
            if !headers.contains(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        response
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, TestClient, get};

    fn client(headers: SecurityHeaders) -> TestClient {
        let own = || {
            let own = [
                (CONTENT_SECURITY_POLICY, "default-src 'none'"),
                (STRICT_TRANSPORT_SECURITY, "max-age=1"),
                (X_FRAME_OPTIONS, "DENY"),
            ];
            (own, "own")
        };
        TestClient::new(App::new().route("/", get(|| "hello")).route("/own", get(own)).layer(headers)).unwrap()
    }

    fn names(client: &TestClient, path: &str) -> Vec<String> {
        client.get(path).secure().send().headers().iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn every_answer_has_the_standard_fields() {
        let client = client(SecurityHeaders::new());
        for path in ["/", "/nowhere"] {
            let answer = client.get(path).send();
            for (name, value) in STANDARD {
                assert_eq!(answer.headers().get(&name), Some(&value), "{path}");
            }
            assert_eq!(answer.header("strict-transport-security"), None);
        }
    }

    #[test]
    fn what_a_handler_sets_stays_and_is_not_doubled() {
        let policy = HeaderValue::from_static("default-src 'self'");
        let hsts = "max-age=2".parse().unwrap();
        let client = client(SecurityHeaders::new().content_security_policy(policy).strict_transport_security(hsts));
        let answer = client.get("/own").secure().send();
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'"));
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=1"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        let mut names = names(&client, "/own");
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert_eq!(client.get("/").send().header("content-security-policy"), Some("default-src 'self'"));
    }

    #[test]
    fn fields_can_be_set_and_taken_out() {
        let permissions = HeaderName::from_static("permissions-policy");
        let headers = SecurityHeaders::empty()
            .with(permissions.clone(), HeaderValue::from_static("camera=()"))
            .with(permissions, HeaderValue::from_static("camera=(self)"))
            .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
            .without(&REFERRER_POLICY);
        assert!(SecurityHeaders::empty().is_empty() && !headers.is_empty());
        let answer = client(headers).get("/").send();
        assert_eq!(answer.header("permissions-policy"), Some("camera=(self)"));
        assert_eq!((answer.header("referrer-policy"), answer.header("x-content-type-options")), (None, None));
    }

    #[test]
    fn strict_transport_security_is_for_tls_only() {
        let client = client(SecurityHeaders::empty().strict_transport_security("max-age=7".parse().unwrap()));
        assert_eq!(client.get("/").send().header("strict-transport-security"), None);
        assert_eq!(client.get("/").secure().send().header("strict-transport-security"), Some("max-age=7"));
    }
}
