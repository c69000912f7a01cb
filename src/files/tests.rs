//! The file service as a handler is called, over directories made for each test, with and without openat2(2).

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::{StatusCode, header};
use tempfile::TempDir;

use super::*;
use crate::semantics::conditional::tests::head;

/// 2024-02-29 12:00:00 and a fraction.
const WRITTEN: Duration = Duration::from_nanos(1_709_208_000_123_456_789);
const DATE: &str = "Thu, 29 Feb 2024 12:00:00 GMT";

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// A root with a sibling that must never be seen, the two ways to open files in it, and a cache whose time passes by
/// hand.
struct Place {
    directory: TempDir,
    services: [Files; 2],
    cached: Files,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(directory.path().join("secret.txt"), "secret").unwrap();
        let [kernel, walk] = [(); 2].map(|()| Files::new(&root).unwrap().with_cache_bytes(0));
        let services = [kernel, Files { root: walk.root.without_openat2(), ..walk }];
        Place { directory, services, cached: Files::new(&root).unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Place {
        let path = self.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + WRITTEN))
            .unwrap();
        self
    }

    fn link(&self, target: &str, name: &str) -> &Place {
        symlink(target, self.root().join(name)).unwrap();
        self
    }

    /// The answer for a target at the mount point `/`, which must be the same in all ways.
    fn ask(&self, method: Method, target: &str, fields: Fields<'_>) -> Answer {
        let head = head(method, target, fields);
        let path = head.path().strip_prefix('/').unwrap();
        let [kernel, walk] = self.services.each_ref().map(|files| Answer::of(files.serve(&head, path)));
        self.cached.cache.let_pass(Duration::from_secs(1));
        for other in [walk, Answer::of(self.cached.serve(&head, path)), Answer::of(self.cached.serve(&head, path))] {
            assert_eq!(kernel.status, other.status, "{target}");
            if !kernel.header("content-type").starts_with("multipart/") {
                assert_eq!(kernel, other, "{target}");
            }
        }
        kernel
    }

    fn get(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[])
    }
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    length: u64,
    body: Vec<u8>,
}

