//! `Vary` (RFC 9110 section 12.5.5): which request fields an answer depends on, added to what is there already.

use http::HeaderValue;
use http::header::VARY;

use crate::app::response::Headers;

/// Adds `names`, which are separated by commas and spaces, to those that the answer depends on. They become part of one
/// field, since some caches look at the first only.
pub(super) fn add(headers: &mut Headers, names: &'static str) {
    let mut list: Vec<u8> = Vec::new();
    for (_, value) in headers.iter().filter(|(name, _)| *name == VARY) {
        let separator: &[u8] = if list.is_empty() { b"" } else { b", " };
        list.extend([separator, value.as_bytes()].concat());
    }
    if list.is_empty() {
        return headers.insert(VARY, HeaderValue::from_static(names));
    }
    let missing: Vec<&str> = names.split(", ").filter(|name| !lists(&list, name)).collect();
    if missing.is_empty() {
        return;
    }
    list.extend(missing.iter().flat_map(|name| [", ", name]).flat_map(str::bytes));
    // Two values with a comma between them are one.
    if let Ok(value) = HeaderValue::from_bytes(&list) {
        headers.insert(VARY, value);
    }
}

/// Whether a list has this name, or a `*`, which is all of them.
fn lists(list: &[u8], name: &str) -> bool {
    let mut items = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    items.any(|item| item == b"*" || item.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn names_are_added_once_to_one_field() {
        for (present, names, wanted) in [
            (&[][..], "Origin", "Origin"),
            (&["Accept-Encoding"], "Origin", "Accept-Encoding, Origin"),
            (&["accept-encoding , ORIGIN"], "Origin", "accept-encoding , ORIGIN"),
            (&["Accept", "Cookie"], "Origin", "Accept, Cookie, Origin"),
            (&["Accept", "Origin"], "Origin", "Accept|Origin"),
            (&["*"], "Origin", "*"),
            (&["Accept", "*"], "Origin", "Accept|*"),
            (&["Origin"], "Accept-Encoding", "Origin, Accept-Encoding"),
            (&["Original"], "Origin", "Original, Origin"),
            (&["Origin"], "Origin, Access-Control-Request-Method", "Origin, Access-Control-Request-Method"),
        ] {
            let mut headers = Headers::default();
            present.iter().for_each(|value| headers.append(VARY, HeaderValue::from_static(value)));
            add(&mut headers, names);
            let values: Vec<&str> = headers.iter().map(|(_, value)| value.to_str().unwrap()).collect();
            assert_eq!(values.join("|"), wanted, "{present:?} and {names}");
        }
    }
}
