//! The two frames that tell an HTTP/2 client in its own tongue that this server speaks HTTP/1.1 only.
//!
//! A refusal in HTTP/1.1 would reach such a client as a frame of absurd length, and its error would say just that. SETTINGS,
//! which a server must send first (RFC 9113 section 3.4), and GOAWAY with HTTP_1_1_REQUIRED (section 7) end the connection
//! with a reason that clients show. Nothing else of HTTP/2 is known here.

/// Types of frames (RFC 9113 section 6).
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// "The endpoint requires that HTTP/1.1 be used instead of HTTP/2."
const HTTP_1_1_REQUIRED: u32 = 0xd;

/// Appends both frames. `reason` is for whoever reads the client's log.
pub fn http2(out: &mut Vec<u8>, reason: &str) {
    frame(out, SETTINGS, &[]);
    // No stream of the client's was looked at.
    let last_stream = 0_u32;
    frame(out, GOAWAY, &[&last_stream.to_be_bytes()[..], &HTTP_1_1_REQUIRED.to_be_bytes(), reason.as_bytes()].concat());
}

/// Length (24 bits), type, flags, stream, payload (section 4.1). All of it on stream 0, without flags.
fn frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, 0, 0, 0, 0, 0]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frames_are_as_the_rfc_draws_them() {
        let mut out = Vec::new();
        http2(&mut out, "no");
        let settings = b"\0\0\0\x04\0\0\0\0\0";
        let goaway = b"\0\0\x0a\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0dno";
        assert_eq!(out, [&settings[..], &goaway[..]].concat());
    }
}
