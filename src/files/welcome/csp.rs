//! For tests of pages: what their Content-Security-Policy must name.

/// The source that allows an inline script or style sheet with this content.
pub(crate) fn source(directive: &str, content: &str) -> String {
    format!("{directive} 'sha256-{}'", base64(&sha256(content.as_bytes())))
}

/// FIPS 180-4, section 6.2. The constants are the first 32 bits of the fractional parts of the cube and square
/// roots of the first primes, found by bisection in whole numbers.
fn sha256(message: &[u8]) -> [u8; 32] {
    let primes: Vec<u128> = (2..312u128).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
    let k: Vec<u32> = primes.iter().map(|p| root(*p << 96, 3) as u32).collect();
    let mut hash: Vec<u32> = primes[..8].iter().map(|p| root(*p << 64, 2) as u32).collect();
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut w: Vec<u32> = block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
        for t in 16..64 {
            let (a, b) = (w[t - 15], w[t - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1));
        }
        let mut v = hash.clone();
        for t in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = [s1, choice, k[t], w[t]].iter().fold(v[7], |sum, n| sum.wrapping_add(*n));
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(t1);
            v[0] = t1.wrapping_add(s0).wrapping_add(majority);
        }
        for (sum, n) in hash.iter_mut().zip(&v) {
            *sum = sum.wrapping_add(*n);
        }
    }
    hash.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>().try_into().unwrap()
}

/// The largest whole number whose `power` is at most `of`.
fn root(of: u128, power: u32) -> u128 {
    (0..40).rev().fold(0, |root, bit| {
        let next = root | 1 << bit;
        if next.checked_pow(power).is_some_and(|product| product <= of) { next } else { root }
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize % 64];
            text.push(if place > chunk.len() { '=' } else { digit.into() });
        }
    }
    text
}

#[test]
fn the_helpers_of_these_tests_are_right() {
    let digest: String = sha256(b"abc").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(base64(b"light work."), "bGlnaHQgd29yay4=");
}
