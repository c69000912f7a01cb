//! What is said about caching: the Cache-Control field of an answer, by the name of the file.

use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use http::HeaderValue;

use super::name::Name;

/// The caching policy, which may change while files are served.
#[derive(Debug, Default)]
pub(super) struct Policy {
    cache_control: ArcSwapOption<HeaderValue>,
}

impl Policy {
    /// Sets the value for all files.
    pub(super) fn set(&self, value: Option<HeaderValue>) {
        self.cache_control.store(value.map(Arc::new));
    }

    /// The value for the file `name`.
    pub(super) fn of(&self, _name: &Name) -> Guard<Option<Arc<HeaderValue>>> {
        self.cache_control.load()
    }
}
