//! Puts a [`Cors`] together, or tells everything that is wrong with it: what browsers would refuse in silence is an
//! error here.

use std::fmt;
use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
};
use http::{HeaderName, HeaderValue, Method};

use super::{Cors, Origins};
use crate::semantics::origin::{OriginError, OriginPattern};

/// Stands for all methods or headers, unless there are credentials: then it is a method or a header of that name.
const ANY: &str = "*";

/// What is to become a [`Cors`]. Each call replaces what the same call said before, except that origins add up.
#[must_use]
#[derive(Clone, Debug)]
pub struct CorsBuilder {
    any_origin: bool,
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Vec<String>,
    expose: Vec<String>,
    credentials: bool,
    max_age: Option<Duration>,
}

/// Everything that is wrong with a [`CorsBuilder`]; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsErrors(Vec<CorsError>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorsError {
    /// No origin is allowed, so there is nothing to do.
    NoOrigins,
    /// A text that is no origin.
    Origin(OriginError),
    /// Credentials for all origins: any page that a user visits could act and read as that user. Browsers refuse it.
    CredentialsForAll,
    /// `*` with credentials, by the name of the field: there it is a name and stands for nothing.
    LiteralStar(HeaderName),
}

impl Default for CorsBuilder {
    fn default() -> Self {
        let methods = [Method::GET, Method::HEAD, Method::POST].map(|method| method.to_string()).to_vec();
        CorsBuilder {
            any_origin: false,
            origins: Vec::new(),
            methods,
            headers: Vec::new(),
            expose: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }
}

impl CorsBuilder {
    /// Allows all origins, for public data. Never together with credentials.
    pub fn allow_any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Allows these as well: `https://app.example`, `https://*.example.com`, `null`; see [`OriginPattern`].
    pub fn allow_origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.origins.extend(origins.into_iter().map(Into::into));
        self
    }

    /// Allows these methods. GET, HEAD and POST, which are there unless this is called, are allowed by every browser.
    pub fn allow_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().map(|method| method.to_string()).collect();
        self
    }

    /// Allows all methods. Not together with credentials.
    pub fn allow_any_method(mut self) -> Self {
        self.methods = vec![ANY.to_owned()];
        self
    }

    /// Allows requests with these header fields. A few are allowed by every browser, among them `Accept`, and
    /// `Content-Type` for forms and plain text (Fetch, "CORS-safelisted request-header"); `application/json` is not.
    pub fn allow_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.headers = headers.into_iter().map(|name| name.to_string()).collect();
        self
    }

    /// Allows all header fields except `Authorization`, which needs to be named. Not together with credentials.
    pub fn allow_any_header(mut self) -> Self {
        self.headers = vec![ANY.to_owned()];
        self
    }

    /// Whether requests may come with cookies, client certificates and stored passwords. Off by default.
    pub fn allow_credentials(mut self, allow: bool) -> Self {
        self.credentials = allow;
        self
    }

    /// Shows pages these header fields of answers. A few can always be read, among them `Content-Type` and `Cache-Control`
    /// (Fetch, "CORS-safelisted response-header name").
    pub fn expose_headers(mut self, headers: impl IntoIterator<Item = HeaderName>) -> Self {
        self.expose = headers.into_iter().map(|name| name.to_string()).collect();
        self
    }

    /// How long browsers may remember the answer to a preflight, in whole seconds: not longer than 2 hours in Chromium and
    /// 24 hours in Firefox, whatever is said here. 5 seconds unless this is called (Fetch, `Access-Control-Max-Age`).
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The middleware.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, together: no origins or malformed ones, and what browsers refuse together with
    /// credentials.
    pub fn build(self) -> Result<Cors, CorsErrors> {
        let (patterns, faults): (Vec<_>, Vec<_>) =
            self.origins.iter().map(|text| text.parse()).partition(Result::is_ok);
        let mut errors: Vec<CorsError> = faults.into_iter().filter_map(Result::err).map(CorsError::Origin).collect();
        errors.extend(self.contradictions());
        if !errors.is_empty() {
            return Err(CorsErrors(errors));
        }
        let patterns = patterns.into_iter().filter_map(Result::ok);
        let origins = if self.any_origin { Origins::Any } else { listed(patterns) };
        let credentials = self.credentials.then(|| HeaderValue::from_static("true"));
        let credentials = (ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
        let max_age = self.max_age.map(|age| HeaderValue::from(age.as_secs()));
        Ok(Cors {
            origins,
            fields: present([credentials.clone(), (ACCESS_CONTROL_EXPOSE_HEADERS, joined(&self.expose))]),
            preflight: present([
                credentials,
                (ACCESS_CONTROL_ALLOW_METHODS, joined(&self.methods)),
                (ACCESS_CONTROL_ALLOW_HEADERS, joined(&self.headers)),
                (ACCESS_CONTROL_MAX_AGE, max_age),
            ]),
        })
    }

    fn contradictions(&self) -> Vec<CorsError> {
        let mut errors = Vec::new();
        if !self.any_origin && self.origins.is_empty() {
            errors.push(CorsError::NoOrigins);
        }
        if !self.credentials {
            return errors;
        }
        if self.any_origin {
            errors.push(CorsError::CredentialsForAll);
        }
        let lists = [
            (&self.methods, ACCESS_CONTROL_ALLOW_METHODS),
            (&self.headers, ACCESS_CONTROL_ALLOW_HEADERS),
            (&self.expose, ACCESS_CONTROL_EXPOSE_HEADERS),
        ];
        let starred = lists.into_iter().filter(|(list, _)| list.iter().any(|name| name == ANY));
        errors.extend(starred.map(|(_, name)| CorsError::LiteralStar(name)));
        errors
    }
}

/// Those that stand for one origin are looked up, the others are tried.
fn listed(patterns: impl Iterator<Item = OriginPattern>) -> Origins {
    let (mut exact, mut others) = (Vec::new(), Vec::new());
    for pattern in patterns {
        match pattern.exact().and_then(|origin| HeaderValue::from_str(origin).ok()) {
            Some(origin) => exact.push(origin),
            None => others.push(pattern),
        }
    }
    exact.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Origins::Listed { exact, patterns: others }
}

/// Names, of which each is a token, as the value of a field.
fn joined(names: &[String]) -> Option<HeaderValue> {
    HeaderValue::try_from(names.join(", ")).ok().filter(|value| !value.is_empty())
}

fn present<const N: usize>(fields: [(HeaderName, Option<HeaderValue>); N]) -> Vec<(HeaderName, HeaderValue)> {
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

impl CorsErrors {
    /// One by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CorsError> {
        self.0.iter()
    }
}

impl fmt::Display for CorsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "CORS: " } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CorsErrors {}

impl fmt::Display for CorsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CorsError::NoOrigins => f.write_str("no origin is allowed: name some, or allow any"),
            CorsError::Origin(error) => write!(f, "the origin {error}"),
            CorsError::CredentialsForAll => {
                f.write_str("credentials are not for all origins, and browsers refuse that: name the origins")
            }
            CorsError::LiteralStar(field) => {
                write!(f, "* in {field} stands for nothing where credentials are allowed: write the names")
            }
        }
    }
}

impl std::error::Error for CorsError {}
