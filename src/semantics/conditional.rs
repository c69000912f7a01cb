//! Conditional requests (RFC 9110 section 13): whether a request's preconditions hold for what it asks for.

use std::time::SystemTime;

use http::Method;

use super::date;
use super::etag::{self, EntityTag};
use super::head::RequestHead;

/// What a representation that exists can be told apart by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// Its entity tag.
    pub etag: Option<EntityTag<'a>>,
    /// When it was last modified. Compared in whole seconds, as fields carry it.
    pub last_modified: Option<SystemTime>,
}

/// What the preconditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// Do what the request asks for.
    Proceed {
        /// The value of the Range field if it is to be honoured: the method is GET, there is one Range field and
        /// If-Range, if present, holds.
        range: Option<&'a [u8]>,
    },
    /// Answer 304 (Not Modified).
    NotModified,
    /// Answer 412 (Precondition Failed).
    PreconditionFailed,
}

/// Evaluates the preconditions of `head` against a current representation, in the order of RFC 9110 section 13.2.2.
///
/// Dates that do not parse, and fields that may occur once but occur twice, are ignored; an If-Range that is neither
/// a tag nor a date does not hold. A date in If-Range holds when it equals `last_modified` to the second: whether
/// such a date is strong enough is for the client to judge (section 13.1.5), which has an entity tag to use instead.
pub fn evaluate<'a>(head: &'a RequestHead, current: &Validators<'_>) -> Outcome<'a> {
    let method = head.method();
    // Section 13.2.1: methods that neither select nor modify a representation have no preconditions.
    if [Method::CONNECT, Method::OPTIONS, Method::TRACE].contains(method) || !has_preconditions(head) {
        return Outcome::Proceed { range: None };
    }
    let reads = [Method::GET, Method::HEAD].contains(method);

    // Steps 1 and 2.
    let holds = match any_tag(head, "if-match", |tag, own| tag.strong_eq(own), current) {
        Some(matches) => matches,
        None => !is_later_than_field(current, head, "if-unmodified-since").unwrap_or(false),
    };
    if !holds {
        return Outcome::PreconditionFailed;
    }

    // Steps 3 and 4.
    match any_tag(head, "if-none-match", |tag, own| tag.weak_eq(own), current) {
        Some(true) if reads => return Outcome::NotModified,
        Some(true) => return Outcome::PreconditionFailed,
        Some(false) => {}
        None if reads && is_later_than_field(current, head, "if-modified-since") == Some(false) => {
            return Outcome::NotModified;
        }
        None => {}
    }

    // Step 5. Section 14.2: range handling is defined for GET only.
    let range = single(head, "range").filter(|_| *method == Method::GET && if_range_holds(head, current));
    Outcome::Proceed { range }
}

/// Most requests have none of the fields, so they are told apart in one pass over the names.
fn has_preconditions(head: &RequestHead) -> bool {
    head.fields().any(|(name, _)| {
        let name = name.as_bytes();
        name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"if-")) || name.eq_ignore_ascii_case(b"range")
    })
}

/// Whether any tag in the lines of `field` is the representation's own; `None` without such a field.
fn any_tag(
    head: &RequestHead,
    field: &str,
    same: fn(EntityTag<'_>, EntityTag<'_>) -> bool,
    current: &Validators<'_>,
) -> Option<bool> {
    let mut lines = head.values(field).peekable();
    lines.peek()?;
    Some(
        lines.any(|line| {
            etag::is_any(line) || current.etag.is_some_and(|own| etag::list(line).any(|tag| same(tag, own)))
        }),
    )
}

/// Whether the representation was modified after the date in `field`; `None` if either date is missing or invalid.
fn is_later_than_field(current: &Validators<'_>, head: &RequestHead, field: &str) -> Option<bool> {
    let modified = date::to_seconds(current.last_modified?);
    Some(modified > date::parse(single(head, field)?)?)
}

