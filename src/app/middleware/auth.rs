//! Authentication: who a request comes from, by the schemes Basic (RFC 7617) and Bearer (RFC 6750).
//!
//! The schemes are in `basic` and `bearer`; here is what both share: which requests are asked at all, and the answer to
//! those that prove nothing. Knows no configuration. Credentials are never logged, and kept as keyed digests only.

mod basic;
mod bearer;
mod digest;
mod turnstile;
mod users;

use std::fmt;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

pub use self::basic::BasicAuth;
pub use self::bearer::BearerAuth;
pub use self::users::Users;
use super::{Middleware, Next};
use crate::app::context::Context;
use crate::app::extract::{FromRequestParts, OptionalFromRequestParts};
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::credentials::{Credentials, credentials};
pub use crate::semantics::secrets::{Secret, Token, User};
use crate::semantics::target::is_below;

/// Either of two schemes: what [`BasicAuth::or`] makes. Its 401 has both challenges.
#[derive(Debug)]
pub struct EitherAuth(Gate);

/// Why there cannot be such a middleware.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// A realm is up to 128 characters of printable ASCII.
    Realm,
    /// The number of a user in its list, by lines or by users, from 1, and what is wrong with it.
    User(usize, &'static str),
    /// The number of a token in its list, from 1, and what is wrong with it.
    Token(usize, &'static str),
    /// Nobody could come in.
    Nobody,
    /// A prefix of paths does not begin with a slash.
    Prefix(String),
}

/// How requests are told who they come from.
trait Scheme: Send + Sync {
    /// As it stands in the Authorization field, in any case.
    fn name(&self) -> &'static str;

    /// The value of a WWW-Authenticate field; `refused` if credentials of this scheme were sent.
    fn challenge(&self, refused: bool) -> &HeaderValue;

    /// Whose token it is.
    fn verify(&self, token: &str) -> Verdict;
}

/// What a scheme says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Somebody's, with a name if there is one.
    Known(Option<Arc<str>>),
    /// Nobody's.
    Unknown,
    /// It would take longer to find out than there is time for.
    Busy,
}

/// The schemes that let requests in, and the paths where nobody is asked.
struct Gate {
    schemes: Vec<Box<dyn Scheme>>,
    open: Vec<String>,
}

impl Gate {
    fn of(scheme: impl Scheme + 'static) -> Self {
        Gate { schemes: vec![Box::new(scheme)], open: Vec::new() }
    }

    fn or(mut self, other: Gate) -> Self {
        self.schemes.extend(other.schemes);
        self.open.extend(other.open);
        self
    }

    fn except(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, AuthError> {
        for prefix in prefixes {
            let prefix = prefix.into();
            if !prefix.starts_with('/') {
                return Err(AuthError::Prefix(prefix));
            }
            self.open.push(prefix);
        }
        Ok(self)
    }

    /// Whether nobody is asked on this path.
    fn is_open(&self, path: &str) -> bool {
        !self.open.is_empty() && self.open.iter().any(|prefix| is_below(path, prefix)) && is_plain(path)
    }

    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        if self.is_open(request.path()) {
            return next.run(request);
        }
        let (verdict, tried) = match credentials(request.head()) {
            Credentials::Of { scheme, token } => {
                match self.schemes.iter().find(|known| known.name().eq_ignore_ascii_case(scheme)) {
                    Some(known) => (known.verify(token), Some(known.name())),
                    None => (Verdict::Unknown, None),
                }
            }
            Credentials::None | Credentials::Malformed => (Verdict::Unknown, None),
        };
        match verdict {
            Verdict::Known(user) => {
                if let Some(user) = user {
                    request.set_user(user);
                }
                next.run(request)
            }
            Verdict::Unknown => self.unauthorized(tried),
            Verdict::Busy => busy().into_response(),
        }
    }

    fn unauthorized(&self, tried: Option<&str>) -> Response {
        let detail = match tried {
            Some(_) => "the credentials are not valid",
            None => "this needs credentials",
        };
        let problem = Problem::new(StatusCode::UNAUTHORIZED).with_detail(detail);
        let problem = problem.with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let challenges = self.schemes.iter().map(|scheme| scheme.challenge(tried == Some(scheme.name())));
        challenges
            .fold(problem, |problem, challenge| problem.with_header(WWW_AUTHENTICATE, challenge.clone()))
            .into_response()
    }
}

fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE)
        .with_detail("too many passwords are being verified; try again")
        .with_header(RETRY_AFTER, 1.into())
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
}

/// Whether every reading of `path` leads to the same place: a handler that decodes it first and then resolves `..` must not
/// come out elsewhere.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|segment| {
        let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
        !matches!(&*decoded, b"." | b"..") && !decoded.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0))
    })
}

impl EitherAuth {
    /// Asks nobody on these paths and on those under them, by whole segments: `/public` is not `/publicity`. A path with
    /// dot segments or encoded slashes is no such path, whatever it begins with.
    ///
    /// # Errors
    ///
    /// When a prefix does not begin with a slash.
    pub fn except(self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, AuthError> {
        self.0.except(prefixes).map(EitherAuth)
    }
}

impl Middleware for EitherAuth {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        self.0.handle(request, next)
    }
}

/// Who the request comes from, as far as a middleware such as [`BasicAuth`] has found out.
///
/// Where none has, it is a mistake in the program and makes a 500; take `Option<AuthenticatedUser>` where requests may
/// have none, as with paths that are excepted, and tokens without a name.
///
/// ```
/// use rws::app::middleware::{AuthenticatedUser, BasicAuth, Users};
/// use rws::app::{App, TestClient, get};
///
/// let basic = BasicAuth::new("Shop", Users::htpasswd("ada:open sesame")?)?;
/// let app = App::new().route("/me", get(|AuthenticatedUser(name)| name.to_string())).layer(basic);
/// let client = TestClient::new(app).unwrap();
/// let me = client.get("/me").header("authorization", "Basic YWRhOm9wZW4gc2VzYW1l").send();
/// assert_eq!(me.text(), "ada");
/// assert_eq!(client.get("/me").send().status(), 401);
/// # Ok::<(), rws::app::middleware::AuthError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticatedUser(pub Arc<str>);

impl FromRequestParts for AuthenticatedUser {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
        <Option<Self> as FromRequestParts>::from_request_parts(request, context)?.ok_or_else(|| {
            Problem::internal(format_args!(
                "no middleware of {} has found out who a request comes from",
                context.route()
            ))
        })
    }
}

impl OptionalFromRequestParts for AuthenticatedUser {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Problem> {
        Ok(request.received.user.get().cloned().map(AuthenticatedUser))
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<_> = self.schemes.iter().map(|scheme| scheme.name()).collect();
        f.debug_struct("Gate").field("schemes", &schemes).field("open", &self.open).finish()
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthError::Realm => f.write_str("a realm must be 1 to 128 characters of printable ASCII"),
            AuthError::User(line, reason) => write!(f, "line {line} of the users {reason}"),
            AuthError::Token(number, reason) => write!(f, "token number {number} {reason}"),
            AuthError::Nobody => f.write_str("there is nobody who could come in"),
            AuthError::Prefix(prefix) => write!(f, "the prefix {prefix:?} must begin with a slash"),
        }
    }
}

impl std::error::Error for AuthError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
