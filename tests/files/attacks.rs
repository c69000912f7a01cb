//! Paths that try to leave the root, sent as raw bytes to the binary, with and without openat2(2).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::process::{Server, clean};
use super::support::{AS_NOBODY, Client, Reply, SECRET, Tree, contains, request};
use super::walked;

/// Targets, and the status that each of them gets.
type Group = (u16, &'static [&'static [u8]]);

/// What is in the tree is in [`tree`]; nothing of this may say more than that.
const ATTACKS: &[Group] = &[
    (404, DOTS),
    (404, ENCODED_DOTS),
    (404, ENCODED_TWICE),
    (404, OVERLONG),
    (400, RAW_BACKSLASHES),
    (404, SEPARATORS),
    (404, EMPTY_SEGMENTS),
    (404, HIDDEN),
    (404, PARAMETERS),
    (404, WINDOWS),
    (404, NOT_THERE),
    (404, OTHER_HOSTS),
    (400, BROKEN),
    (400, NO_TARGET),
];

const DOTS: &[&[u8]] = &[
    b"/.",
    b"/..",
    b"/...",
    b"/....",
    b"/./",
    b"/../",
    b"/../secret.txt",
    b"/../secret",
    b"/../../secret.txt",
    b"/../root/../secret.txt",
    b"/../root/file.txt",
    b"/a/..",
    b"/a/../",
    b"/a/../file.txt",
    b"/a/../../secret.txt",
    b"/a/../../root/file.txt",
    b"/a/./b.txt",
    b"/./file.txt",
    b"/a/b.txt/../../../secret.txt",
    b"/a/b.txt/..",
    b"/a/b.txt/.",
    b"/nothing/../../secret.txt",
    b"/nothing/../file.txt",
    b"/../../../../../../../../../../../../etc/passwd",
    b"/a/../../../../../../../../../../../../etc/passwd",
    b"/.../secret.txt",
    b"/..../secret.txt",
    b"/..../../secret.txt",
];

const ENCODED_DOTS: &[&[u8]] = &[
    b"/%2e",
    b"/%2e%2e",
    b"/%2e%2e/",
    b"/%2e%2e/secret.txt",
    b"/%2E%2E/secret.txt",
    b"/%2e%2E/secret.txt",
    b"/.%2e/secret.txt",
    b"/%2e./secret.txt",
    b"/a/%2e%2e/%2e%2e/secret.txt",
    b"/a/.%2e/.%2e/secret.txt",
    b"/%2e%2e%2fsecret.txt",
    b"/%2e%2e%5csecret.txt",
    b"/..%2fsecret.txt",
    b"/..%2Fsecret.txt",
    b"/..%5csecret.txt",
    b"/..%5Csecret.txt",
    b"/a%2f..%2f..%2fsecret.txt",
    b"/a/..%2f..%2fsecret.txt",
    b"/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    b"/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    b"/%2fetc%2fpasswd",
    b"/%2fetc/passwd",
    b"/%5c%5cetc%5cpasswd",
];

const ENCODED_TWICE: &[&[u8]] = &[
    b"/%252e%252e/secret.txt",
    b"/%252e%252e%252fsecret.txt",
    b"/..%252fsecret.txt",
    b"/..%255csecret.txt",
    b"/%25252e%25252e/secret.txt",
    b"/%25%32%65%25%32%65/secret.txt",
    b"/%252e%252e%255csecret.txt",
    b"/a%252f..%252f..%252fsecret.txt",
    b"/file.txt%2500",
    b"/%252fetc%252fpasswd",
];

