//! Any bytes as a form: no panic, and the same fields or the same refusal however the bytes are cut and whether fields are
//! read or skipped; safe file names that are safe; and what is written can be read back. Run with
//! `cargo +nightly fuzz run multipart fuzz/corpus/multipart fuzz/seeds/multipart`.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use rws::app::multipart::{Field, MultipartError};
use rws::app::{Body, Multipart};
use rws::http::StatusCode;

/// The boundary of what is read; the seeds have it too.
const BOUNDARY: &str = "x";

/// The boundary of what is written: too long to be hit upon.
const OTHER: &str = "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy";

/// Name, file name, safe file name and content.
type Part = (String, Option<String>, Option<String>, Vec<u8>);

// The first byte says how the rest is cut.
fuzz_target!(|input: &[u8]| {
    let Some((&size, form)) = input.split_first() else { return };
    let cut = usize::from(size) % 32 + 1;
    let whole = read(form, usize::MAX, BOUNDARY, part);
    assert_eq!(read(form, 1, BOUNDARY, part), whole, "byte by byte");
    assert_eq!(read(form, cut, BOUNDARY, part), whole, "in pieces of {cut}");
    let names = whole.map(|parts| parts.into_iter().map(|part| part.0).collect::<Vec<_>>());
    assert_eq!(read(form, cut, BOUNDARY, |field| Ok(field.name().to_owned())), names, "skipped");
    round_trip(form, cut);
});

/// What `take` makes of each field of a form that arrives in pieces of `size`, or the status that refuses it.
fn read<T>(
    form: &[u8],
    size: usize,
    boundary: &str,
    take: impl Fn(Field<'_>) -> Result<T, MultipartError>,
) -> Result<Vec<T>, StatusCode> {
    let body = Body::reader(Pieces { bytes: form.to_vec(), at: 0, size }, None);
    let mut form = Multipart::new(body, boundary);
    let mut all = Vec::new();
    while let Some(field) = form.next_field().map_err(|error| error.status())? {
        all.push(take(field).map_err(|error| error.status())?);
    }
    assert!(matches!(form.next_field(), Ok(None)), "it goes on after its end");
    Ok(all)
}

fn part(field: Field<'_>) -> Result<Part, MultipartError> {
    let (name, file, safe) = (field.name().to_owned(), field.file_name().map(str::to_owned), field.safe_file_name());
    if let Some(safe) = &safe {
        let is_safe = !safe.is_empty() && safe.len() <= 255 && !safe.starts_with('.');
        assert!(is_safe && !safe.contains(|c: char| c == '/' || c == '\\' || c.is_control()), "{safe:?}");
    }
    Ok((name, file, safe, field.bytes()?.to_vec()))
}

/// Writes the bytes as the fields of a form, and reads them back.
fn round_trip(bytes: &[u8], cut: usize) {
    if bytes.windows(OTHER.len()).any(|window| window == OTHER.as_bytes()) {
        return;
    }
    let (mut form, mut expected) = (Vec::new(), Vec::new());
    for content in bytes.chunks(bytes.len().div_ceil(100).max(cut)) {
        let name = String::from_utf8_lossy(content).replace(char::is_control, "");
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let head = format!("--{OTHER}\r\nContent-Disposition: form-data; filename=\"{quoted}\"; name=\"{quoted}\"");
        form.extend_from_slice(&[head.as_bytes(), b"\r\n\r\n", content, b"\r\n"].concat());
        expected.push((name.clone(), Some(name), content.to_vec()));
    }
    form.extend_from_slice(format!("--{OTHER}--").as_bytes());
    let parts = read(&form, cut, OTHER, part);
    let parts = parts.map(|parts| parts.into_iter().map(|(name, file, _, content)| (name, file, content)).collect());
    assert_eq!(parts, Ok(expected), "round trip");
}

/// Gives the bytes in pieces of `size`.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    size: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.size.min(buffer.len());
        let n = (&self.bytes[self.at..]).read(&mut buffer[..most])?;
        self.at += n;
        Ok(n)
    }
}
