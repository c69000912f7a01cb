//! Cookies (RFC 6265): plain, signed and private ones as extractors and parts of responses. Knows no sessions.

use std::convert::Infallible;

use http::HeaderValue;
use http::header::SET_COOKIE;

use cookie::CookieJar;
pub use cookie::{self, Cookie, CookieBuilder, Expiration, SameSite};

use super::context::Context;
use super::extract::FromRequestParts;
use super::into_response::{IntoResponse, ResponseParts};
use super::problem::Problem;
use super::request::Request;
use super::response::{Headers, Response};

mod key;
mod sealed;

pub use self::key::{CookieKey, CookieKeyError};
pub use self::sealed::{PrivateCookies, SignedCookies};

/// The cookies of a request, and what a response changes about them.
///
/// As an extractor it cannot fail: of all `Cookie` fields (RFC 6265 section 5.4) it takes the pairs that are well-formed,
/// percent-decoded, and leaves out the others. Where a name comes twice, the first pair counts, since clients send the
/// cookies of longer paths first.
///
/// As a part of a response it becomes a `Set-Cookie` field for each cookie that was added or removed (section 4.1), and
/// nothing if there was no change. Changes get lost with a value that is not returned.
///
/// What a cookie that is added leaves open is set to what is safe: `HttpOnly`, `SameSite=Lax`, `Path=/`, and `Secure` if the
/// request came by TLS ([`Request::is_secure`]) or the cookie needs it (`SameSite=None`, `Partitioned`, names that begin with
/// `__Secure-` or `__Host-`). Say otherwise with [`Cookie::build`]. Without `Max-Age` or `Expires` it lasts as long as the
/// browser's session; [`max_age`](CookieBuilder::max_age) takes a [`Duration`](cookie::time::Duration) of the crate `time`, which
/// is at `rws::app::cookies::cookie::time`. Names and values are percent-encoded; a path or domain that could not be sent makes a 500.
///
/// ```
/// use rws::app::cookies::{Cookie, Cookies};
/// use rws::app::{App, TestClient, get};
///
/// fn theme(cookies: Cookies) -> (Cookies, String) {
///     let before = cookies.get("theme").map_or("none", Cookie::value).to_owned();
///     (cookies.add(Cookie::new("theme", "dark")), before)
/// }
///
/// let client = TestClient::new(App::new().route("/", get(theme)))?;
/// let response = client.get("/").header("cookie", "theme=light; other=1").send();
/// assert_eq!(response.text(), "light");
/// assert_eq!(response.header("set-cookie"), Some("theme=dark; HttpOnly; SameSite=Lax; Path=/"));
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[must_use = "changes reach the client only if the cookies are returned: `(cookies, …)`"]
#[derive(Clone, Debug, Default)]
pub struct Cookies {
    jar: CookieJar,
    is_secure: bool,
}

impl Cookies {
    fn of(request: &Request) -> Self {
        let mut jar = CookieJar::new();
        let fields = request.head().values("cookie");
        for pair in fields.flat_map(|field| field.split(|&byte| byte == b';')) {
            let parsed = str::from_utf8(pair).ok().and_then(|pair| Cookie::parse_encoded(pair).ok());
            if let Some(cookie) = parsed.filter(|cookie| jar.get(cookie.name()).is_none()) {
                jar.add_original(cookie.into_owned());
            }
        }
        Cookies { jar, is_secure: request.is_secure() }
    }

    /// The cookie called `name`: the one that was added last, else the one that the client sent.
    pub fn get(&self, name: &str) -> Option<&Cookie<'static>> {
        self.jar.get(name)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie<'static>> {
        self.jar.iter()
    }

    /// The same and one more, in place of another of that name.
    #[allow(clippy::should_implement_trait, reason = "cookies are added everywhere else, too")]
    pub fn add(mut self, cookie: impl Into<Cookie<'static>>) -> Self {
        let cookie = self.completed(cookie.into());
        self.jar.add(cookie);
        self
    }

    /// The same without one that the client sent: it is told to forget it. One that was set with a path other than `/`, or
    /// with a domain, is removed only with the same path and domain: `Cookie::build("name").path("/shop")`.
    pub fn remove(mut self, cookie: impl Into<Cookie<'static>>) -> Self {
        let cookie = self.completed(cookie.into());
        self.jar.remove(cookie);
        self
    }

    /// With what is safe where nothing is said.
    fn completed(&self, mut cookie: Cookie<'static>) -> Cookie<'static> {
        if cookie.path().is_none() {
            cookie.set_path("/");
        }
        if cookie.http_only().is_none() {
            cookie.set_http_only(true);
        }
        if cookie.same_site().is_none() {
            cookie.set_same_site(SameSite::Lax);
        }
        if cookie.secure().is_none() && (self.is_secure || needs_tls(&cookie)) {
            cookie.set_secure(true);
        }
        cookie
    }
}

/// Whether browsers take it only with `Secure`.
fn needs_tls(cookie: &Cookie<'_>) -> bool {
    cookie.same_site() == Some(SameSite::None)
        || cookie.partitioned() == Some(true)
        || ["__Secure-", "__Host-"].iter().any(|prefix| cookie.name().starts_with(prefix))
}

/// A `Set-Cookie` field's value.
fn field(cookie: &Cookie<'_>) -> Result<HeaderValue, Problem> {
    // Unlike names and values these are sent as they are.
    if let Some(bad) = [cookie.path(), cookie.domain()].into_iter().flatten().find(|text| text.contains(';')) {
        return Err(Problem::internal(format_args!("the cookie {} has a semicolon in {bad:?}", cookie.name())));
    }
    let text = cookie.encoded().to_string();
    HeaderValue::try_from(text)
        .map_err(|error| Problem::internal(format_args!("the cookie {}: {error}", cookie.name())))
}

impl FromRequestParts for Cookies {
    type Rejection = Infallible;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Infallible> {
        Ok(Cookies::of(request))
    }
}

impl ResponseParts for Cookies {
    fn apply(self, headers: &mut Headers) -> Result<(), Problem> {
        let mut changes: Vec<_> = self.jar.delta().collect();
        changes.sort_unstable_by_key(|cookie| cookie.name());
        for cookie in changes {
            headers.append(SET_COOKIE, field(cookie)?);
        }
        Ok(())
    }
}

/// An empty 200 that changes them.
impl IntoResponse for Cookies {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
