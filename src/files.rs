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
mod listing;
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
use self::encoding::Encodings;
use self::entry::Entry;
pub use self::fallback::Spa;
use self::name::Name;
use self::open::Root;
pub use self::policy::Options;
use self::policy::Policy;
use self::refusal::Refusal;
use self::representation::Representation;
use self::stamp::Clock;
use crate::app::method::{MethodRouter, get};
use crate::app::request::Received;
use crate::app::response::Response;
use crate::semantics::accept_encoding::Coding;
use crate::semantics::head::RequestHead;

/// What metrics and logs call the route of static files, whose paths are without number.
pub const LABEL: &str = "_static";

/// The files beneath one directory.
///
/// What the directory contains may change at any time, links included, so a mounted ConfigMap works; a change is seen
/// within a second. So is another directory in its place, or a link that leads to another, as git-sync makes them.
#[derive(Debug)]
pub struct Files {
    root: Root,
    policy: Policy,
    clock: Clock,
    cache: Cache,
    encodings: Encodings,
}

impl Files {
    /// The files beneath `root`. Fails when it is not a directory or may not be searched.
    pub fn new(root: &Path) -> io::Result<Files> {
        let (root, cache) = (Root::new(root)?, Cache::new(cache::DEFAULT_BYTES));
        Ok(Files { root, policy: Policy::default(), clock: Clock::default(), cache, encodings: Encodings::default() })
    }

    /// How much memory may be used to keep small files and what is known about files, in bytes; 0 keeps nothing.
    /// Default: 16 MiB. What is kept is at most a second old when it is served.
    #[must_use]
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
    #[must_use]
    pub fn with_cache_control(self, value: Option<HeaderValue>) -> Files {
        self.policy.change(|options| options.cache_control = value);
        self
    }

    /// Whether files whose names hold a hash of their content may be cached for a year; see [`Options::immutable`].
    /// Default: no.
    #[must_use]
    pub fn with_immutable(self, immutable: bool) -> Files {
        self.policy.change(|options| options.immutable = immutable);
        self
    }

    /// Paths of requests below which the same holds for every file but HTML pages; see [`Options::immutable_below`].
    #[must_use]
    pub fn with_immutable_below(self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Files {
        self.policy.change(|options| options.immutable_below = prefixes.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the page of a single-page application, answered for paths that are none of a file. Default: none.
    #[must_use]
    pub fn with_spa(self, spa: Spa) -> Files {
        self.policy.change(|options| options.spa = Some(spa));
        self
    }

    /// Whether directories without `index.html` are answered with a list of what is in them, as a page or, for clients
    /// whose Accept names it, as JSON. Default: no, they are 404.
    #[must_use]
    pub fn with_listing(self, listing: bool) -> Files {
        self.policy.change(|options| options.listing = listing);
        self
    }

    /// Sets all options, also while files are being served: for the answers from now on.
    pub fn set_options(&self, options: Options) {
        self.policy.set(options);
    }

    /// The name of the single-page application's page, if there is none such at the moment. For a warning at start.
    pub fn missing_page(&self) -> Option<String> {
        let rules = self.policy.rules();
        let page = rules.options.spa.as_ref()?.page();
        self.lookup(page).is_err().then(|| String::from_utf8_lossy(page.as_bytes()).into_owned())
    }

    /// The route that answers with these files what lies below `prefix`; empty for what no other route matches.
    ///
    /// ```no_run
    /// use rws::files::{Files, Spa};
    /// use rws::{App, get};
    ///
    /// let site = Files::new("site".as_ref())?.with_spa(Spa::new("index.html")?.except(["/api"]));
    /// let app = App::new().route("/api/time", get(|| "late")).fallback_route(site.route(""));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// To give them a place of their own, mount the route at `/docs`, `/docs/` and `/docs/{*path}`.
    pub fn route(self, prefix: &str) -> MethodRouter {
        Arc::new(self).shared_route(prefix)
    }

    /// The same for files that are used elsewhere, too.
    pub fn shared_route(self: &Arc<Self>, prefix: &str) -> MethodRouter {
        let (files, prefix) = (self.clone(), prefix.trim_end_matches('/').to_owned());
        get(move |received: Arc<Received>| {
            let path = received.head.path().strip_prefix(&prefix).unwrap_or_default();
            files.serve(&received.head, path.strip_prefix('/').unwrap_or(path))
        })
        .label(LABEL)
    }

    /// Sets the content codings in which files may be sent to clients that accept them. Default: all that this build has; with
    /// none, files go out as they are.
    ///
    /// A file `x.js` is sent from `x.js.br`, `x.js.zst` or `x.js.gz` beside it, provided that is no older; what has none
    /// is compressed if its type is worth it and it has 1 KiB or more. What is compressed here is kept, as far as the
    /// memory of the cache goes.
    #[must_use]
    pub fn with_compression(self, codings: &[Coding]) -> Files {
        self.set_compression(codings);
        self
    }

    /// As [`with_compression`](Self::with_compression), while files are being served.
    pub fn set_compression(&self, codings: &[Coding]) {
        self.encodings.allow(codings);
    }

    /// Whether the path given to [`Files::new`] leads to a directory. For a health check; costs two system calls. If it is
    /// another one than before, that is used from now on.
    pub fn check(&self) -> io::Result<()> {
        self.root.follow()
    }

    /// Answers a request for `path`, the still percent-encoded part of the target's path below the mount point:
    /// without the slash that ends the mount point, and empty for the mount point itself.
    ///
    /// | what is found | answer |
    /// |---|---|
    /// | a regular file | 200, 206, 304, 412 or 416 |
    /// | a directory, named with a slash at the end | its `index.html`, or a list of what is in it if that is switched on |
    /// | a directory, named without | 301 to the name with the slash, query kept |
    /// | nothing, and the client wants a page | the page of a single-page application, if there is one |
    /// | anything else, something outside the root, a name with a segment that starts with a dot | 404 |
    /// | a file the process may not read | 403, as from nginx |
    /// | a path with a broken percent-escape or a NUL | 400 |
    /// | any method but GET and HEAD | 405 |
    /// | no file descriptor or memory left | 503 |
    ///
    /// The bodies of 403 and 404 are the root's `403.html` and `404.html`, if it has them, for clients that want a page.
    pub fn serve(&self, head: &RequestHead, path: &str) -> Response {
        if ![Method::GET, Method::HEAD].contains(head.method()) {
            return refusal::method_not_allowed();
        }
        self.find(head, path).unwrap_or_else(|refusal| fallback::refuse(self, head, path, refusal))
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
        let rules = self.policy.rules();
        let cache_control = rules.cache_control(head, &entry);
        let variant = encoding::choose(self, head, name, entry)?;
        Representation::new(&variant, cache_control).answer(head)
    }

    /// The current version of the regular file `name`.
    fn lookup(&self, name: &Name) -> Result<Arc<Entry>, Refusal> {
        self.cache.look_up(self.source(), name)
    }

    /// Whether the file `name` is at this moment the version `entry`, whatever is remembered.
    fn is_current(&self, name: &Name, entry: &Entry) -> bool {
        entry::open(self.source(), name).is_ok_and(|(_, stat)| entry.is_version(&stat))
    }

    fn source(&self) -> Source<'_> {
        Source { root: &self.root, clock: &self.clock }
    }
}

#[cfg(test)]
mod tests;
