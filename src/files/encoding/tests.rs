use std::fs::{self, File};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode, header};
use tempfile::TempDir;

use super::*;
use crate::app::compression::decompressed;
use crate::app::compression::tests::text;
use crate::app::response::Response;
use crate::semantics::conditional::tests::head;

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

const WRITTEN: u64 = 1_709_208_000;

/// Two services of the same files: one that keeps what it can, and one that keeps nothing.
struct Place {
    directory: TempDir,
    kept: Files,
    anew: Files,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let [kept, anew] = [(); 2].map(|()| Files::new(directory.path()).unwrap());
        Place { directory, kept, anew: anew.with_cache_bytes(0) }
    }

    fn allow(self, codings: &[Coding]) -> Place {
        self.kept.set_compression(codings);
        self.anew.set_compression(codings);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file that was changed last so many seconds after all others.
    fn write(&self, name: &str, content: impl AsRef<[u8]>, later: i64) -> &Place {
        fs::write(self.path(name), content).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(WRITTEN.saturating_add_signed(later));
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(at + Duration::from_nanos(if later == 0 { 500 } else { 0 })).unwrap();
        self
    }

    /// A second later, so that every file is looked at again.
    fn later(&self) {
        self.kept.cache.let_pass(Duration::from_secs(2));
    }

    fn both(&self, target: &str, fields: Fields<'_>) -> [Response; 2] {
        [&self.kept, &self.anew].map(|files| ask(files, Method::GET, target, fields))
    }
}

fn ask(files: &Files, method: Method, target: &str, fields: Fields<'_>) -> Response {
    let head = head(method, target, fields);
    files.serve(&head, head.path().strip_prefix('/').unwrap())
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().iter().find(|(n, _)| n.as_str() == name).map(|(_, value)| value.to_str().unwrap())
}

fn body(response: &mut Response) -> Vec<u8> {
    std::mem::take(response.body_mut()).into_bytes().unwrap().to_vec()
}

/// What the body of a response is when it is decoded.
fn content(response: &mut Response) -> Vec<u8> {
    let coding = field(response, "content-encoding").map(|name| Coding::named(name).unwrap());
    let bytes = body(response);
    coding.map_or_else(|| bytes.clone(), |coding| decompressed(coding, &bytes, 4 << 20).unwrap())
}

#[test]
fn every_coding_size_and_type_decodes_to_the_file_and_head_agrees_with_get() {
    let place = Place::new();
    let sizes = [0, 1, 1023, 1024, 5000, 70_000, (2 << 20) + 1];
    let accepts =
        ["", "gzip", "br", "zstd", "gzip, deflate, br, zstd", "gzip;q=0.5, zstd;q=0.1", "identity;q=0, lzma", "*"];
    for (extension, compressible) in [("html", true), ("json", true), ("png", false), ("woff2", false)] {
        for size in sizes {
            let name = format!("f{size}.{extension}");
            place.write(&name, text(size), 0);
            for accept in accepts {
                let fields = [("Accept-Encoding", accept)];
                let asked = [&place.kept, &place.anew].map(|files| {
                    [Method::GET, Method::HEAD].map(|method| ask(files, method, &format!("/{name}"), &fields))
                });
                let mut codings = Vec::new();
                for [mut got, head] in asked {
                    let case = format!("{name} {accept:?}");
                    let lines =
                        |response: &Response| response.headers().iter().map(|f| format!("{f:?}")).collect::<Vec<_>>();
                    assert_eq!((lines(&got), got.body().length()), (lines(&head), head.body().length()), "{case}");
                    assert_eq!(field(&got, "vary"), compressible.then_some("Accept-Encoding"), "{case}");
                    let coding = field(&got, "content-encoding").map(str::to_owned);
                    let expected = compressible && size >= 1024;
                    let best = Accepted::of([accept.as_bytes()].into_iter()).best(Coding::AVAILABLE);
                    assert_eq!(coding.is_some(), expected && best.is_some(), "{case}");
                    assert_eq!(field(&got, "accept-ranges"), coding.is_none().then_some("bytes"), "{case}");
                    assert_eq!(field(&got, "etag").unwrap().starts_with("W/"), coding.is_some(), "{case}");
                    assert_eq!(content(&mut got), text(size), "{case}");
                    codings.push(coding);
                }
                assert_eq!(codings[0].is_some(), codings[1].is_some());
            }
        }
    }
}

