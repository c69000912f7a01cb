//! The `traceparent` field of W3C Trace Context (level 1, section 3.2): one strict parser.
//!
//! Knows no header map and makes no ids. What does not follow the grammar to the letter is no context at all,
//! as the recommendation demands: guessing would tie log lines to the wrong trace.

use super::head::RequestHead;

/// Who called: the trace a request belongs to and the caller's span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext<'a> {
    /// 32 lower-case hexadecimal digits, not all zero.
    pub trace_id: &'a str,
    /// The caller's span: 16 lower-case hexadecimal digits, not all zero.
    pub parent_id: &'a str,
    /// Whether the caller may have recorded its part of the trace.
    pub sampled: bool,
}

/// Bytes of a version 00 value: `vv-` + 32 + `-` + 16 + `-ff`.
const LENGTH: usize = 55;

impl<'a> TraceContext<'a> {
    /// The context a request came with. Two of them are as good as none: either may be the wrong one.
    pub fn of(head: &'a RequestHead) -> Option<Self> {
        let mut values = head.values("traceparent");
        let value = values.next().filter(|_| values.next().is_none())?;
        TraceContext::parse(value)
    }

    /// Parses the value of the one `traceparent` field of a request; `None` for anything malformed.
    ///
    /// Versions above 00 may append fields after a dash; version ff is invalid (section 3.2.2).
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let bytes = value.get(..LENGTH)?;
        let version = &bytes[..2];
        let dashes = bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        let tail_fits = match value.get(LENGTH) {
            None => true,
            Some(next) => *next == b'-' && version != b"00",
        };
        let (trace_id, parent_id, flags) = (&bytes[3..35], &bytes[36..52], &bytes[53..55]);
        let digits = [version, trace_id, parent_id, flags].iter().all(|part| part.iter().all(is_hex));
        let named = [trace_id, parent_id].iter().all(|id| id.iter().any(|&digit| digit != b'0'));
        if !(dashes && tail_fits && digits && named && version != b"ff") {
            return None;
        }
        let sampled = u8::from_str_radix(&text[53..55], 16).ok()? & 1 == 1;
        Some(TraceContext { trace_id: &text[3..35], parent_id: &text[36..52], sampled })
    }
}

/// Whether a `tracestate` list follows its grammar (section 3.3.1): 1 to 32 members `key=value`, empty ones not counted, no
/// key twice. One that does not is to be discarded, the `traceparent` beside it stays valid.
pub fn is_trace_state(list: &[u8]) -> bool {
    const MOST: usize = 32;
    let members: Vec<&[u8]> =
        list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()).collect();
    let key = |member: &'_ [u8]| member.iter().position(|&byte| byte == b'=');
    let is_member = |(at, member): (usize, &&[u8])| {
        let Some(end) = key(member) else { return false };
        let again = members[..at].iter().any(|other| key(other) == Some(end) && other[..end] == member[..end]);
        is_key(&member[..end]) && is_value(&member[end + 1..]) && !again
    };
    (1..=MOST).contains(&members.len()) && members.iter().enumerate().all(is_member)
}

/// A letter or digit, then letters, digits and `_-*/`, lower case; `@` once, between tenant and system.
fn is_key(key: &[u8]) -> bool {
    let starts = |part: &[u8]| part.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    let mut parts = key.split(|&byte| byte == b'@');
    let both = (parts.next(), parts.next(), parts.next());
    let is_part = |part: &[u8], most: usize| starts(part) && part.iter().all(fits) && part.len() <= most;
    match both {
        (Some(simple), None, None) => is_part(simple, 256),
        (Some(tenant), Some(system), None) => is_part(tenant, 241) && is_part(system, 14),
        _ => false,
    }
}

/// 1 to 256 printable ASCII characters without `,` and `=`, the last one no space.
fn is_value(value: &[u8]) -> bool {
    let fits = |byte: &u8| (b' '..=b'~').contains(byte) && !b",=".contains(byte);
    (1..=256).contains(&value.len()) && value.iter().all(fits) && value.last() != Some(&b' ')
}

/// HEXDIGLC of section 3.2.1: upper case is not allowed.
fn is_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_well_formed_value_is_taken_apart() {
        let value = format!("00-{TRACE}-{SPAN}-01");
        let expected = TraceContext { trace_id: TRACE, parent_id: SPAN, sampled: true };
        assert_eq!(TraceContext::parse(value.as_bytes()), Some(expected));
        let value = format!("00-{TRACE}-{SPAN}-02");
        assert_eq!(TraceContext::parse(value.as_bytes()), Some(TraceContext { sampled: false, ..expected }));
    }

    #[test]
    fn later_versions_may_have_more_fields() {
        for tail in ["", "-", "-what-the-future-will-be"] {
            let value = format!("cc-{TRACE}-{SPAN}-01{tail}");
            assert!(TraceContext::parse(value.as_bytes()).is_some(), "{value}");
        }
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        let zeros = "0".repeat(32);
        let cases = [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-01-"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01 "),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00-{}-{SPAN}-01", TRACE.replace('4', "\u{e9}")),
        ];
        for case in cases {
            assert_eq!(TraceContext::parse(case.as_bytes()), None, "{case}");
        }
        assert_eq!(TraceContext::parse(&[0xff; LENGTH]), None);
    }

    #[test]
    fn trace_states_follow_their_grammar() {
        let (long, many) = (format!("{}=1", "a".repeat(257)), vec!["a=1"; 33].join(","));
        let most: Vec<String> = (0..32).map(|n| format!("k{n}=v")).collect();
        for (state, valid) in [
            ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", true),
            ("fw529a3039@dt=FfAe, 0a_-*/=x y:;<>", true),
            (" a=1 ,, b=2 ", true),
            (&most.join(","), true),
            ("", false),
            (",", false),
            ("a", false),
            ("=1", false),
            ("a=", false),
            ("A=1", false),
            ("-a=1", false),
            ("a@b@c=1", false),
            ("a@=1", false),
            ("a@bcdefghijklmnop=1", false),
            ("a=1=2", false),
            ("a=\t", false),
            ("a=\u{e9}", false),
            ("a=1,b=2,a=3", false),
            (&long, false),
            (&many, false),
        ] {
            assert_eq!(is_trace_state(state.as_bytes()), valid, "{state}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_parses_has_the_right_shape(
            value in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                "[0-9a-f]{2}[-_][0-9a-f]{32}-[0-9a-f]{16}-[0-9a-g]{2}.{0,4}".prop_map(String::into_bytes),
            ]
        ) {
            if let Some(context) = TraceContext::parse(&value) {
                prop_assert_eq!(context.trace_id.len(), 32);
                prop_assert_eq!(context.parent_id.len(), 16);
                prop_assert_eq!(&value[3..35], context.trace_id.as_bytes());
            }
        }
    }
}
