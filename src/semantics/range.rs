//! Byte ranges (RFC 9110 section 14): what a Range field selects from a representation of a known length.

use smallvec::{SmallVec, smallvec};

/// A field that asks for more ranges than this is ignored: nobody needs them, and each costs work.
pub const MAX_RANGES: usize = 32;

/// Bytes `first` to `last` of a representation, both included. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Position of the first byte.
    pub first: u64,
    /// Position of the last byte.
    pub last: u64,
}

impl ByteRange {
    /// How many bytes these are.
    #[allow(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(self) -> u64 {
        self.last - self.first + 1
    }

    /// The value of Content-Range for this part of a representation of `length` bytes.
    pub fn content_range(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.first, self.last)
    }

    /// Whether the two overlap, or one begins where the other ends. Others are sent apart, however close they are: there are
    /// clients that ask for two parts and know no other answer.
    fn touches(self, other: ByteRange) -> bool {
        let reach = |range: ByteRange| range.last.saturating_add(1);
        self.first <= reach(other) && other.first <= reach(self)
    }

    fn union(self, other: ByteRange) -> ByteRange {
        ByteRange { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// What a Range field selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything: the field is to be ignored.
    Whole,
    /// These parts, at least one; no two of them overlap, so together they are no longer than the whole.
    Parts(SmallVec<[ByteRange; 1]>),
    /// Nothing: answer 416 with [`unsatisfied`] as Content-Range.
    Unsatisfiable,
}

/// The value of Content-Range in a 416 answer for a representation of `length` bytes.
pub fn unsatisfied(length: u64) -> String {
    format!("bytes */{length}")
}

/// Resolves the value of a Range field against a representation of `length` bytes.
///
/// The field is ignored when its unit is not `bytes`, when any of its ranges is malformed or runs backwards, when it
/// has more than [`MAX_RANGES`], and when there is nothing to take a range of. Ranges that overlap or
/// touch are merged at the place of the first of them, so that a request cannot make the answer longer than the
/// representation; the others keep the order they were asked for in (section 15.3.7.2).
pub fn resolve(value: &[u8], length: u64) -> Selection {
    let Some(specs) = parse(value).filter(|_| length > 0) else { return Selection::Whole };
    let mut parts = SmallVec::new();
    for range in specs.iter().filter_map(|spec| spec.within(length)) {
        merge(&mut parts, range);
    }
    if parts.is_empty() { Selection::Unsatisfiable } else { Selection::Parts(parts) }
}

/// One element of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// `first-last`, or `first-` with the largest number for `last`.
    From { first: u64, last: u64 },
    /// `-length`.
    Suffix { length: u64 },
}

impl Spec {
    fn within(self, length: u64) -> Option<ByteRange> {
        let range = match self {
            Spec::From { first, last } => ByteRange { first, last: last.min(length - 1) },
            Spec::Suffix { length: wanted } => ByteRange { first: length.saturating_sub(wanted), last: length - 1 },
        };
        (range.first < length).then_some(range)
    }
}

