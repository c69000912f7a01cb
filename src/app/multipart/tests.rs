//! Forms, fed whole and in pieces.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::app::body::BodyError;
use crate::app::{App, IntoResponse, TestClient, TestResponse, post};

/// Gives the bytes in pieces of `size`, and then ends or fails.
struct Pieces {
    bytes: Vec<u8>,
    size: usize,
    end: Option<BodyError>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.size.min(buffer.len()).min(self.bytes.len());
        buffer[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes.drain(..n);
        match (n, self.end) {
            (0, Some(error)) => Err(error.into()),
            _ => Ok(n),
        }
    }
}

fn form(bytes: &[u8], size: usize) -> Multipart {
    let bytes = bytes.to_vec();
    Multipart::new(Body::reader(Pieces { bytes, size, end: None }, None), "AaB03x")
}

const SIZES: [usize; 8] = [usize::MAX, 1, 2, 3, 7, 11, 64, 1000];

/// Names, file names and contents.
type Parts = Vec<(String, Option<String>, Vec<u8>)>;

fn parts(mut form: Multipart) -> Result<Parts, MultipartError> {
    let mut parts = Vec::new();
    while let Some(field) = form.next_field()? {
        let (name, file) = (field.name().to_owned(), field.file_name().map(str::to_owned));
        parts.push((name, file, field.bytes()?.to_vec()));
    }
    Ok(parts)
}

