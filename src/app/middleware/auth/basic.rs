//! The scheme Basic (RFC 7617): a user and a password in each request.

use std::sync::Arc;

use http::HeaderValue;

use super::{AuthError, BearerAuth, EitherAuth, Gate, Scheme, Users, Verdict};
use crate::app::middleware::{Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::credentials::{UserPass, challenge};

/// Middleware that lets requests in which name a user and the right password, by `Authorization: Basic` (RFC 7617), and
/// answers 401 to the others, with a challenge that makes browsers ask.
///
/// Handlers learn the name as [`AuthenticatedUser`](super::AuthenticatedUser) and from [`Request::user`]; access logs have it. User and
/// password are UTF-8, in the form in which the client composes its characters.
///
/// Everybody on the way can read the password, so this belongs behind TLS. Browsers send it along with requests that other
/// sites cause as well: what changes something needs protection against those besides.
///
/// ```
/// use rws::app::middleware::{BasicAuth, Users};
/// use rws::app::{App, TestClient, get};
///
/// let basic = BasicAuth::new("Shop", Users::htpasswd("ada:open sesame")?)?.except(["/public"])?;
/// let app = App::new().route("/", get(|| "for ada")).route("/public/x", get(|| "for all")).layer(basic);
/// let client = TestClient::new(app).unwrap();
/// let refused = client.get("/").send();
/// assert_eq!(refused.status(), 401);
/// assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Shop\", charset=\"UTF-8\""));
/// assert_eq!(client.get("/").header("authorization", "Basic YWRhOm9wZW4gc2VzYW1l").send().text(), "for ada");
/// assert_eq!(client.get("/public/x").send().text(), "for all");
/// # Ok::<(), rws::app::middleware::AuthError>(())
/// ```
#[derive(Debug)]
pub struct BasicAuth(Gate);

impl BasicAuth {
    /// Lets the users of a list in. `realm` is what browsers show when they ask.
    ///
    /// # Errors
    ///
    /// When `realm` is empty, longer than 128 characters, or anything but printable ASCII.
    pub fn new(realm: &str, users: Users) -> Result<Self, AuthError> {
        Self::with(realm, move |name, password| users.verify(name, password))
    }

    /// Lets in whom `verify` finds to be who they say, called with user and password for each request. It may block as
    /// handlers may; what it takes long for, it should remember.
    ///
    /// ```
    /// use rws::app::middleware::BasicAuth;
    ///
    /// let basic = BasicAuth::verified_by("Shop", |user, password| user == "ada" && password == "open sesame")?;
    /// # Ok::<(), rws::app::middleware::AuthError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`new`](Self::new).
    pub fn verified_by(
        realm: &str,
        verify: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Result<Self, AuthError> {
        Self::with(realm, move |name, password| match verify(name, password) {
            true => Verdict::Known(Some(Arc::from(name))),
            false => Verdict::Unknown,
        })
    }

    fn with(realm: &str, verify: impl Fn(&str, &str) -> Verdict + Send + Sync + 'static) -> Result<Self, AuthError> {
        let challenge = challenge("Basic", realm, ", charset=\"UTF-8\"").ok_or(AuthError::Realm)?;
        Ok(BasicAuth(Gate::of(Basic { challenge, verify })))
    }

    /// Asks nobody on these paths; see [`EitherAuth::except`].
    ///
    /// # Errors
    ///
    /// When a prefix does not begin with a slash.
    pub fn except(self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, AuthError> {
        self.0.except(prefixes).map(BasicAuth)
    }

    /// Lets bearers of tokens in as well.
    ///
    /// ```
    /// use rws::app::middleware::{BasicAuth, BearerAuth, Users};
    ///
    /// let people = BasicAuth::new("Shop", Users::htpasswd("ada:open sesame")?)?;
    /// let either = people.or(BearerAuth::new("Shop", "ci:s3cr3t-t0k3n")?);
    /// # Ok::<(), rws::app::middleware::AuthError>(())
    /// ```
    #[must_use]
    pub fn or(self, other: BearerAuth) -> EitherAuth {
        EitherAuth(self.0.or(other.into_gate()))
    }
}

impl Middleware for BasicAuth {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        self.0.handle(request, next)
    }
}

struct Basic<F> {
    challenge: HeaderValue,
    verify: F,
}

impl<F: Fn(&str, &str) -> Verdict + Send + Sync> Scheme for Basic<F> {
    fn name(&self) -> &'static str {
        "Basic"
    }

    fn challenge(&self, _: bool) -> &HeaderValue {
        &self.challenge
    }

    fn verify(&self, token: &str) -> Verdict {
        match UserPass::decode(token) {
            Some(both) => (self.verify)(both.user(), both.password()),
            None => Verdict::Unknown,
        }
    }
}
