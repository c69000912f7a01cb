//! Request ids: which ids of clients are taken over, and how an id is made for a request that brought none.
//!
//! Knows no header fields and no reactors; whoever receives requests owns a [`Generator`].

use std::hash::{BuildHasher, RandomState};

/// Longest `X-Request-Id` taken over from a client, in bytes.
pub const MAX_LENGTH: usize = 128;

/// Whether a client's `X-Request-Id` can be logged and echoed as it is: 1 to 128 bytes of
/// `A-Z a-z 0-9 . _ ~ + / = : @ -`. That covers UUIDs, ULIDs, base64 and the ids of the usual proxies,
/// and nothing that could break a header, a log line or a shell.
pub fn is_well_formed(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(|&byte| ALLOWED[usize::from(byte)])
}

const ALLOWED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9'
            | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b':' | b'@' | b'-');
        byte += 1;
    }
    table
};

/// Makes request ids: 128 bits as 32 lower-case hexadecimal digits.
///
/// Two counters start at random places and are scattered by a mixing function, so ids are unique for all practical
/// purposes, over all reactors, restarts and pods, at the cost of a few multiplications. They are no secrets:
/// who has seen one can compute the next.
#[derive(Debug)]
pub struct Generator {
    high: u64,
    low: u64,
}

/// 2^64 divided by the golden ratio, odd: a counter in these steps visits all values, far apart.
const STEP_HIGH: u64 = 0x9e37_79b9_7f4a_7c15;
/// Another odd step, so that the two halves never run in parallel.
const STEP_LOW: u64 = 0xd1b5_4a32_d192_ed03;

impl Default for Generator {
    fn default() -> Self {
        Generator::new()
    }
}

impl Generator {
    /// A generator with seeds from the operating system's randomness, as `std`'s hash maps get theirs.
    pub fn new() -> Self {
        Generator { high: RandomState::new().hash_one(STEP_HIGH), low: RandomState::new().hash_one(STEP_LOW) }
    }

    /// Puts a new id into `id`, in place of what was there. Allocates only if `id` holds less than 32 bytes.
    pub fn write(&mut self, id: &mut String) {
        self.high = self.high.wrapping_add(STEP_HIGH);
        self.low = self.low.wrapping_add(STEP_LOW);
        let mut digits = [0; 32];
        hex(mix(self.high), &mut digits[..16]);
        hex(mix(self.low), &mut digits[16..]);
        id.clear();
        id.push_str(std::str::from_utf8(&digits).expect("hexadecimal digits are ASCII"));
    }
}

/// A bijection that spreads every input bit over all output bits (the finaliser of SplitMix64).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hex(value: u64, digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_the_usual_makers_are_taken_over() {
        let long = "a".repeat(MAX_LENGTH);
        let cases = [
            "1",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "Root=1-67891233-abcdef012345678912345678",
            "dGhlIHNhbXBsZQ+/==",
            "host.example:8080/a~b_c@d",
            &long,
        ];
        for case in cases {
            assert!(is_well_formed(case.as_bytes()), "{case}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let long = "a".repeat(MAX_LENGTH + 1);
        let cases: [&[u8]; 10] =
            [b"", b" ", b"a b", b"a\"b", b"a\\b", b"a\r\nb", b"a\0", b"\xc3\xa9", b"a,b", long.as_bytes()];
        for case in cases {
            assert!(!is_well_formed(case), "{case:?}");
        }
    }

    #[test]
    fn exactly_the_documented_bytes_are_allowed() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"._~+/=:@-".contains(&byte);
            assert_eq!(is_well_formed(&[byte]), expected, "{byte:#x}");
        }
    }

    #[test]
    fn made_ids_are_well_formed_and_all_different() {
        let mut seen = HashSet::new();
        for mut generator in [Generator::new(), Generator::new()] {
            for _ in 0..10_000 {
                let mut id = String::from("what was there before");
                generator.write(&mut id);
                assert!(id.len() == 32 && is_well_formed(id.as_bytes()), "{id}");
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn the_string_is_reused() {
        let (mut generator, mut id) = (Generator::new(), String::with_capacity(32));
        let place = id.as_ptr();
        for _ in 0..10 {
            generator.write(&mut id);
        }
        assert_eq!(id.as_ptr(), place);
    }

    #[test]
    fn digits_are_written_big_endian() {
        let mut digits = [0; 16];
        hex(0x0123_4567_89ab_cdef, &mut digits);
        assert_eq!(&digits, b"0123456789abcdef");
    }
}