#[test]
fn what_was_compressed_is_kept_until_the_file_changes() {
    let place = Place::new().allow(&[Coding::Gzip]);
    place.write("a.txt", text(5000), 0);
    let get = || ask(&place.kept, Method::GET, "/a.txt", &[("Accept-Encoding", "gzip")]);
    place.later();
    let (mut first, mut second) = (get(), get());
    let (first, second) = (first.body_mut(), second.body_mut());
    let address = |body: &mut Body| std::mem::take(body).into_bytes().unwrap().as_ptr();
    assert_eq!(address(first), address(second), "the same bytes");
    place.later();
    assert_eq!(field(&get(), "etag"), Some("W/\"1388-17b8539ec74181f4\""));
    place.write("a.txt", text(6000), 10);
    place.later();
    assert_eq!(content(&mut get()), text(6000));
}

#[test]
fn while_somebody_compresses_a_file_others_get_it_as_it_is_and_nobody_does_it_again() {
    let codings = Codings::of(&http::HeaderValue::from_static("text/html"));
    let during = codings.made(Coding::Gzip, || {
        assert!(matches!(codings.made(Coding::Gzip, || unreachable!("twice")), Known::AsItIs));
        Known::NoRoom
    });
    assert!(matches!(during, Known::NoRoom));
    assert!(matches!(codings.made(Coding::Gzip, || Known::AsItIs), Known::AsItIs), "room may come");
    assert!(matches!(codings.made(Coding::Gzip, || unreachable!("known")), Known::AsItIs));
}

#[test]
fn what_is_kept_counts_as_memory_and_without_room_each_is_compressed_for_itself() {
    let place = Place::new().allow(&[Coding::Gzip]);
    place.write("a.txt", text(60_000), 0);
    place.later();
    let get = || ask(&place.kept, Method::GET, "/a.txt", &[("Accept-Encoding", "gzip")]);
    place.kept.set_cache_bytes(62_000);
    for _ in 0..2 {
        let mut got = get();
        assert_eq!((got.body().length(), field(&got, "content-encoding")), (None, Some("gzip")), "a stream");
        assert_eq!(content(&mut got), text(60_000));
    }
    place.kept.set_cache_bytes(1 << 20);
    assert!(get().body().length().is_some_and(|length| length < 20_000));
}

#[test]
fn a_sibling_is_sent_in_place_of_the_file() {
    let place = Place::new().allow(&[Coding::Gzip]);
    // Its content need not be what the file's is: nobody looks into it.
    place.write("a.js", text(5000), 0).write("a.js.gz", "gz of a.js", 0).write("b.js", text(5000), 0);
    for _ in 0..2 {
        for mut got in place.both("/a.js", &[("Accept-Encoding", "gzip")]) {
            assert_eq!(body(&mut got), b"gz of a.js");
            assert_eq!(field(&got, "content-encoding"), Some("gzip"));
            assert_eq!(field(&got, "content-type"), Some("text/javascript; charset=utf-8"));
            assert_eq!(field(&got, "vary"), Some("Accept-Encoding"));
            assert_eq!(field(&got, "accept-ranges"), None);
            assert_eq!(field(&got, "etag"), Some("\"a-17b8539ec74181f4-gzip\""));
            assert_eq!(field(&got, "last-modified"), Some("Thu, 29 Feb 2024 12:00:00 GMT"));
        }
    }
    for mut got in place.both("/a.js.gz", &[("Accept-Encoding", "gzip")]) {
        assert_eq!((field(&got, "content-encoding"), field(&got, "content-type")), (None, Some("application/gzip")));
        assert_eq!((body(&mut got), field(&got, "vary")), (b"gz of a.js".to_vec(), None));
    }
    for mut got in place.both("/a.js", &[]) {
        assert_eq!((body(&mut got), field(&got, "etag")), (text(5000), Some("\"1388-17b8539ec74181f4\"")));
    }
}

