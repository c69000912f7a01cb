//! Handlers that block: the bound on their number, the queue, the handoff, and who is served meanwhile.

use std::sync::atomic::Ordering;

use rws::config::Config;
use rws::server::observe::Outcome;
use rws::server::stats::RejectReason;

use super::support::{Client, Site, config, get_of, post_of, request};

/// Sends a request to a gated handler on as many connections.
fn crowd(site: &Site, kind: &str, n: usize) -> Vec<Client> {
    (0..n).map(|i| site.send(get_of(&format!("/{kind}/{i}")))).collect()
}

#[test]
fn a_handler_that_blocks_stalls_nobody_else() {
    let site = Site::start(config());
    let mut early = site.send(get_of("/text"));
    assert_eq!(early.reply().status, 200);
    let mut slow = site.send(get_of("/gate/x"));
    site.gate.wait_for(1);
    // Those that came before, those that come later, and those in the same batch of events.
    for _ in 0..10 {
        early.send(get_of("/text"));
        assert_eq!(early.reply().text(), "Hello");
        assert_eq!(site.send(post_of("/string", "abc")).reply().text(), "abc");
    }
    assert_eq!(site.stats.handoffs.load(Ordering::SeqCst), 1);
    site.gate.open("x");
    assert_eq!(slow.reply().text(), "x");
    slow.send(get_of("/text"));
    assert_eq!(slow.reply().text(), "Hello");
    drop((early, slow));
    site.until_deserted();
}

#[test]
fn no_more_handlers_block_at_once_than_there_are_threads() {
    // Inline at first and handed off; sent to workers at once; reading their bodies themselves.
    for kind in ["gate", "blocking"] {
        for threads in [1, 4] {
            let site = Site::start(Config { thread_count: threads, ..config() });
            let mut clients = crowd(&site, kind, 12);
            site.gate.wait_for(threads);
            for _ in 0..10 {
                site.settle();
            }
            assert_eq!(site.gate.arrived().len(), threads, "{kind}");
            site.gate.open_for_good();
            for (i, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.reply().text(), i.to_string());
            }
            assert!(site.gate.most_inside() <= threads, "{kind}: {} at once", site.gate.most_inside());
            drop(clients);
            site.until_deserted();
        }
    }
}

#[test]
fn requests_that_wait_are_served_in_order_and_say_that_they_waited() {
    let site = Site::start(Config { thread_count: 1, ..config() });
    let mut clients = crowd(&site, "blocking", 6);
    for (i, client) in clients.iter_mut().enumerate() {
        site.gate.wait_for(i + 1);
        site.gate.open(&i.to_string());
        assert_eq!(client.reply().text(), i.to_string());
        assert!(site.next_seen().queued);
    }
    let expected: Vec<_> = (0..6).map(|i| i.to_string()).collect();
    assert_eq!(site.gate.arrived(), expected);
}

#[test]
fn past_the_queue_is_a_503_and_the_connection_stays() {
    let site = Site::start(Config { thread_count: 2, queue_depth: 3, ..config() });
    let mut waiting = crowd(&site, "blocking", 5);
    site.gate.wait_for(2);
    site.settle();
    let mut refused = site.connect();
    for target in ["/blocking/x", "/gate/x", "/text"] {
        refused.send(get_of(target));
        let reply = refused.reply();
        assert_eq!((reply.status, reply.field("retry-after"), reply.closes()), (503, Some("1"), false), "{target}");
        let seen = site.next_seen();
        assert_eq!((seen.path.as_str(), seen.outcome), (target, Outcome::Rejected));
    }
    // A body that is not here yet will not be waited for.
    refused.send(request("POST", "/slurp", "Content-Length: 100000\r\n"));
    let reply = refused.reply();
    assert_eq!((reply.status, reply.closes()), (503, true));
    refused.expect_end();
    assert_eq!(site.stats.rejected[RejectReason::QueueFull as usize].load(Ordering::SeqCst), 4);

    let mut kept = site.send(get_of("/text"));
    assert_eq!(kept.reply().status, 503);
    site.gate.open_for_good();
    for client in &mut waiting {
        assert_eq!(client.reply().status, 200);
    }
    kept.send(get_of("/text"));
    assert_eq!(kept.reply().text(), "Hello");
    drop((waiting, refused, kept));
    site.until_deserted();
}

