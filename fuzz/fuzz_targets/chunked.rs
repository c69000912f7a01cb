//! Any bytes as a chunked body: no panic, progress or a wait, payload within what was consumed, the same payload however
//! the bytes are cut; and what is written can be read back. Run with
//! `cargo +nightly fuzz run chunked fuzz/corpus/chunked fuzz/seeds/chunked`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rws::proto::chunked::{Decoder, LAST, write_size};
use rws::proto::error::ProtoError;

fuzz_target!(|input: &[u8]| {
    let Some((&size, wire)) = input.split_first() else { return };
    let cut = usize::from(size) % 32 + 1;
    let whole = decode(wire, wire.len().max(1));
    assert_eq!(decode(wire, 1), whole, "byte by byte");
    assert_eq!(decode(wire, cut), whole, "in pieces of {cut}");

    let written = encode(wire, cut);
    assert_eq!(decode(&written, written.len()), Ok((wire.to_vec(), Some(written.len()))), "round trip");
});

/// The payload, and how many bytes the body took once it is over.
fn decode(wire: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), ProtoError> {
    let mut decoder = Decoder::default();
    let (mut payload, mut consumed, mut arrived) = (Vec::new(), 0, 0);
    while arrived < wire.len() {
        arrived = wire.len().min(arrived + piece);
        loop {
            let step = decoder.decode(&wire[consumed..arrived])?;
            assert!(step.data.start <= step.data.end && step.data.end <= step.consumed);
            assert!(consumed + step.consumed <= arrived);
            payload.extend_from_slice(&wire[consumed..arrived][step.data]);
            consumed += step.consumed;
            if step.done {
                assert!(decoder.is_done());
                return Ok((payload, Some(consumed)));
            }
            if step.consumed == 0 {
                break;
            }
        }
    }
    Ok((payload, None))
}

fn encode(payload: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in payload.chunks(size) {
        write_size(&mut wire, chunk.len());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(LAST);
    wire
}
