//! What is answered for a name under which there is no regular file.

use http::{HeaderValue, StatusCode, header};

use super::Files;
use super::name::Name;
use super::refusal::Refusal;
use crate::app::response::Response;
use crate::semantics::head::RequestHead;

/// The answer for `name`, under which a look-up found `refusal` instead of a file.
pub(super) fn answer(_: &Files, head: &RequestHead, name: &Name, refusal: Refusal) -> Result<Response, Refusal> {
    match refusal {
        Refusal::Directory if !name.is_index() => redirect_to_directory(head),
        // The index of a directory is a directory itself.
        Refusal::Directory => Err(Refusal::NotFound),
        refusal => Err(refusal),
    }
}

/// 301 to the same path with a slash. The reference is relative to the last segment, so it stays right behind a proxy
/// that strips a prefix, and cannot be made to name another host, as `//host/` would.
pub(super) fn redirect_to_directory(head: &RequestHead) -> Result<Response, Refusal> {
    let segment = head.path().rsplit('/').next().unwrap_or_default();
    let location = match head.query() {
        Some(query) => format!("./{segment}/?{query}"),
        None => format!("./{segment}/"),
    };
    let location = HeaderValue::try_from(location).map_err(|_| Refusal::Malformed)?;
    Ok(Response::new(StatusCode::MOVED_PERMANENTLY).with_header(header::LOCATION, location))
}
