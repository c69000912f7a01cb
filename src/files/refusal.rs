//! Why a file is not served, and the answer to that.

use http::{HeaderValue, StatusCode, header};
use rustix::io::Errno;

use crate::app::response::Response;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The path is not one at all.
    Malformed,
    /// There is no such file, or none that anybody should know of.
    NotFound,
    /// It is a directory, which is no refusal for long: `fallback` knows what to do.
    Directory,
    /// The process may not read it.
    Forbidden,
    /// Not for the moment: the process or the system is out of something, a network file system has lost what it had
    /// just found, or somebody holds a lease on the file.
    NotNow(Errno),
    /// The file system failed.
    Failed(Errno),
    /// The file ended before the length it had a moment ago.
    Shrunk,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Refusal {
        match errno {
            // XDEV and LOOP: a link that leads out of the root or in circles. NXIO and NODEV: a socket or a device
            // without a driver. INVAL and ILSEQ: a name the file system cannot have.
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::XDEV | Errno::LOOP => Refusal::NotFound,
            Errno::NXIO | Errno::NODEV | Errno::INVAL | Errno::ILSEQ => Refusal::NotFound,
            Errno::ACCESS | Errno::PERM => Refusal::Forbidden,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::STALE | Errno::AGAIN => Refusal::NotNow(errno),
            _ => Refusal::Failed(errno),
        }
    }
}

impl Refusal {
    /// The answer; what an operator has to know is logged with the `path` that was asked for.
    pub(super) fn into_response(self, path: &str) -> Response {
        match self {
            Refusal::Malformed => plain(StatusCode::BAD_REQUEST),
            Refusal::NotFound | Refusal::Directory => plain(StatusCode::NOT_FOUND),
            Refusal::Forbidden => plain(StatusCode::FORBIDDEN),
            Refusal::NotNow(errno) => {
                tracing::warn!(path, error = %errno, "cannot open a static file for the moment");
                plain(StatusCode::SERVICE_UNAVAILABLE).with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            Refusal::Failed(errno) => {
                tracing::error!(path, error = %errno, "cannot read a static file");
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Refusal::Shrunk => {
                tracing::warn!(path, "a static file shrank while it was read; replace files by renaming");
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

/// The answer to a method that files do not have.
pub(super) fn method_not_allowed() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED).with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
}

/// An answer whose body is its status in words.
pub(super) fn plain(status: StatusCode) -> Response {
    Response::new(status)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))
        .with_body(status.canonical_reason().unwrap_or_default())
}
