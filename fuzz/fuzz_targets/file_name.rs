//! Any bytes as the path of a file: no panic, an answer that such a path can have, and never a byte of what lies outside
//! the root or is hidden within it. Run with
//! `cargo +nightly fuzz run file_name fuzz/corpus/file_name fuzz/seeds/file_name`.

#![no_main]

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rws::files::Files;
use rws::proto::head::{Limits, parse};
use rws::semantics::head::RequestHead;

const LIMITS: Limits = Limits { max_head_bytes: 64 * 1024, max_headers: 4, max_uri_bytes: 32 * 1024 };
const SECRET: &[u8] = b"secret";

static FILES: LazyLock<Files> = LazyLock::new(|| Files::new(&tree()).expect("the tree has just been made"));

/// A root with files, links and hidden files of short names, which is always the same, and secrets beside it.
fn tree() -> PathBuf {
    let place = std::env::temp_dir().join(format!("rws-fuzz-file-name-{}", std::process::id()));
    let root = place.join("r");
    fs::create_dir_all(root.join("d/e")).expect("a directory");
    fs::create_dir_all(root.join(".g")).expect("a directory");
    for (name, content) in [("a", "a"), ("d/b", "b"), ("d/e/c", "c"), ("index.html", "i"), ("d/index.html", "j")] {
        fs::write(root.join(name), content).expect("a file");
    }
    for name in ["s", "r/.h", "r/d/.h", "r/.g/s", "r/a\\s", "r/..s"] {
        fs::write(place.join(name), SECRET).expect("a file");
    }
    for (target, name) in [("../s", "o"), ("..", "p"), ("/", "z"), ("d", "l"), ("../a", "d/u"), ("q", "q")] {
        // It may be there from a run before, with the same process id.
        let _ = symlink(target, root.join(name));
    }
    let _ = symlink(place.join("s"), root.join("x"));
    root
}

fuzz_target!(|input: &[u8]| {
    let request = [b"GET /", input, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
    let mut head = RequestHead::default();
    let Ok(Some(_)) = parse(&request, &LIMITS, &mut head) else { return };
    let Some(path) = head.path().strip_prefix('/') else { return };
    let mut response = FILES.serve(&head, path);
    let status = response.status().as_u16();
    assert!([200, 301, 400, 404].contains(&status), "{status} to {}", input.escape_ascii());
    let mut content = Vec::new();
    response.body_mut().read_to_end(&mut content).expect("small files are in memory");
    assert!(!content.windows(SECRET.len()).any(|window| window == SECRET), "{}", input.escape_ascii());
    for (_, value) in response.headers().iter() {
        assert!(value.as_bytes().iter().all(|byte| *byte >= b' '));
    }
});