fn parse(value: &[u8]) -> Option<SmallVec<[Spec; 4]>> {
    let (unit, set) = std::str::from_utf8(value).ok()?.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs: SmallVec<[Spec; 4]> = smallvec![];
    // A list may have empty elements (section 5.6.1.2), but a set has at least one range.
    for element in set.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|text| !text.is_empty()) {
        if specs.len() == MAX_RANGES {
            return None;
        }
        specs.push(parse_spec(element)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(element: &str) -> Option<Spec> {
    match element.split_once('-')? {
        ("", length) => Some(Spec::Suffix { length: number(length)? }),
        (first, "") => Some(Spec::From { first: number(first)?, last: u64::MAX }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From { first, last })
        }
    }
}

/// Digits only; a number too large for any file counts as the largest one.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

fn merge(parts: &mut SmallVec<[ByteRange; 1]>, mut range: ByteRange) {
    let mut place = parts.len();
    // A merged range may touch what neither of the two did, hence the search from the start.
    while let Some(other) = parts.iter().position(|part| part.touches(range)) {
        range = range.union(parts.remove(other));
        place = place.min(other);
    }
    parts.insert(place.min(parts.len()), range);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(list: &[(u64, u64)]) -> Selection {
        Selection::Parts(list.iter().map(|&(first, last)| ByteRange { first, last }).collect())
    }

    #[test]
    fn single_ranges() {
        let cases: &[(&str, u64, Selection)] = &[
            ("bytes=0-0", 10_000, parts(&[(0, 0)])),
            ("bytes=0-499", 10_000, parts(&[(0, 499)])),
            ("bytes=500-999", 10_000, parts(&[(500, 999)])),
            ("bytes=-500", 10_000, parts(&[(9_500, 9_999)])),
            ("bytes=9500-", 10_000, parts(&[(9_500, 9_999)])),
            ("bytes=0-", 10_000, parts(&[(0, 9_999)])),
            ("bytes=0-9999", 10_000, parts(&[(0, 9_999)])),
            ("bytes=0-10000", 10_000, parts(&[(0, 9_999)])),
            ("bytes=9999-", 10_000, parts(&[(9_999, 9_999)])),
            ("bytes=-10001", 10_000, parts(&[(0, 9_999)])),
            ("bytes=-99999999999999999999999", 10_000, parts(&[(0, 9_999)])),
            ("bytes=1-99999999999999999999999", 10_000, parts(&[(1, 9_999)])),
            ("Bytes=0-0", 10_000, parts(&[(0, 0)])),
            ("bytes= 0-0 ,", 10_000, parts(&[(0, 0)])),
            ("bytes=00-09", 10_000, parts(&[(0, 9)])),
            ("bytes=0-0", 1, parts(&[(0, 0)])),
            ("bytes=-1", u64::MAX, parts(&[(u64::MAX - 1, u64::MAX - 1)])),
            ("bytes=10000-", 10_000, Selection::Unsatisfiable),
            ("bytes=10000-10001", 10_000, Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10_000, Selection::Unsatisfiable),
            ("bytes=-0", 10_000, Selection::Unsatisfiable),
            ("bytes=0-", 0, Selection::Whole),
            ("bytes=-1", 0, Selection::Whole),
        ];
        for (value, length, expected) in cases {
            assert_eq!(resolve(value.as_bytes(), *length), *expected, "{value} of {length}");
        }
    }

    #[test]
    fn malformed_fields_are_ignored() {
        let cases = [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=1",
            "bytes=a-b",
            "bytes=2-1",
            "bytes=0-1,2-1",
            "bytes=0x0-1",
            "bytes=+0-1",
            "bytes=0--1",
            "bytes=--1",
            "bytes=0-1-2",
            "bytes 0-1",
            "bytes=0 - 1",
            "bytes =0-1",
            "items=0-1",
            "bytes=0-1;2-3",
            "bytes=0-1, x",
            "bytes=\u{0660}-1",
        ];
        for value in cases {
            assert_eq!(resolve(value.as_bytes(), 10_000), Selection::Whole, "{value}");
        }
        assert_eq!(resolve(b"bytes=0-\xff", 10_000), Selection::Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_and_are_merged_where_they_touch() {
        let cases: &[(&str, Selection)] = &[
            ("bytes=0-0,-1", parts(&[(0, 0), (9_999, 9_999)])),
            ("bytes=9000-9001,0-1", parts(&[(9_000, 9_001), (0, 1)])),
            ("bytes=0-99, 1000-1099 ,, 5000-", parts(&[(0, 99), (1_000, 1_099), (5_000, 9_999)])),
            ("bytes=500-600,601-999", parts(&[(500, 999)])),
            ("bytes=0-10,11-100", parts(&[(0, 100)])),
            ("bytes=0-10,12-100", parts(&[(0, 10), (12, 100)])),
            ("bytes=0-,0-,0-", parts(&[(0, 9_999)])),
            ("bytes=0-9,9000-,10-8999", parts(&[(0, 9_999)])),
            ("bytes=0-9,500-509,250-259,5-500", parts(&[(0, 509)])),
            ("bytes=8000-,0-9,5000-7999,1000-1009", parts(&[(5_000, 9_999), (0, 9), (1_000, 1_009)])),
            ("bytes=10000-,0-9", parts(&[(0, 9)])),
            ("bytes=10000-,-0", Selection::Unsatisfiable),
        ];
        for (value, expected) in cases {
            assert_eq!(resolve(value.as_bytes(), 10_000), *expected, "{value}");
        }
    }

    #[test]
    fn too_many_ranges_are_ignored() {
        let set = |count: u64| (0..count).map(|n| format!("{0}-{0}", n * 100)).collect::<Vec<_>>().join(",");
        let most = resolve(format!("bytes={}", set(MAX_RANGES as u64)).as_bytes(), 10_000);
        assert!(matches!(most, Selection::Parts(parts) if parts.len() == MAX_RANGES));
        assert_eq!(resolve(format!("bytes={}", set(MAX_RANGES as u64 + 1)).as_bytes(), 10_000), Selection::Whole);
    }

    #[test]
    fn content_range() {
        assert_eq!(ByteRange { first: 42, last: 1233 }.content_range(1234), "bytes 42-1233/1234");
        assert_eq!(unsatisfied(1234), "bytes */1234");
    }

    /// RFC 9110 section 14.1.1, with the lists of section 5.6.1.2.
    fn is_range_set(set: &str) -> bool {
        let mut some = false;
        for element in set.split(',') {
            let element: String = element.chars().skip_while(|c| " \t".contains(*c)).collect();
            let element = element.trim_end_matches([' ', '\t']);
            if element.is_empty() {
                continue;
            }
            some = true;
            let dashes = element.chars().filter(|c| *c == '-').count();
            let others = element.chars().filter(|c| *c != '-' && !c.is_ascii_digit()).count();
            let numbers: Vec<u32> = element.split('-').filter_map(|number| number.parse().ok()).collect();
            let backwards = numbers.len() == 2 && numbers[0] > numbers[1];
            if dashes != 1 || others != 0 || numbers.is_empty() || backwards {
                return false;
            }
        }
        some
    }

    proptest! {
        #[test]
        fn parts_lie_within_do_not_overlap_and_cover_what_was_asked_for(
            specs in prop::collection::vec((0u64..3_000, 0u64..300), 1..12), length in 1u64..2_500
        ) {
            let set: Vec<_> = specs.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
            let wanted: Vec<_> = specs.iter().filter(|(first, _)| *first < length).collect();
            match resolve(format!("bytes={}", set.join(",")).as_bytes(), length) {
                Selection::Parts(parts) => {
                    prop_assert!(parts.iter().all(|part| part.first <= part.last && part.last < length));
                    for (n, part) in parts.iter().enumerate() {
                        prop_assert!(parts[n + 1..].iter().all(|other| !part.touches(*other)));
                    }
                    for (first, more) in wanted {
                        let last = (first + more).min(length - 1);
                        prop_assert!(parts.iter().any(|part| part.first <= *first && last <= part.last));
                    }
                }
                other => {
                    prop_assert_eq!(other, Selection::Unsatisfiable);
                    prop_assert!(wanted.is_empty());
                }
            }
        }

        /// Byte by byte: all that was asked for is sent, and nothing else, and every part stands where the
        /// first range within it was asked for.
        #[test]
        fn parts_are_what_a_model_of_single_bytes_makes_of_them(
            specs in prop::collection::vec(prop_oneof![
                (0u64..700, 0u64..60).prop_map(|(first, more)| (format!("{first}-{}", first + more), Some((first, first + more)))),
                (0u64..700).prop_map(|first| (format!("{first}-"), Some((first, u64::MAX)))),
                (0u64..90).prop_map(|length| (format!("-{length}"), (length > 0).then_some((u64::MAX - length, u64::MAX)))),
            ], 1..6),
            length in 1u64..600,
            comma in "[ \t]{0,2},[ \t]{0,2}",
        ) {
            let text = specs.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(&comma);
            let bytes_of = |range: &Option<(u64, u64)>| -> Vec<u64> {
                let Some((first, last)) = *range else { return vec![] };
                // A suffix is given by its distance from the end of all numbers.
                let from_end = u64::MAX - first;
                let first = if last == u64::MAX && from_end < 90 { length.saturating_sub(from_end) } else { first };
                (first..=last.min(length - 1)).collect()
            };
            let wanted: Vec<Vec<u64>> = specs.iter().map(|(_, range)| bytes_of(range)).filter(|b| !b.is_empty()).collect();
            let Selection::Parts(parts) = resolve(format!("bytes={text}").as_bytes(), length) else {
                prop_assert!(wanted.is_empty(), "{}", text);
                return Ok(());
            };
            let part_of = |byte: u64| parts.iter().position(|part| part.first <= byte && byte <= part.last);
            let is_wanted = |byte: u64| wanted.iter().any(|bytes| bytes.contains(&byte));
            prop_assert!(wanted.iter().flatten().all(|&byte| part_of(byte).is_some()));
            for part in &parts {
                prop_assert!((part.first..=part.last).all(is_wanted));
            }
            let mut order: Vec<_> = wanted.iter().map(|bytes| part_of(bytes[0])).collect();
            let mut seen = Vec::new();
            order.retain(|part| !seen.contains(part) && { seen.push(*part); true });
            prop_assert_eq!(order, (0..parts.len()).map(Some).collect::<Vec<_>>());
        }

        /// Against a recogniser that goes from character to character, and knows nothing but the grammar.
        #[test]
        fn what_is_a_field_and_what_is_not(set in "[0-9,\\- \t]{0,12}|[0-9]{1,3}-[0-9]{0,3}(, ?[0-9]{0,2}-[0-9]{1,2}){0,3}") {
            prop_assert_eq!(parse(format!("bytes={set}").as_bytes()).is_some(), is_range_set(&set), "{:?}", set);
        }

        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>, length: u64) {
            resolve(&value, length);
        }

        #[test]
        fn no_almost_range_makes_it_panic(value in "bytes=[0-9, \t-]{0,60}", length: u64) {
            resolve(value.as_bytes(), length);
        }
    }
}
