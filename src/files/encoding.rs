//! Which of the codings that a file can be had in is sent: the file itself, a file beside it that has its content
//! compressed, or what was compressed here. Knows nothing of ranges and conditions but that they are about the file itself.

mod codings;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

pub(super) use self::codings::Codings;
use self::codings::{Known, Told};
use super::Files;
use super::entry::Entry;
use super::name::Name;
use super::refusal::Refusal;
use crate::app::body::Body;
use crate::app::compression::Compressor;
use crate::app::permits::{Permit, Permits};
use crate::semantics::accept_encoding::{Accepted, Coding};
use crate::semantics::head::RequestHead;

/// Shorter files are not compressed: they fit into the client's first packet anyway.
const MIN_SIZE: u64 = 1024;

/// Files of up to this many bytes are compressed once, which takes some 50 ms, and the result is kept.
const MOST_KEPT: u64 = 2 << 20;

/// How many longer files, or files that are not kept, may be compressed at the same time, while they are sent.
const MAX_STREAMS: usize = 32;

/// The order among equally wanted codings for what is compressed once: the shortest first.
const SHORTEST: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// And for what is compressed while it is sent: what takes the least time and memory first.
const CHEAPEST: [Coding; 3] = [Coding::Zstd, Coding::Gzip, Coding::Brotli];

/// What was chosen to be sent for a name.
#[derive(Debug)]
pub(super) struct Variant {
    /// The file itself, or its content in a coding.
    pub(super) entry: Arc<Entry>,
    /// The content is still to be put into the coding of which the entry speaks.
    pub(super) stream: Option<Stream>,
    /// Whether another Accept-Encoding could have led to another choice.
    pub(super) varies: bool,
}

/// How a file is compressed while it is sent.
#[derive(Debug)]
pub(super) struct Stream {
    compressor: Compressor,
    permit: Permit,
}

impl Stream {
    /// `content` in the coding.
    pub(super) fn of(&self, content: Body) -> Body {
        Body::reader(self.compressor.stream(content, self.permit.clone()).without_flushing(), None)
    }
}

/// What holds for all files.
#[derive(Debug)]
pub(super) struct Encodings {
    /// A bit for each coding that may be sent.
    allowed: AtomicU8,
    permits: Permits,
    told: Told,
}

impl Default for Encodings {
    fn default() -> Self {
        let encodings =
            Encodings { allowed: AtomicU8::new(0), permits: Permits::new(MAX_STREAMS), told: Told::default() };
        encodings.allow(Coding::AVAILABLE);
        encodings
    }
}

impl Encodings {
    /// Has these sent from now on, as far as this build has them, and no others.
    pub(super) fn allow(&self, codings: &[Coding]) {
        let built = codings.iter().filter(|coding| Coding::AVAILABLE.contains(coding));
        self.allowed.store(built.fold(0, |bits, &coding| bits | bit(coding)), Ordering::Relaxed);
    }

    /// Those that may be sent and are wanted, the most wanted first.
    fn ranked(&self, accepted: Accepted, preference: &[Coding]) -> impl Iterator<Item = Coding> + use<> {
        let allowed = self.allowed.load(Ordering::Relaxed);
        accepted.ranked(preference).filter(move |&coding| allowed & bit(coding) != 0)
    }
}

fn bit(coding: Coding) -> u8 {
    1 << coding as u8
}

/// Chooses what is sent to the client of `head` for the file `name`, of which `entry` is the current version.
///
/// The most wanted coding is sent, and among equals a file that is there before one that is still to be made. Requests for
/// ranges and with If-Match are about the file itself, whose tag is strong.
pub(super) fn choose(files: &Files, head: &RequestHead, name: &Name, entry: Arc<Entry>) -> Result<Variant, Refusal> {
    let varies = entry.codings.may_be_coded() && files.encodings.allowed.load(Ordering::Relaxed) != 0;
    let accepted = if varies { Accepted::of(head.values("accept-encoding")) } else { Accepted::NOTHING };
    if accepted.is_nothing() || head.field("range").is_some() || head.field("if-match").is_some() {
        return Ok(Variant { entry, stream: None, varies });
    }
    let (entry, stream) = coded(files, name, &entry, accepted).unwrap_or((entry, None));
    Ok(Variant { entry, stream, varies })
}

type Chosen = (Arc<Entry>, Option<Stream>);

fn coded(files: &Files, name: &Name, entry: &Arc<Entry>, accepted: Accepted) -> Option<Chosen> {
    let best = files.encodings.ranked(accepted, &SHORTEST).next()?;
    let mut ranked = files.encodings.ranked(accepted, &SHORTEST);
    let there = ranked.find_map(|coding| Some((coding, beside(files, name, entry, coding)?)));
    match there {
        Some((coding, sibling)) if accepted.weight(coding) == accepted.weight(best) => Some((sibling, None)),
        Some((_, sibling)) => made(files, entry, accepted).or(Some((sibling, None))),
        None => made(files, entry, accepted),
    }
}

/// The content of the file beside it that has its content in `coding`, if there is one and it is no older.
fn beside(files: &Files, name: &Name, entry: &Arc<Entry>, coding: Coding) -> Option<Arc<Entry>> {
    let beside = name.beside(coding.extension());
    let found = files.lookup(&beside).ok();
    entry.codings.sibling(coding, found, |found| {
        if found.is_older_than(entry) {
            // When both were just replaced, only this one may be remembered as it was before.
            if files.is_current(&beside, found) {
                files.encodings.told.stale(name, coding);
            }
            return None;
        }
        Some(Arc::new(entry.precompressed(coding, found)))
    })
}

/// What is compressed here: once, if it can be kept, else for this client alone.
fn made(files: &Files, entry: &Arc<Entry>, accepted: Accepted) -> Option<Chosen> {
    if !entry.codings.is_compressible() || entry.length < MIN_SIZE {
        return None;
    }
    if entry.is_held() && entry.length <= MOST_KEPT {
        let coding = files.encodings.ranked(accepted, &SHORTEST).next()?;
        match entry.codings.made(coding, || make(files, entry, coding)) {
            Known::Coded(made) => return Some((made, None)),
            Known::AsItIs => return None,
            Known::NoRoom => {}
        }
    }
    let coding = files.encodings.ranked(accepted, &CHEAPEST).next()?;
    let compressor = Compressor::each_time(coding).ok()?;
    let permit = files.encodings.permits.try_acquire()?;
    Some((Arc::new(entry.compressing(coding)), Some(Stream { compressor, permit })))
}

/// Compresses the file, to be kept.
fn make(files: &Files, entry: &Entry, coding: Coding) -> Known {
    // It becomes shorter, but how much shorter nobody knows.
    let Some(mut room) = files.cache.reserve(entry.length as usize) else { return Known::NoRoom };
    let content = entry.body_later(0, entry.length).into_bytes();
    let compressor = Compressor::once(coding).map_err(io::Error::other);
    let coded = compressor.and_then(|compressor| compressor.whole(&content?));
    match coded {
        // What was written into the file meanwhile is another version's.
        Ok(_) if !entry.is_untouched() => Known::AsItIs,
        Ok(Some(coded)) => {
            room.shrink_to(coded.len());
            Known::Coded(Arc::new(entry.compressed(coding, coded, room)))
        }
        Ok(None) => Known::AsItIs,
        Err(error) => {
            tracing::warn!(coding = coding.name(), %error, "cannot compress a file; it is sent as it is");
            Known::AsItIs
        }
    }
}

#[cfg(test)]
mod tests;