#[test]
fn which_siblings_count() {
    /// Name of the file, siblings with the seconds by which they are younger, Accept-Encoding, what is sent.
    type Case = (&'static str, &'static [(&'static str, i64)], &'static str, &'static str);
    let all = "gzip, br, zstd";
    let cases: &[Case] = &[
        ("a.txt", &[("gz", 0)], all, "gz"),
        ("a.txt", &[("gz", 0), ("zst", 0)], all, "zst"),
        ("a.txt", &[("gz", 0), ("zst", 0), ("br", 0)], all, "br"),
        ("a.txt", &[("gz", 0), ("zst", 0), ("br", 0)], "gzip, br;q=0.9", "gz"),
        ("a.txt", &[("gz", 0), ("zst", 0), ("br", 0)], "identity, br;q=0.9", ""),
        ("a.txt", &[("br", 0)], "gzip", "made"),
        ("a.txt", &[("br", 0)], "gzip, br;q=0.5", "made"),
        ("a.png", &[("gz", 0)], all, ""),
        ("a.unheard-of", &[("gz", 0)], all, "gz"),
        ("a.unheard-of", &[("gz", 0)], "br", ""),
        ("a.unheard-of", &[], all, ""),
        // Of the same second, or younger.
        ("a.txt", &[("gz", 1)], all, "gz"),
        ("a.txt", &[("gz", 100_000)], all, "gz"),
        ("a.txt", &[("gz", -1)], "gzip", "made"),
        ("a.txt", &[("br", -1), ("gz", 0)], all, "gz"),
    ];
    for (name, siblings, accept, expected) in cases {
        if cfg!(not(feature = "compression")) && siblings.iter().any(|(extension, _)| *extension != "gz") {
            continue;
        }
        let place = Place::new();
        place.write(name, text(2000), 0);
        for (extension, later) in *siblings {
            place.write(&format!("{name}.{extension}"), extension, *later);
        }
        for _ in 0..2 {
            for mut got in place.both(&format!("/{name}"), &[("Accept-Encoding", accept)]) {
                let coded = field(&got, "content-encoding").is_some();
                let sent = body(&mut got);
                let sent = match &sent[..] {
                    bytes if bytes == text(2000) => "",
                    bytes if bytes.len() > 4 => "made",
                    bytes => std::str::from_utf8(bytes).unwrap(),
                };
                assert_eq!((sent, coded), (*expected, !expected.is_empty()), "{name} {siblings:?} {accept}");
            }
        }
    }
}

#[test]
fn siblings_come_go_and_change_within_a_second() {
    let place = Place::new().allow(&[Coding::Gzip]);
    place.write("a.bin", "content", 0);
    let get = || {
        place.later();
        let [mut kept, mut anew] = place.both("/a.bin", &[("Accept-Encoding", "gzip")]);
        let (kept, anew) = (body(&mut kept), body(&mut anew));
        assert_eq!(kept, anew);
        String::from_utf8(kept).unwrap()
    };
    assert_eq!(get(), "content");
    place.write("a.bin.gz", "one", 0);
    assert_eq!(get(), "one");
    place.write("a.bin.gz", "two!", 5);
    assert_eq!(get(), "two!");
    place.write("a.bin", "new content", 9);
    assert_eq!(get(), "new content", "the sibling is of the old one");
    place.write("a.bin.gz", "three", 9);
    assert_eq!(get(), "three");
    fs::remove_file(place.path("a.bin.gz")).unwrap();
    assert_eq!(get(), "new content");
    fs::create_dir(place.path("a.bin.gz")).unwrap();
    assert_eq!(get(), "new content");
    fs::remove_file(place.path("a.bin")).unwrap();
    place.later();
    assert_eq!(
        place.both("/a.bin", &[("Accept-Encoding", "gzip")]).map(|got| got.status()),
        [StatusCode::NOT_FOUND; 2]
    );
}

#[test]
fn conditions_and_ranges() {
    /// File, request fields, status, tag of the answer, its coding.
    type Case<'a> = (&'a str, Fields<'a>, u16, Option<&'a str>, Option<&'a str>);
    const PLAIN: &str = "\"1388-17b8539ec74181f4\"";
    const WEAK: &str = "W/\"1388-17b8539ec74181f4\"";
    const BESIDE: &str = "\"a-17b8539ec74181f4-gzip\"";
    let place = Place::new().allow(&[Coding::Gzip]);
    place.write("made.js", text(5000), 0).write("there.js", text(5000), 0).write("there.js.gz", "gz of there", 0);
    place.write("there.js.gz", "gz of thre", 0);
    let cases: &[Case<'_>] = &[
        ("made.js", &[], 200, Some(WEAK), Some("gzip")),
        ("made.js", &[("If-None-Match", WEAK)], 304, Some(WEAK), None),
        ("made.js", &[("If-None-Match", PLAIN)], 304, Some(WEAK), None),
        ("made.js", &[("If-None-Match", "\"x\"")], 200, Some(WEAK), Some("gzip")),
        ("made.js", &[("If-Modified-Since", "Thu, 29 Feb 2024 12:00:00 GMT")], 304, Some(WEAK), None),
        ("made.js", &[("If-Match", PLAIN)], 200, Some(PLAIN), None),
        ("made.js", &[("If-Match", WEAK)], 412, None, None),
        ("made.js", &[("Range", "bytes=0-9")], 206, Some(PLAIN), None),
        ("made.js", &[("Range", "bytes=0-9"), ("If-Range", PLAIN)], 206, Some(PLAIN), None),
        ("made.js", &[("Range", "bytes=0-9"), ("If-Range", WEAK)], 200, Some(PLAIN), None),
        ("made.js", &[("Range", "bytes=9999-")], 416, None, None),
        ("there.js", &[], 200, Some(BESIDE), Some("gzip")),
        ("there.js", &[("If-None-Match", BESIDE)], 304, Some(BESIDE), None),
        ("there.js", &[("If-None-Match", "W/\"a-17b8539ec74181f4-gzip\"")], 304, Some(BESIDE), None),
        ("there.js", &[("If-None-Match", PLAIN)], 200, Some(BESIDE), Some("gzip")),
        ("there.js", &[("If-Match", PLAIN)], 200, Some(PLAIN), None),
        ("there.js", &[("If-Match", BESIDE)], 412, None, None),
        ("there.js", &[("Range", "bytes=0-9"), ("If-Range", BESIDE)], 200, Some(PLAIN), None),
        ("there.js", &[("Range", "bytes=-5")], 206, Some(PLAIN), None),
    ];
    for (name, fields, status, tag, coding) in cases {
        let fields: Vec<_> = [("Accept-Encoding", "gzip")].iter().chain(*fields).copied().collect();
        for got in place.both(&format!("/{name}"), &fields) {
            let case = format!("{name} {fields:?}");
            assert_eq!(got.status().as_u16(), *status, "{case}");
            assert_eq!((field(&got, "etag"), field(&got, "content-encoding")), (*tag, *coding), "{case}");
            let varies = [200, 206, 304].contains(status).then_some("Accept-Encoding");
            assert_eq!(field(&got, "vary"), varies, "{case}");
            assert_eq!(
                got.headers().contains(&header::ACCEPT_RANGES),
                [200, 206].contains(status) && coding.is_none(),
                "{case}"
            );
        }
    }
}

#[test]
fn without_codings_nothing_is_said_about_them() {
    let place = Place::new().allow(&[]);
    place.write("a.js", text(5000), 0).write("a.js.gz", "gz", 0);
    for mut got in place.both("/a.js", &[("Accept-Encoding", "gzip")]) {
        assert_eq!((field(&got, "vary"), field(&got, "content-encoding")), (None, None));
        assert_eq!(body(&mut got), text(5000));
    }
}

#[test]
fn no_more_than_so_many_are_compressed_while_they_are_sent() {
    let place = Place::new().allow(&[Coding::Gzip]);
    place.write("a.txt", text(5000), 0);
    let get = || ask(&place.anew, Method::GET, "/a.txt", &[("Accept-Encoding", "gzip")]);
    let running: Vec<_> = (0..MAX_STREAMS).map(|_| get()).collect();
    assert!(running.iter().all(|got| field(got, "content-encoding") == Some("gzip")));
    assert_eq!((field(&get(), "content-encoding"), body(&mut get())), (None, text(5000)));
    drop(running);
    assert_eq!(field(&get(), "content-encoding"), Some("gzip"));
}

/// Both are replaced at once, as a ConfigMap is, and the sibling is still remembered as it was.
#[test]
fn nobody_is_told_of_an_old_sibling_that_was_just_replaced() {
    const PART: Duration = Duration::from_millis(600);
    let gzip: Fields<'_> = &[("Accept-Encoding", "gzip")];
    let place = Place::new();
    let told = || place.kept.encodings.told.count();
    place.write("x.js", text(2_000), 0).write("x.js.gz", "old", 0);
    ask(&place.kept, Method::GET, "/x.js", &[]);
    place.kept.cache.let_pass(PART);
    assert_eq!(body(&mut ask(&place.kept, Method::GET, "/x.js", gzip)), b"old");
    place.write("x.js", text(3_000), 100).write("x.js.gz", "new", 100);
    place.kept.cache.let_pass(PART);
    assert_ne!(body(&mut ask(&place.kept, Method::GET, "/x.js", gzip)), b"old", "that of another version");
    assert_eq!(told(), 0);
    place.later();
    assert_eq!(body(&mut ask(&place.kept, Method::GET, "/x.js", gzip)), b"new");
    place.write("x.js", text(4_000), 200).later();
    assert_ne!(body(&mut ask(&place.kept, Method::GET, "/x.js", gzip)), b"new", "that of another version");
    assert_eq!(told(), 1);
}
