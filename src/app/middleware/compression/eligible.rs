//! Whether a response may be compressed, as far as that does not depend on the client.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::app::response::Response;
use crate::semantics::compressible::is_compressible;

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eligible {
    /// It stays as it is.
    No,
    /// It has no body, but speaks of one that may have been compressed.
    NotModified,
    /// It is compressed for those who want that.
    Yes,
}

/// Judges by status, length and fields. Short bodies, which are many, are told first.
pub(super) fn judge(response: &Response, min_size: u64) -> Eligible {
    if response.status() == StatusCode::NOT_MODIFIED {
        let open = response.headers().iter().all(|(name, value)| allows(name, value));
        return if open { Eligible::NotModified } else { Eligible::No };
    }
    if response.body().length().is_some_and(|length| length < min_size.max(1)) || !may_be_coded(response.status()) {
        return Eligible::No;
    }
    let typed = response.headers().get(&CONTENT_TYPE).is_some_and(|value| is_compressible(value.as_bytes()));
    if typed && response.headers().iter().all(|(name, value)| allows(name, value)) {
        Eligible::Yes
    } else {
        Eligible::No
    }
}

/// Whether responses of this status have a body that is all of a representation.
fn may_be_coded(status: StatusCode) -> bool {
    const NEVER: [StatusCode; 3] = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT];
    !status.is_informational() && !NEVER.contains(&status)
}

/// Whether a field leaves it open in which coding the body goes out.
fn allows(name: &HeaderName, value: &HeaderValue) -> bool {
    match *name {
        CONTENT_ENCODING | CONTENT_RANGE => false,
        CACHE_CONTROL => !lists(value, "no-transform"),
        // Whoever made the response has negotiated.
        VARY => !lists(value, "accept-encoding"),
        // RFC 9530, RFC 3230 and RFC 2616: made of the bytes that are sent.
        _ => !["content-digest", "repr-digest", "digest", "content-md5"].contains(&name.as_str()),
    }
}

/// Whether `item` is in a list, in any case.
fn lists(list: &HeaderValue, item: &str) -> bool {
    let mut items = list.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    items.any(|listed| listed.eq_ignore_ascii_case(item.as_bytes()))
}
