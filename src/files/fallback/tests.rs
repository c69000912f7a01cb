use std::fs;
use std::io::Read;

use http::{HeaderMap, Method};
use tempfile::TempDir;

use super::*;
use crate::files::Options;
use crate::semantics::conditional::tests::head;

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const PROGRAM: (&str, &str) = ("Accept", "application/json");
const PAGE: &str = "<title>app</title>";

struct Place {
    directory: TempDir,
    files: Files,
}

impl Place {
    fn new(options: Options) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path()).unwrap();
        files.set_options(options);
        Place { directory, files }
    }

    fn with_spa() -> Place {
        let spa = Spa::new("index.html").unwrap().except(["/api"]);
        let cache_control = Some(HeaderValue::from_static("max-age=600"));
        let place = Place::new(Options { cache_control, immutable: true, spa: Some(spa), ..Options::default() });
        place.write("index.html", PAGE).write("assets/app.3f9a1c2b.js", "run()").write("notes.txt", "notes");
        place
    }

    fn write(&self, name: &str, content: &str) -> &Place {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn ask(&self, method: Method, target: &str, fields: &[(&str, &str)]) -> Answer {
        let head = head(method, target, fields);
        let mut response = self.files.serve(&head, head.path().strip_prefix('/').unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in response.headers().iter() {
            headers.append(name.clone(), value.clone());
        }
        let (status, length) = (response.status().as_u16(), response.body().length().unwrap());
        let mut text = String::new();
        response.body_mut().read_to_string(&mut text).unwrap();
        Answer { status, headers, length, text }
    }

    fn get(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(Method::GET, target, fields)
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    length: u64,
    text: String,
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[test]
fn views_get_the_page_as_if_it_were_a_file() {
    let place = Place::with_spa();
    let file = place.get("/index.html", &[BROWSER]);
    assert_eq!((file.field("cache-control"), file.field("vary")), ("max-age=600", "Accept-Encoding"));
    for target in ["/orders", "/orders/7", "/orders/7?x=a.b", "/orders/", "/assets/", "/a%20b", "/notes.txt/x"] {
        let answer = place.get(target, &[BROWSER]);
        assert_eq!((answer.status, &*answer.text), (200, PAGE), "{target}");
        assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.field("cache-control"), "no-cache", "{target}: it names the files of one version");
        assert_eq!(answer.field("vary"), "Accept-Encoding, Accept, Sec-Fetch-Mode");
        assert_eq!(answer.field("etag"), file.field("etag"));
        let head = place.ask(Method::HEAD, target, &[BROWSER]);
        assert_eq!((head.status, head.length, head.headers), (200, answer.length, answer.headers));
    }
    let (tag, answer_varies) = (file.field("etag"), "Accept-Encoding, Accept, Sec-Fetch-Mode");
    let unchanged = place.get("/orders/7", &[BROWSER, ("If-None-Match", tag)]);
    assert_eq!((unchanged.status, unchanged.length), (304, 0));
    assert_eq!((unchanged.field("vary"), unchanged.field("cache-control")), (answer_varies, "no-cache"));
    let part = place.get("/orders/7", &[BROWSER, ("Range", "bytes=0-6")]);
    assert_eq!((part.status, &*part.text), (206, "<title>"));
    assert_eq!(place.get("/orders/7", &[BROWSER, ("If-Match", "\"other\"")]).status, 412);
}

#[test]
fn what_is_no_view_stays_what_it_is() {
    let place = Place::with_spa();
    let script = place.get("/assets/app.3f9a1c2b.js", &[]);
    assert_eq!((script.status, script.field("cache-control")), (200, "max-age=31536000, immutable"));
    assert_eq!(place.get("/notes.txt", &[BROWSER]).text, "notes");
    assert_eq!(place.get("/assets", &[BROWSER]).status, 301);
    let cases: &[(&str, Fields<'_>, u16)] = &[
        ("/assets/app.00000000.js", &[("Accept", "*/*")], 404),
        ("/assets/app.00000000.js", &[BROWSER], 404),
        ("/api/users", &[BROWSER], 404),
        ("/orders/7", &[PROGRAM], 404),
        ("/orders/7", &[("Accept", "*/*"), ("Sec-Fetch-Mode", "cors")], 404),
        ("/healthcheck", &[("Accept", "*/*"), ("User-Agent", "curl/8")], 404),
        // Names that are none are not views either: nobody shall think that he has found something.
        ("/.git/config", &[BROWSER], 404),
        ("/.env", &[BROWSER], 404),
        ("/x/..%2f..%2fetc/passwd", &[BROWSER], 404),
        ("//orders", &[BROWSER], 404),
        ("/%00", &[BROWSER], 400),
    ];
    for (target, fields, expected) in cases {
        assert_eq!(place.get(target, fields).status, *expected, "{target} {fields:?}");
    }
    assert_eq!(place.ask(Method::POST, "/orders/7", &[BROWSER]).status, 405);
    place.files.set_cache_bytes(0);
    fs::remove_file(place.directory.path().join("index.html")).unwrap();
    assert_eq!(place.get("/orders/7", &[BROWSER]).status, 404);
    assert_eq!(place.files.missing_page().as_deref(), Some("index.html"));
}

#[test]
fn who_may_not_store_the_file_may_not_store_the_view() {
    for (value, expected) in [("no-store", "no-store"), ("private, max-age=60", "private, no-cache")] {
        let place = Place::with_spa();
        let spa = Some(Spa::new("index.html").unwrap());
        let cache_control = Some(HeaderValue::from_static(value));
        place.files.set_options(Options { cache_control, immutable: true, spa, ..Options::default() });
        assert_eq!(place.get("/orders/7", &[BROWSER]).field("cache-control"), expected);
        assert_eq!(place.get("/assets/app.3f9a1c2b.js", &[]).field("cache-control"), value);
    }
}

#[test]
fn below_some_paths_all_but_pages_is_immutable() {
    let place = Place::new(Options { immutable_below: vec!["/assets/".to_owned()], ..Options::default() });
    place
        .write("assets/app.js", "")
        .write("assets/index.html", "")
        .write("assets2/app.js", "")
        .write("app.3f9a1c2b.js", "");
    for (target, expected) in [
        ("/assets/app.js", "max-age=31536000, immutable"),
        ("/assets/", ""),
        ("/assets/index.html", ""),
        ("/assets2/app.js", ""),
        ("/app.3f9a1c2b.js", ""),
    ] {
        assert_eq!(place.get(target, &[]).field("cache-control"), expected, "{target}");
    }
}

#[test]
fn a_page_of_the_sites_own_for_what_is_not_there() {
    let place = Place::new(Options::default());
    place.write("404.html", "<h1>gone</h1>").write("sub/x", "");
    for target in ["/none", "/none/", "/sub/", "/sub/none.js", "/.env", "/..%2fx"] {
        let answer = place.get(target, &[BROWSER]);
        assert_eq!((answer.status, &*answer.text), (404, "<h1>gone</h1>"), "{target}");
        assert_eq!(answer.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.field("cache-control"), "no-cache");
        assert_eq!(answer.field("vary"), "Accept-Encoding, Accept, Sec-Fetch-Mode");
        assert_eq!((answer.field("etag"), answer.field("last-modified"), answer.field("accept-ranges")), ("", "", ""));
        let head = place.ask(Method::HEAD, target, &[BROWSER]);
        assert_eq!((head.status, head.length, head.headers), (404, answer.length, answer.headers));
    }
    let tag = place.get("/404.html", &[BROWSER]).field("etag").to_owned();
    for condition in [("If-None-Match", &*tag), ("Range", "bytes=0-1"), ("If-None-Match", "*"), ("If-Match", "\"x\"")] {
        let answer = place.get("/none", &[BROWSER, condition]);
        assert_eq!((answer.status, &*answer.text), (404, "<h1>gone</h1>"), "{condition:?}");
    }
    let program = place.get("/none", &[PROGRAM]);
    assert_eq!(
        (program.status, &*program.text, program.field("content-type")),
        (404, "Not Found", "text/plain; charset=utf-8")
    );
    assert_eq!(program.field("vary"), "Accept, Sec-Fetch-Mode");
    assert_eq!(place.get("/%00", &[BROWSER]).text, "Bad Request");
    place.files.set_cache_bytes(0);
    fs::remove_file(place.directory.path().join("404.html")).unwrap();
    assert_eq!(place.get("/none", &[BROWSER]).text, "Not Found");
}

#[test]
fn the_page_for_what_is_not_there_may_be_long() {
    let place = Place::new(Options::default());
    place.write("404.html", &"long ".repeat(100_000));
    let answer = place.get("/none", &[BROWSER]);
    assert_eq!((answer.status, answer.length, answer.text.len()), (404, 500_000, 500_000));
}

#[test]
fn pages_are_compressed_like_files() {
    let place = Place::with_spa();
    let long = "<p>long</p>".repeat(1_000);
    place.write("index.html", &long).write("404.html", &long);
    for (target, status, tagged) in [("/orders/7", 200, true), ("/none.js", 404, false)] {
        let head = head(Method::GET, target, &[BROWSER, ("Accept-Encoding", "gzip")]);
        let mut response = place.files.serve(&head, &target[1..]);
        let mut body = Vec::new();
        response.body_mut().read_to_end(&mut body).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&*body).read_to_string(&mut text).unwrap();
        assert_eq!((response.status().as_u16(), text == long), (status, true), "{target}");
        let headers = response.headers();
        assert_eq!(headers.get(&header::CONTENT_ENCODING).unwrap(), "gzip");
        assert_eq!(headers.get(&header::VARY).unwrap(), "Accept-Encoding, Accept, Sec-Fetch-Mode");
        assert_eq!(headers.contains(&header::ETAG), tagged, "{target}");
    }
}
