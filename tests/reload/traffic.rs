//! Changes under load: no request is lost, and every one of them is answered by the old or by the new configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, Server, let_pass, rws};
use crate::volume::Volume;

/// What the clients have in common.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    answered: AtomicU64,
    old: AtomicU64,
    new: AtomicU64,
}

const OLD: &str = "no-cache";
const NEW: &str = "public, max-age=60";

/// Requests until it is over, each connection kept as long as it lasts or for one request. Any loss panics.
fn ask_all_the_time(address: SocketAddr, fresh: bool, tally: &Tally) {
    let connection = if fresh { "close" } else { "keep-alive" };
    let request = format!("GET /page.html HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n");
    while !tally.over.load(Ordering::Relaxed) {
        let mut client = Client::new(address).unwrap();
        while !tally.over.load(Ordering::Relaxed) {
            let reply = client.ask(&request).unwrap_or_else(|error| panic!("lost: {error}"));
            assert_eq!((reply.status, reply.body.len()), (200, 5));
            match reply.field("cache-control") {
                Some(OLD) => tally.old.fetch_add(1, Ordering::Relaxed),
                Some(NEW) => tally.new.fetch_add(1, Ordering::Relaxed),
                other => panic!("{other:?}"),
            };
            tally.answered.fetch_add(1, Ordering::Relaxed);
            if client.is_closing() {
                break;
            }
        }
    }
}

fn cache_control(server: &Server) -> String {
    server.get("/page.html").field("cache-control").unwrap().to_owned()
}

#[test]
fn a_swap_under_load_changes_log_and_cache_within_two_seconds_and_loses_nothing() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(site.path().join("page.html"), "hello").unwrap();
    let mut volume = Volume::new(&[("LOG_FORMAT", "json")]);
    let mut server = rws(&[("DIR", volume.text()), ("STATIC_DIR", site.path().to_str().unwrap())]).start();
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> = (0..12)
        .map(|n| {
            let (address, tally) = (server.address(), tally.clone());
            thread::spawn(move || ask_all_the_time(address, n % 3 == 0, &tally))
        })
        .collect();
    let_pass(Duration::from_millis(300));
    assert_eq!(cache_control(&server), OLD);

    volume.write(&[("LOG_FORMAT", "combined"), ("STATIC_CACHE_CONTROL", NEW)]);
    let changed = Instant::now();
    server.stdout.wait_for(|line| !line.starts_with('{'));
    let took = changed.elapsed();
    assert!(took < Duration::from_secs(2), "the log changed after {took:?}");
    assert_eq!(cache_control(&server), NEW, "after {:?}", changed.elapsed());
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());

    // And back and forth, with everything else that may change.
    for round in 0..6 {
        let (format, cache) = if round % 2 == 0 { ("json", OLD) } else { ("combined", NEW) };
        let limit = format!("{}", 9000 + round);
        volume.write(&[("LOG_FORMAT", format), ("STATIC_CACHE_CONTROL", cache), ("MAX_CONNECTIONS", &limit)]);
        let_pass(Duration::from_millis(150));
    }
    server.wait_for_metric("rws_config_reloads_total{result=\"success\"}", 2.0);
    tally.over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    let asked_here = server.metric("rws_config_reloads_total{result=\"failure\"}");
    assert_eq!(asked_here, 0.0);
    assert_eq!(server.stop(), 0);
    let (old, new) = (tally.old.load(Ordering::Relaxed), tally.new.load(Ordering::Relaxed));
    assert!(old > 0 && new > 0, "{old} answers before, {new} after");
    // Every answered request has its line, in one format or the other; two more were ours, besides those for metrics.
    let lines = server.stdout.all();
    let pages = lines.iter().filter(|line| line.contains("/page.html")).count() as u64;
    assert_eq!(pages, tally.answered.load(Ordering::Relaxed) + 2);
    for line in &lines {
        let whole = if line.starts_with('{') { line.ends_with('}') } else { line.ends_with('"') };
        assert!(whole, "{line}");
    }
}
