//! Which of the codings that a file can be had in is sent. For now there is one: none.

use std::sync::Arc;

use http::HeaderValue;

use super::Files;
use super::entry::Entry;
use super::name::Name;
use super::refusal::Refusal;
use crate::semantics::head::RequestHead;

/// What was chosen to be sent for a name.
#[derive(Debug)]
pub(super) struct Variant {
    /// The file itself, or one that has its content in a coding.
    pub(super) entry: Arc<Entry>,
    /// What the content is when it is decoded.
    pub(super) media_type: HeaderValue,
    /// Content-Encoding, if there is a coding.
    pub(super) content_encoding: Option<HeaderValue>,
    /// Whether another Accept-Encoding could have led to another choice.
    pub(super) varies: bool,
}

/// Chooses what is sent to the client of `head` for the file `name`, of which `entry` is the current version.
pub(super) fn choose(_: &Files, _: &RequestHead, _: &Name, entry: Arc<Entry>) -> Result<Variant, Refusal> {
    let media_type = entry.media_type.clone();
    Ok(Variant { entry, media_type, content_encoding: None, varies: false })
}
