//! Strict-Transport-Security (RFC 6797): the policy by which a browser asks a host over TLS only. Knows the field's value;
//! when it may be sent is the caller's business.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;

/// What hstspreload.org asks for, in seconds: a year.
const PRELOAD_MAX_AGE: u64 = 31_536_000;

/// The value of a `Strict-Transport-Security` field (RFC 6797 section 6.1).
///
/// ```
/// use rws::semantics::hsts::Hsts;
///
/// let hsts: Hsts = "max-age=31536000; includeSubDomains".parse()?;
/// assert_eq!((hsts.max_age, hsts.include_subdomains, hsts.preload), (31_536_000, true, false));
/// assert_eq!("max-age=1y".parse::<Hsts>().unwrap_err().to_string(), "max-age is a whole number of seconds");
/// # Ok::<(), rws::semantics::hsts::HstsError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long a browser keeps to it after the latest answer, in seconds. 0: it forgets the policy.
    pub max_age: u64,
    /// Whether it is for all subdomains too. One of them that has no TLS is then out of reach.
    pub include_subdomains: bool,
    /// Whether the host agrees to be on the list that browsers are shipped with, from which it takes months to get away
    /// again (hstspreload.org; not part of the RFC).
    pub preload: bool,
}

/// What is wrong with a text that is no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HstsError {
    /// There is no `max-age`.
    NoMaxAge,
    /// `max-age` is not a number.
    MaxAge,
    /// A directive stands there twice (section 6.1, rule 2).
    Twice,
    /// A directive that is meant for nobody: neither of the RFC's nor `preload`.
    Unknown,
    /// `includeSubDomains` or `preload` with a value.
    Value,
}

impl Hsts {
    /// The field's value.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("digits and letters")
    }

    /// Whether it asks to be preloaded and would be refused: that takes a year at least, and all subdomains.
    pub fn preload_is_refused(&self) -> bool {
        self.preload && (self.max_age < PRELOAD_MAX_AGE || !self.include_subdomains)
    }
}

impl FromStr for Hsts {
    type Err = HstsError;

    /// Directives in any order and case, the value of `max-age` in quotes or not, empty directives skipped. A browser
    /// would skip unknown ones as well; for whoever writes the value they are a slip.
    fn from_str(text: &str) -> Result<Self, HstsError> {
        let (mut max_age, mut include_subdomains, mut preload) = (None, None, None);
        for directive in text.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
            let (name, value) = match directive.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (directive, None),
            };
            match name.to_ascii_lowercase().as_str() {
                "max-age" => once(&mut max_age, seconds(value)?)?,
                "includesubdomains" => once(&mut include_subdomains, bare(value)?)?,
                "preload" => once(&mut preload, bare(value)?)?,
                _ => return Err(HstsError::Unknown),
            }
        }
        let max_age = max_age.ok_or(HstsError::NoMaxAge)?;
        Ok(Hsts { max_age, include_subdomains: include_subdomains.is_some(), preload: preload.is_some() })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), HstsError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(HstsError::Twice),
    }
}

fn seconds(value: Option<&str>) -> Result<u64, HstsError> {
    let value = value.unwrap_or_default();
    let digits = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number).ok_or(HstsError::MaxAge)
}

fn bare(value: Option<&str>) -> Result<(), HstsError> {
    if value.is_none() { Ok(()) } else { Err(HstsError::Value) }
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subdomains = if self.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        write!(f, "max-age={}{subdomains}{preload}", self.max_age)
    }
}

impl fmt::Display for HstsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HstsError::NoMaxAge => "there is no max-age, without which browsers ignore the field",
            HstsError::MaxAge => "max-age is a whole number of seconds",
            HstsError::Twice => "a directive stands there twice, for which browsers ignore the field",
            HstsError::Unknown => "the directives are max-age, includeSubDomains and preload, separated by semicolons",
            HstsError::Value => "includeSubDomains and preload have no value",
        })
    }
}

impl std::error::Error for HstsError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written() {
        for (text, wanted) in [
            ("max-age=0", "max-age=0"),
            ("max-age=31536000", "max-age=31536000"),
            (" MAX-AGE = \"60\" ;; IncludeSubdomains ; ", "max-age=60; includeSubDomains"),
            ("preload;includeSubDomains;max-age=63072000", "max-age=63072000; includeSubDomains; preload"),
        ] {
            let hsts: Hsts = text.parse().unwrap();
            assert_eq!(hsts.value(), wanted, "{text}");
            assert_eq!(wanted.parse(), Ok(hsts));
        }
    }

    #[test]
    fn what_is_no_policy_is_explained() {
        for (text, wanted) in [
            ("", HstsError::NoMaxAge),
            ("includeSubDomains", HstsError::NoMaxAge),
            ("max-age", HstsError::MaxAge),
            ("max-age=", HstsError::MaxAge),
            ("max-age=1y", HstsError::MaxAge),
            ("max-age=-1", HstsError::MaxAge),
            ("max-age=+1", HstsError::MaxAge),
            ("max-age=\"1", HstsError::MaxAge),
            ("max-age=99999999999999999999", HstsError::MaxAge),
            ("max-age=1; max-age=2", HstsError::Twice),
            ("max-age=1; preload; preload", HstsError::Twice),
            ("max-age=1, includeSubDomains", HstsError::MaxAge),
            ("max-age=1; includeSubDomain", HstsError::Unknown),
            ("max-age=1 includeSubDomains", HstsError::MaxAge),
            ("31536000", HstsError::Unknown),
            ("max-age=1; preload=true", HstsError::Value),
        ] {
            assert_eq!(text.parse::<Hsts>(), Err(wanted), "{text}");
        }
    }

    #[test]
    fn preloading_takes_a_year_and_all_subdomains() {
        for (text, refused) in [
            ("max-age=1; preload", true),
            ("max-age=31536000; preload", true),
            ("max-age=31535999; includeSubDomains; preload", true),
            ("max-age=31536000; includeSubDomains; preload", false),
            ("max-age=1", false),
        ] {
            assert_eq!(text.parse::<Hsts>().unwrap().preload_is_refused(), refused, "{text}");
        }
    }
}
