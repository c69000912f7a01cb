//! The texts of single values: numbers, durations, sizes, booleans, URL paths and lists, read and shown.
//!
//! It knows no variable, and no range beyond what fits the type; a text that is not of the type is `None`, and
//! the variable's row says what would have been right.

use std::net::IpAddr;
use std::time::Duration;

use http::HeaderValue;
use ipnet::IpNet;

use crate::semantics::accept_encoding::Coding;
use crate::semantics::cache_control;

/// Units of durations in milliseconds, largest first.
const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Binary units of sizes, largest first, as sizes are shown.
const BINARY: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Units that are read as well: the suffixes of Kubernetes quantities, where `k` is 1000 and `Ki` is 1024, and
/// their spellings with a B. `K` and `KB` are refused: half the world takes them for 1000, the other for 1024.
const QUANTITIES: [(&str, u64); 10] = [
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("G", 1_000_000_000),
    ("GB", 1_000_000_000),
    ("M", 1_000_000),
    ("MB", 1_000_000),
    ("k", 1_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Digits only: no sign, no fraction, no separators.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// `500ms`, `5s`, `2m`, `1h`, or a plain number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = quantity(text)?;
    let unit = if unit.is_empty() { "s" } else { unit };
    number.checked_mul(factor(&DURATIONS, unit)?).map(Duration::from_millis)
}

/// `64KiB`, `2MiB`, `1GiB`, a Kubernetes quantity, or a plain number of bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = quantity(text)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    number.checked_mul(factor(&BINARY, unit).or_else(|| factor(&QUANTITIES, unit))?)
}

/// true/false, 1/0, yes/no, on/off in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (is(["true", "1", "yes", "on"]), is(["false", "0", "no", "off"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// All that this build has for `on`, none for `off` (or other spellings of these), else those that are listed.
pub(super) fn codings(text: &str) -> Option<Vec<Coding>> {
    match boolean(text) {
        Some(true) => Some(Coding::AVAILABLE.to_vec()),
        Some(false) => Some(Vec::new()),
        None => {
            let built = |coding: &Coding| Coding::AVAILABLE.contains(coding);
            text.split(',').map(|name| Coding::named(name.trim()).filter(built)).collect()
        }
    }
}

/// Whether `text` is the plain path of a URL: it starts with `/`, its characters need no percent-encoding
/// (RFC 3986 section 3.3, without `%`), and it has no empty or dot segments, so there is one spelling of it.
pub(super) fn is_url_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/') else { return false };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte);
    let inner = rest.strip_suffix('/').unwrap_or(rest);
    let one_spelling = rest.is_empty() || inner.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    rest.bytes().all(plain) && one_spelling
}

/// The name of a page, relative to some directory: a plain path, with or without a slash in front, of which no segment
/// starts with a dot. `true` stands for `index.html`; the inner `None` for nothing or `false`.
#[expect(clippy::option_option, reason = "the outer one is for what is no value, as with all texts here")]
pub(super) fn page(text: &str) -> Option<Option<String>> {
    match boolean(text) {
        Some(true) => return Some(Some("index.html".to_owned())),
        Some(false) => return Some(None),
        None if text.is_empty() => return Some(None),
        None => {}
    }
    let path = text.strip_prefix('/').unwrap_or(text);
    let has_name = path.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.'));
    (has_name && is_url_path(&format!("/{path}"))).then(|| Some(path.to_owned()))
}

/// The items of a comma-separated list, trimmed, empty ones left out.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(String::from).collect()
}

/// The networks of a list; an address alone is a network of one. An IPv4 network written as IPv6 (`::ffff:10.0.0.0/104`)
/// is the IPv4 network, since that is how addresses are compared.
pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    list(text).iter().map(|item| network(item)).collect()
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?.trunc();
    match network.network().to_canonical() {
        mapped @ IpAddr::V4(_) if network.prefix_len() >= 96 => IpNet::new(mapped, network.prefix_len() - 96).ok(),
        _ => Some(network),
    }
}