fn if_range_holds(head: &RequestHead, current: &Validators<'_>) -> bool {
    if head.field("if-range").is_none() {
        return true;
    }
    let Some(value) = single(head, "if-range") else { return false };
    match EntityTag::parse(value) {
        Some(tag) => current.etag.is_some_and(|own| tag.strong_eq(own)),
        None => date::parse(value).is_some_and(|at| current.last_modified.map(date::to_seconds) == Some(at)),
    }
}

/// The value of a field that may occur only once; `None` also when it occurs more often.
fn single<'a>(head: &'a RequestHead, name: &str) -> Option<&'a [u8]> {
    let mut values = head.values(name);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::Outcome::{NotModified, PreconditionFailed};
    use super::*;
    use crate::semantics::head::{Field, Span};

    /// A head as the wire parser would make it.
    pub(crate) fn head(method: Method, target: &str, fields: &[(&str, &str)]) -> RequestHead {
        let mut head = RequestHead { method, raw: target.into(), ..RequestHead::default() };
        let path = target.find('?').unwrap_or(target.len());
        head.target = Span::new(0, target.len());
        head.path = Span::new(0, path);
        head.query = (path < target.len()).then(|| Span::new(path + 1, target.len()));
        for (name, value) in fields {
            let name = append(&mut head.raw, name);
            let value = append(&mut head.raw, value);
            head.fields.push(Field { name, value });
        }
        head
    }

    fn append(raw: &mut Vec<u8>, text: &str) -> Span {
        let start = raw.len();
        raw.extend_from_slice(text.as_bytes());
        Span::new(start, raw.len())
    }

    /// Header fields of a request.
    type Fields<'a> = &'a [(&'a str, &'a str)];

    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn check(method: Method, fields: Fields<'_>, etag: Option<&str>, expected: Outcome<'_>) {
        let current = Validators {
            etag: etag.map(|tag| EntityTag::parse(tag.as_bytes()).unwrap()),
            last_modified: date::parse(SAME.as_bytes()).map(|time| time + Duration::from_millis(700)),
        };
        assert_eq!(evaluate(&head(method.clone(), "/", fields), &current), expected, "{method} {fields:?} {etag:?}");
    }

    const PROCEED: Outcome<'_> = Outcome::Proceed { range: None };

    #[test]
    fn get_and_head_in_the_order_of_precedence() {
        let cases: &[(Fields<'_>, Outcome<'_>)] = &[
            (&[], PROCEED),
            (&[("Accept", "*/*"), ("If", "(<x>)")], PROCEED),
            // Step 1.
            (&[("If-Match", "\"a\"")], PROCEED),
            (&[("if-match", "*")], PROCEED),
            (&[("If-Match", "\"b\", \"a\"")], PROCEED),
            (&[("If-Match", "\"b\""), ("If-Match", "\"a\"")], PROCEED),
            (&[("If-Match", "\"b\"")], PreconditionFailed),
            (&[("If-Match", "W/\"a\"")], PreconditionFailed),
            (&[("If-Match", "a")], PreconditionFailed),
            (&[("If-Match", "")], PreconditionFailed),
            (&[("If-Match", "\"b\""), ("If-None-Match", "\"a\"")], PreconditionFailed),
            (&[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], NotModified),
            // Step 2.
            (&[("If-Unmodified-Since", SAME)], PROCEED),
            (&[("If-Unmodified-Since", AFTER)], PROCEED),
            (&[("If-Unmodified-Since", BEFORE)], PreconditionFailed),
            (&[("If-Unmodified-Since", "yesterday")], PROCEED),
            (&[("If-Unmodified-Since", BEFORE), ("If-Unmodified-Since", BEFORE)], PROCEED),
            (&[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)], PROCEED),
            (&[("If-Match", "\"b\""), ("If-Unmodified-Since", AFTER)], PreconditionFailed),
            (&[("If-Unmodified-Since", BEFORE), ("If-None-Match", "\"a\"")], PreconditionFailed),
            // Step 3.
            (&[("If-None-Match", "\"a\"")], NotModified),
            (&[("If-None-Match", "W/\"a\"")], NotModified),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"b\""), ("If-None-Match", "\"c\", \"a\"")], NotModified),
            (&[("If-None-Match", "\"b\"")], PROCEED),
            (&[("If-None-Match", "a")], PROCEED),
            (&[("If-None-Match", "\"b\""), ("If-Modified-Since", AFTER)], PROCEED),
            (&[("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)], NotModified),
            // Step 4.
            (&[("If-Modified-Since", SAME)], NotModified),
            (&[("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Modified-Since", BEFORE)], PROCEED),
            (&[("If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT")], NotModified),
            (&[("If-Modified-Since", "Sun Nov  6 08:49:37 1994")], NotModified),
            (&[("If-Modified-Since", "tomorrow")], PROCEED),
            (&[("If-Modified-Since", SAME), ("If-Modified-Since", SAME)], PROCEED),
            // Before step 5.
            (&[("If-None-Match", "\"a\""), ("Range", "bytes=0-1")], NotModified),
            (&[("If-Match", "\"b\""), ("Range", "bytes=0-1")], PreconditionFailed),
        ];
        for (fields, expected) in cases {
            for method in [Method::GET, Method::HEAD] {
                check(method, fields, Some("\"a\""), *expected);
            }
        }
    }

    #[test]
    fn ranges_and_if_range() {
        let honoured = Outcome::Proceed { range: Some(b"bytes=0-1".as_slice()) };
        let range = ("Range", "bytes=0-1");
        let cases: &[(Method, Fields<'_>, &str, Outcome<'_>)] = &[
            (Method::GET, &[range], "\"a\"", honoured),
            (Method::HEAD, &[range], "\"a\"", PROCEED),
            (Method::PUT, &[range], "\"a\"", PROCEED),
            (Method::GET, &[range, range], "\"a\"", PROCEED),
            (Method::GET, &[("If-Range", "\"a\"")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "\"a\"")], "\"a\"", honoured),
            (Method::GET, &[range, ("If-Range", "\"b\"")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "W/\"a\"")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "W/\"a\"")], "W/\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "*")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", SAME)], "\"a\"", honoured),
            (Method::GET, &[range, ("If-Range", BEFORE)], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", AFTER)], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Range", "\"a\""), ("If-Range", "\"a\"")], "\"a\"", PROCEED),
            (Method::GET, &[range, ("If-Match", "\"a\"")], "\"a\"", honoured),
            (Method::GET, &[range, ("If-None-Match", "\"b\"")], "\"a\"", honoured),
        ];
        for (method, fields, etag, expected) in cases {
            check(method.clone(), fields, Some(etag), *expected);
        }
    }

    #[test]
    fn methods_that_change_things_fail_instead_of_being_told_not_modified() {
        for method in [Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            check(method.clone(), &[("If-None-Match", "*")], Some("\"a\""), PreconditionFailed);
            check(method.clone(), &[("If-None-Match", "\"b\"")], Some("\"a\""), PROCEED);
            check(method.clone(), &[("If-Modified-Since", AFTER)], Some("\"a\""), PROCEED);
            check(method, &[("If-Match", "\"b\"")], Some("\"a\""), PreconditionFailed);
        }
        for method in [Method::CONNECT, Method::OPTIONS, Method::TRACE] {
            check(method, &[("If-Match", "\"b\""), ("If-None-Match", "*")], Some("\"a\""), PROCEED);
        }
    }

    #[test]
    fn without_validators_only_the_star_and_nothing_else_matches() {
        let bare = Validators::default();
        let cases: &[(Fields<'_>, Outcome<'_>)] = &[
            (&[("If-Match", "*")], PROCEED),
            (&[("If-Match", "\"a\"")], PreconditionFailed),
            (&[("If-None-Match", "*")], NotModified),
            (&[("If-None-Match", "\"a\"")], PROCEED),
            (&[("If-Modified-Since", AFTER)], PROCEED),
            (&[("If-Unmodified-Since", BEFORE)], PROCEED),
            (&[("Range", "bytes=0-1"), ("If-Range", SAME)], PROCEED),
        ];
        for (fields, expected) in cases {
            assert_eq!(evaluate(&head(Method::GET, "/", fields), &bare), *expected, "{fields:?}");
        }
    }
}
