use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::semantics::conditional::tests::head;

/// A directory outside of which there is something, served with listings.
struct Place {
    directory: TempDir,
    files: Files,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    length: u64,
    text: String,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        fs::write(directory.path().join("secret.txt"), "secret").unwrap();
        let files = Files::new(&directory.path().join("root")).unwrap().with_listing(true);
        Place { directory, files }
    }

    fn write(&self, name: impl AsRef<[u8]>, size: usize) -> &Place {
        let path = self.directory.path().join("root").join(std::ffi::OsStr::from_bytes(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; size]).unwrap();
        self
    }

    fn link(&self, target: &str, name: &str) -> &Place {
        symlink(target, self.directory.path().join("root").join(name)).unwrap();
        self
    }

    fn ask(&self, method: Method, target: &str, fields: &[(&str, &str)]) -> Answer {
        let head = head(method, target, fields);
        let mut response = self.files.serve(&head, head.path().strip_prefix('/').unwrap());
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let (status, length) = (response.status().as_u16(), response.body().length().unwrap());
        let mut text = String::new();
        response.body_mut().read_to_string(&mut text).unwrap();
        Answer { status, headers, length, text }
    }

    fn page(&self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[("Accept", "text/html,*/*;q=0.8")])
    }

    fn json(&self, target: &str) -> Vec<Value> {
        let answer = self.ask(Method::GET, target, &[("Accept", "application/json")]);
        assert_eq!(answer.field("content-type"), "application/json; charset=utf-8");
        serde_json::from_str(&answer.text).unwrap()
    }

    fn names(&self, target: &str) -> Vec<String> {
        self.json(target).iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    }
}