impl Answer {
    fn of(mut response: Response) -> Answer {
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let length = response.body().length().unwrap();
        let mut body = Vec::new();
        response.body_mut().read_to_end(&mut body).unwrap();
        Answer { status: response.status().as_u16(), headers, length, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

#[test]
fn a_file_with_everything_said_about_it() {
    let place = Place::new();
    place.write("site.css", "body {}");
    let answer = place.get("/site.css?v=1");
    let expected = [
        ("etag", "\"7-17b8539ece9d4d15\""),
        ("last-modified", DATE),
        ("content-type", "text/css; charset=utf-8"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Accept-Encoding"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(answer, Answer { status: 200, headers: expected.into(), length: 7, body: b"body {}".into() });
    assert_eq!(place.ask(Method::HEAD, "/site.css", &[]), answer);
}

#[test]
fn files_of_all_lengths_arrive_whole() {
    let place = Place::new();
    let small = entry::IN_MEMORY as usize;
    for length in [0, 1, 1024, small - 1, small, small + 1, 3 * small] {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        place.write("file", &content);
        let answer = place.get("/file");
        assert_eq!((answer.status, answer.length), (200, length as u64));
        assert!(answer.body == content, "{length} bytes");
        assert_eq!(place.ask(Method::HEAD, "/file", &[]).length, length as u64);
    }
}

#[test]
fn directories_have_an_index_and_a_slash() {
    let place = Place::new();
    place.write("index.html", "home").write("docs/index.html", "docs").write("a:b/x.txt", "x").write("empty/x/y", "");
    place.write("two words/index.html", "words").write("evil.com/index.html", "evil").write("odd/index.html/x", "");
    let cases = [
        ("/", 200, "home"),
        ("/index.html", 200, "home"),
        ("/docs/", 200, "docs"),
        ("/docs/index.html", 200, "docs"),
        ("/docs", 301, "./docs/"),
        ("/docs?q=a/b&c=%2F", 301, "./docs/?q=a/b&c=%2F"),
        ("/docs?", 301, "./docs/?"),
        ("/empty/x", 301, "./x/"),
        ("/two%20words", 301, "./two%20words/"),
        ("/a:b", 301, "./a:b/"),
        ("/a:b/", 404, "Not Found"),
        ("/empty/", 404, "Not Found"),
        ("/odd/", 404, "Not Found"),
        ("/index.html/", 404, "Not Found"),
        ("//evil.com", 404, "Not Found"),
        ("//evil.com/..", 404, "Not Found"),
        ("/%2Fevil.com", 404, "Not Found"),
        ("/\\evil.com", 404, "Not Found"),
    ];
    for (target, status, text) in cases {
        let answer = place.get(target);
        let seen = if status == 301 { answer.header("location") } else { answer.text() };
        assert_eq!((answer.status, seen), (status, text), "{target}");
    }
}

#[test]
fn a_mount_point_below_the_root_redirects_to_its_slash() {
    let place = Place::new();
    place.write("index.html", "home");
    let cases = [("/assets", 301, "./assets/"), ("/assets?x", 301, "./assets/?x"), ("/assets/", 200, "")];
    for (target, status, location) in cases {
        let answer = Answer::of(place.services[0].serve(&head(Method::GET, target, &[]), ""));
        assert_eq!((answer.status, answer.header("location")), (status, location), "{target}");
    }
}

#[test]
fn nothing_outside_the_root_and_nothing_hidden() {
    let place = Place::new();
    place.write("a/b.txt", "b").write(".env", "secret").write("a/.htpasswd", "secret").write(".git/config", "secret");
    place.write("..hidden", "secret").write("back\\slash", "secret").write("%2e%2e", "percent");
    let outside = place.directory.path().join("secret.txt");
    let missing = [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2e/secret.txt",
        "/.%2e/secret.txt",
        "/a/../../secret.txt",
        "/a/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/a%2f..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/a\\..\\..\\secret.txt",
        "/%252e%252e/secret.txt",
        "/%252e%252e%252fsecret.txt",
        "/..;/secret.txt",
        "/.../secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/%e0%80%ae%e0%80%ae/secret.txt",
        "/%uff0e%uff0e/secret.txt",
        "/./a/b.txt",
        "/a/./b.txt",
        "/a//b.txt",
        "//a/b.txt",
        "/a/b.txt/",
        "/a/b.txt/.",
        "/a/b.txt/..",
        "/a%2fb.txt",
        "/.env",
        "/%2eenv",
        "/a/.htpasswd",
        "/.git/config",
        "/.git/",
        "/.git",
        "/..hidden",
        "/back\\slash",
        "/back%5cslash",
        "/b.txt",
        "/A/b.txt",
    ];
    for target in missing {
        let answer = place.get(target);
        assert!(matches!(answer.status, 404 | 400), "{target} {}", answer.status);
        assert!(!answer.text().contains("secret"), "{target}");
    }
    for target in ["/%00", "/a/b.txt%00", "/a/b.txt%00.html", "/%", "/a%2", "/%zz", "/a/b%u0041"] {
        assert_eq!(place.get(target).status, 400, "{target}");
    }
    let absolute = format!("/{}", outside.display());
    assert_eq!(place.get(&absolute).status, 404);
    assert_eq!(place.get("/%252e%252e").text(), "percent");
    assert_eq!(place.get("/a/b%2etxt").text(), "b");
}

#[test]
fn links_are_followed_as_long_as_they_stay_beneath_the_root() {
    let place = Place::new();
    let directory = place.directory.path().to_owned();
    let absolute = |name: &str| directory.join(name).display().to_string();
    fs::create_dir(directory.join("other")).unwrap();
    fs::write(directory.join("other/x.txt"), "secret").unwrap();
    place.write("a/b/x.txt", "x").write("y.txt", "y").write("..2024_02/index.html", "map");
    place
        // As a mounted ConfigMap has them.
        .link("..2024_02", "..data")
        .link("..data/index.html", "index.html")
        .link("y.txt", "a/b/loop-free")
        .link("b/x.txt", "a/inner")
        .link("../y.txt", "a/up")
        .link("../../y.txt", "a/b/up-up")
        .link("a", "dir")
        .link("a/./b//", "deep")
        .link("a/b/..", "back")
        .link("up-chain-2", "up-chain-1")
        .link("a/up", "up-chain-2")
        .link(".", "self")
        .link("a/..", "home")
        .link("../secret.txt", "out")
        .link("../root/y.txt", "out-and-in")
        .link("a/../../secret.txt", "a-out")
        .link("../other", "out-dir")
        .link("..", "parent")
        .link(&absolute("secret.txt"), "absolute-out")
        .link(&absolute("root/y.txt"), "absolute-in")
        .link(&absolute("other"), "absolute-dir")
        .link("/", "slash")
        .link("/proc/self/root", "magic")
        .link("circle-2", "circle-1")
        .link("circle-1", "circle-2")
        .link("nowhere", "dangling")
        .link("y.txt/z", "through-file");
    let cases = [
        ("/", 200, "map"),
        ("/index.html", 200, "map"),
        ("/a/inner", 200, "x"),
        ("/a/up", 200, "y"),
        ("/a/b/up-up", 200, "y"),
        ("/dir/b/x.txt", 200, "x"),
        ("/deep/x.txt", 200, "x"),
        ("/back/b/x.txt", 200, "x"),
        ("/up-chain-1", 200, "y"),
        ("/self/self/self/y.txt", 200, "y"),
        ("/home/y.txt", 200, "y"),
        ("/self/", 200, "map"),
        ("/dir", 301, ""),
        ("/self", 301, ""),
        ("/back", 301, ""),
        ("/home", 301, ""),
        ("/a/b/loop-free", 404, "Not Found"),
        ("/out", 404, "Not Found"),
        ("/out-and-in", 404, "Not Found"),
        ("/a-out", 404, "Not Found"),
        ("/out-dir/x.txt", 404, "Not Found"),
        ("/out-dir", 404, "Not Found"),
        ("/out-dir/", 404, "Not Found"),
        ("/parent/secret.txt", 404, "Not Found"),
        ("/parent", 404, "Not Found"),
        ("/absolute-out", 404, "Not Found"),
        ("/absolute-in", 404, "Not Found"),
        ("/absolute-dir/x.txt", 404, "Not Found"),
        ("/slash/etc/passwd", 404, "Not Found"),
        ("/magic/etc/passwd", 404, "Not Found"),
        ("/circle-1", 404, "Not Found"),
        ("/dangling", 404, "Not Found"),
        ("/through-file", 404, "Not Found"),
        ("/inner/x.txt", 404, "Not Found"),
    ];
    for (target, status, text) in cases {
        let answer = place.get(target);
        assert_eq!((answer.status, answer.text()), (status, text), "{target}");
    }
}

#[test]
fn a_swapped_config_map_is_seen_at_once() {
    let place = Place::new();
    place.write("..1/page.html", "one").write("..2/page.html", "two!").link("..1", "..data");
    place.link("..data/page.html", "page.html");
    let first = place.get("/page.html");
    place.link("..2", "..data_tmp");
    fs::rename(place.root().join("..data_tmp"), place.root().join("..data")).unwrap();
    let second = place.get("/page.html");
    assert_eq!((first.text(), second.text()), ("one", "two!"));
    assert_ne!(first.header("etag"), second.header("etag"));
}

#[test]
fn links_of_proc_are_no_way_out() {
    let directory = tempfile::tempdir().unwrap();
    let outside = File::create(directory.path().join("outside")).unwrap();
    let target = format!("/{}", std::os::fd::AsRawFd::as_raw_fd(&outside));
    for files in [Files::new(Path::new("/proc/self/fd")), Files::new(Path::new("/proc/thread-self/fd"))] {
        let files = files.unwrap();
        assert_eq!(files.serve(&head(Method::GET, &target, &[]), &target[1..]).status(), StatusCode::NOT_FOUND);
        let files = Files { root: files.root.without_openat2(), ..files };
        assert_eq!(files.serve(&head(Method::GET, &target, &[]), &target[1..]).status(), StatusCode::NOT_FOUND);
    }
}

#[test]
fn long_and_deep_paths_are_not_found() {
    let place = Place::new();
    place.write("index.html", "home").link(".", "self");
    let cases = [
        "/".to_owned() + &"a".repeat(255),
        "/".to_owned() + &"a".repeat(256),
        "/".to_owned() + &"a".repeat(5_000),
        "/a".repeat(5_000),
        "/self".repeat(60) + "/index.html",
        "/%61".repeat(3_000),
        "/a%2f".repeat(1_000),
    ];
    for target in cases {
        assert_eq!(place.get(&target).status, 404, "{} bytes", target.len());
    }
    let longest = "n".repeat(255);
    place.write(&longest, "long");
    assert_eq!(place.get(&format!("/{longest}")).text(), "long");
}

#[test]
fn only_regular_files_are_served_and_nothing_blocks() {
    let place = Place::new();
    let fifo = place.root().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.root().join("socket")).unwrap();
    for target in ["/fifo", "/fifo/", "/socket"] {
        assert_eq!(place.get(target).status, 404, "{target}");
    }
    let devices = Files::new(Path::new("/dev")).unwrap();
    for device in ["null", "zero", "tty"] {
        let status = devices.serve(&head(Method::GET, "/x", &[]), device).status();
        assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{device} {status}");
    }
}

#[test]
fn names_may_have_any_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.write("grüße.txt", "utf-8").write("a+b c.txt", "space").write("new\nline", "control");
    let latin = place.root().join(std::ffi::OsStr::from_bytes(b"gr\xfc\xdfe.txt"));
    fs::write(latin, "latin").unwrap();
    let cases = [
        ("/gr%C3%BC%c3%9fe.txt", "utf-8"),
        ("/gr%FC%DFe.txt", "latin"),
        ("/a+b%20c.txt", "space"),
        ("/new%0Aline", "control"),
    ];
    for (target, text) in cases {
        assert_eq!(place.get(target).text(), text, "{target}");
    }
}

#[test]
fn other_methods_are_not_allowed() {
    let place = Place::new();
    place.write("x", "x");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let answer = place.ask(method, "/x", &[]);
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    }
}

#[test]
fn preconditions() {
    let place = Place::new();
    place.write("x.txt", "0123456789");
    let etag = place.get("/x.txt").header("etag").to_owned();
    let weak = format!("W/{etag}");
    let cases: &[(Fields<'_>, u16)] = &[
        (&[("If-None-Match", &etag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"other\"")], 200),
        (&[("If-None-Match", "\"other\""), ("If-Modified-Since", DATE)], 200),
        (&[("If-Modified-Since", DATE)], 304),
        (&[("If-Modified-Since", "Thu, 29 Feb 2024 11:59:59 GMT")], 200),
        (&[("If-Match", &etag)], 200),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", "\"other\"")], 412),
        (&[("If-Unmodified-Since", DATE)], 200),
        (&[("If-Unmodified-Since", "Thu, 29 Feb 2024 11:59:59 GMT")], 412),
        (&[("Range", "bytes=0-1"), ("If-Range", &etag)], 206),
        (&[("Range", "bytes=0-1"), ("If-Range", DATE)], 206),
        (&[("Range", "bytes=0-1"), ("If-Range", "\"other\"")], 200),
        (&[("Range", "bytes=99-"), ("If-Range", "\"other\"")], 200),
        (&[("Range", "bytes=0-1"), ("If-None-Match", &etag)], 304),
        (&[("Range", "bytes=99-"), ("If-Match", "\"other\"")], 412),
    ];
    for (fields, status) in cases {
        let answer = place.ask(Method::GET, "/x.txt", fields);
        assert_eq!(answer.status, *status, "{fields:?}");
        if *status == 304 {
            let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((names, answer.length), (vec!["etag", "last-modified", "vary"], 0));
        }
    }
}