#[test]
fn what_is_known_to_be_fast_is_served_with_all_workers_blocked_and_the_queue_full() {
    let site = Site::start(Config { thread_count: 2, queue_depth: 2, ..config() });
    assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
    let mut waiting = crowd(&site, "blocking", 6);
    site.gate.wait_for(2);
    for _ in 0..10 {
        assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
    }
    site.gate.open_for_good();
    for client in &mut waiting {
        assert!([200, 503].contains(&client.reply().status));
    }
}

#[test]
fn probes_are_answered_with_all_workers_blocked_and_the_queue_full() {
    for kind in ["gate", "blocking"] {
        for reactors in [1, 2] {
            let site = Site::start(Config { thread_count: 2, queue_depth: 2, reactor_count: reactors, ..config() });
            let mut waiting = crowd(&site, kind, 6);
            site.gate.wait_for(2);
            let mut probe = site.connect();
            for _ in 0..20 {
                probe.send(get_of("/probe"));
                assert_eq!(probe.reply().text(), "ok");
                assert_eq!(site.send(get_of("/probe")).reply().text(), "ok");
            }
            site.gate.open_for_good();
            for client in &mut waiting {
                let status = client.reply().status;
                assert!(status == 200 || status == 503, "{status}");
            }
            drop((waiting, probe));
            site.until_deserted();
        }
    }
}

#[test]
fn workers_survive_panics() {
    let site = Site::start(Config { thread_count: 2, ..config() });
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..10).map(|_| site.send(get_of("/panic-late/x"))).collect();
        clients.iter().for_each(|_| site.gate.open("x"));
        for client in &mut clients {
            assert_eq!(client.reply().status, 500);
            client.expect_end();
        }
    }
    assert_eq!(site.stats.handler_panics.load(Ordering::SeqCst), 30);
    let mut blocking = site.send(get_of("/blocking/y"));
    site.gate.open("y");
    assert_eq!(blocking.reply().text(), "y");
    drop(blocking);
    site.until_deserted();
}

#[test]
fn a_slow_source_of_one_response_does_not_hold_up_others() {
    let site = Site::start(config());
    let mut slow = site.send(get_of("/gated-stream/s"));
    site.gate.wait_for(1);
    assert_eq!(site.send(get_of("/stream/100000")).reply().body.len(), 100_000);
    assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
    site.gate.open_for_good();
    assert_eq!(slow.reply().body.len(), 10);
}

#[test]
fn slow_clients_hold_no_thread() {
    let site = Site::start(Config { thread_count: 1, ..config() });
    // Heads, small bodies and responses that make no progress.
    let asks = "Content-Length: 9\r\nExpect: 100-continue\r\n";
    let mut slow: Vec<_> = (0..20).map(|_| site.send("GET /text HTT")).collect();
    slow.extend((0..20).map(|_| site.send(request("POST", "/string", "Content-Length: 9\r\n") + "a")));
    slow.extend((0..20).map(|_| site.send(request("POST", "/string", "Transfer-Encoding: chunked\r\n") + "9\r\na")));
    slow.extend((0..20).map(|_| site.send(request("POST", "/string", asks))));
    for kind in ["big", "file", "stream"] {
        let mut client = site.send(get_of(&format!("/{kind}/20000000")));
        client.wait_for_bytes();
        slow.push(client);
    }
    let mut blocking = site.send(get_of("/blocking/x"));
    site.gate.open("x");
    assert_eq!(blocking.reply().text(), "x");
    assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
    drop((slow, blocking));
    site.until_deserted();
}
