//! The framework as users see it: each claim of the guide names tests that exist, and what is built in uses what users can.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;

use rws::config::Config;
use rws::{App, TestClient, TestServer, post};

/// The text of every Rust file below `directory`.
fn sources(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false if path.extension().is_some_and(|extension| extension == "rs") => {
                vec![fs::read_to_string(path).unwrap()]
            }
            false => Vec::new(),
        })
        .collect()
}

fn below(directory: &str) -> Vec<String> {
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory))
}

/// The names of the functions behind `#[test]`.
fn tests() -> BTreeSet<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| {
        let (before, rest) = text.split_once("fn ")?;
        let is_next = !before.contains('}');
        is_next.then(|| rest.split(|c| !is_part(c)).next().unwrap().to_owned())
    };
    let all = [below("src"), below("tests")].concat();
    all.iter().flat_map(|text| text.split("#[test]").skip(1).filter_map(name).collect::<Vec<_>>()).collect()
}

/// The rows of the table with this head, cell by cell.
fn table(guide: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = guide.split_once(head).unwrap();
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn every_claim_of_the_guide_is_held_by_a_test_that_exists() {
    let guide = include_str!("../docs/FRAMEWORK.md");
    let (claims, held) = (table(guide, "| | rws |"), table(guide, "| | held by |"));
    let first = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert!(claims.len() > 10, "{claims:?}");
    assert_eq!(first(&claims), first(&held), "each row of one table has a row in the other");
    assert!(claims.iter().all(|row| row.len() == 6), "{claims:?}");
    let tests = tests();
    for row in held {
        let named: Vec<&str> = row[1].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row:?} names no test");
        let missing: Vec<_> = named.iter().filter(|name| !tests.contains(**name)).collect();
        assert!(missing.is_empty(), "{row:?} names tests that are not there: {missing:?}");
    }
}

/// Whoever copies one has rws, and need not have them as well.
#[test]
fn programs_in_the_docs_take_other_crates_from_this_one_where_it_has_them() {
    let ours = ["bytes", "headers", "http", "prometheus"];
    let is_import = |line: &str| {
        let line = line.trim_start_matches(['/', '!', ' ']);
        line.strip_prefix("use ").is_some_and(|path| ours.iter().any(|name| path.starts_with(&format!("{name}::"))))
    };
    let in_docs = below("src").join("\n");
    let in_docs = in_docs.lines().map(str::trim).filter(|line| line.starts_with("//"));
    let texts = [
        below("examples").join("\n"),
        include_str!("../docs/FRAMEWORK.md").into(),
        include_str!("../README.md").into(),
    ];
    let found: Vec<_> =
        in_docs.chain(texts.iter().flat_map(|text| text.lines())).filter(|line| is_import(line)).collect();
    assert!(found.is_empty(), "write `use rws::…`: {found:?}");
}

/// The claims on body limit and time limits are on the defaults: that each limit holds, other tests tell.
#[test]
fn a_body_may_have_2_mib_unless_something_else_is_said() {
    const MOST: usize = 2 << 20;
    let app = || App::new().route("/", post(|body: String| body.len().to_string()));
    let client = TestClient::new(app()).unwrap();
    let server = TestServer::start(app()).unwrap();
    for (length, status) in [(MOST, 200), (MOST + 1, 413)] {
        assert_eq!(client.post("/").body("x".repeat(length)).send().status(), status);
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
            .unwrap();
        // Whoever is refused need not be listened to.
        let _ = stream.write_all("x".repeat(length).as_bytes());
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert_eq!(line.split(' ').nth(1), Some(&*status.to_string()), "{line}");
    }
}

#[test]
fn nothing_may_take_for_ever_by_default() {
    let config = Config::default();
    let limits = [config.head_timeout, config.body_timeout, config.idle_timeout, config.write_timeout];
    let seconds = limits.map(|limit| limit.as_secs());
    assert!(seconds.iter().all(|limit| (1..=60).contains(limit)), "{seconds:?}");
}

/// The command line, the operations and the files are compiled once more as a crate of their own, src/above.rs, which has no
/// access to what is private. It would not compile if they had privileges, so all there is to see is that it is there.
#[test]
fn what_is_built_in_is_written_on_what_is_public() {
    let above = include_str!("../src/above.rs");
    for layer in ["cli", "files", "ops"] {
        assert!(above.contains(&format!("\nmod {layer};\n")), "src/above.rs has no {layer}");
    }
    assert!(above.contains("use rws::{") && !above.contains("mod app"), "it sees the framework from the outside");
    assert!(include_str!("../Cargo.toml").contains("path = \"src/above.rs\""), "it is compiled");
}

/// The assembly gives `App` methods, which no other crate can. So its text must not have what `app` reserves for the server.
#[test]
fn the_assembly_has_no_privileges_either() {
    let kinds = ["fn ", "const fn ", "struct ", "enum ", "trait ", "const "];
    let declared = |visibility: &str, sources: &[String]| -> BTreeSet<String> {
        let starts: Vec<String> = kinds.iter().map(|kind| format!("{visibility}{kind}")).collect();
        let lines = sources.iter().flat_map(|text| text.lines().map(str::trim_start));
        let name = |line: &str| Some(first_name(starts.iter().find_map(|start| line.strip_prefix(start.as_str()))?));
        lines.filter_map(name).collect()
    };
    let app = below("src/app");
    // A name that something else has as well may be meant as that.
    let (everything, run) = (below("src"), below("src/run"));
    let others: BTreeSet<String> =
        ["pub ", "pub(super) ", ""].iter().flat_map(|visibility| declared(visibility, &everything)).collect();
    let reserved: BTreeSet<String> = declared("pub(crate) ", &app).difference(&others).cloned().collect();
    assert!(reserved.contains("FeedReader"), "{reserved:?}");
    let fields = app.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let (name, _) = line.trim_start().strip_prefix("pub(crate) ")?.split_once(": ")?;
        (first_name(name) == name).then(|| name.to_owned())
    });
    let fields: BTreeSet<String> = fields.collect();
    assert!(fields.contains("received") && fields.contains("headers"), "{fields:?}");

    let of_app = run.iter().filter(|text| text.contains("crate::app"));
    let code = of_app.flat_map(|text| text.lines().filter(|line| !line.trim_start().starts_with("//")));
    for line in code {
        let is_used = |name: &&String| match name.starts_with(char::is_uppercase) {
            true => line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == **name),
            false => [".", "::"].iter().any(|before| line.contains(&format!("{before}{name}("))),
        };
        let used: Vec<_> = reserved.iter().filter(is_used).collect();
        let reads = line.split('.').skip(1).filter(|rest| fields.contains(&first_name(rest)));
        let read: Vec<&str> = reads.filter(|rest| !rest[first_name(rest).len()..].starts_with('(')).collect();
        assert!(used.is_empty() && read.is_empty(), "make it public, or do without: {line}");
    }
}

/// What `text` begins with, as far as it may be a name.
fn first_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