/// The directives of a Cache-Control field. The inner `None` stands for an empty text.
#[expect(clippy::option_option, reason = "the outer one is for what is no value, as with all texts here")]
pub(super) fn directives(text: &str) -> Option<Option<HeaderValue>> {
    if text.is_empty() { Some(None) } else { cache_control::parse(text).map(Some) }
}

/// A number of milliseconds in the largest unit that shows it whole.
pub fn show_millis(millis: u64) -> String {
    show(millis, &DURATIONS, "0s")
}

/// A number of bytes in the largest binary unit that shows it whole.
pub(super) fn show_bytes(bytes: u64) -> String {
    show(bytes, &BINARY, "0")
}

fn show(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    if value == 0 {
        return zero.to_owned();
    }
    let unit = units.iter().find(|(_, factor)| value.is_multiple_of(*factor));
    unit.map_or_else(|| value.to_string(), |(unit, factor)| format!("{}{unit}", value / factor))
}

/// Splits `64KiB` into 64 and `KiB`.
fn quantity(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((number(digits)?, unit))
}

fn factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_addresses_and_blocks() {
        let cases = [
            ("", Some("")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("10.1.2.3/8 , ::1,192.0.2.1", Some("10.0.0.0/8 ::1/128 192.0.2.1/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:10.0.0.0/95", Some("::fffe:0:0/95")),
            ("0.0.0.0/0,::/0", Some("0.0.0.0/0 ::/0")),
            ("10.0.0.0/33", None),
            ("10.0.0/8", None),
            ("example.com", None),
            ("10.0.0.0/8;::1", None),
            ("[::1]", None),
        ];
        for (text, expected) in cases {
            let shown = networks(text).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        let cases = [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1_000", None),
            ("0x10", None),
            ("1e3", None),
            (" 1", None),
            ("١", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_have_a_unit_or_are_seconds() {
        let cases = [
            ("500ms", Some(500)),
            ("5s", Some(5_000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("30", Some(30_000)),
            ("0", Some(0)),
            ("0h", Some(0)),
            ("18446744073709551615ms", Some(u64::MAX)),
            ("18446744073709551615s", None),
            ("5124095576030432h", None),
            ("", None),
            ("s", None),
            ("-5s", None),
            ("1.5s", None),
            ("1,5s", None),
            ("5 s", None),
            ("5S", None),
            ("5M", None),
            ("1m30s", None),
            ("5sec", None),
            ("5us", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_have_an_unambiguous_unit() {
        let cases = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("10B", Some(10)),
            ("64KiB", Some(64 << 10)),
            ("2MiB", Some(2 << 20)),
            ("1GiB", Some(1 << 30)),
            ("64Ki", Some(64 << 10)),
            ("2Mi", Some(2 << 20)),
            ("1Gi", Some(1 << 30)),
            ("64k", Some(64_000)),
            ("64kB", Some(64_000)),
            ("2M", Some(2_000_000)),
            ("2MB", Some(2_000_000)),
            ("3G", Some(3_000_000_000)),
            ("3GB", Some(3_000_000_000)),
            ("64K", None),
            ("64KB", None),
            ("2m", None),
            ("2mib", None),
            ("17179869183GiB", Some(17_179_869_183 << 30)),
            ("17179869184GiB", None),
            ("1.5MiB", None),
            ("-1KiB", None),
            ("1 KiB", None),
            ("KiB", None),
            ("1TiB", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), expected, "{text:?}");
        }
    }

    #[test]
    fn codings_are_all_none_or_listed() {
        assert_eq!(codings("on").as_deref(), Some(Coding::AVAILABLE));
        for (text, expected) in [
            ("Off", Some(&[][..])),
            ("false", Some(&[])),
            ("gzip", Some(&[Coding::Gzip])),
            (" GZIP ", Some(&[Coding::Gzip])),
            ("gzip,x-gzip", Some(&[Coding::Gzip, Coding::Gzip])),
            ("", None),
            ("gzip,", None),
            ("gzip on", None),
            ("on,gzip", None),
            ("deflate", None),
            ("identity", None),
        ] {
            assert_eq!(codings(text).as_deref(), expected, "{text:?}");
        }
        #[cfg(feature = "compression")]
        assert_eq!(codings("zstd, br"), Some(vec![Coding::Zstd, Coding::Brotli]));
        #[cfg(not(feature = "compression"))]
        assert_eq!(codings("zstd"), None);
    }

    #[test]
    fn booleans_have_eight_spellings_in_any_case() {
        for text in ["true", "1", "yes", "on", "TRUE", "On", "yEs"] {
            assert_eq!(boolean(text), Some(true), "{text:?}");
        }
        for text in ["false", "0", "no", "off", "FALSE", "Off", "nO"] {
            assert_eq!(boolean(text), Some(false), "{text:?}");
        }
        for text in ["", "2", "t", "y", "enabled", "truefalse", "vrai"] {
            assert_eq!(boolean(text), None, "{text:?}");
        }
    }

    #[test]
    fn url_paths_have_one_spelling() {
        for text in ["/", "/healthz", "/a/b-c_d.e~f", "/v2/", "/.well-known/health", "/@x:y"] {
            assert!(is_url_path(text), "{text:?}");
        }
        for text in [
            "",
            "healthz",
            "//",
            "/a//b",
            "/a/../b",
            "/./a",
            "/..",
            "/a?b",
            "/a#b",
            "/{a}",
            "/a b",
            "/a%20b",
            "/é",
            "/a\n",
            "http://x/y",
            "/a//",
        ] {
            assert!(!is_url_path(text), "{text:?}");
        }
    }

    #[test]
    fn pages_are_files_or_switches() {
        for (text, expected) in [
            ("", None),
            ("false", None),
            ("Off", None),
            ("true", Some("index.html")),
            ("index.html", Some("index.html")),
            ("/index.html", Some("index.html")),
            ("app/shell.html", Some("app/shell.html")),
        ] {
            assert_eq!(page(text), Some(expected.map(String::from)), "{text:?}");
        }
        for text in ["/", "app/", "//index.html", "../index.html", ".hidden", "a/.b", "a b.html", "a%20b", "a?b"] {
            assert_eq!(page(text), None, "{text:?}");
        }
    }

    #[test]
    fn lists_are_split_at_commas() {
        assert_eq!(list(" a, b ,,c,"), ["a", "b", "c"]);
        assert!(list(" , ").is_empty());
    }

    #[test]
    fn quantities_are_shown_in_the_largest_whole_unit() {
        assert_eq!(
            [0, 1, 999, 1_000, 90_000, 120_000, 3_600_000].map(show_millis),
            ["0s", "1ms", "999ms", "1s", "90s", "2m", "1h"]
        );
        assert_eq!([0, 1, 1023, 1024, 1 << 20, 3 << 30].map(show_bytes), ["0", "1", "1023", "1KiB", "1MiB", "3GiB"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(value: u64) {
            prop_assert_eq!(size(&show_bytes(value)), Some(value));
            prop_assert_eq!(duration(&show_millis(value)), Some(Duration::from_millis(value)));
        }

        #[test]
        fn units_multiply(value in 0u64..1 << 30) {
            prop_assert_eq!(size(&format!("{value}KiB")), Some(value * 1024));
            prop_assert_eq!(size(&format!("{value}k")), Some(value * 1000));
            prop_assert_eq!(duration(&format!("{value}m")), Some(Duration::from_secs(value * 60)));
            prop_assert_eq!(duration(&value.to_string()), Some(Duration::from_secs(value)));
        }

        #[test]
        fn signs_and_fractions_are_refused(value: u32, fraction: u8, unit in "(ms|s|m|h|B|k|KiB|MiB)?") {
            for text in [format!("-{value}{unit}"), format!("+{value}{unit}"), format!("{value}.{fraction}{unit}")] {
                prop_assert_eq!((size(&text), duration(&text), number(&text)), (None, None, None));
            }
        }

        #[test]
        fn any_text_is_a_value_or_none(text: String) {
            let _ = (number(&text), duration(&text), size(&text), boolean(&text), list(&text));
            prop_assert!(!is_url_path(&text) || text.starts_with('/'));
        }
    }
}