fn part(disposition: &str, content: &str) -> String {
    format!("--AaB03x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

const END: &str = "--AaB03x--\r\n";

#[test]
fn forms_are_the_same_however_they_are_cut() {
    let long = "x\r\n-".repeat(30_000);
    type Expected<'a> = &'a [(&'a str, Option<&'a str>, &'a str)];
    let cases: [(String, Expected<'_>); 16] = [
        (END.to_owned(), &[]),
        (part("name=a", "1") + END, &[("a", None, "1")]),
        (part("name=a", "1") + "--AaB03x--", &[("a", None, "1")]),
        (part("name=\"a\"", "") + END, &[("a", None, "")]),
        (part("name=a", "1") + &part("name=b", "2") + END, &[("a", None, "1"), ("b", None, "2")]),
        (part("name=a; filename=\"c d.png\"", "PNG") + END, &[("a", Some("c d.png"), "PNG")]),
        (part("name=\"ä;\"; filename=\"\"", "1") + END, &[("ä;", Some(""), "1")]),
        (format!("a preamble\r\n{}{END}an epilogue\r\n--AaB03x\r\n", part("name=a", "1")), &[("a", None, "1")]),
        (part("name=a", "\r\n\r\n--\r\n") + END, &[("a", None, "\r\n\r\n--\r\n")]),
        (part("name=a", "\r\n--AaB03") + END, &[("a", None, "\r\n--AaB03")]),
        (part("name=a", "\n--AaB03x\n\r--AaB03x") + END, &[("a", None, "\n--AaB03x\n\r--AaB03x")]),
        (part("name=a", "\r\r\n-\r\n--AaB\r") + END, &[("a", None, "\r\r\n-\r\n--AaB\r")]),
        (
            part("name=a", "--AaB03x in a line --AaB03x--")[..].to_owned() + END,
            &[("a", None, "--AaB03x in a line --AaB03x--")],
        ),
        (part("name=a", "1").replace("AaB03x\r\n", "AaB03x \t\r\n") + END, &[("a", None, "1")]),
        (part("name=a", "1").replace("form-data", "Form-Data") + END, &[("a", None, "1")]),
        (part("name=a", &long) + &part("name=b", "2") + END, &[("a", None, &long), ("b", None, "2")]),
    ];
    for (body, expected) in cases {
        for size in SIZES {
            let parts =
                parts(form(body.as_bytes(), size)).unwrap_or_else(|error| panic!("{body:.200}/{size}: {error}"));
            let parts: Vec<_> =
                parts.iter().map(|(n, f, c)| (&**n, f.as_deref(), std::str::from_utf8(c).unwrap())).collect();
            assert!(parts == expected, "{body:.200} in pieces of {size}: {parts:.300?}");
        }
    }
}

#[test]
fn names_are_what_the_header_says() {
    let cases = [
        ("name=a", Some(("a", None))),
        ("NAME = \"a\" ; FileName=b c ;", Some(("a", Some("b c")))),
        ("filename=\"a; name=b\"; name=c", Some(("c", Some("a; name=b")))),
        ("name=\"a\\\"b\\\\\"; filename=\"C:\\dir\\x\"", Some(("a\"b\\", Some("C:\\dir\\x")))),
        ("name=a; filename*=UTF-8''x", Some(("a", None))),
        ("name=a; filename=x; filename*=UTF-8''y", Some(("a", Some("x")))),
        ("name=a; name=b", None),
        ("name=a; filename=x; FileName=y", None),
        ("filename=a", None),
        ("name=\"a", None),
        ("name=\"a\" b", None),
        ("name", None),
    ];
    for (parameters, expected) in cases {
        let found = parts(form((part(parameters, "1") + END).as_bytes(), 50)).ok();
        let found = found.as_ref().map(|parts| (&*parts[0].0, parts[0].1.as_deref()));
        assert_eq!(found, expected, "{parameters}");
    }
}

#[test]
fn what_is_no_form_is_malformed() {
    let header = |fields: &str| format!("--AaB03x\r\n{fields}\r\n\r\n1\r\n{END}");
    let cases = [
        String::new(),
        "no boundary at all".to_owned(),
        "--AaB03x".to_owned(),
        "--AaB03x\r\n".to_owned(),
        "--AaB03x\r\nContent-Disposition: form-data; name=a".to_owned(),
        part("name=a", "1"),
        part("name=a", "1") + "--AaB03x",
        part("name=a", "1") + "--AaB03x-",
        part("name=a", "1") + "--AaB03y--",
        part("name=a", "1") + "--AaB03xy\r\n\r\n",
        header("Content-Type: text/plain"),
        header("Content-Disposition: form-data"),
        header("Content-Disposition: attachment; name=a"),
        header("Content-Disposition: form-data; name*=UTF-8''a"),
        header("Content-Disposition: form-data; name=a\0"),
        header(&("X: y\r\n".repeat(40) + "Content-Disposition: form-data; name=a")),
        (part("name=a", "1") + END).replace("\r\n", "\n"),
        (part("name=a", "1") + END).replace("--AaB03x", "--aab03x"),
        (part("name=a", "1") + END).replace("--AaB03x", "-- AaB03x"),
        header("no field"),
        format!("{}{}", "p".repeat(200_000), part("name=a", "1") + END),
        header(&format!("X: {}\r\nContent-Disposition: form-data; name=a", "h".repeat(200_000))),
    ];
    for body in cases {
        for size in SIZES.into_iter().filter(|size| *size > 2 || body.len() < 1000) {
            let error = parts(form(body.as_bytes(), size)).expect_err(&format!("{body:.100} in pieces of {size}"));
            assert!(matches!(error, MultipartError::Malformed(_)), "{body:.100} in pieces of {size}: {error}");
        }
    }
}

#[test]
fn what_is_malformed_says_how() {
    let cases = [
        ("--other\r\n".to_owned(), "not the one of the Content-Type"),
        (part("name=a", "1"), "it ends within the field `a`"),
        (format!("--AaB03x\r\n{}\r\n", "X: y\r\n".repeat(40)), "cannot be read: too many headers"),
        (format!("--AaB03x\r\nX: {}", "y".repeat(20_000)), "more than 16 KiB before the content of a field"),
        (part("filename=a", "1") + END, "no Content-Disposition that is form-data with a name"),
    ];
    for (body, said) in cases {
        let error = parts(form(body.as_bytes(), 1000)).unwrap_err().to_string();
        assert!(error.starts_with("the form is malformed: ") && error.contains(said), "{error}");
    }
}

#[test]
fn after_such_an_error_nothing_more_comes() {
    for first in ["no field", "Content-Disposition: form-data"] {
        let body = format!("--AaB03x\r\n{first}\r\n\r\n1\r\n{}{END}", part("name=a", "1"));
        let mut form = form(body.as_bytes(), 7);
        for _ in 0..3 {
            assert!(matches!(form.next_field(), Err(MultipartError::Malformed(_))), "{first}");
        }
    }
}

#[test]
fn fields_that_nobody_reads_are_skipped() {
    let body = part("name=a", &"1".repeat(300_000)) + &part("name=b", "2") + END;
    for (size, read) in [(usize::MAX, 0), (1000, 0), (1000, 10), (7, 100)] {
        let mut form = form(body.as_bytes(), size);
        let mut field = form.next_field().unwrap().unwrap();
        field.read_exact(&mut vec![0; read]).unwrap();
        let field = form.next_field().unwrap().unwrap();
        assert_eq!((field.name().to_owned(), field.text().unwrap()), ("b".to_owned(), "2".to_owned()));
        assert!(form.next_field().unwrap().is_none());
    }
}

#[test]
fn the_body_is_read_only_as_far_as_it_is_asked_for() {
    struct Endless(io::Cursor<Vec<u8>>, std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.read(buffer)?.max(buffer.len());
            self.1.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
            Ok(n)
        }
    }
    let read = std::sync::Arc::default();
    let start = io::Cursor::new(b"--AaB03x\r\nContent-Disposition: form-data; name=a\r\n\r\n".to_vec());
    let body = Body::reader(Endless(start, std::sync::Arc::clone(&read)), None);
    let mut form = Multipart::new(body, "AaB03x");
    let field = form.next_field().unwrap();
    assert!(field.is_some());
    drop(field);
    assert!(read.load(std::sync::atomic::Ordering::Relaxed) <= 2 * 65536);
}

/// What a handler that does `take` answers to such a form.
fn answer(
    body: String,
    limits: MultipartLimits,
    take: impl Fn(Field<'_>) -> Result<(), MultipartError> + Copy + Send + Sync + 'static,
) -> TestResponse {
    let handler = move |mut form: Multipart| -> Result<(), MultipartError> {
        while let Some(field) = form.next_field()? {
            take(field)?;
        }
        Ok(())
    };
    let app = App::new().route("/", post(handler).body_limit(100_000)).state(limits);
    let client = TestClient::new(app).unwrap();
    client.post("/").header("content-type", "multipart/form-data; boundary=AaB03x").body(body).send()
}

#[test]
fn limits_are_kept_to_the_byte_and_name_the_field() {
    type Take = fn(Field<'_>) -> Result<(), MultipartError>;
    let limits = MultipartLimits::default().max_text_bytes(10).max_field_bytes(20).max_file_bytes(30);
    let cases: [(Take, usize); 6] = [
        (|field| field.text().map(drop), 10),
        (|field| field.bytes().map(drop), 20),
        (|mut field| field.copy_to(&mut io::sink()).map(drop), 30),
        (|mut field| Ok(io::copy(&mut field, &mut io::sink()).map(drop)?), 30),
        (|mut field| field.save_to_temp(tempfile::tempdir()?).map(drop), 30),
        (|field| field.with_limit(40).text().map(drop), 40),
    ];
    for (take, limit) in cases {
        let fits = answer(part("name=a", &"x".repeat(limit)) + END, limits, take);
        assert_eq!(fits.status(), 200, "{limit}: {}", fits.text());
        let refused = answer(part("name=a", &"x".repeat(limit + 1)) + END, limits, take);
        assert_eq!(refused.status(), 413);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert_eq!(refused.json::<Value>()["errors"][0]["field"], "a");
        assert_eq!(refused.json::<Value>()["errors"][0]["detail"], format!("has more than {limit} bytes"));
    }
}

#[test]
fn there_are_only_so_many_fields_and_bytes() {
    let skip = |_: Field<'_>| Ok(());
    let limits = MultipartLimits::default();
    assert_eq!(answer(part("name=a", "").repeat(128) + END, limits, skip).status(), 200);
    assert_eq!(answer(part("name=a", "").repeat(129) + END, limits, skip).status(), 413);
    assert_eq!(answer(part("name=a", "").repeat(3) + END, limits.max_fields(2), skip).status(), 413);
    assert_eq!(answer(part("name=a", &"x".repeat(99_000)) + END, limits, skip).status(), 200);
    let too_much = answer(part("name=a", &"x".repeat(100_000)) + END, limits, skip);
    assert_eq!(
        (too_much.status().as_u16(), too_much.json::<Value>()["detail"].as_str()),
        (413, Some("the request body is too large"))
    );
}

#[test]
fn text_that_is_none_names_the_field_and_the_place() {
    let body = [part("name=a", "").trim_end().as_bytes(), b"\r\n\r\nab\xff", b"\r\n--AaB03x--"].concat();
    let mut form = form(&body, 5);
    let error = form.next_field().unwrap().unwrap().text().unwrap_err();
    assert_eq!(error.to_string(), "the field `a` is not UTF-8 from byte 2 on");
    assert_eq!(error.into_response().status(), 400);
}

#[test]
fn a_body_that_fails_fails_the_form_alike() {
    let whole = part("name=a", "12345") + &part("name=b", "1") + END;
    for (end, status) in [(BodyError::Timeout, 408), (BodyError::ClientGone, 400), (BodyError::TooLarge, 413)] {
        for cut in (0..whole.len() - END.len()).step_by(3) {
            let bytes = whole.as_bytes()[..cut].to_vec();
            let body = Body::reader(Pieces { bytes, size: 9, end: Some(end) }, None);
            let error = parts(Multipart::new(body, "AaB03x")).unwrap_err();
            assert!(matches!(error, MultipartError::Body(reason) if reason == end), "{cut}: {error}");
            assert_eq!(error.into_response().status(), status);
        }
    }
}

#[test]
fn other_types_and_boundaries_are_refused() {
    let app = App::new().route("/", post(|form: Multipart| parts(form).map(|parts| parts.len().to_string())));
    let client = TestClient::new(app).unwrap();
    let long = "x".repeat(71);
    let cases = [
        ("multipart/form-data; boundary=AaB03x", 200),
        ("Multipart/Form-Data; charset=utf-8; boundary=\"AaB03x\"", 200),
        ("multipart/form-data;boundary=AaB03x;", 200),
        ("multipart/form-data; boundary=\"AaB03\"", 400),
        ("multipart/form-data; boundary=aab03x", 400),
        ("", 415),
        ("multipart/mixed; boundary=AaB03x", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        ("multipart/form-data; boundary=\"\"", 400),
        (&format!("multipart/form-data; boundary={long}"), 400),
    ];
    for (content_type, status) in cases {
        let answer = client.post("/").header("content-type", content_type).body(part("name=a", "1") + END).send();
        assert_eq!(answer.status(), status, "{content_type}: {}", answer.text());
    }
}

#[test]
fn boundaries_may_have_any_of_their_characters() {
    let app = App::new().route("/", post(|form: Multipart| parts(form).map(|parts| parts.len().to_string())));
    let client = TestClient::new(app).unwrap();
    for (parameter, boundary) in [
        ("--", "--"),
        ("\"----=_Part_0_1.2\"", "----=_Part_0_1.2"),
        ("\"'()+_,-./:=? x\"", "'()+_,-./:=? x"),
        ("----WebKitFormBoundary7MA4YWxkTrZu0gW", "----WebKitFormBoundary7MA4YWxkTrZu0gW"),
        (&"9".repeat(70), &"9".repeat(70)),
    ] {
        let content_type = format!("multipart/form-data; boundary={parameter}");
        let body = (part("name=a", "1") + &part("name=a", "2") + END).replace("AaB03x", boundary);
        let answer = client.post("/").header("content-type", content_type).body(body).send();
        assert_eq!(answer.text(), "2", "{parameter}");
    }
}

#[test]
fn file_names_lose_what_could_do_harm() {
    let cases = [
        ("cup.png", Some("cup.png")),
        ("../../etc/passwd", Some("passwd")),
        ("C:\\temp\\cup.png", Some("cup.png")),
        ("..", None),
        (".htaccess", Some("htaccess")),
        (" . .x", Some("x")),
        ("a/", None),
        ("", None),
        ("\u{1}\u{7f}Tasse ä.png", Some("Tasse ä.png")),
    ];
    for (name, expected) in cases {
        assert_eq!(field::harmless(name).as_deref(), expected, "{name:?}");
    }
    assert_eq!(field::harmless(&"ä".repeat(200)).unwrap().len(), 254);
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cup.png");
    let listed = || std::fs::read_dir(dir.path()).unwrap().count();
    let save = |body: &str, limit| {
        let mut form = form(body.as_bytes(), 1000);
        form.next_field().unwrap().unwrap().with_limit(limit).save_to(&path)
    };
    let whole = part("name=a; filename=x", &"x".repeat(200_000)) + END;
    assert!(matches!(save(&whole, 100_000), Err(MultipartError::TooLarge { .. })));
    assert!(matches!(save(&whole[..150_000], u64::MAX), Err(MultipartError::Malformed(_))));
    assert_eq!(listed(), 0);
    assert_eq!(save(&whole, u64::MAX).unwrap(), 200_000);
    assert_eq!((std::fs::read(&path).unwrap(), listed()), (vec![b'x'; 200_000], 1));
    assert!(save(&whole[..150_000], u64::MAX).is_err());
    assert_eq!((std::fs::metadata(&path).unwrap().len(), listed()), (200_000, 1), "the old one is still there");
}

#[test]
fn a_file_that_is_synced_is_there_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cup.png");
    let save = |body: &str| form(body.as_bytes(), 7).next_field().unwrap().unwrap().save_to_synced(&path);
    save(&part("name=a; filename=x", "1234")).unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(save(&(part("name=a; filename=x", "12345") + END)).unwrap(), 5);
    assert_eq!(std::fs::read(&path).unwrap(), b"12345");
}

#[test]
fn what_cannot_be_stored_says_where_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (missing, occupied) = (dir.path().join("none/cup.png"), dir.path().join("full"));
    std::fs::create_dir_all(occupied.join("more")).unwrap();
    let body = part("name=a; filename=x", "1") + END;
    type Save = fn(&mut Field<'_>, &std::path::Path) -> Result<u64, MultipartError>;
    let ways: [Save; 2] = [|field, path| field.save_to(path), |field, path| field.save_to_synced(path)];
    for path in [&missing, &occupied] {
        for save in ways {
            let error = save(&mut form(body.as_bytes(), 7).next_field().unwrap().unwrap(), path).unwrap_err();
            assert!(matches!(error, MultipartError::Io(_)), "{error}");
            assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");
        }
    }
    let error = form(body.as_bytes(), 7).next_field().unwrap().unwrap().save_to_temp(missing).unwrap_err();
    assert!(error.to_string().contains("none/cup.png/.upload-"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn content_that_is_encoded_is_refused_and_not_taken_for_what_it_is_not() {
    let encoded = |encoding: &str| part(&format!("name=a\r\nContent-Transfer-Encoding: {encoding}"), "MQ==") + END;
    for encoding in ["binary", "8bit", "7Bit"] {
        assert_eq!(parts(form(encoded(encoding).as_bytes(), 7)).unwrap()[0].2, b"MQ==", "{encoding}");
    }
    for encoding in ["base64", "Quoted-Printable", "x-mine", ""] {
        let refused = answer(encoded(encoding), MultipartLimits::default(), |field| field.text().map(drop));
        assert_eq!((refused.status().as_u16(), &refused.json::<Value>()["errors"][0]["field"]), (415, &"a".into()));
    }
}

#[test]
fn errors_of_the_writer_are_the_servers() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let full =
        answer(part("name=a", "1") + END, MultipartLimits::default(), |mut field| field.copy_to(&mut Full).map(drop));
    assert_eq!(full.status(), 500);
    assert!(!full.text().contains("stor"), "{}", full.text());
}

#[test]
fn text_fields_that_are_missing_or_wrong_are_named() {
    let body = part("name=n", "7") + &part("name=n", "8") + &part("name=t", "x") + END;
    let mut form = form(body.as_bytes(), 20);
    let mut texts = TextFields::default();
    while let Some(field) = form.next_field().unwrap() {
        texts.add(field).unwrap();
    }
    assert_eq!(texts.parse::<u8>("n").unwrap(), 7);
    assert_eq!(texts.all("n").collect::<Vec<_>>(), ["7", "8"]);
    assert_eq!(texts.get("none"), None);
    for (error, said) in [
        (texts.require("none").unwrap_err(), "the field `none` is missing"),
        (texts.parse::<u8>("t").unwrap_err(), "the field `t` is wrong: invalid digit found in string"),
    ] {
        assert_eq!(error.to_string(), said);
        assert_eq!(error.into_response().status(), 422);
    }
}

/// What forms are made of, and what looks like it.
const TOKENS: [&str; 16] = [
    "--AaB03x\r\n",
    "--AaB03x--",
    "\r\n--AaB03x\r\n",
    "\r\n--AaB03x--\r\n",
    "--AaB03x",
    "--",
    "\r\n",
    "\r",
    "\n",
    " ",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=a",
    "Content-Disposition: form-data; name=\"b\"; filename=\"c\"\r\n\r\n",
    "Content-Type: text/plain\r\n",
    "--AaB03x\r\nContent-Disposition: form-data; name=a\r\n\r\n",
    "text",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_mean_the_same_however_they_are_cut(
        tokens in prop::collection::vec(0..TOKENS.len(), 0..24),
        size in 1usize..40,
    ) {
        let bytes: String = tokens.iter().map(|&token| TOKENS[token]).collect();
        let (whole, cut) = (parts(form(bytes.as_bytes(), usize::MAX)), parts(form(bytes.as_bytes(), size)));
        prop_assert_eq!(whole.map_err(|error| error.status()), cut.map_err(|error| error.status()), "{:?}", bytes);
    }
}
