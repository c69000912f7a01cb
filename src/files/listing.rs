//! What is in a directory: as a page for people, or as JSON for programs, in the shape that nginx gives them.
//!
//! Only what can be asked for is shown: no dotfiles, no links that lead outside the root or nowhere, no sockets. A
//! directory with very many entries is cut off, so that nobody can make the server read and sort without end.

mod page;

use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue, StatusCode, header};
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use serde_json::json;

pub(super) use self::page::escaped;
use super::Files;
use super::fallback::vary_by_client;
use super::name::Name;
use super::refusal::Refusal;
use super::stamp::tells_version;
use crate::app::response::Response;
use crate::semantics::accept;
use crate::semantics::date;
use crate::semantics::head::RequestHead;

/// The most entries that are shown. To read, sort and write so many takes some hundredths of a second.
const MOST: usize = 5_000;

/// The most entries that are looked at, of which some may not be shown.
const MOST_READ: usize = 4 * MOST;

/// What is in a directory.
#[derive(Debug, Default)]
struct Listing {
    /// In the order they are shown.
    items: Vec<Item>,
    /// Whether there are more.
    is_cut: bool,
}

#[derive(Debug, PartialEq)]
struct Item {
    name: Vec<u8>,
    is_directory: bool,
    /// In bytes.
    size: u64,
    modified: Option<SystemTime>,
    /// By which it is sorted among its like: in lower case.
    key: String,
}

/// What the items are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Column {
    #[default]
    Name,
    Size,
    Modified,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Order {
    by: Column,
    is_descending: bool,
}

/// The list of what is in the directory whose index is called `index`.
pub(super) fn answer(files: &Files, head: &RequestHead, index: &Name) -> Result<Response, Refusal> {
    let order = Order::parse(head.query().unwrap_or_default());
    let mut listing = read(files, index)?;
    listing.sort(order);
    let mut response =
        if wants_json(head) { as_json(&listing) } else { page::answer(&listing, order, head.path(), index) };
    response.headers_mut().append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
        .headers_mut()
        .append(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    vary_by_client(&mut response);
    Ok(response)
}

/// Reads the directory, which is opened beneath the root as files are.
fn read(files: &Files, index: &Name) -> Result<Listing, Refusal> {
    let path = directory_of(index);
    let path = CString::new(if path.is_empty() { b"." } else { path }).map_err(|_| Refusal::NotFound)?;
    let directory = files.root.open(&path)?;
    if !is(&rustix::fs::fstat(&directory)?, FileType::Directory) {
        return Err(Refusal::NotFound);
    }
    let mut listing = Listing::default();
    let mut looked_at = 0;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        if !can_be_asked_for(entry.file_name()) {
            continue;
        }
        looked_at += 1;
        if listing.items.len() == MOST || looked_at > MOST_READ {
            listing.is_cut = true;
            break;
        }
        listing.items.extend(item(files, &directory, &path, entry.file_name()));
    }
    Ok(listing)
}

/// The name of the directory that `index` is the index of: empty for the root, else with a slash at the end.
fn directory_of(index: &Name) -> &[u8] {
    let name = index.as_bytes();
    &name[..memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1)]
}

/// Whether a path can have this name in it; see `name`.
fn can_be_asked_for(name: &CStr) -> bool {
    let name = name.to_bytes();
    !name.starts_with(b".") && !name.contains(&b'\\')
}

/// `None` for what has gone, and for what would get 404.
fn item(files: &Files, directory: &OwnedFd, path: &CStr, name: &CStr) -> Option<Item> {
    let mut stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if is(&stat, FileType::Symlink) {
        let path = [path.to_bytes(), b"/", name.to_bytes()].concat();
        let target = files.root.open(&CString::new(path).ok()?).ok()?;
        stat = rustix::fs::fstat(target).ok()?;
    }
    let is_directory = is(&stat, FileType::Directory);
    if !is_directory && !is(&stat, FileType::RegularFile) {
        return None;
    }
    let modified = tells_version(&stat).then(|| Duration::from_secs(stat.st_mtime.unsigned_abs()));
    Some(Item {
        name: name.to_bytes().to_vec(),
        is_directory,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: modified.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since)),
        key: name.to_string_lossy().to_lowercase(),
    })
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

impl Listing {
    /// Directories first, and by name what is otherwise alike.
    fn sort(&mut self, order: Order) {
        self.items.sort_by(|a, b| {
            let by_name = || a.key.cmp(&b.key).then_with(|| a.name.cmp(&b.name));
            let ascending = match order.by {
                Column::Name => by_name(),
                // The size of a directory says nothing.
                Column::Size if a.is_directory => by_name(),
                Column::Size => a.size.cmp(&b.size).then_with(by_name),
                Column::Modified => a.modified.cmp(&b.modified).then_with(by_name),
            };
            let wanted = if order.is_descending { ascending.reverse() } else { ascending };
            b.is_directory.cmp(&a.is_directory).then(wanted)
        });
    }
}

impl Order {
    /// From a query such as `sort=size&order=desc`. What is not understood is left out.
    fn parse(query: &str) -> Order {
        let mut order = Order::default();
        for pair in query.split('&') {
            match pair {
                "sort=name" => order.by = Column::Name,
                "sort=size" => order.by = Column::Size,
                "sort=modified" => order.by = Column::Modified,
                "order=asc" => order.is_descending = false,
                "order=desc" => order.is_descending = true,
                _ => {}
            }
        }
        order
    }
}

fn wants_json(head: &RequestHead) -> bool {
    let [json, html] =
        ["application/json", "text/html"].map(|name| accept::media_type(head.values("accept"), name, &[]));
    json > html
}

/// As nginx's `autoindex_format json`, with the reference to each entry, since a name need not be text. That there are more
/// is said in a field, since a list has no room for it.
fn as_json(listing: &Listing) -> Response {
    let entries = listing.items.iter().map(|item| {
        let kind = if item.is_directory { "directory" } else { "file" };
        let mut entry = json!({ "name": String::from_utf8_lossy(&item.name), "type": kind, "href": item.reference() });
        if let Some(time) = item.modified {
            entry["mtime"] = String::from_utf8_lossy(&date::format(time)).into();
        }
        if !item.is_directory {
            entry["size"] = item.size.into();
        }
        entry
    });
    let entries: Vec<_> = entries.collect();
    let mut response = Response::new(StatusCode::OK)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))
        .with_body(serde_json::Value::from(entries).to_string());
    if listing.is_cut {
        response.headers_mut().append(HeaderName::from_static("x-truncated"), HeaderValue::from_static("true"));
    }
    response
}

impl Item {
    /// The way to it from the directory. It starts with `./`, so that no name is taken for a scheme or a host.
    fn reference(&self) -> String {
        let mut reference = String::with_capacity(self.name.len() + 3);
        reference.push_str("./");
        encode(&self.name, &mut reference);
        reference.extend(self.is_directory.then_some('/'));
        reference
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn encode(name: &[u8], reference: &mut String) {
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            reference.push(char::from(byte));
        } else {
            write!(reference, "%{byte:02X}").expect("a String takes everything");
        }
    }
}

#[cfg(test)]
mod tests;
