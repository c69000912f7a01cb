//! Any bytes as a request target: no panic, parts within the target that make it up, and segments that decode to what
//! they encode. Run with
//! `cargo +nightly fuzz run target fuzz/corpus/target fuzz/seeds/target`.

#![no_main]

use std::borrow::Cow;

use http::Method;
use libfuzzer_sys::fuzz_target;
use rws::semantics::target::{Form, decode_segment, is_authority, split};

fuzz_target!(|input: &[u8]| {
    for method in [Method::GET, Method::OPTIONS, Method::CONNECT] {
        let Ok(target) = split(&method, input) else { continue };
        let path = target.path.of(input);
        let query = target.query.map(|query| query.of(input));
        let authority = target.authority.map(|authority| authority.of(input));
        assert!(authority.is_none_or(is_authority));
        match target.form {
            Form::Origin => assert_eq!(input, joined(path, query)),
            Form::Absolute => assert!(authority.is_some() && (path.starts_with(b"/") || method == Method::OPTIONS)),
            Form::Authority => assert!(method == Method::CONNECT && authority == Some(input)),
            Form::Asterisk => assert!(method == Method::OPTIONS && input == b"*"),
        }
    }
    if let Ok(text) = std::str::from_utf8(input) {
        decode(text);
    }
});

fn joined(path: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    query.iter().fold(path.to_vec(), |path, query| [&path, &b"?"[..], query].concat())
}

fn decode(text: &str) {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(decode_segment(&encoded), Ok(Cow::Borrowed(text)));
    if let Ok(decoded) = decode_segment(text) {
        assert!(decoded.len() <= text.len() && (text.contains('%') || decoded == text));
    }
}
