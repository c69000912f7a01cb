//! The characters HTTP fields are made of: tokens (RFC 9110 section 5.6.2) and field values (section 5.5).

/// `tchar` of RFC 9110 section 5.6.2, by byte.
const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};

/// Whether `byte` may stand in a token.
pub fn is_tchar(byte: u8) -> bool {
    TCHAR[usize::from(byte)]
}

/// How many bytes of a token `bytes` begin with.
pub fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is_tchar(byte)).unwrap_or(bytes.len())
}

/// Whether `bytes` are a token: a method, a field name, a connection option.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_len(bytes) == bytes.len()
}

/// Whether `byte` may stand in a field value: a tab, a space, visible ASCII or anything above it.
pub fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// How many bytes of a field value `bytes` begin with; in a well-formed message the next one is a carriage return.
pub fn value_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes[at..].first_chunk::<8>() {
        let controls = control_bytes(u64::from_le_bytes(*block));
        if controls != 0 {
            at += (controls.trailing_zeros() / 8) as usize;
            if bytes[at] != b'\t' {
                return at;
            }
            at += 1;
        } else {
            at += 8;
        }
    }
    at + bytes[at..].iter().position(|&byte| !is_value_byte(byte)).unwrap_or(bytes.len() - at)
}

/// Sets the high bit of the control bytes (below 0x20, and 0x7f) among eight. Only the lowest bit set is exact:
/// a borrow out of a control byte can mark the bytes above it.
fn control_bytes(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let below_space = eight.wrapping_sub(ONES * 0x20) & !eight;
    let delete = eight ^ (ONES * 0x7f);
    let delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | delete) & (ONES * 0x80)
}

/// `bytes` without white space (spaces and tabs) at either end.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !is_blank(*byte)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| !is_blank(*byte)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Whether `byte` is a space or a tab, the white space of RFC 9110 section 5.6.3.
pub fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_exactly_those_of_the_grammar() {
        let allowed = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        for byte in 0..=255u8 {
            assert_eq!(is_tchar(byte), allowed.as_bytes().contains(&byte), "byte {byte:#x}");
        }
        assert!(is_token(b"x-a_b") && !is_token(b"") && !is_token(b"a b") && !is_token("ä".as_bytes()));
    }

    #[test]
    fn trimming_takes_spaces_and_tabs_only() {
        for (given, wanted) in [("", ""), (" \t ", ""), (" a ", "a"), ("a b", "a b"), ("\t\u{b}x", "\u{b}x")] {
            assert_eq!(trim(given.as_bytes()), wanted.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn a_control_byte_is_found_wherever_it_stands() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut text = [b'a'; 20];
                text[place] = byte;
                let wanted = if is_value_byte(byte) { 20 } else { place };
                assert_eq!(value_len(&text), wanted, "byte {byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(bytes: Vec<u8>) {
            let wanted = bytes.iter().position(|&byte| !is_value_byte(byte)).unwrap_or(bytes.len());
            prop_assert_eq!(value_len(&bytes), wanted);
        }
    }
}