/// What a lenient decoder of UTF-8, or one that folds characters, takes for dots and slashes.
const OVERLONG: &[&[u8]] = &[
    b"/%c0%ae%c0%ae/secret.txt",
    b"/%c0%ae%c0%ae%c0%afsecret.txt",
    b"/..%c0%afsecret.txt",
    b"/..%c1%9csecret.txt",
    b"/..%c1%afsecret.txt",
    b"/%e0%80%ae%e0%80%ae/secret.txt",
    b"/%e0%80%ae%e0%80%ae%e0%80%afsecret.txt",
    b"/%f0%80%80%ae%f0%80%80%ae/secret.txt",
    b"/%f8%80%80%80%ae%f8%80%80%80%ae/secret.txt",
    b"/%fc%80%80%80%80%ae%fc%80%80%80%80%ae/secret.txt",
    b"/%ef%bc%8e%ef%bc%8e/secret.txt",
    b"/..%ef%bc%8fsecret.txt",
    b"/%e2%80%a4%e2%80%a4/secret.txt",
    b"/%e2%80%a5/secret.txt",
    b"/..%e2%88%95secret.txt",
    b"/..%e2%81%84secret.txt",
    b"/%ae%ae/secret.txt",
    b"/%ff%fe/secret.txt",
    b"/..%ef%bb%bf/secret.txt",
    b"/%ef%bb%bf../secret.txt",
];

/// Not allowed in a target at all (RFC 3986 section 2).
const RAW_BACKSLASHES: &[&[u8]] = &[
    b"/..\\secret.txt",
    b"/\\..\\secret.txt",
    b"/a\\..\\..\\secret.txt",
    b"/a\\b.txt",
    b"/..\\..\\..\\..\\etc\\passwd",
    b"/\\\\localhost\\secret.txt",
    b"/\\etc\\passwd",
    b"/..\\/secret.txt",
    b"/../\\secret.txt",
];

const SEPARATORS: &[&[u8]] = &[
    b"/..%5c..%5c..%5cetc%5cpasswd",
    b"/%5c%5clocalhost%5csecret.txt",
    b"/a%5c..%5c..%5csecret.txt",
    b"/a%5cb.txt",
    b"/a%2fb.txt",
    b"/a%2Fb.txt",
    b"/file.txt%2f",
    b"/a%2f",
    b"/%2f",
    b"/%5c",
    b"/back%5cslash",
    b"/a/b.txt%5c..",
    b"/..%5c/secret.txt",
    b"/../%5csecret.txt",
];

const EMPTY_SEGMENTS: &[&[u8]] = &[
    b"//",
    b"///",
    b"//file.txt",
    b"//a/b.txt",
    b"/a//b.txt",
    b"/a//",
    b"/file.txt/",
    b"/file.txt//",
    b"//etc/passwd",
    b"///etc/passwd",
    b"//../secret.txt",
    b"/..//secret.txt",
    b"/.//../secret.txt",
    b"/a//../../secret.txt",
    b"//localhost/secret.txt",
    b"//localhost/../secret.txt",
];

const HIDDEN: &[&[u8]] = &[
    b"/.env",
    b"/%2eenv",
    b"/%2Eenv",
    b"/.git",
    b"/.git/",
    b"/.git/config",
    b"/%2egit/config",
    b"/.git%2fconfig",
    b"/a/.htpasswd",
    b"/a/%2ehtpasswd",
    b"/..hidden",
    b"/...hidden",
    b"/..2024_01/secret.txt",
    b"/..data",
    b"/..data/",
    b"/..data/secret.txt",
    b"/.well-known/secret.txt",
    b"/.env/",
    b"/.env%20",
    b"/.env.",
];

const PARAMETERS: &[&[u8]] = &[
    b"/..;/secret.txt",
    b"/..;x=1/secret.txt",
    b"/a/..;/..;/secret.txt",
    b"/;/../secret.txt",
    b"/;../secret.txt",
    b"/file.txt;",
    b"/file.txt;.html",
    b"/a;x/b.txt",
    b"/..%3b/secret.txt",
    b"/..%3f/secret.txt",
    b"/..%23/secret.txt",
    b"/file.txt%3f",
    b"/file.txt%23",
    b"/..,/secret.txt",
    b"/..&/secret.txt",
    b"/../?/secret.txt",
];

