//! Entity tags (RFC 9110 section 8.8.3): parsing, lists, and the two ways to compare.

/// One entity tag: `"opaque"` or `W/"opaque"`.
///
/// There is no `==`: which of the two comparisons is right depends on the field the tag came in.
#[derive(Clone, Copy, Debug)]
pub struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Parses a value that is exactly one entity tag.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        match split(value)? {
            (tag, []) => Some(tag),
            _ => None,
        }
    }

    /// Whether the tag is marked weak.
    pub fn is_weak(self) -> bool {
        self.weak
    }

    /// What stands between the quotes.
    pub fn opaque(self) -> &'a [u8] {
        self.opaque
    }

    /// Strong comparison: both are strong and the same. For If-Match and If-Range.
    pub fn strong_eq(self, other: EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }

    /// Weak comparison: the same, whether weak or strong. For If-None-Match.
    pub fn weak_eq(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// The entity tags of one line of If-Match or If-None-Match. Ends at the first thing that is none, so whatever
/// follows a mistake matches nothing; `*` yields no tag at all (see [`is_any`]).
pub fn list(value: &[u8]) -> List<'_> {
    List { rest: value }
}

/// Whether the value is `*`, which any current representation matches.
pub fn is_any(value: &[u8]) -> bool {
    value == b"*"
}

/// Iterator over a list of entity tags, made by [`list`].
#[derive(Clone, Debug)]
pub struct List<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for List<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        let start = self.rest.iter().position(|&byte| byte != b',' && !is_space(byte))?;
        let element = split(&self.rest[start..]).filter(|(_, rest)| ends_element(rest));
        self.rest = element.map(|(_, rest)| rest).unwrap_or_default();
        element.map(|(tag, _)| tag)
    }
}

/// Splits a value into the tag it begins with and what follows.
fn split(value: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    let (weak, quoted) = match value.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, value),
    };
    let inner = quoted.strip_prefix(b"\"")?;
    let length = inner.iter().position(|&byte| !is_tag_byte(byte))?;
    let rest = inner[length..].strip_prefix(b"\"")?;
    Some((EntityTag { weak, opaque: &inner[..length] }, rest))
}

/// Whether an element of a list may end where `rest` begins.
fn ends_element(rest: &[u8]) -> bool {
    matches!(rest.iter().find(|&&byte| !is_space(byte)), None | Some(b','))
}

/// `etagc`: visible characters and obs-text, but no double quote.
fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(tag: EntityTag<'_>) -> String {
        format!("{}\"{}\"", if tag.is_weak() { "W/" } else { "" }, String::from_utf8_lossy(tag.opaque()))
    }

    #[test]
    fn one_tag() {
        let cases: &[(&[u8], bool)] = &[
            (b"\"xyzzy\"", true),
            (b"W/\"xyzzy\"", true),
            (b"\"\"", true),
            (b"W/\"\"", true),
            (b"\"a,b\"", true),
            (b"\"a\\\"", true),
            (b"\"\xe4\"", true),
            (b"w/\"xyzzy\"", false),
            (b"xyzzy", false),
            (b"\"xyzzy", false),
            (b"xyzzy\"", false),
            (b"\"a b\"", false),
            (b"\"a\"b\"", false),
            (b"\"a\x7f\"", false),
            (b"\"a\" ", false),
            (b"W/ \"a\"", false),
            (b"*", false),
            (b"\"", false),
            (b"", false),
        ];
        for (text, valid) in cases {
            assert_eq!(EntityTag::parse(text).is_some(), *valid, "{}", text.escape_ascii());
        }
    }

    /// The table of RFC 9110 section 8.8.3.2.
    #[test]
    fn comparison() {
        let cases = [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"1\"", "\"2\"", false, false),
        ];
        for (a, b, strong, weak) in cases {
            let (left, right) = (EntityTag::parse(a.as_bytes()).unwrap(), EntityTag::parse(b.as_bytes()).unwrap());
            assert_eq!((left.strong_eq(right), right.strong_eq(left)), (strong, strong), "{a} {b}");
            assert_eq!((left.weak_eq(right), right.weak_eq(left)), (weak, weak), "{a} {b}");
        }
    }

    #[test]
    fn lists() {
        let cases: &[(&str, &[&str])] = &[
            ("\"a\"", &["\"a\""]),
            ("\"a\", W/\"b\",\"c\"", &["\"a\"", "W/\"b\"", "\"c\""]),
            ("\"a\" \t,\t \"b\"", &["\"a\"", "\"b\""]),
            (",, \"a\",,\"b\", ,", &["\"a\"", "\"b\""]),
            ("\"a,b\",\"c\"", &["\"a,b\"", "\"c\""]),
            ("\"a\" \"b\"", &[]),
            ("\"a\"\"b\"", &[]),
            ("\"a\", b, \"c\"", &["\"a\""]),
            ("\"a\", \"b", &["\"a\""]),
            ("\"a\", *", &["\"a\""]),
            ("*", &[]),
            ("", &[]),
            (" , ", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(list(text.as_bytes()).map(shown).collect::<Vec<_>>(), *expected, "{text}");
        }
        assert!(is_any(b"*") && !is_any(b"\"*\"") && !is_any(b"*, *") && !is_any(b""));
    }

    /// The tags up to the first element that is none, character by character.
    fn tags_of(value: &str) -> Vec<String> {
        let mut tags = Vec::new();
        let (mut tag, mut quotes) = (String::new(), 0);
        for character in value.chars().chain([',']) {
            let within = quotes == 1;
            match character {
                ',' if !within => {
                    let text = tag.trim_matches([' ', '\t']).to_owned();
                    let opaque = text.strip_prefix("W/").unwrap_or(&text);
                    let closed = quotes == 2 && opaque.starts_with('"') && opaque.ends_with('"');
                    if !text.is_empty() && (!closed || opaque.contains([' ', '\t'])) {
                        return tags;
                    }
                    tags.extend((!text.is_empty()).then_some(text));
                    (tag, quotes) = (String::new(), 0);
                }
                character => {
                    quotes += usize::from(character == '"');
                    tag.push(character);
                }
            }
        }
        tags
    }

    proptest! {
        #[test]
        fn any_list_of_tags_reads_back(tags in prop::collection::vec("(W/)?\"[!#-~]{0,8}\"", 0..8)) {
            prop_assert_eq!(list(tags.join(" , ").as_bytes()).map(shown).collect::<Vec<_>>(), tags);
        }

        /// Against a reader that walks through the grammar one character after the other.
        #[test]
        fn lists_are_what_the_grammar_says(value in "([W/\"a,* \t]{0,16}|(\"a\"|W/\"b\"|,|[ \t]|x|\"){0,10})") {
            prop_assert_eq!(list(value.as_bytes()).map(shown).collect::<Vec<_>>(), tags_of(&value), "{:?}", value);
        }

        #[test]
        fn no_bytes_make_it_panic_or_run_on(value: Vec<u8>) {
            prop_assert!(list(&value).count() <= value.len() / 2);
        }

        #[test]
        fn no_almost_list_makes_it_panic_or_run_on(value in "[W/\"a,* \t]{0,40}") {
            prop_assert!(list(value.as_bytes()).count() <= value.len() / 2);
        }
    }
}
