//! Directories, files and links that change places while they are looked up, so that a path that was checked is no
//! longer what is opened: nothing from outside the root may come through, and nothing may look like a failure of ours.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::process::Server;
use super::support::{Client, SECRET, Tree};
use super::walked;

/// Files of each directory, and ways to each of them: more names than are asked for within the second for which a cache
/// may do without the file system.
const NAMES: usize = 300;
const WAYS: usize = 12;
/// How long each of the two ways is tried.
const LONG: Duration = Duration::from_millis(1_000);

/// What is inside says so, in every file.
const INSIDE: &str = "inside";

/// A tree in which every pair of [`pairs`] is something inside, and something that leads to the same names outside.
fn tree() -> Tree {
    let tree = Tree::new();
    let outside = tree.outside().to_owned();
    let fill = |directory: &Path, text: &str| {
        fs::create_dir_all(directory.join("sub")).unwrap();
        for name in (0..NAMES).map(|n| format!("n{n}")).chain(["index.html".to_owned(), "sub/file".to_owned()]) {
            fs::write(directory.join(name), text).unwrap();
        }
        symlink(".", directory.join("s")).unwrap();
    };
    fill(&tree.root().join("plain"), INSIDE);
    fill(&tree.root().join("absolute"), INSIDE);
    fill(&tree.root().join("magic"), INSIDE);
    fill(&tree.root().join("target"), INSIDE);
    fill(&tree.root().join("deep/moved"), INSIDE);
    fill(&outside.join("other"), SECRET);
    fill(&outside.join("moved"), SECRET);
    tree.write("file", INSIDE).write("deep/below", INSIDE);
    fs::write(outside.join("below"), SECRET).unwrap();
    tree.link("../other", "plain-trap").link(outside.join("other"), "absolute-trap").link("../secret", "file-trap");
    tree.link(format!("/proc/self/root{}", outside.join("other").display()), "magic-trap");
    tree.link("target", "link").link("../other", "link-trap");
    // While the directory is outside, what is above it is the directory of secrets.
    for moved in [tree.root().join("deep/moved"), outside.join("moved")] {
        symlink("../below", moved.join("up")).unwrap();
        symlink("sub/../../moved/../below", moved.join("round")).unwrap();
    }
    tree
}

/// What changes places with what.
fn pairs(tree: &Tree) -> Vec<[PathBuf; 2]> {
    let within = ["plain", "absolute", "magic", "file", "link"];
    let mut pairs = within.map(|name| [tree.root().join(name), tree.root().join(format!("{name}-trap"))]).to_vec();
    pairs.push([tree.root().join("deep/moved"), tree.outside().join("moved")]);
    pairs
}

fn targets() -> Vec<String> {
    let directories = ["plain", "absolute", "magic", "link"];
    let numbers = (0..WAYS).flat_map(|way| (0..NAMES).map(move |n| (way, n)));
    let names = numbers.flat_map(|(way, n)| directories.map(|name| format!("/{name}{}/n{n}", "/s".repeat(way))));
    let others = ["/", "", "/sub/file", "/nothing"];
    let others = directories.iter().flat_map(|name| others.map(|rest| format!("/{name}{rest}")));
    let single = ["/file", "/deep/moved/up", "/deep/moved/round", "/deep/below"].map(str::to_owned);
    // The interesting ones as often as all the others.
    let interesting: Vec<String> = others.chain(single).collect();
    names.zip(interesting.into_iter().cycle()).flat_map(|(name, other)| [name, other]).collect()
}

#[test]
fn what_is_swapped_while_it_is_looked_up_leads_nowhere_with_openat2() {
    let tree = tree();
    besiege(&tree, tree.served(&[]).start());
}

#[test]
fn what_is_swapped_while_it_is_looked_up_leads_nowhere_without_openat2() {
    let tree = tree();
    besiege(&tree, walked::start(tree.served(&[])));
}

