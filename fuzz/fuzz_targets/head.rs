//! Any bytes as a request head: no panic, nothing consumed that is not there, spans within the head, and the same
//! outcome however the bytes are cut. Run with
//! `cargo +nightly fuzz run head fuzz/corpus/head fuzz/seeds/head`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rws::proto::error::ProtoError;
use rws::proto::framing::{Framing, framing};
use rws::proto::head::{Limits, parse};
use rws::semantics::head::RequestHead;

const ROOMY: Limits = Limits { max_head_bytes: 4096, max_headers: 32, max_uri_bytes: 1024 };
const TIGHT: Limits = Limits { max_head_bytes: 96, max_headers: 2, max_uri_bytes: 16 };

/// What can be seen of a head that was parsed.
#[derive(Debug, PartialEq)]
struct Seen {
    consumed: usize,
    line: String,
    fields: Vec<(String, Vec<u8>)>,
    framing: Result<Framing, ProtoError>,
}

fuzz_target!(|input: &[u8]| {
    for limits in [ROOMY, TIGHT] {
        let whole = seen(input, &limits);
        let mut decided = false;
        for cut in cuts(input) {
            let part = seen(&input[..cut], &limits);
            match part {
                Ok(None) => assert!(!decided, "a decision was taken back"),
                _ => {
                    assert_eq!(part, whole, "the first {cut} bytes decide otherwise");
                    decided = true;
                }
            }
        }
        if whole == Ok(None) {
            assert!(input.len() < limits.max_head_bytes, "asks for more than the limit");
        }
    }
});

/// Where to cut: after each of the first bytes, and after each end of a line.
fn cuts(input: &[u8]) -> impl Iterator<Item = usize> {
    (0..=input.len()).filter(|&cut| cut <= 64 || input[cut - 1] == b'\n')
}

fn seen(input: &[u8], limits: &Limits) -> Result<Option<Seen>, ProtoError> {
    let mut head = RequestHead::default();
    let Some(consumed) = parse(input, limits, &mut head)? else { return Ok(None) };
    assert!(consumed <= input.len() && consumed <= limits.max_head_bytes);
    assert!(input[..consumed].ends_with(b"\r\n\r\n"));
    assert!(head.target().len() <= limits.max_uri_bytes && !head.target().is_empty());
    assert!(head.path().is_empty() || head.path().starts_with('/'));
    assert!(head.fields().count() <= limits.max_headers);
    for (name, value) in head.fields() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let line = format!("{} {} {:?} {:?} {:?}", head.method(), head.path(), head.query(), head.version(), head.host());
    let fields = head.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Some(Seen { consumed, line, fields, framing: framing(&head) }))
}
