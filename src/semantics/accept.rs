//! Content negotiation (RFC 9110 section 12): how much a client wants a media type. What the lists of all negotiated fields
//! have in common is here as well.
//!
//! Knows field values, not what there is to choose from.

/// The weight that `Accept` fields give the media type `name` with a `version` parameter, in thousandths: that of the most
/// specific range that matches (section 12.5.1), 0 if none does. Without a field everything is welcome: 1000.
///
/// A range without a version matches every version; one with another version does not match.
pub fn media_type<'a>(fields: impl Iterator<Item = &'a [u8]>, name: &str, versions: &[&str]) -> u16 {
    let (whole, _) = name.split_once('/').unwrap_or((name, ""));
    let mut best = None;
    let mut any = false;
    for item in fields.flat_map(items) {
        any = true;
        let Some(range) = Item::parse(item) else { continue };
        let precision = match range.name.split_once('/') {
            Some(("*", "*")) => 0,
            Some((kind, "*")) if kind.eq_ignore_ascii_case(whole) => 1,
            _ if !range.name.eq_ignore_ascii_case(name) => continue,
            _ => match range.version {
                None => 2,
                Some(version) if versions.contains(&version) => 3,
                Some(_) => continue,
            },
        };
        // Of two ranges alike, the client's better offer counts: two versions of a format, say.
        best = best.max(Some((precision, range.weight)));
    }
    if any { best.map_or(0, |(_, weight)| weight) } else { 1000 }
}

/// The items of a list. None of the parameters that matter here has a comma in a quoted string.
pub(super) fn items(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// An item of a list: what is wanted, and how much.
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    pub(super) weight: u16,
}

impl<'a> Item<'a> {
    /// `None` for what is no text or has a weight that is none.
    pub(super) fn parse(item: &'a [u8]) -> Option<Self> {
        let mut parts = core::str::from_utf8(item).ok()?.split(';').map(str::trim);
        let mut item = Item { name: parts.next()?, version: None, weight: 1000 };
        for part in parts {
            match part.split_once('=') {
                Some((name, value)) if name.trim().eq_ignore_ascii_case("q") => item.weight = weight(value.trim())?,
                Some((name, value)) if name.trim().eq_ignore_ascii_case("version") => {
                    item.version = Some(value.trim().trim_matches('"'));
                }
                _ => {}
            }
        }
        Some(item)
    }
}

/// A weight (section 12.4.2): 0 to 1 with up to three digits behind the point, here in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(*b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str, name: &str) -> u16 {
        media_type([value.as_bytes()].into_iter(), name, &["1.0.0", "0.0.1"])
    }

    #[test]
    fn the_most_specific_range_decides() {
        const OPEN: &str = "application/openmetrics-text";
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let cases = [
            (prometheus, OPEN, 1000),
            ("*/*", OPEN, 1000),
            ("*/*;q=0.1, application/*;q=0.5", OPEN, 500),
            ("application/openmetrics-text;q=0, */*", OPEN, 0),
            ("Application/OpenMetrics-Text ; Q=0.3", OPEN, 300),
            ("application/openmetrics-text;version=2.0.0", OPEN, 0),
            (
                "application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=\"1.0.0\";q=0.25",
                OPEN,
                250,
            ),
            ("text/html, text/*;q=0.7", OPEN, 0),
            ("text/html, text/*;q=0.7", "text/plain", 700),
            ("", OPEN, 1000),
            (",,", OPEN, 1000),
            ("application/openmetrics-text;q=2", OPEN, 0),
            ("application/openmetrics-text;q=0.1234", OPEN, 0),
            ("application/openmetrics-text;q=", OPEN, 0),
            ("\u{e9};q=1", OPEN, 0),
        ];
        for (value, name, expected) in cases {
            assert_eq!(accept(value, name), expected, "{value}");
        }
        assert_eq!(media_type(core::iter::empty(), OPEN, &[]), 1000);
    }
}
