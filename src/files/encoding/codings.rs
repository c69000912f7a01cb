//! What has been found out about the codings of one version of a file. It is gone when the version is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use http::HeaderValue;

use crate::files::entry::Entry;
use crate::files::name::Name;
use crate::semantics::accept_encoding::Coding;
use crate::semantics::compressible::is_compressible;

/// How many codings there are.
const COUNT: usize = Coding::ALL.len();

/// Of one version of a file.
#[derive(Debug, Default)]
pub(in crate::files) struct Codings {
    content: Content,
    made: [Made; COUNT],
    siblings: [ArcSwapOption<Sibling>; COUNT],
}

/// What kind of content it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Content {
    /// Worth compressing.
    Compressible,
    /// Unknown, so only who made it knows whether it is worth it.
    Unknown,
    /// Compressed in itself, or in a coding already.
    #[default]
    Dense,
}

/// What became of the file when it was compressed here.
#[derive(Debug, Default)]
struct Made {
    /// Somebody is at it, or was.
    claimed: AtomicBool,
    /// `None`: it becomes no shorter.
    result: OnceLock<Option<Arc<Entry>>>,
}

/// A file beside the file that has the content in a coding.
#[derive(Debug)]
struct Sibling {
    of: Arc<Entry>,
    /// `None`: it is older than the file, and so of another version of it.
    variant: Option<Arc<Entry>>,
}

/// What can be said when a file is wanted in a coding.
#[derive(Debug)]
pub(super) enum Known {
    /// Here it is.
    Coded(Arc<Entry>),
    /// It goes out as it is: it becomes no shorter, or somebody is just compressing it.
    AsItIs,
    /// There is no room to keep it.
    NoRoom,
}

impl Codings {
    /// Of a file of this type, about which nothing is known yet.
    pub(in crate::files) fn of(media_type: &HeaderValue) -> Codings {
        let content = match media_type.as_bytes() {
            b"application/octet-stream" => Content::Unknown,
            media_type if is_compressible(media_type) => Content::Compressible,
            _ => Content::Dense,
        };
        Codings { content, ..Codings::default() }
    }

    /// Whether there can be a coding for it, here or beside it.
    pub(super) fn may_be_coded(&self) -> bool {
        self.content != Content::Dense
    }

    /// Whether it is worth compressing here.
    pub(super) fn is_compressible(&self) -> bool {
        self.content == Content::Compressible
    }

    /// What `make` came to when it was called first. While that goes on, nobody waits for it and nobody does it again.
    pub(super) fn made(&self, coding: Coding, make: impl FnOnce() -> Known) -> Known {
        let Made { claimed, result } = &self.made[coding as usize];
        if let Some(known) = result.get() {
            return known.clone().map_or(Known::AsItIs, Known::Coded);
        }
        if claimed.swap(true, Ordering::Acquire) {
            return Known::AsItIs;
        }
        match make() {
            Known::NoRoom => {
                claimed.store(false, Ordering::Release);
                Known::NoRoom
            }
            Known::AsItIs => {
                let _ = result.set(None);
                Known::AsItIs
            }
            Known::Coded(made) => {
                let _ = result.set(Some(Arc::clone(&made)));
                Known::Coded(made)
            }
        }
    }

    /// The variant that `make` made of the sibling `found`, or makes now if it is another than the last time.
    pub(super) fn sibling(
        &self,
        coding: Coding,
        found: Option<Arc<Entry>>,
        make: impl FnOnce(&Entry) -> Option<Arc<Entry>>,
    ) -> Option<Arc<Entry>> {
        let place = &self.siblings[coding as usize];
        let known = place.load();
        let Some(found) = found else {
            if known.is_some() {
                place.store(None);
            }
            return None;
        };
        if let Some(known) = &*known
            && Arc::ptr_eq(&known.of, &found)
        {
            return known.variant.clone();
        }
        let variant = make(&found);
        place.store(Some(Arc::new(Sibling { of: found, variant: variant.clone() })));
        variant
    }
}

/// Files about which something was told, so that it is told once.
#[derive(Debug, Default)]
pub(super) struct Told {
    names: Mutex<Vec<(Box<[u8]>, Coding)>>,
}

impl Told {
    /// Of more files nothing is told: whoever reads of so many knows.
    const MOST: usize = 100;

    /// Of how many files something was told.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.names.lock().unwrap().len()
    }

    /// Tells that the sibling of `name` is older than the file, and so not used.
    pub(super) fn stale(&self, name: &Name, coding: Coding) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known = names.iter().any(|(known, of)| **known == *name.as_bytes() && *of == coding);
        if known || names.len() == Told::MOST {
            return;
        }
        names.push((name.as_bytes().into(), coding));
        drop(names);
        let file = name.as_bytes().escape_ascii();
        let extension = coding.extension();
        tracing::warn!("{file}.{extension} is older than {file} and is not used; compress that file again");
    }
}
