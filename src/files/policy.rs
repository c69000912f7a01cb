//! How files are served as far as that can be chosen, and what follows from the choice for the Cache-Control of a file.

mod hashed;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;

pub(super) use self::hashed::is_hashed;
use super::entry::Entry;
use super::fallback::Spa;
use crate::semantics::cache_control;
use crate::semantics::head::RequestHead;
use crate::semantics::target::is_below;

/// What can be chosen about the serving of files. The default is the plainest: no caching policy, no fallback, no listings.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Cache-Control of files. `None`: no such field, and caches use their own judgement.
    pub cache_control: Option<HeaderValue>,
    /// Whether files whose names hold a hash of their content (`app.3f9a1c2b.js`) may be cached for a year without asking
    /// (RFC 8246). Not where [`cache_control`](Self::cache_control) has `no-store` or `private`.
    pub immutable: bool,
    /// Paths below which the same holds for every file that is no HTML page, whatever its name: `/assets/`. Compared
    /// with the path of the request, segment by segment.
    pub immutable_below: Vec<String>,
    /// The page for paths that are none of a file, but of a view of a single-page application.
    pub spa: Option<Spa>,
    /// Whether a directory without `index.html` is answered with a list of what is in it.
    pub listing: bool,
}

/// A year (the longest that makes sense, RFC 9111 section 1.2.2), without asking even when the page is reloaded. Not
/// `public`: that would let shared caches keep what was asked for with credentials (RFC 9111 section 3.5).
const IMMUTABLE: HeaderValue = HeaderValue::from_static("max-age=31536000, immutable");

/// The options, which may change while files are served, and what follows from them.
#[derive(Debug, Default)]
pub(super) struct Policy(ArcSwap<Rules>);

impl Policy {
    pub(super) fn set(&self, options: Options) {
        self.0.store(Arc::new(Rules::new(options)));
    }

    /// Changes some of the options and keeps the others.
    pub(super) fn change(&self, change: impl FnOnce(&mut Options)) {
        let mut options = self.0.load().options.clone();
        change(&mut options);
        self.set(options);
    }

    pub(super) fn rules(&self) -> Guard<Arc<Rules>> {
        self.0.load()
    }
}

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) options: Options,
    /// For files that never change; `None` if they are like all others.
    immutable: Option<HeaderValue>,
    /// For answers that another request to the same path may not get: caches have to ask each time.
    pub(super) ask_again: HeaderValue,
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new(Options::default())
    }
}

impl Rules {
    fn new(options: Options) -> Self {
        let has = |name: &str| options.cache_control.as_ref().is_some_and(|value| cache_control::has(value, name));
        let ask_again = match (has("no-store"), has("private")) {
            (true, _) => "no-store",
            (_, true) => "private, no-cache",
            _ => "no-cache",
        };
        let wanted = options.immutable || !options.immutable_below.is_empty();
        let immutable = (wanted && !has("no-store") && !has("private")).then_some(IMMUTABLE);
        Rules { immutable, ask_again: HeaderValue::from_static(ask_again), options }
    }

    /// The Cache-Control of `entry`, asked for by `head`.
    pub(super) fn cache_control(&self, head: &RequestHead, entry: &Entry) -> Option<&HeaderValue> {
        self.immutable.as_ref().filter(|_| self.is_immutable(head, entry)).or(self.options.cache_control.as_ref())
    }

    fn is_immutable(&self, head: &RequestHead, entry: &Entry) -> bool {
        let below = || self.options.immutable_below.iter().any(|prefix| is_below(head.path(), prefix));
        (self.options.immutable && entry.is_hashed) || (below() && !entry.is_page())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_stored_is_never_immutable() {
        let cases = [
            (None, true, "no-cache"),
            (Some("no-cache"), true, "no-cache"),
            (Some("public, max-age=3600"), true, "no-cache"),
            (Some("No-Store"), false, "no-store"),
            (Some("max-age=60,private"), false, "private, no-cache"),
            (Some("private=\"set-cookie\", max-age=60"), false, "private, no-cache"),
            (Some("max-age=60, no-store-ever"), true, "no-cache"),
        ];
        for (value, immutable, ask_again) in cases {
            let cache_control = value.map(HeaderValue::from_static);
            let rules = Rules::new(Options { cache_control, immutable: true, ..Options::default() });
            assert_eq!(
                (rules.immutable.is_some(), rules.ask_again.to_str().unwrap()),
                (immutable, ask_again),
                "{value:?}"
            );
        }
        assert!(Rules::default().immutable.is_none());
    }
}