/// Of other systems' ways to name a file.
const WINDOWS: &[&[u8]] = &[
    b"/CON",
    b"/con.txt",
    b"/NUL",
    b"/COM1",
    b"/LPT1.txt",
    b"/AUX/",
    b"/C:",
    b"/C:/Windows/win.ini",
    b"/C:%5cWindows%5cwin.ini",
    b"/c:secret.txt",
    b"/file.txt::$DATA",
    b"/file.txt%3a%3a$DATA",
    b"/.env::$DATA",
    b"/a::$INDEX_ALLOCATION/b.txt",
    b"/file.txt.",
    b"/file.txt...",
    b"/file.txt%20",
    b"/file.txt%20%20.",
    b"/FILE.TXT",
    b"/FILE~1.TXT",
    b"/GIT~1/config",
    b"/a/HTPASS~1",
    b"/%3f%3f%5cC:%5csecret.txt",
    b"/%5c%5c.%5cC:%5csecret.txt",
];

const NOT_THERE: &[&[u8]] = &[
    b"/etc/passwd",
    b"/root/file.txt",
    b"/secret.txt",
    b"/secret",
    b"/other/secret.txt",
    b"/proc/self/environ",
    b"/dev/null",
    b"/file",
    b"/file.tx",
    b"/file.txtx",
    b"/%66ile.txt%0a",
    b"/file.txt%0d%0aX-Injected:%20yes",
    b"/%0d%0aSet-Cookie:%20a=b",
    b"/file.txt%09",
    b"/file.txt%7f",
    b"/file.txt%ff",
    b"/file.txt%1b[31m",
    b"/~",
    b"/~root/.profile",
    b"/$HOME/secret.txt",
    b"/%24%7bHOME%7d",
    b"/`id`",
    b"/*",
    b"/a/*.txt",
    b"/[a-z]*.txt",
    b"/-",
    b"/--help",
];

/// Whose path comes after an authority.
const OTHER_HOSTS: &[&[u8]] = &[
    b"http://x/../secret.txt",
    b"http://x/%2e%2e/secret.txt",
    b"http://x//etc/passwd",
    b"http://x/..%2fsecret.txt",
    b"http://../secret.txt",
    b"http://x:80/../secret.txt",
    b"HTTP://X/../secret.txt",
];

const BROKEN: &[&[u8]] = &[
    b"/%",
    b"/%2",
    b"/%zz",
    b"/%2g",
    b"/%g2",
    b"/%%",
    b"/%%32%65",
    b"/%u002e%u002e/secret.txt",
    b"/%uff0e%uff0e/secret.txt",
    b"/%+2e/secret.txt",
    b"/% 2e/secret.txt",
    b"/%00",
    b"/file.txt%00",
    b"/file.txt%00.html",
    b"/a/b.txt%00/../../secret.txt",
    b"/..%00/secret.txt",
    b"/%00../secret.txt",
    b"/a%2/b.txt",
    b"/file.txt%",
    b"/file%2",
];

/// Not even a request.
const NO_TARGET: &[&[u8]] = &[
    b"",
    b" ",
    b"..",
    b"../secret.txt",
    b"file.txt",
    b"secret.txt",
    b"\\..\\secret.txt",
    b"/file.txt\0",
    b"/\0",
    b"/../\0secret.txt",
    b"/a b.txt",
    b"/.. /../secret.txt",
    b"/\x01",
    b"/\x7f",
    b"/caf\xc3\xa9",
    b"/\xc0\xae\xc0\xae/secret.txt",
    b"/\xff",
    b"/\xe0\x80\xae/secret.txt",
    b"file:///etc/passwd",
    b"file://../secret.txt",
    b"http:/../secret.txt",
    b"http://",
    b"http:///etc/passwd",
    b"*",
    b"x:80",
];

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("index.html", "home").write("file.txt", "file").write("a/b.txt", "b");
    for hidden in [
        ".env",
        ".git/config",
        "a/.htpasswd",
        "..hidden",
        "...hidden",
        "..2024_01/secret.txt",
        ".well-known/secret.txt",
        "back\\slash",
        "..\\secret.txt",
        "a\\b.txt",
    ] {
        tree.write(hidden, SECRET);
    }
    tree.link("..2024_01", "..data");
    tree
}

