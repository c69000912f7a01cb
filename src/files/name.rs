//! From the path of a request to the name of a file, relative to the root. Knows no file system.
//!
//! A name is decoded once and is strict, so that what is looked up is what the client wrote and nothing has two
//! names: no empty segments, no dot segments, and no separator that was hidden in an escape. Bytes that are not
//! UTF-8 are as good as any other.

use std::ffi::CStr;

use smallvec::SmallVec;

use super::refusal::Refusal;

/// What a directory is represented by.
const INDEX: &[u8] = b"index.html";

/// The name of a file beneath the root.
#[derive(Debug)]
pub(super) struct Name {
    /// Ends with a NUL and has no other. Most names fit, and cost no allocation.
    bytes: SmallVec<[u8; 128]>,
    is_index: bool,
}

impl Name {
    /// Decodes `path`. A path that is empty or ends with a slash names the index of a directory.
    pub(super) fn parse(path: &str) -> Result<Name, Refusal> {
        let mut bytes = SmallVec::new();
        let mut segments = path.as_bytes().split(|&byte| byte == b'/').peekable();
        let mut is_index = false;
        while let Some(segment) = segments.next() {
            is_index = segment.is_empty() && segments.peek().is_none();
            if is_index {
                bytes.extend_from_slice(INDEX);
            } else {
                push_segment(&mut bytes, segment)?;
                bytes.extend(segments.peek().map(|_| b'/'));
            }
        }
        bytes.push(0);
        Ok(Name { bytes, is_index })
    }

    /// Whether the request named a directory, and this is its index.
    pub(super) fn is_index(&self) -> bool {
        self.is_index
    }

    /// Whether the request named the root itself.
    pub(super) fn is_mount_point(&self) -> bool {
        self.is_index && self.as_bytes() == INDEX
    }

    /// The name of the file beside it that is called the same with `.extension` behind it.
    pub(super) fn beside(&self, extension: &str) -> Name {
        let mut bytes = SmallVec::new();
        for part in [self.as_bytes(), b".", extension.as_bytes(), b"\0"] {
            bytes.extend_from_slice(part);
        }
        Name { bytes, is_index: false }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() - 1]
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes).expect("parse refuses NUL and adds one at the end")
    }
}

/// Appends one decoded segment, unless it must not be part of a name.
fn push_segment(bytes: &mut SmallVec<[u8; 128]>, segment: &[u8]) -> Result<(), Refusal> {
    let start = bytes.len();
    let mut rest = segment;
    while let [first, after @ ..] = rest {
        let (byte, after) = if *first == b'%' { unescape(after)? } else { (*first, after) };
        match byte {
            0 => return Err(Refusal::Malformed),
            b'/' | b'\\' => return Err(Refusal::NotFound),
            byte => bytes.push(byte),
        }
        rest = after;
    }
    // Dotfiles, `.` and `..`, however they were written.
    match bytes.get(start) {
        None | Some(b'.') => Err(Refusal::NotFound),
        Some(_) => Ok(()),
    }
}

/// The byte that the two hexadecimal digits after a percent sign stand for, and what follows them.
fn unescape(after: &[u8]) -> Result<(u8, &[u8]), Refusal> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Refusal::Malformed);
    match after {
        [high, low, rest @ ..] => Ok(((digit(*high)? * 16 + digit(*low)?) as u8, rest)),
        _ => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Refusal::{Malformed, NotFound};
    use super::*;

    #[test]
    fn names_and_refusals() {
        let cases: &[(&str, Result<&[u8], Refusal>)] = &[
            ("", Ok(b"index.html")),
            ("a", Ok(b"a")),
            ("a/", Ok(b"a/index.html")),
            ("a/b.html", Ok(b"a/b.html")),
            ("a/b/", Ok(b"a/b/index.html")),
            ("a%20b", Ok(b"a b")),
            ("%61%2Dx", Ok(b"a-x")),
            ("caf%C3%a9", Ok("café".as_bytes())),
            ("%ff%fe", Ok(b"\xff\xfe")),
            ("a+b", Ok(b"a+b")),
            ("a.", Ok(b"a.")),
            ("a..b", Ok(b"a..b")),
            ("a:b;c=d,e", Ok(b"a:b;c=d,e")),
            ("%0d%0a", Ok(b"\r\n")),
            // Decoded once: a percent sign of its own stays one.
            ("%252e%252e", Ok(b"%2e%2e")),
            ("%252f", Ok(b"%2f")),
            ("%2500", Ok(b"%00")),
            // Dots.
            (".", Err(NotFound)),
            ("..", Err(NotFound)),
            ("...", Err(NotFound)),
            ("../a", Err(NotFound)),
            ("a/../b", Err(NotFound)),
            ("a/./b", Err(NotFound)),
            ("a/..", Err(NotFound)),
            ("%2e%2e/a", Err(NotFound)),
            (".%2E/a", Err(NotFound)),
            ("%2e", Err(NotFound)),
            (".env", Err(NotFound)),
            (".git/config", Err(NotFound)),
            ("a/.htpasswd", Err(NotFound)),
            ("%2eenv", Err(NotFound)),
            ("..data/index.html", Err(NotFound)),
            (".well-known/x", Err(NotFound)),
            // Separators.
            ("/", Err(NotFound)),
            ("/a", Err(NotFound)),
            ("//a", Err(NotFound)),
            ("a//b", Err(NotFound)),
            ("a//", Err(NotFound)),
            ("a%2fb", Err(NotFound)),
            ("a%2F", Err(NotFound)),
            ("%2fetc/passwd", Err(NotFound)),
            ("..%2f..%2fetc", Err(NotFound)),
            ("a\\b", Err(NotFound)),
            ("..\\a", Err(NotFound)),
            ("%5c..%5c", Err(NotFound)),
            // Not paths.
            ("%00", Err(Malformed)),
            ("a%00.html", Err(Malformed)),
            ("a\0", Err(Malformed)),
            ("%", Err(Malformed)),
            ("a%2", Err(Malformed)),
            ("%zz", Err(Malformed)),
            ("%+1", Err(Malformed)),
            ("% 1", Err(Malformed)),
            ("%u002e", Err(Malformed)),
            ("%%32%65", Err(Malformed)),
            ("a%2/b", Err(Malformed)),
        ];
        for (path, expected) in cases {
            let name = Name::parse(path);
            assert_eq!(name.as_ref().map(Name::as_bytes).map_err(|refusal| *refusal), *expected, "{path:?}");
        }
    }

    #[test]
    fn what_is_an_index() {
        let cases = [("", true, true), ("a/", true, false), ("a", false, false), ("index.html", false, false)];
        for (path, index, mount_point) in cases {
            let name = Name::parse(path).unwrap();
            assert_eq!((name.is_index(), name.is_mount_point()), (index, mount_point), "{path}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_a_name_stays_beneath_the_root(path in "([a./%\\\\]|%2[eEfF]|%5c|%00|\\PC){0,30}") {
            if let Ok(name) = Name::parse(&path) {
                let text = name.as_c_str().to_bytes();
                prop_assert!(!text.contains(&b'\\'));
                for segment in text.split(|&byte| byte == b'/') {
                    prop_assert!(!segment.is_empty() && segment[0] != b'.');
                }
            }
        }

        #[test]
        fn encoding_every_byte_changes_nothing(name in "[a-zA-Z0-9_ ][a-z.%+é ]{0,20}") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let decoded = Name::parse(&encoded).unwrap();
            prop_assert_eq!(decoded.as_bytes(), name.as_bytes());
        }
    }
}
