//! What a test's client remembers of cookies, as far as there is one host (RFC 6265 section 5). Knows no requests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cookie::Cookie;
use cookie::time::{Duration, OffsetDateTime};
use http::header::SET_COOKIE;

use crate::app::response::Headers;

/// The cookies so far, each with the path that it is for.
#[derive(Debug, Default)]
pub(super) struct Cookies(Mutex<Vec<(String, Cookie<'static>)>>);

impl Cookies {
    /// No cookie is ever half kept, so a panic elsewhere has left none broken.
    fn all(&self) -> MutexGuard<'_, Vec<(String, Cookie<'static>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `Cookie` for a request; longer paths come first. `None`: there are none for it.
    pub(super) fn field(&self, path: &str, is_secure: bool) -> Option<String> {
        let all = self.all();
        let mut own: Vec<_> = all
            .iter()
            .filter(|(own, cookie)| is_below(path, own) && (is_secure || cookie.secure() != Some(true)))
            .collect();
        own.sort_by_key(|(own, _)| std::cmp::Reverse(own.len()));
        let pairs: Vec<String> = own.iter().map(|(_, cookie)| cookie.stripped().to_string()).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Keeps what a response to a request for `path` sets, and forgets what it ends.
    pub(super) fn keep(&self, path: &str, headers: &Headers) {
        let set = headers.iter().filter(|(name, _)| *name == SET_COOKIE);
        for cookie in set.filter_map(|(_, value)| Cookie::parse(value.to_str().ok()?.to_owned()).ok()) {
            let own = cookie.path().filter(|own| own.starts_with('/')).unwrap_or(directory(path)).to_owned();
            let mut all = self.all();
            all.retain(|(path, other)| (path, other.name()) != (&own, cookie.name()));
            if !is_over(&cookie) {
                all.push((own, cookie));
            }
        }
    }
}

/// The path of a cookie that does not name one (section 5.1.4).
fn directory(path: &str) -> &str {
    match path.rfind('/') {
        Some(end) if end > 0 => &path[..end],
        _ => "/",
    }
}

/// Section 5.1.4 again.
fn is_below(path: &str, own: &str) -> bool {
    match path.strip_prefix(own) {
        Some(rest) => rest.is_empty() || own.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

/// `Max-Age` wins over `Expires` (section 5.3).
fn is_over(cookie: &Cookie<'_>) -> bool {
    match cookie.max_age() {
        Some(age) => age <= Duration::ZERO,
        None => cookie.expires_datetime().is_some_and(|end| end <= OffsetDateTime::now_utc()),
    }
}
