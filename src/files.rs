//! Static files, layer 4: an ordinary handler on the public API. Knows file systems, and no sockets.
//!
//! One request costs three system calls and a close: open (by the kernel kept beneath the root), fstat, and one read
//! for a file of at most 64 KiB; a larger one is left to the server's
//! sendfile. What a name may be is decided in `name`, how it is found in `open` and `walk`, what is said about
//! the file in `stamp`, and what is sent of it in `representation` and `multipart`.
//!
//! Files should be replaced by renaming a new one over the old, as `mv`, package managers and ConfigMaps do. One
//! that is rewritten in place can be seen half-written, and if it shrinks while it is sent, the connection is aborted.

mod multipart;
mod name;
mod open;
mod refusal;
mod representation;
mod stamp;
mod walk;
pub mod welcome;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderValue, Method, StatusCode, header};
use rustix::fs::FileType;

use self::name::Name;
use self::open::Root;
use self::refusal::Refusal;
use self::representation::Representation;
use self::stamp::{Clock, Stamp};
use crate::app::response::Response;
use crate::semantics::head::RequestHead;

/// The files beneath one directory.
///
/// The directory is opened once. What it contains may change at any time, links included, so a mounted ConfigMap
/// works; a directory that is itself moved away and replaced is seen only by a new `Files`.
#[derive(Debug)]
pub struct Files {
    root: Root,
    cache_control: ArcSwapOption<HeaderValue>,
    clock: Clock,
}

impl Files {
    /// The files beneath `root`. Fails when it is not a directory or may not be searched.
    pub fn new(root: &Path) -> io::Result<Files> {
        Ok(Files { root: Root::new(root)?, cache_control: ArcSwapOption::empty(), clock: Clock::default() })
    }

    /// Sets the Cache-Control field of 200, 206 and 304 answers. Default: none, and browsers use their own judgement.
    pub fn with_cache_control(self, value: Option<HeaderValue>) -> Files {
        self.set_cache_control(value);
        self
    }

    /// As [`with_cache_control`](Self::with_cache_control), while files are being served: for the answers from now on.
    pub fn set_cache_control(&self, value: Option<HeaderValue>) {
        self.cache_control.store(value.map(Arc::new));
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
            return redirect_to_directory(head);
        }
        let file = self.root.open(name.as_c_str())?;
        let stat = rustix::fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory if !name.is_index() => return redirect_to_directory(head),
            _ => return Err(Refusal::NotFound),
        }
        let stamp = Stamp::new(&stat, &self.clock);
        let cache_control = self.cache_control.load();
        Representation::new(File::from(file), &stat, &stamp, name.as_bytes(), cache_control.as_deref()).answer(head)
    }
}

/// 301 to the same path with a slash. The reference is relative to the last segment, so it stays right behind a proxy
/// that strips a prefix, and cannot be made to name another host, as `//host/` would.
fn redirect_to_directory(head: &RequestHead) -> Result<Response, Refusal> {
    let segment = head.path().rsplit('/').next().unwrap_or_default();
    let location = match head.query() {
        Some(query) => format!("./{segment}/?{query}"),
        None => format!("./{segment}/"),
    };
    let location = HeaderValue::try_from(location).map_err(|_| Refusal::Malformed)?;
    Ok(Response::new(StatusCode::MOVED_PERMANENTLY).with_header(header::LOCATION, location))
}

#[cfg(test)]
mod tests;
