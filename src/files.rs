//! Static files, layer 4: an ordinary handler on the public API. Knows file systems, and no sockets.
//!
//! A request takes five steps, each of which has a place of its own: `name` decides what a name may be, a look-up finds
//! the current version of the file (`open` and `walk` beneath the root, `entry` with what `stamp` says about it),
//! `encoding` chooses what is sent for it, and `representation` answers, with all of it, parts of it (`multipart`) or
//! only that it has not changed. If there is no such file, `fallback` knows what to do.
//!
//! Files should be replaced by renaming a new one over the old, as `mv`, package managers and ConfigMaps do. One
//! that is rewritten in place can be seen half-written, and if it shrinks while it is sent, the connection is aborted.

mod cache;
mod encoding;
mod entry;
mod fallback;
mod multipart;
mod name;
mod open;
mod policy;
mod refusal;
mod representation;
mod stamp;
mod walk;
pub mod welcome;

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderValue, Method};

use self::cache::{Cache, Source};
use self::entry::Entry;
use self::name::Name;
use self::open::Root;
use self::policy::Policy;
use self::refusal::Refusal;
use self::representation::Representation;
use self::stamp::Clock;
use crate::app::response::Response;
use crate::semantics::head::RequestHead;

/// The files beneath one directory.
///
/// The directory is opened once. What it contains may change at any time, links included, so a mounted ConfigMap
/// works; a change is seen within a second. A directory that is itself moved away and replaced is seen only by a new `Files`.
#[derive(Debug)]
pub struct Files {
    root: Root,
    policy: Policy,
    clock: Clock,
    cache: Cache,
}

impl Files {
    /// The files beneath `root`. Fails when it is not a directory or may not be searched.
    pub fn new(root: &Path) -> io::Result<Files> {
        let (root, cache) = (Root::new(root)?, Cache::new(cache::DEFAULT_BYTES));
        Ok(Files { root, policy: Policy::default(), clock: Clock::default(), cache })
    }

    /// How much memory may be used to keep small files and what is known about files, in bytes; 0 keeps nothing.
    /// Default: 16 MiB. What is kept is at most a second old when it is served.
    pub fn with_cache_bytes(self, bytes: usize) -> Files {
        self.set_cache_bytes(bytes);
        self
    }

    /// As [`with_cache_bytes`](Self::with_cache_bytes), while files are being served.
    pub fn set_cache_bytes(&self, bytes: usize) {
        self.cache.set_bytes(bytes);
    }

    /// Lets go of memory and descriptors of files that nobody has asked for lately. A deleted file takes no space on its
    /// disk any more once its descriptor is closed, so this should be called every few seconds; requests do it only
    /// when they need the room.
    pub fn sweep(&self) {
        self.cache.sweep();
    }

    /// Sets the Cache-Control field of 200, 206 and 304 answers. Default: none, and browsers use their own judgement.
    pub fn with_cache_control(self, value: Option<HeaderValue>) -> Files {
        self.set_cache_control(value);
        self
    }

    /// As [`with_cache_control`](Self::with_cache_control), while files are being served: for the answers from now on.
    pub fn set_cache_control(&self, value: Option<HeaderValue>) {
        self.policy.set(value);
    }

    /// Whether the path given to [`Files::new`] still leads to the directory that was opened, and to no other that has
    /// taken its place. For a health check; costs two system calls.
    pub fn check(&self) -> io::Result<()> {
        self.root.check()
    }

    /// Answers a request for `path`, the still percent-encoded part of the target's path below the mount point:
    /// without the slash that ends the mount point, and empty for the mount point itself.
    ///
    /// | what is found | answer |
    /// |---|---|
    /// | a regular file | 200, 206, 304, 412 or 416 |
    /// | a directory, named with a slash at the end | its `index.html`, or 404 |
    /// | a directory, named without | 301 to the name with the slash, query kept |
    /// | anything else, nothing, something outside the root, a name with a segment that starts with a dot | 404 |
    /// | a file the process may not read | 403, as from nginx |
    /// | a path with a broken percent-escape or a NUL | 400 |
    /// | any method but GET and HEAD | 405 |
    /// | no file descriptor or memory left | 503 |
    pub fn serve(&self, head: &RequestHead, path: &str) -> Response {
        if ![Method::GET, Method::HEAD].contains(head.method()) {
            return refusal::method_not_allowed();
        }
        self.find(head, path).unwrap_or_else(|refusal| refusal.into_response(path))
    }

    fn find(&self, head: &RequestHead, path: &str) -> Result<Response, Refusal> {
        let name = Name::parse(path)?;
        if name.is_mount_point() && !head.path().ends_with('/') {
            return fallback::redirect_to_directory(head);
        }
        match self.lookup(&name) {
            Ok(entry) => self.answer(head, &name, entry),
            Err(refusal) => fallback::answer(self, head, &name, refusal),
        }
    }

    /// The answer with `entry`, the current version of the file `name`.
    fn answer(&self, head: &RequestHead, name: &Name, entry: Arc<Entry>) -> Result<Response, Refusal> {
        let variant = encoding::choose(self, head, name, entry)?;
        Representation::new(&variant, self.policy.of(name).as_deref()).answer(head)
    }

    /// The current version of the regular file `name`.
    fn lookup(&self, name: &Name) -> Result<Arc<Entry>, Refusal> {
        self.cache.look_up(Source { root: &self.root, clock: &self.clock }, name)
    }
}

#[cfg(test)]
mod tests;
