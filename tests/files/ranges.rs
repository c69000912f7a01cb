//! Ranges at their limits: what many and large ones cost, how their parts are framed, and who goes away in between.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use super::process::{PATIENCE, Server};
use super::support::{Client, Reply, Tree, contains, numbered, parts, request};

const LARGE: usize = 6_000_000;

/// How much longer the head of a part may make an answer.
const PER_PART: usize = 200;

fn served() -> (Tree, Server) {
    let tree = Tree::new();
    tree.write("large", numbered(LARGE)).write("page.html", "<p>").write("small", numbered(10_000));
    let server = tree.served(&[]).start();
    (tree, server)
}

fn get(client: &mut Client, target: &str, range: &str) -> Reply {
    client.ask("GET", target, &[("Range", range)]).unwrap()
}

#[test]
fn every_part_is_in_its_place_whatever_its_size() {
    let (_tree, server) = served();
    let content = numbered(LARGE);
    let mut client = Client::new(server.address());
    let cases: &[&[(usize, usize)]] = &[
        &[(0, 0), (LARGE - 1, LARGE - 1)],
        &[(LARGE - 1, LARGE - 1), (0, 0)],
        // About the limits of what is read at once: 64 KiB in all, and a piece of a reader's buffer.
        &[(0, 32_000), (100_000, 132_000)],
        &[(0, 32_767), (100_000, 132_767)],
        &[(0, 65_535), (100_000, 165_535)],
        &[(0, 65_536), (100_000, 165_537)],
        // Longer than any buffer, backwards, with crumbs in between.
        &[(4_000_000, 5_999_999), (1_000, 1_000), (0, 500), (1_500_000, 3_499_999), (3_600_000, 3_600_007)],
        &[(100, 2_999_999), (3_000_100, LARGE - 1)],
    ];
    for ranges in cases {
        let set: Vec<_> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        let reply = get(&mut client, "/large", &format!("bytes={}", set.join(", ")));
        assert_eq!((reply.status, reply.field("content-range")), (206, None), "{set:?}");
        let found = parts(reply.field("content-type").unwrap(), &reply.body);
        let expected = ranges
            .iter()
            .map(|&(first, last)| (format!("bytes {first}-{last}/{LARGE}"), content[first..=last].to_vec()));
        assert!(found.iter().cloned().eq(expected), "{set:?}");
        // The connection is good for another request, so the length was exact.
        let head = client.ask("HEAD", "/large", &[("Range", "bytes=0-0,500-500")]).unwrap();
        assert_eq!((head.status, head.length()), (200, Some(LARGE as u64)));
    }
}

#[test]
fn the_type_of_a_part_is_that_of_the_file_and_boundaries_cannot_be_known_before() {
    let (_tree, server) = served();
    let mut client = Client::new(server.address());
    let mut boundaries = HashSet::new();
    for _ in 0..50 {
        let reply = get(&mut client, "/small", "bytes=0-9,5000-5009");
        let boundary = reply.field("content-type").unwrap().split("boundary=").nth(1).unwrap().to_owned();
        assert!(boundary.len() >= 32 && !contains(&numbered(10_000), boundary.as_bytes()));
        assert!(boundary.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{boundary} would need quotes");
        assert!(contains(&reply.body, b"\r\nContent-Type: application/octet-stream\r\n"));
        boundaries.insert(boundary);
    }
    assert_eq!(boundaries.len(), 50);
}

/// As CVE-2011-3192 had it: a few kilobytes of request that ask for a file many times over.
#[test]
fn no_set_of_ranges_makes_an_answer_much_longer_than_the_file() {
    let (_tree, server) = served();
    let mut client = Client::new(server.address());
    let list = |count: usize, range: &dyn Fn(usize) -> String| (0..count).map(range).collect::<Vec<_>>().join(",");
    let attacks = [
        list(1_300, &|n| format!("5-{n}")),
        list(2_500, &|_| "0-".to_owned()),
        list(700, &|n| format!("{0}-{0}", n * 2)),
        list(32, &|_| "0-".to_owned()),
        list(32, &|n| format!("{n}-")),
        list(32, &|n| format!("{}-", n * 100_000)),
        list(32, &|n| format!("{}-{}", n * 180_000, n * 180_000 + 179_900)),
        list(32, &|n| format!("{0}-{0}", (31 - n) * 1_000)),
        list(32, &|n| format!("-{}", n + 1)),
        list(4_000, &|_| String::new()),
    ];
    let (before, start) = (server.cpu_ticks(), Instant::now());
    for set in &attacks {
        let reply = get(&mut client, "/large", &format!("bytes={set}"));
        assert!(matches!(reply.status, 200 | 206), "{:.40}: {}", set, reply.status);
        assert!(reply.body.len() <= LARGE + 32 * PER_PART, "{:.40}: {} bytes", set, reply.body.len());
    }
    // Sixty megabytes and some parsing, in a build that is not optimised.
    let (ticks, time) = (server.cpu_ticks() - before, start.elapsed());
    assert!(ticks < 300, "{ticks} hundredths of a second of processor time in {time:?}");
}

/// Neither more than one part's worth of memory nor a thread is held by somebody who does not read.
#[test]
fn who_asks_for_parts_and_goes_away_leaves_nothing_behind() {
    let tree = Tree::new();
    tree.write("large", numbered(20_000_000)).write("other", "other");
    let mut server = tree.served(&[("THREAD_COUNT", "2"), ("REACTOR_COUNT", "1")]).start();
    let mut warm = Client::new(server.address());
    assert_eq!(warm.get("/other").unwrap().status, 200);
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = descriptors();
    let ranges = [("Range", "bytes=0-9000000,9500000-")];
    let mut stuck: Vec<Client> = (0..20).map(|_| Client::new(server.address())).collect();
    for client in &mut stuck {
        client.send(request("GET", b"/large", &ranges)).unwrap();
        let head = client.head().unwrap();
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        client.stream.read_exact(&mut [0; 10_000]).unwrap();
    }
    assert_eq!(warm.get("/other").unwrap().body, b"other", "two threads serve twenty who do not read");
    drop(stuck);
    let end = Instant::now() + PATIENCE;
    // A cache may keep one descriptor of each file.
    while descriptors() > before + 2 {
        assert!(Instant::now() < end, "{} descriptors, and {before} before", descriptors());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    for _ in 0..20 {
        server.stdout.wait_for(|line| line.contains(r#""outcome":"client_abort""#));
    }
    assert_eq!(server.stop(), 0);
}
