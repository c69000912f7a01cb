//! The scheme Bearer (RFC 6750): a token in each request, in the Authorization field and nowhere else.

use std::sync::Arc;

use http::HeaderValue;

use super::digest::{Digest, Digester};
use super::{AuthError, Gate, Scheme, Verdict};
use crate::app::middleware::{Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::credentials::challenge;
use crate::semantics::secrets::{self, Token};

/// Middleware that lets requests in which bear a token, by `Authorization: Bearer` (RFC 6750), and answers 401 to the others.
///
/// Tokens in queries and forms are not looked at: they end up in logs and histories (section 5.3). Whoever has a token is
/// let in, so this belongs behind TLS.
///
/// ```
/// use rws::app::middleware::BearerAuth;
/// use rws::app::{App, TestClient, get};
///
/// let bearer = BearerAuth::new("Shop", "ci:s3cr3t-t0k3n, another.t0k3n")?;
/// let client = TestClient::new(App::new().route("/", get(|| "hello")).layer(bearer)).unwrap();
/// assert_eq!(client.get("/").header("authorization", "Bearer s3cr3t-t0k3n").send().status(), 200);
/// let refused = client.get("/").header("authorization", "Bearer guess").send();
/// assert_eq!(refused.status(), 401);
/// assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"Shop\", error=\"invalid_token\""));
/// # Ok::<(), rws::app::middleware::AuthError>(())
/// ```
#[derive(Debug)]
pub struct BearerAuth(Gate);

impl BearerAuth {
    /// Lets the tokens of a list in, which are separated by commas or white space. One may be written `name:token`; then
    /// handlers learn the name as [`AuthenticatedUser`](super::AuthenticatedUser), and access logs have it.
    ///
    /// # Errors
    ///
    /// When there are none, one stands there twice or has other characters than letters, digits and `-._~+/`, perhaps with
    /// `=` at the end, or `realm` is empty, longer than 128 characters, or anything but printable ASCII.
    pub fn new(realm: &str, tokens: &str) -> Result<Self, AuthError> {
        let tokens = secrets::tokens(tokens).map_err(|fault| AuthError::Token(fault.place, fault.reason))?;
        Self::of(realm, &tokens)
    }

    /// Lets these tokens in, from a database or wherever they are written.
    ///
    /// ```
    /// use rws::app::middleware::{BearerAuth, Token};
    ///
    /// let ci = Token { name: Some("ci".to_owned()), token: "s3cr3t-t0k3n".to_owned() };
    /// let bearer = BearerAuth::of("Shop", &[ci])?;
    /// # Ok::<(), rws::app::middleware::AuthError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As with [`new`](Self::new).
    pub fn of(realm: &str, tokens: &[Token]) -> Result<Self, AuthError> {
        secrets::check_tokens(tokens).map_err(|fault| AuthError::Token(fault.place, fault.reason))?;
        if tokens.is_empty() {
            return Err(AuthError::Nobody);
        }
        let tokens = Tokens::new(tokens);
        Self::with(realm, move |token| tokens.verify(token))
    }

    /// Lets in whose token `verify` knows. It returns whose it is, and is called for each request; it may block as
    /// handlers may.
    ///
    /// ```
    /// use rws::app::middleware::BearerAuth;
    ///
    /// let bearer = BearerAuth::verified_by("Shop", |token| token.strip_suffix(".signed").map(str::to_owned))?;
    /// # Ok::<(), rws::app::middleware::AuthError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `realm` is empty, longer than 128 characters, or anything but printable ASCII.
    pub fn verified_by(
        realm: &str,
        verify: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Result<Self, AuthError> {
        Self::with(realm, move |token| match verify(token) {
            Some(name) => Verdict::Known(Some(name.into())),
            None => Verdict::Unknown,
        })
    }

    fn with(realm: &str, verify: impl Fn(&str) -> Verdict + Send + Sync + 'static) -> Result<Self, AuthError> {
        let asked = challenge("Bearer", realm, "").ok_or(AuthError::Realm)?;
        let refused = challenge("Bearer", realm, ", error=\"invalid_token\"").ok_or(AuthError::Realm)?;
        Ok(BearerAuth(Gate::of(Bearer { asked, refused, verify })))
    }

    /// Asks nobody on these paths; see [`EitherAuth::except`](super::EitherAuth::except).
    ///
    /// # Errors
    ///
    /// When a prefix does not begin with a slash.
    pub fn except(self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, AuthError> {
        self.0.except(prefixes).map(BearerAuth)
    }

    pub(super) fn into_gate(self) -> Gate {
        self.0
    }
}

impl Middleware for BearerAuth {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        self.0.handle(request, next)
    }
}

struct Bearer<F> {
    /// The challenge to requests without a token, and to those with a wrong one (section 3.1).
    asked: HeaderValue,
    refused: HeaderValue,
    verify: F,
}

impl<F: Fn(&str) -> Verdict + Send + Sync> Scheme for Bearer<F> {
    fn name(&self) -> &'static str {
        "Bearer"
    }

    fn challenge(&self, refused: bool) -> &HeaderValue {
        if refused { &self.refused } else { &self.asked }
    }

    fn verify(&self, token: &str) -> Verdict {
        (self.verify)(token)
    }
}

/// A list of tokens.
struct Tokens {
    digester: Digester,
    known: Vec<(Digest, Option<Arc<str>>)>,
}

impl Tokens {
    fn new(tokens: &[Token]) -> Self {
        let digester = Digester::new();
        let kept = |token: &Token| (digester.digest(&token.token), token.name.as_deref().map(Arc::from));
        Tokens { known: tokens.iter().map(kept).collect(), digester }
    }

    /// Compares with all of them, so that the time tells nothing of the one that it was.
    fn verify(&self, token: &str) -> Verdict {
        let digest = self.digester.digest(token);
        let right = |found, known: &(Digest, Option<Arc<str>>)| match known.0.is(&digest) {
            true => Verdict::Known(known.1.clone()),
            false => found,
        };
        self.known.iter().fold(Verdict::Unknown, right)
    }
}