impl Answer {
    fn field(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// What the links of the table lead to, in order.
    fn references(&self) -> Vec<&str> {
        let rows = self.text.split("<tbody>").nth(1).unwrap();
        rows.split("href=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
    }
}

#[test]
fn a_directory_as_a_page() {
    let place = Place::new();
    place.write("docs/b.txt", 1536).write("docs/sub/x", 1).write("docs/A.txt", 0);
    let answer = place.page("/docs/");
    assert_eq!((answer.status, answer.field("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(answer.references(), ["sub/", "A.txt", "b.txt"]);
    for part in [
        "<title>Index of /docs/</title>",
        "<html lang=\"en\">",
        "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name</a></th>",
        "<th scope=\"col\" aria-sort=\"none\"><a href=\"?sort=size&amp;order=asc\">Size</a></th>",
        "<data value=\"1536\" title=\"1,536 bytes\">1.5 KiB</data>",
        "1 folder and 2 files, 1.5 KiB",
        "<a href=\"../\" rel=\"up\">",
        "<time datetime=\"20",
    ] {
        assert!(answer.text.contains(part), "{part} is missing in\n{}", answer.text);
    }
    assert!(!answer.text.contains("{{"));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("vary", "Accept, Sec-Fetch-Mode"),
        ("referrer-policy", "same-origin"),
    ] {
        assert_eq!(answer.field(name), value);
    }
    let bare = place.ask(Method::HEAD, "/docs/", &[("Accept", "text/html")]);
    assert_eq!((bare.status, bare.length, bare.headers), (200, answer.length, answer.headers));
    assert_eq!(place.page("/docs").status, 301);
    assert!(
        place.page("/").text.contains("<h1>Index of <bdi>/</bdi></h1>")
            && !place.page("/").text.contains("href=\"../\"")
    );
}

#[test]
fn an_index_goes_before_a_listing_and_without_the_option_there_is_none() {
    let place = Place::new();
    place.write("index.html", 3).write("docs/x", 1).write("odd/index.html/x", 1);
    assert_eq!(place.page("/").text, "xxx");
    assert_eq!(place.page("/odd/").references(), ["index.html/"], "a directory is no index");
    for path in ["/none/", "/docs/x/", "/docs//", "/docs/../"] {
        assert_eq!(place.page(path).status, 404, "{path}");
    }
    let place = Place { files: place.files.with_listing(false), directory: place.directory };
    assert_eq!(place.page("/docs/").status, 404);
}

#[test]
fn sorted_by_each_column_in_both_directions() {
    let place = Place::new();
    place.write("b", 10).write("A", 30).write("c", 20).write("z/x", 0).write("y/x", 0);
    let cases = [
        ("/", "y z A b c"),
        ("/?sort=name&order=asc", "y z A b c"),
        ("/?sort=name&order=desc", "z y c b A"),
        ("/?order=desc", "z y c b A"),
        ("/?sort=size", "y z b c A"),
        ("/?sort=size&order=desc", "z y A c b"),
        ("/?sort=SIZE&order=sideways&x=%zz&&=", "y z A b c"),
    ];
    for (target, expected) in cases {
        assert_eq!(place.names(target).join(" "), expected, "{target}");
    }
    let times = [("b", 1_600_000_000), ("A", 1_700_000_000), ("c", 1_500_000_000)];
    for (name, seconds) in times {
        let file = fs::File::options().write(true).open(place.directory.path().join("root").join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }
    assert_eq!(place.names("/?sort=modified").split_off(2), ["c", "b", "A"]);
    assert_eq!(place.names("/?sort=modified&order=desc").split_off(2), ["A", "b", "c"]);
    let page = place.page("/?sort=size&order=desc").text;
    assert!(
        page.contains("<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">Size</a></th>")
    );
    assert!(page.contains("sorted by size, descending"));
}

/// Every name that is shown can be asked for, whatever is in it, and means nothing to a browser but itself.
#[test]
fn odd_names_are_shown_safely_and_lead_to_their_files() {
    let place = Place::new();
    let names: &[&[u8]] = &[
        b"a?b",
        b"a#b",
        b"100%",
        b"%41",
        b"a b",
        b" leading",
        b"trailing ",
        b"quo\"te",
        b"apo'strophe",
        b"<b>bold<i>",
        b"a&b",
        b"a&amp;b",
        b"javascript:alert(1)",
        b"C:x",
        b"{{rows}}",
        b"{{title}}",
        b"new\nline",
        b"tab\there",
        b"caf\xc3\xa9",
        b"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d.txt",
        b"not\xff\xfeutf8",
        b"exe\xe2\x80\xaetxt",
        b"+plus+",
        b"a;b=c,d",
        b"x:y@z",
        b"--option",
        b"~tilde",
        b"\x01\x7f",
    ];
    names.iter().enumerate().for_each(|(index, name)| {
        place.write(name, index);
    });
    let page = place.page("/");
    for part in ["<b>bold", "\"javascript:", "new\nline", "\u{202e}", "quo\"te", "\x01"] {
        assert!(!page.text.contains(part), "{part:?}");
    }
    assert!(page.text.contains("{{rows}}") && page.text.contains("&lt;b&gt;bold"));
    assert_eq!(page.references().len(), names.len());
    let mut sizes = Vec::new();
    for reference in page.references() {
        assert!(reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)), "{reference}");
        let file = place.page(&format!("/{reference}"));
        assert_eq!(file.status, 200, "{reference}");
        sizes.push(file.length as usize);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, Vec::from_iter(0..names.len()));
    let listed: Vec<Value> = place.json("/");
    let mut from_json: Vec<_> = listed.iter().map(|entry| &entry["href"].as_str().unwrap()[2..]).collect();
    let mut from_page = page.references();
    from_json.sort_unstable();
    from_page.sort_unstable();
    assert_eq!(from_json, from_page);
}

#[test]
fn what_would_be_404_is_not_shown() {
    let place = Place::new();
    place.write("shown", 1).write(".hidden", 1).write(".git/config", 1).write("back\\slash", 1).write("inside/x", 1);
    place.link("../secret.txt", "outside").link("/etc/passwd", "absolute").link("..", "up").link("nowhere", "dangling");
    place.link("self", "self").link("inside/x", "to-file").link("inside", "to-directory").link(".hidden", "to-hidden");
    rustix::fs::mkfifoat(rustix::fs::CWD, place.directory.path().join("root/fifo"), rustix::fs::Mode::RWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.directory.path().join("root/socket")).unwrap();
    let answer = place.page("/");
    // The owner of the files has given the hidden one another name.
    assert_eq!(answer.references(), ["inside/", "to-directory/", "shown", "to-file", "to-hidden"]);
    for reference in answer.references() {
        let status = place.page(&format!("/{reference}")).status;
        assert_eq!(status, 200, "{reference}");
    }
    assert!(!answer.text.contains("secret"));
    let linked = place.page("/to-directory/");
    assert_eq!(linked.references(), ["x"]);
}

#[test]
fn huge_directories_are_cut_off_and_say_so() {
    let place = Place::new();
    for index in 0..=MOST {
        place.write(format!("many/{index}"), 0);
    }
    let page = place.page("/many/");
    assert_eq!(page.references().len(), MOST);
    assert!(page.text.contains("5000 of its entries are here"));
    let json = place.ask(Method::GET, "/many/", &[("Accept", "application/json")]);
    assert_eq!(json.field("x-truncated"), "true");
    fs::remove_file(place.directory.path().join("root/many/0")).unwrap();
    let page = place.page("/many/");
    assert_eq!(page.references().len(), MOST);
    assert!(!page.text.contains("of its entries are here"));
}

#[test]
fn an_empty_directory_is_no_error() {
    let place = Place::new();
    fs::create_dir(place.directory.path().join("root/empty")).unwrap();
    assert!(place.page("/empty/").text.contains("Nothing is in this folder."));
    assert!(place.json("/empty/").is_empty());
}

#[test]
fn programs_get_what_nginx_would_give_them() {
    let place = Place::new();
    place.write("file.txt", 7).write("dir/x", 0);
    let file = fs::File::options().write(true).open(place.directory.path().join("root/file.txt")).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_208_000)).unwrap();
    let entries = place.json("/");
    let expected = json!({
        "name": "file.txt", "type": "file", "mtime": "Thu, 29 Feb 2024 12:00:00 GMT", "size": 7, "href": "./file.txt"
    });
    assert_eq!(entries[1], expected);
    assert_eq!((&entries[0]["type"], &entries[0]["size"]), (&json!("directory"), &Value::Null));
    for (accept, is_json) in [
        ("application/json", true),
        ("application/json, text/html;q=0.5", true),
        ("application/*", true),
        ("text/html, application/json", false),
        ("*/*", false),
        ("application/json;q=0.1, */*", false),
    ] {
        let answer = place.ask(Method::GET, "/", &[("Accept", accept)]);
        assert_eq!(answer.text.starts_with('['), is_json, "{accept}");
    }
}

/// Three sparse files can be longer together than 64 bits tell.
#[test]
fn sizes_without_end_have_a_sum() {
    let item = |name: &str| Item {
        name: name.into(),
        is_directory: false,
        size: i64::MAX as u64,
        modified: None,
        key: name.into(),
    };
    let listing = Listing { items: ["a", "b", "c"].map(item).into(), is_cut: false };
    let index = Name::parse("").unwrap();
    let mut page = String::new();
    let mut response = page::answer(&listing, Order::default(), "/", &index);
    response.body_mut().read_to_string(&mut page).unwrap();
    assert!(page.contains("3 files, 16 EiB"), "{page}");
}
