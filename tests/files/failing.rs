//! Files that shrink, grow and vanish while they are sent, directories that become files, and a process that has
//! nothing left to open files with.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::process::{PATIENCE, Server, program};
use super::support::{Client, Tree, numbered, request};

/// More than the sockets between server and client can hold.
const LARGE: usize = 16_000_000;

/// Begins to ask for the large file, and returns a client that has read the head and a little more.
fn begin(server: &Server, fields: &[(&str, &str)]) -> (Client, usize) {
    let mut client = Client::new(server.address());
    client.send(request("GET", b"/large", fields)).unwrap();
    let head = client.head().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    client.stream.read_exact(&mut [0; 1_000]).unwrap();
    (client, length)
}

/// What is still to come until the connection is closed or reset.
fn rest(client: &mut Client) -> usize {
    let (mut count, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(n @ 1..) = client.stream.read(&mut buffer) {
        count += n;
    }
    count
}

#[test]
fn a_file_that_shrinks_is_never_passed_off_as_whole() {
    let tree = Tree::new();
    tree.write("other", "other");
    let ranges = format!("bytes=0-{},{}-", LARGE / 2, LARGE / 2 + 1_000);
    let cases: [&[(&str, &str)]; 3] = [&[], &[("Range", "bytes=1000-")], &[("Range", &ranges)]];
    for fields in cases {
        tree.write("large", numbered(LARGE));
        let mut server = tree.served(&[]).start();
        let (mut client, length) = begin(&server, fields);
        fs::File::options().write(true).open(tree.root().join("large")).unwrap().set_len(2_000_000).unwrap();
        let came = 1_000 + rest(&mut client);
        assert!(came < length, "{fields:?}: {came} of {length}");
        // The connection is gone, and nothing else is.
        assert_eq!(Client::new(server.address()).get("/other").unwrap().body, b"other");
        let line = server.stdout.wait_for(|line| line.contains(r#""path":"/large""#));
        assert!(line.contains(r#""outcome":"error""#), "{line}");
        assert_eq!(server.stop(), 0);
    }
}

#[test]
fn a_file_that_grows_is_sent_as_long_as_it_was() {
    let tree = Tree::new();
    tree.write("large", numbered(LARGE));
    let server = tree.served(&[]).start();
    let (mut client, length) = begin(&server, &[]);
    let mut file = fs::File::options().append(true).open(tree.root().join("large")).unwrap();
    file.write_all(&vec![b'+'; 1_000_000]).unwrap();
    assert_eq!(length, LARGE);
    let mut content = vec![0; LARGE - 1_000];
    client.stream.read_exact(&mut content).unwrap();
    assert!(content == numbered(LARGE)[1_000..], "other bytes");
    // And the connection is good for the next.
    assert_eq!(client.ask("HEAD", "/large", &[]).unwrap().status, 200);
    wait_for(|| client.ask("GET", "/large", &[("Range", "bytes=-1000000")]).unwrap().body == vec![b'+'; 1_000_000]);
}

/// Waits for a condition that comes true no later than a cache may be behind.
fn wait_for(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it never came");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn what_a_name_stands_for_may_become_something_else() {
    let tree = Tree::new();
    let root = tree.root();
    tree.write("thing", "a file");
    let mut server = tree.served(&[]).start();
    let status = |path: &str| server.get(path).status;
    assert_eq!((status("/thing"), status("/thing/")), (200, 404));

    fs::remove_file(root.join("thing")).unwrap();
    wait_for(|| status("/thing") == 404);
    tree.write("thing/index.html", "an index").write("thing/x", "x");
    wait_for(|| status("/thing") == 301);
    assert_eq!(server.get("/thing/").text(), "an index");

    fs::rename(root.join("thing"), root.join("aside")).unwrap();
    tree.write("thing", "a file again");
    wait_for(|| status("/thing") == 200);
    wait_for(|| (status("/thing/"), status("/thing/x")) == (404, 404));
    assert_eq!(server.get("/thing").text(), "a file again");

    fs::remove_file(root.join("thing")).unwrap();
    tree.link("thing", "thing");
    wait_for(|| status("/thing") == 404);

    // The root itself.
    fs::rename(&root, tree.outside().join("gone")).unwrap();
    fs::remove_dir_all(tree.outside().join("gone")).unwrap();
    wait_for(|| status("/aside/x") == 404);
    assert_eq!(status("/healthz"), 200);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all();
    assert!(!lines.iter().any(|line| line.contains(r#""level":"error""#)), "{lines:#?}");
}

#[test]
fn a_file_that_may_be_read_no_more_is_forbidden_and_comes_back() {
    let tree = Tree::new();
    tree.write("file", "content");
    let set = |mode| fs::set_permissions(tree.root().join("file"), fs::Permissions::from_mode(mode)).unwrap();
    fs::set_permissions(tree.outside(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut setup = tree.served(&[]);
    if rustix::process::geteuid().is_root() {
        if program("setpriv").is_none() {
            return;
        }
        setup = setup.shell(super::support::AS_NOBODY);
    }
    let server = setup.start();
    assert_eq!(server.get("/file").status, 200);
    set(0o000);
    wait_for(|| server.get("/file").status == 403);
    set(0o644);
    wait_for(|| server.get("/file").status == 200);
}

#[test]
fn without_descriptors_files_are_refused_for_the_moment_and_the_reason_is_logged() {
    let tree = Tree::new();
    tree.write("seen", "seen").write("unseen", "unseen");
    let mut server = tree.served(&[("REACTOR_COUNT", "1"), ("THREAD_COUNT", "1")]).start();
    let mut client = Client::new(server.address());
    assert_eq!(client.get("/seen").unwrap().status, 200);
    let pid = Pid::from_raw(server.pid() as i32);
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(1), maximum }).unwrap();
    let reply = client.get("/unseen").unwrap();
    assert_eq!(reply.status, 503, "{}", reply.head);
    assert!(reply.field("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "{}", reply.head);
    let line = server.stderr.wait_for(|line| line.contains("cannot open a static file"));
    assert!(line.contains(r#""level":"warn""#) && line.contains("unseen"), "{line}");
    prlimit(pid, Resource::Nofile, before).unwrap();
    assert_eq!(client.get("/unseen").unwrap().body, b"unseen");
    assert_eq!(server.stop(), 0);
}