fn besiege(tree: &Tree, mut server: Server) {
    let (done, found, missing) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let targets = targets();
    let swaps: usize = std::thread::scope(|scope| {
        let swappers: Vec<_> = pairs(tree).into_iter().map(|pair| scope.spawn(|| swap(pair, &done))).collect();
        let askers: Vec<_> = (0..3)
            .map(|n| {
                let (server, targets, found, missing) = (&server, &targets, &found, &missing);
                scope.spawn(move || ask(server, targets, n * 100, found, missing))
            })
            .collect();
        let outcomes: Vec<_> = askers.into_iter().map(|asker| asker.join()).collect();
        done.store(true, Ordering::Relaxed);
        let swaps = swappers.into_iter().map(|swapper| swapper.join().unwrap()).sum();
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        swaps
    });
    let (found, missing) = (found.into_inner(), missing.into_inner());
    assert!(found > 50 && missing > 10 && swaps > 100, "{found} found, {missing} not, {swaps} swaps: no siege at all");
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all();
    assert!(!lines.iter().any(|line| line.contains(r#""level":"error""#)), "{lines:#?}");
}

/// As fast as it goes. Always back again in the end.
fn swap([a, b]: [PathBuf; 2], done: &AtomicBool) -> usize {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) || count % 2 == 1 {
        renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
        count += 1;
        // The machine may have one processor only, and a change every few microseconds hides more than it shows.
        std::thread::yield_now();
    }
    count
}

fn ask(server: &Server, targets: &[String], start: usize, found: &AtomicUsize, missing: &AtomicUsize) {
    let mut client = Client::new(server.address());
    let end = Instant::now() + LONG;
    for target in targets.iter().cycle().skip(start) {
        let reply = client.get(target).unwrap();
        assert!(!reply.tells(), "{target} tells the secret");
        match reply.status {
            200 => {
                assert_eq!(reply.body, INSIDE.as_bytes(), "{target}");
                found.fetch_add(1, Ordering::Relaxed);
            }
            301 => assert!(reply.field("location").unwrap().starts_with("./"), "{target}"),
            404 => _ = missing.fetch_add(1, Ordering::Relaxed),
            status => panic!("{target}: {status}"),
        }
        if Instant::now() > end {
            return;
        }
    }
}

/// Two directories inside that change places: the file is there at every moment, and so it must be found.
#[test]
fn a_link_that_is_exchanged_for_another_is_never_missing() {
    let tree = Tree::new();
    for n in 0..NAMES {
        tree.write(&format!("one/n{n}"), "1").write(&format!("two/n{n}"), "2");
    }
    // A link for a link, as a ConfigMap changes, and a link for a directory.
    tree.link("one", "current").link("two", "next").link("two", "mixed");
    let pairs = [["current", "next"], ["one", "mixed"]].map(|pair| pair.map(|name| tree.root().join(name)));
    for server in [tree.served(&[]).start(), walked::start(tree.served(&[]))] {
        let done = AtomicBool::new(false);
        let failures = std::thread::scope(|scope| {
            let [links, mixed] = pairs.clone();
            let swapper = scope.spawn(|| swap(links, &done));
            let other = scope.spawn(|| swap(mixed, &done));
            let asker = scope.spawn(|| {
                let mut client = Client::new(server.address());
                let end = Instant::now() + LONG / 2;
                let mut failures = Vec::new();
                for n in (0..NAMES).cycle() {
                    let reply = client.get(&format!("/current/n{n}")).unwrap();
                    if reply.status != 200 || !["1", "2"].contains(&String::from_utf8_lossy(&reply.body).as_ref()) {
                        failures.push(reply);
                    }
                    if Instant::now() > end {
                        break;
                    }
                }
                failures
            });
            let failures = asker.join();
            done.store(true, Ordering::Relaxed);
            swapper.join().unwrap();
            other.join().unwrap();
            failures.unwrap()
        });
        assert!(failures.is_empty(), "{} failures, such as {:?}", failures.len(), failures[0]);
    }
}
