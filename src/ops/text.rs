//! Appending to a byte buffer: JSON strings, Apache's escapes, numbers and addresses.
//!
//! Knows nothing of requests. Everything here runs once or more for each log line, so nothing allocates and the
//! common case is a scan followed by a copy.

use std::fmt;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// Appends `bytes` as the inside of a JSON string (RFC 8259 section 7), without the quotes.
///
/// Any bytes will do: what is not UTF-8 becomes U+FFFD. U+2028 and U+2029 are escaped because JavaScript once took
/// them for line ends, and DEL because terminals act on it.
pub(super) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    // Without an early exit the compiler turns this into a few vector instructions.
    let plain = bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    if plain {
        out.extend_from_slice(bytes);
    } else {
        json_escaped(out, bytes);
    }
}

fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

#[cold]
fn json_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            json_char(out, char);
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn json_char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' => out.extend_from_slice(br#"\""#),
        '\\' => out.extend_from_slice(br"\\"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}' => {
            let code = char as u16;
            out.extend_from_slice(br"\u");
            hex(out, (code >> 8) as u8);
            hex(out, code as u8);
        }
        _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends `bytes` as Apache's httpd writes what clients send into its logs: quote and backslash behind a backslash,
/// `\b \n \r \t \v`, and `\xhh` for everything else that is not printable ASCII.
pub(super) fn apache(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = bytes.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    if plain {
        out.extend_from_slice(bytes);
    } else {
        bytes.iter().for_each(|&byte| apache_byte(out, byte));
    }
}

/// The same for what must be one word: a space is escaped as well.
pub(super) fn apache_word(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b' ' => out.extend_from_slice(br"\x20"),
            _ => apache_byte(out, byte),
        }
    }
}

fn apache_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        0x08 => out.extend_from_slice(br"\b"),
        b'\n' => out.extend_from_slice(br"\n"),
        b'\r' => out.extend_from_slice(br"\r"),
        b'\t' => out.extend_from_slice(br"\t"),
        0x0b => out.extend_from_slice(br"\v"),
        b' '..=b'~' => out.push(byte),
        _ => {
            out.extend_from_slice(br"\x");
            hex(out, byte);
        }
    }
}

/// Appends text for people to read on one line: characters as they are, but controls and line ends escaped.
pub(super) fn one_line(out: &mut Vec<u8>, text: &str) {
    for char in text.chars() {
        if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') {
            // Writing into memory cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        } else {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Appends a number in decimal.
pub(super) fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// `value` below 100 as two digits.
pub(super) fn two_digits(value: u32) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

/// `value` below 1000 as three digits.
pub(super) fn three_digits(value: u32) -> [u8; 3] {
    let [tens, ones] = two_digits(value);
    [b'0' + (value / 100 % 10) as u8, tens, ones]
}

/// Appends an address. One that came as IPv4 through an IPv6 socket is written as IPv4.
pub(super) fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut separator = false;
            for octet in ip.octets() {
                if std::mem::replace(&mut separator, true) {
                    out.push(b'.');
                }
                number(out, octet);
            }
        }
        // Writing into memory cannot fail.
        IpAddr::V6(ip) => _ = write!(out, "{ip}"),
    }
}

/// Appends an address with its port; IPv6 in brackets (RFC 3986 section 3.2.2).
pub(super) fn socket_address(out: &mut Vec<u8>, address: SocketAddr) {
    let bracketed = address.ip().to_canonical().is_ipv6();
    if bracketed {
        out.push(b'[');
    }
    ip(out, address.ip());
    out.extend_from_slice(if bracketed { b"]:" } else { b":" });
    number(out, address.port());
}

/// Formats into a JSON string or onto one line as the text arrives, so nothing needs a string of its own.
pub(super) struct Escaping<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) escape: fn(&mut Vec<u8>, &str),
}

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        (self.escape)(self.out, text);
        Ok(())
    }
}

/// Formats `value` through `escape`. A `Display` or `Debug` that fails leaves what it wrote so far.
pub(super) fn formatted(out: &mut Vec<u8>, escape: fn(&mut Vec<u8>, &str), value: fmt::Arguments<'_>) {
    let _: Result<(), fmt::Error> = fmt::Write::write_fmt(&mut Escaping { out, escape }, value);
}

/// [`json`] for text.
pub(super) fn json_text(out: &mut Vec<u8>, text: &str) {
    json(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("only UTF-8 is written")
    }

    #[test]
    fn json_escapes_what_would_end_the_string_or_the_line() {
        let cases: [(&[u8], &str); 9] = [
            (b"", ""),
            (b"plain /path?x=1", "plain /path?x=1"),
            (b"a\"b\\c", r#"a\"b\\c"#),
            (b"\r\n\t", r"\r\n\t"),
            (b"\0\x1f\x7f", r"\u0000\u001f\u007f"),
            ("\u{e9}\u{1f600}".as_bytes(), "\u{e9}\u{1f600}"),
            ("\u{2028}\u{2029}".as_bytes(), r"\u2028\u2029"),
            (b"\xff\xc3(", "\u{fffd}\u{fffd}("),
            (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(written(|out| json(out, bytes)), expected, "{bytes:?}");
        }
    }

    #[test]
    fn apache_escapes_as_httpd_does() {
        let cases: [(&[u8], &str); 4] = [
            (b"/index.html", "/index.html"),
            (b"\"\\", r#"\"\\"#),
            (b"\x08\n\r\t\x0b", r"\b\n\r\t\v"),
            (b"\0\x7f\xc3\xa9", r"\x00\x7f\xc3\xa9"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(written(|out| apache(out, bytes)), expected, "{bytes:?}");
            assert_eq!(written(|out| apache_word(out, bytes)), expected, "{bytes:?}");
        }
        assert_eq!(written(|out| apache_word(out, b"a b")), r"a\x20b");
    }

    #[test]
    fn one_line_stays_one_line() {
        let text = written(|out| one_line(out, "a\nb\u{1b}[0m \u{e9} \"q\" \u{2028}"));
        assert_eq!(text, "a\\nb\\u{1b}[0m \u{e9} \"q\" \\u{2028}");
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        let cases = ["127.0.0.1:80", "255.0.10.199:65535", "[::1]:0", "[2001:db8::1]:8080"];
        for case in cases {
            let address: SocketAddr = case.parse().expect("an address");
            assert_eq!(written(|out| socket_address(out, address)), case);
            assert_eq!(written(|out| ip(out, address.ip())), address.ip().to_string());
        }
    }

    #[test]
    fn an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() {
        let address: SocketAddr = "[::ffff:10.1.2.3]:4000".parse().expect("an address");
        assert_eq!(written(|out| socket_address(out, address)), "10.1.2.3:4000");
        assert_eq!(written(|out| ip(out, address.ip())), "10.1.2.3");
    }

    #[test]
    fn digits_are_padded() {
        assert_eq!((&two_digits(7), &two_digits(42)), (b"07", b"42"));
        assert_eq!((&three_digits(7), &three_digits(420)), (b"007", b"420"));
    }

    proptest! {
        #[test]
        fn json_strings_read_back_as_what_was_sent(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let quoted = format!("\"{}\"", written(|out| json(out, &bytes)));
            let back: String = serde_json::from_str(&quoted).expect("a JSON string");
            prop_assert_eq!(back, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn apache_strings_are_printable(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = written(|out| apache(out, &bytes));
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
