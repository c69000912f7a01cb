//! Any bytes as the conditional fields and the Range of a request: no panic, an outcome that the method allows, parts
//! that lie within the representation, apart from each other and in no more bytes than it has. Run with
//! `cargo +nightly fuzz run range fuzz/corpus/range fuzz/seeds/range`.

#![no_main]

use std::time::{Duration, SystemTime};

use http::Method;
use libfuzzer_sys::fuzz_target;
use rws::proto::head::{Limits, parse};
use rws::semantics::conditional::{Outcome, Validators, evaluate};
use rws::semantics::etag::{self, EntityTag};
use rws::semantics::head::RequestHead;
use rws::semantics::range::{MAX_RANGES, Selection, resolve};
use rws::semantics::date;

const LIMITS: Limits = Limits { max_head_bytes: 64 * 1024, max_headers: 64, max_uri_bytes: 16 };

// The first byte chooses method and validators, the second the length; the rest are header fields.
fuzz_target!(|input: &[u8]| {
    let [choice, length, fields @ ..] = input else { return };
    let method = [Method::GET, Method::HEAD, Method::PUT][usize::from(choice % 3)].clone();
    let request = [method.as_str().as_bytes(), b" / HTTP/1.1\r\nHost: x\r\n", fields, b"\r\n\r\n"].concat();
    let mut head = RequestHead::default();
    let Ok(Some(_)) = parse(&request, &LIMITS, &mut head) else { return };
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let current = Validators {
        etag: EntityTag::parse(b"\"a\"").filter(|_| choice & 4 == 0),
        last_modified: Some(modified).filter(|_| choice & 8 == 0),
    };
    match evaluate(&head, &current) {
        Outcome::NotModified => assert!(method != Method::PUT),
        Outcome::PreconditionFailed => assert!(fields.len() > 8),
        Outcome::Proceed { range: None } => {}
        Outcome::Proceed { range: Some(value) } => {
            assert!(method == Method::GET);
            for length in [0, 1, u64::from(*length) * 100, u64::MAX] {
                check(resolve(value, length), length);
            }
        }
    }
    for (_, value) in head.fields() {
        assert!(etag::list(value).count() <= value.len() / 2);
        if let Some(time) = date::parse(value) {
            assert_eq!(date::parse(&date::format(time)), Some(time), "{}", value.escape_ascii());
        }
    }
});

fn check(selection: Selection, length: u64) {
    let Selection::Parts(parts) = selection else { return };
    assert!(!parts.is_empty() && parts.len() <= MAX_RANGES);
    let mut sorted = parts.to_vec();
    sorted.sort_by_key(|part| part.first);
    assert!(sorted.iter().all(|part| part.first <= part.last && part.last < length));
    assert!(sorted.windows(2).all(|pair| pair[0].last < pair[1].first), "parts overlap");
}