/// The same with openat2(2) and without.
fn both_ways(tree: &Tree, test: impl Fn(&Server)) {
    test(&tree.served(&[]).start());
    test(&walked::start(tree.served(&[])));
}

/// The answer to a target made of any bytes, on a connection of its own.
fn ask(server: &Server, target: &[u8]) -> Reply {
    let mut client = Client::new(server.address());
    client.send(request("GET", target, &[("Connection", "close")])).unwrap();
    client.reply("GET").unwrap_or_else(|error| panic!("{}: {error}", target.escape_ascii()))
}

fn assert_nothing_leaked(target: &[u8], reply: &Reply) {
    let target = target.escape_ascii();
    assert!(!reply.tells(), "{target} tells the secret");
    assert!(!contains(&reply.body, b"root:x:0") && !contains(&reply.body, b"root:*:0"), "{target} tells /etc/passwd");
    assert!(!reply.head.contains("X-Injected") && !reply.head.contains("Set-Cookie"), "{target}: {}", reply.head);
    assert_ne!(reply.status, 500, "{target}");
}

#[test]
fn no_path_leads_out() {
    let tree = tree();
    both_ways(&tree, |server| {
        let mut wrong = Vec::new();
        for (status, targets) in ATTACKS {
            for target in *targets {
                let reply = ask(server, target);
                assert_nothing_leaked(target, &reply);
                if reply.status != *status {
                    wrong.push(format!("{}: {} and not {status}", target.escape_ascii(), reply.status));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for (target, text) in [("/", "home"), ("/file.txt", "file"), ("/a/b.txt", "b"), ("/%61/b%2etxt?/../..", "b")] {
            assert_eq!(ask(server, target.as_bytes()).body, text.as_bytes(), "{target}");
        }
    });
    assert!(ATTACKS.iter().map(|(_, targets)| targets.len()).sum::<usize>() > 200);
}

#[test]
fn long_and_deep_paths_are_refused_and_not_followed() {
    let tree = tree();
    tree.link(".", "self").write(&"n".repeat(255), "longest");
    let deepest = ["d"; 200].join("/");
    tree.write(&format!("{deepest}/x.txt"), "deep");
    both_ways(&tree, |server| {
        let found = [(format!("/{}", "n".repeat(255)), "longest"), (format!("/{deepest}/x.txt"), "deep")];
        for (target, text) in found {
            assert_eq!(ask(server, target.as_bytes()).body, text.as_bytes(), "{target}");
        }
        let cases = [
            (404, "/".to_owned() + &"n".repeat(254)),
            (404, "/".to_owned() + &"n".repeat(256)),
            (404, "/".to_owned() + &"n".repeat(4_096)),
            (404, "/".to_owned() + &"n".repeat(8_000)),
            (414, "/".to_owned() + &"n".repeat(9_000)),
            (404, "/a".repeat(2_048)),
            (404, "/a".repeat(4_000)),
            (404, "/..".repeat(2_600)),
            (404, "/%2e%2e".repeat(1_100) + "/etc/passwd"),
            (404, "/a/..".repeat(1_500) + "/secret.txt"),
            (404, "/self".repeat(41) + "/file.txt"),
            (200, "/self".repeat(40) + "/file.txt"),
            (404, "/self".repeat(1_000) + "/file.txt"),
            (404, "/a%2f".repeat(1_500)),
            (404, "/".repeat(8_000)),
            (404, "/%6e".repeat(1_000) + "/"),
        ];
        for (status, target) in cases {
            let reply = ask(server, target.as_bytes());
            assert_nothing_leaked(target.as_bytes(), &reply);
            assert_eq!(reply.status, status, "{:.30}… of {} bytes", target, target.len());
        }
    });
}

#[test]
fn links_lead_anywhere_beneath_the_root_and_nowhere_else() {
    let tree = tree();
    let outside = tree.outside().to_owned();
    tree.write("a/c/d.txt", "d");
    tree
        // Within.
        .link("file.txt", "to-file")
        .link("a", "to-directory")
        .link("a/c/d.txt", "to-deep")
        .link("../file.txt", "a/up")
        .link("../../a/b.txt", "a/c/round")
        .link("to-file", "chain-1")
        .link("chain-1", "chain-2")
        .link("..data/page.html", "page.html")
        .link("a/..", "root-again")
        .write("..2024_01/page.html", "mapped")
        // Without.
        .link("../secret.txt", "out")
        .link("../other", "out-directory")
        .link("../root/file.txt", "out-and-in")
        .link("a/../../secret.txt", "out-through")
        .link("../../secret.txt", "a/out-up")
        .link("out", "chain-out")
        .link("..", "parent")
        .link("to-directory/../../secret.txt", "out-by-link")
        .link(outside.join("secret.txt"), "absolute-out")
        .link(outside.join("root/file.txt"), "absolute-in")
        .link(outside.join("root"), "absolute-root")
        .link("/etc/passwd", "passwd")
        .link("/", "slash")
        .link("/proc/self/root", "proc-root")
        .link("/proc/self/cwd", "proc-cwd")
        .link("/proc/self/environ", "environ")
        .link("/proc/self/fd", "descriptors")
        .link("/dev/zero", "zero")
        .link("/dev/stdin", "stdin")
        .link("../../../../../../../../../../../../../etc/passwd", "far-out")
        // Nowhere.
        .link("gone", "dangling")
        .link("circle", "circle")
        .link("ping", "pong")
        .link("pong", "ping")
        .link("file.txt/x", "through-file");
    fs::hard_link(tree.root().join("file.txt"), tree.root().join("hard.txt")).unwrap();
    let cases: &[(&str, u16, &str)] = &[
        ("/to-file", 200, "file"),
        ("/to-directory/b.txt", 200, "b"),
        ("/to-directory/", 404, ""),
        ("/to-directory", 301, ""),
        ("/to-deep", 200, "d"),
        ("/a/up", 200, "file"),
        ("/a/c/round", 200, "b"),
        ("/to-directory/c/round", 200, "b"),
        ("/chain-2", 200, "file"),
        ("/page.html", 200, "mapped"),
        ("/root-again/file.txt", 200, "file"),
        ("/root-again/", 200, "home"),
        ("/hard.txt", 200, "file"),
        ("/out", 404, ""),
        ("/out-directory", 404, ""),
        ("/out-directory/", 404, ""),
        ("/out-directory/secret.txt", 404, ""),
        ("/out-directory/file", 404, ""),
        ("/out-and-in", 404, ""),
        ("/out-through", 404, ""),
        ("/a/out-up", 404, ""),
        ("/chain-out", 404, ""),
        ("/parent", 404, ""),
        ("/parent/", 404, ""),
        ("/parent/secret.txt", 404, ""),
        ("/parent/root/file.txt", 404, ""),
        ("/out-by-link", 404, ""),
        ("/absolute-out", 404, ""),
        ("/absolute-in", 404, ""),
        ("/absolute-root/file.txt", 404, ""),
        ("/passwd", 404, ""),
        ("/slash", 404, ""),
        ("/slash/", 404, ""),
        ("/slash/etc/passwd", 404, ""),
        ("/proc-root/etc/passwd", 404, ""),
        ("/proc-cwd/Cargo.toml", 404, ""),
        ("/environ", 404, ""),
        ("/descriptors/0", 404, ""),
        ("/zero", 404, ""),
        ("/stdin", 404, ""),
        ("/far-out", 404, ""),
        ("/dangling", 404, ""),
        ("/dangling/", 404, ""),
        ("/circle", 404, ""),
        ("/circle/", 404, ""),
        ("/circle/x", 404, ""),
        ("/ping", 404, ""),
        ("/through-file", 404, ""),
        ("/to-file/", 404, ""),
        ("/to-file/x", 404, ""),
    ];
    both_ways(&tree, |server| {
        for (target, status, text) in cases {
            let reply = ask(server, target.as_bytes());
            assert_nothing_leaked(target.as_bytes(), &reply);
            assert_eq!(reply.status, *status, "{target}");
            assert!(*status != 200 || reply.body == text.as_bytes(), "{target}");
        }
    });
}

/// Roots of a kind that a careless operator may choose: nothing there is a file that one may wait for.
#[test]
fn what_is_no_regular_file_is_not_found_at_once() {
    let tree = tree();
    let path = tree.root();
    assert!(clean("mkfifo").arg(path.join("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(path.join("socket")).unwrap();
    // As root there may be devices too, if the system lets make them.
    let _ = clean("mknod").arg(path.join("zero")).args(["c", "1", "5"]).status();
    both_ways(&tree, |server| {
        for target in ["/fifo", "/fifo/", "/fifo/x", "/socket", "/socket/", "/zero", "/zero/"] {
            for _ in 0..3 {
                let reply = ask(server, target.as_bytes());
                assert!(matches!(reply.status, 404 | 403), "{target}: {}", reply.status);
            }
        }
        assert_eq!(ask(server, b"/file.txt").body, b"file");
    });
}

#[test]
fn names_of_any_bytes_are_files_like_others() {
    let tree = tree();
    let names: &[(&[u8], &str)] = &[
        (b"gr\xfc\xdfe.txt", "/gr%fc%dfe.txt"),
        ("grüße.txt".as_bytes(), "/gr%C3%BC%c3%9fe.txt"),
        (b"a b+c.txt", "/a%20b+c.txt"),
        (b"new\nline", "/new%0aline"),
        (b"semi;colon=1", "/semi;colon=1"),
        (b"CON", "/CON"),
        (b"c:", "/c:"),
        (b"x::$DATA", "/x::$DATA"),
        (b"dot.", "/dot."),
        (b"space ", "/space%20"),
        (b"50%", "/50%25"),
        (b"%2e%2e", "/%252e%252e"),
        (b"what?", "/what%3f"),
        (b"hash#", "/hash%23"),
        (b"\xc0\xae\xc0\xae", "/%c0%ae%c0%ae"),
        (b"-rf", "/-rf"),
        (b"~", "/~"),
        (b"\"quoted\"<b>", "/%22quoted%22%3Cb%3E"),
    ];
    for (name, _) in names {
        fs::write(tree.root().join(Path::new(std::ffi::OsStr::from_bytes(name))), *name).unwrap();
    }
    both_ways(&tree, |server| {
        for (name, target) in names {
            let reply = ask(server, target.as_bytes());
            assert_eq!((reply.status, reply.body.as_slice()), (200, *name), "{target}");
        }
    });
}

/// Root may read everything, so the server runs as somebody else where the test is root.
#[test]
fn what_the_process_may_not_read_or_search_is_forbidden() {
    let tree = tree();
    tree.write("closed/file.txt", "closed").write("unlisted/file.txt", "unlisted").write("unreadable.txt", SECRET);
    for (name, mode) in [("closed", 0o000), ("unlisted", 0o111), ("unreadable.txt", 0o000)] {
        fs::set_permissions(tree.root().join(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    fs::set_permissions(tree.outside(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut setups = [tree.served(&[]), tree.served(&[])];
    if rustix::process::geteuid().is_root() {
        if super::process::program("setpriv").is_none() {
            return;
        }
        setups = setups.map(|setup| setup.shell(AS_NOBODY));
    }
    let [with, without] = setups;
    for server in [with.start(), walked::start(without)] {
        for (target, status) in [
            ("/closed/file.txt", 403),
            ("/closed/nothing", 403),
            ("/closed/", 403),
            ("/unreadable.txt", 403),
            ("/unlisted/file.txt", 200),
            ("/unlisted/nothing", 404),
            ("/file.txt", 200),
        ] {
            let reply = ask(&server, target.as_bytes());
            assert_nothing_leaked(target.as_bytes(), &reply);
            assert_eq!(reply.status, status, "{target}");
        }
    }
    let reopened = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(tree.root().join("closed"), reopened).unwrap();
}