#[test]
fn cache_control_is_sent_where_a_cache_reads_it() {
    let place = Place::new();
    place.write("x.txt", "0123456789").write("dir/x", "");
    let files = Files::new(&place.root()).unwrap().with_cache_control(Some(HeaderValue::from_static("max-age=60")));
    let cases: &[(&str, Fields<'_>, u16, &str)] = &[
        ("/x.txt", &[], 200, "max-age=60"),
        ("/x.txt", &[("Range", "bytes=0-0")], 206, "max-age=60"),
        ("/x.txt", &[("If-None-Match", "*")], 304, "max-age=60"),
        ("/x.txt", &[("Range", "bytes=99-")], 416, ""),
        ("/x.txt", &[("If-Match", "\"\"")], 412, ""),
        ("/nothing", &[], 404, "no-cache"),
    ];
    for (target, fields, status, value) in cases {
        let answer = Answer::of(files.serve(&head(Method::GET, target, fields), &target[1..]));
        assert_eq!((answer.status, answer.header("cache-control")), (*status, *value), "{target} {fields:?}");
    }
}

#[test]
fn single_ranges() {
    let place = Place::new();
    place.write("x.txt", "0123456789").write("empty.txt", "");
    let cases = [
        ("bytes=0-0", 206, "0", "bytes 0-0/10"),
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=0-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=0-2,3-5", 206, "012345", "bytes 0-5/10"),
        ("bytes=10-", 416, "Range Not Satisfiable", "bytes */10"),
        ("bytes=-0", 416, "Range Not Satisfiable", "bytes */10"),
        ("bytes=4-2", 200, "0123456789", ""),
        ("bytes=x", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
    ];
    for (range, status, text, content_range) in cases {
        let answer = place.ask(Method::GET, "/x.txt", &[("Range", range)]);
        assert_eq!((answer.status, answer.text(), answer.length), (status, text, text.len() as u64), "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
    }
    let head = place.ask(Method::HEAD, "/x.txt", &[("Range", "bytes=0-0")]);
    assert_eq!((head.status, head.length), (200, 10));
    assert_eq!(place.ask(Method::GET, "/empty.txt", &[("Range", "bytes=0-")]).status, 200);
}

#[test]
fn several_ranges() {
    let place = Place::new();
    let content: Vec<u8> = (0..200_000u32).map(|n| b'a' + (n % 23) as u8).collect();
    place.write("x.txt", &content);
    // Built at once, and read while it is sent.
    for ranges in [[(0, 9), (1_000, 1_004)], [(199_990, 199_999), (0, 4)], [(150_000, 199_999), (10, 100_009)]] {
        let set = ranges.map(|(first, last)| format!("{first}-{last}")).join(",");
        let answer = place.ask(Method::GET, "/x.txt", &[("Range", &format!("bytes={set}"))]);
        let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
        let mut expected = Vec::new();
        for (n, (first, last)) in ranges.into_iter().enumerate() {
            let before = if n == 0 { "" } else { "\r\n" };
            let head = format!(
                "{before}--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {first}-{last}/200000\r\n\r\n"
            );
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&content[first..=last]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(answer.body == expected, "{set}");
        assert_eq!((answer.status, answer.length), (206, expected.len() as u64));
        assert_eq!(answer.header("content-range"), "");
    }
}

#[test]
fn boundaries_differ() {
    assert_ne!(multipart::boundary(), multipart::boundary());
    assert_eq!(multipart::boundary().len(), 32);
}

#[test]
fn a_file_that_shrinks_while_its_parts_are_sent_is_an_error_and_not_a_short_answer() {
    let place = Place::new();
    place.write("x", vec![b'x'; 300_000]);
    let head = head(Method::GET, "/x", &[("Range", "bytes=0-99999,200000-299999")]);
    let mut response = place.services[0].serve(&head, "x");
    File::options().write(true).open(place.root().join("x")).unwrap().set_len(150_000).unwrap();
    let error = response.body_mut().read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn the_tag_changes_with_the_size_and_with_the_time() {
    let place = Place::new();
    let touch = |time: Duration| {
        let file = File::options().write(true).open(place.root().join("x")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + time).unwrap();
        let answer = place.get("/x");
        (answer.header("etag").to_owned(), answer.header("last-modified").to_owned())
    };
    place.write("x", "1");
    let first = touch(WRITTEN);
    let second = touch(WRITTEN + Duration::from_nanos(1));
    assert_eq!(first.1, second.1);
    assert_ne!(first.0, second.0);
    place.write("x", "22");
    assert_ne!(touch(WRITTEN).0, first.0);
    place.write("x", "3");
    assert_eq!(touch(WRITTEN), first);
}

#[test]
fn times_that_say_nothing_make_no_last_modified() {
    let place = Place::new();
    // 1970 and 1980, and those of Gradle, Yarn, npm and Bazel.
    for seconds in [0, 1, 315_532_801, 318_211_200, 456_789_000, 499_162_500, 946_684_800] {
        place.write("x", "1");
        let touch = || {
            let file = File::options().write(true).open(place.root().join("x")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        };
        touch();
        let before = place.get("/x");
        fs::remove_file(place.root().join("x")).unwrap();
        place.write("held", "keeps the inode number taken").write("x", "2");
        touch();
        let after = place.get("/x");
        assert_eq!((before.header("last-modified"), after.header("last-modified")), ("", ""));
        assert_ne!(before.header("etag"), after.header("etag"));
    }
}

#[test]
fn nothing_was_modified_in_the_future() {
    let place = Place::new();
    place.write("x", "1");
    let future = SystemTime::now() + Duration::from_secs(1_000_000);
    File::options().write(true).open(place.root().join("x")).unwrap().set_modified(future).unwrap();
    let before = SystemTime::now() - Duration::from_secs(1);
    let response = place.services[0].serve(&head(Method::GET, "/x", &[]), "x");
    let value = response.headers().get(&header::LAST_MODIFIED).unwrap();
    let modified = crate::semantics::date::parse(value.as_bytes()).unwrap();
    assert!(before <= modified && modified <= SystemTime::now());
}

#[test]
fn what_the_process_may_not_read_is_forbidden() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        return assert_eq!(Refusal::from(rustix::io::Errno::ACCESS), Refusal::Forbidden);
    }
    let place = Place::new();
    place.write("x", "1");
    fs::set_permissions(place.root().join("x"), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(place.get("/x").status, 403);
}

#[test]
fn a_root_must_be_a_directory() {
    let place = Place::new();
    place.write("x", "1");
    assert_eq!(Files::new(&place.root().join("x")).unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(Files::new(&place.root().join("y")).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_root_that_is_gone_is_noticed_and_one_in_its_place_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let (root, aside) = (directory.path().join("root"), directory.path().join("aside"));
    let text = |files: &Files, name: &str| {
        let response = files.serve(&head(Method::GET, &format!("/{name}"), &[]), name);
        String::from_utf8(response.body.into_bytes().unwrap().to_vec()).unwrap()
    };
    for bytes in [0, cache::DEFAULT_BYTES] {
        fs::create_dir(&root).unwrap();
        fs::write(root.join("x"), "1").unwrap();
        let files = Files::new(&root).unwrap().with_cache_bytes(bytes);
        files.check().unwrap();
        fs::rename(&root, &aside).unwrap();
        assert_eq!(files.check().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(text(&files, "x"), "1", "it is still there under another name");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("x"), "2").unwrap();
        fs::write(root.join("y"), "new").unwrap();
        files.check().unwrap();
        files.cache.let_pass(Duration::from_secs(2));
        assert_eq!([text(&files, "x"), text(&files, "y")], ["2", "new"]);
        fs::remove_dir_all(&aside).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}

/// As git-sync does it: a link is renamed over another, and the directory behind the old one is removed.
#[test]
fn a_root_that_is_a_link_is_followed_without_a_check() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let publish = |version: &str| {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("x"), version).unwrap();
        symlink(version, path("link")).unwrap();
        fs::rename(path("link"), path("current")).unwrap();
    };
    publish("1");
    for bytes in [0, cache::DEFAULT_BYTES] {
        let files = Files::new(&path("current")).unwrap().with_cache_bytes(bytes);
        for version in ["2", "3"].map(|version| format!("{version}-{bytes}")) {
            publish(&version);
            files.cache.let_pass(Duration::from_secs(2));
            let response = files.serve(&head(Method::GET, "/x", &[]), "x");
            assert_eq!(response.body.into_bytes().unwrap(), version.as_bytes());
        }
    }
}

#[test]
fn renames_elsewhere_do_not_disturb_links_that_go_up() {
    let place = Place::new();
    place.write("a/b/c/d/x.txt", "x").write("y.txt", "y").write("moving", "m");
    // A long way, so that something is renamed while the kernel is on it.
    let target = "../../../../a/b/c/d/".repeat(50) + "../../../../y.txt";
    place.link(&target, "a/b/c/d/up");
    let (from, to) = (place.root().join("moving"), place.root().join("moved"));
    let done = AtomicBool::new(false);
    let head = head(Method::GET, "/a/b/c/d/up", &[]);
    let answers: Vec<StatusCode> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                fs::rename(&from, &to).and_then(|()| fs::rename(&to, &from)).unwrap();
            }
        });
        // Nothing here may panic before the other thread is told to end.
        let answers = (0..6_000).map(|_| place.services[0].serve(&head, "a/b/c/d/up").status()).collect();
        done.store(true, Ordering::Relaxed);
        answers
    });
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
}
