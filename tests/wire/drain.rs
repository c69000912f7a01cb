//! Stopping: what is in flight is finished, what has come is answered, and who is late is told (C1, C4).

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rws::config::Config;
use rws::server::Verdict;
use rws::server::lifecycle::State;
use rws::server::observe::Outcome;

use super::support::{Client, Site, config, find, get_of, pattern, post_of, request, until};

/// Time enough for a drain that goes well on a busy machine.
fn patient() -> Config {
    Config { drain_timeout: Duration::from_secs(60), ..config() }
}

/// Tells the server to stop, and waits until its reactor has heard of it and nobody new is admitted.
fn begin_to_stop(site: &Site) {
    site.stop.drain(false, 15);
    until("it is stopping", || site.lifecycle.state() == State::Stopping);
    // Once the listener is closed, every reactor has been woken and looks at the life cycle.
    until("the listener is closed", || {
        std::net::TcpStream::connect_timeout(&site.address, Duration::from_millis(50)).is_err()
    });
}

#[test]
fn nobody_there() {
    let site = Site::start(patient());
    assert_eq!(site.lifecycle.state(), State::Ready);
    let report = site.drain();
    assert_eq!((report.verdict, report.served_while_draining, report.aborted.len()), (Verdict::Drained, 0, 0));
    assert_eq!(site.lifecycle.state(), State::Stopped);
}

#[test]
fn what_runs_waits_or_is_half_sent_is_finished_and_says_close() {
    let site = Site::start(Config { thread_count: 2, ..patient() });
    let body = post_of("/string", "abc");
    let (first, second) = body.split_at(body.len() - 2);
    let mut body = site.send(first);
    let mut head = site.send("GET /text HT");
    let mut early = site.send(get_of("/text"));
    assert!(!early.reply().closes());
    let mut running = site.send(get_of("/gate/x"));
    let mut blocking = site.send(get_of("/blocking/x"));
    site.gate.wait_for(2);
    let mut queued = site.send(get_of("/blocking/x") + &get_of("/text"));
    site.settle();

    begin_to_stop(&site);
    body.send(second);
    head.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.reply().text(), "Hello");
    site.gate.open_for_good();
    assert_eq!(body.reply().text(), "abc");
    for client in [&mut running, &mut blocking, &mut queued] {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("x", true));
        client.expect_end();
    }
    early.send(get_of("/text"));
    let reply = early.reply();
    assert_eq!((reply.text(), reply.closes()), ("Hello", true));
    early.expect_end();
    drop((body, head, early, running, blocking, queued));
    let report = site.report();
    assert_eq!(report.verdict, Verdict::Drained);
    assert_eq!(report.served_while_draining, 6);
    assert!(report.aborted.is_empty());
    site.until_deserted();
}

#[test]
fn an_idle_connection_has_a_second_for_a_last_request() {
    let site = Site::start(patient());
    let mut clients: Vec<Client> = (0..3).map(|_| site.send(get_of("/text"))).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
    let (fresh, [late, last, silent]) = (site.connect(), clients.try_into().ok().unwrap());
    let (mut fresh, mut late, mut last, mut silent): (Client, Client, Client, Client) = (fresh, late, last, silent);
    site.settle();
    begin_to_stop(&site);
    site.pass(Duration::from_millis(500));
    late.send(get_of("/text"));
    let reply = late.reply();
    assert_eq!((reply.text(), reply.closes()), ("Hello", true));
    site.pass(Duration::from_millis(499));
    last.send(get_of("/text"));
    assert!(last.reply().closes());
    site.pass(Duration::from_millis(1));
    silent.expect_end();
    fresh.expect_end();
    assert!(site.is_running(), "it lingers, so that no reset races a request");
    // Whoever says goodbye is let go; who does not is left after a moment.
    drop((late, last, silent));
    site.pass(Duration::from_secs(3));
    assert_eq!(site.report().verdict, Verdict::Drained);
}

#[test]
fn half_a_head_does_not_hold_the_drain_until_its_deadline() {
    let site = Site::start(patient());
    let mut half = site.send("GET /text HTTP/1.1\r\nHost:");
    site.settle();
    begin_to_stop(&site);
    site.pass(Duration::from_millis(1999));
    assert!(site.is_running());
    site.pass(Duration::from_millis(1));
    let reply = half.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    half.expect_end();
    drop(half);
    site.pass(Duration::from_secs(3));
    assert_eq!(site.report().verdict, Verdict::Drained);
}

#[test]
fn responses_under_way_are_sent_whole() {
    let site = Site::start(patient());
    let targets = ["/big/8000000", "/file/8000000", "/stream/8000000", "/stream/8000000/8000000", "/written/8000000"];
    let mut clients: Vec<Client> = targets.iter().map(|target| site.send(get_of(target))).collect();
    clients.iter_mut().for_each(Client::wait_for_bytes);
    begin_to_stop(&site);
    for client in &mut clients {
        let reply = client.reply();
        assert!(reply.body == pattern(8_000_000));
    }
    // What was framed before the drain does not say that it closes.
    drop(clients);
    site.pass(Duration::from_secs(1));
    assert_eq!(site.report().verdict, Verdict::Drained);
}

#[test]
fn connections_in_the_backlog_are_served() {
    let site = Site::start(Config { max_connections: 1, ..patient() });
    let mut first = site.send(get_of("/text"));
    assert_eq!(first.reply().status, 200);
    let mut waiting: Vec<Client> = (0..20).map(|_| site.send(get_of("/text"))).collect();
    assert_eq!(site.stats.connections_accepted.load(Ordering::SeqCst), 1);
    site.stop.drain(false, 15);
    for client in &mut waiting {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("Hello", true));
        client.expect_end();
    }
    drop((first, waiting));
    let report = site.report();
    assert_eq!((report.verdict, report.served_while_draining), (Verdict::Drained, 20));
}

#[test]
fn no_request_is_lost_when_many_clients_do_not_know_of_the_drain() {
    let site = Site::on(Config { reactor_count: 2, ..patient() }, rws::server::clock::Clock::default());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0;
                    // A request that was sent on a connection which had not said that it closes is answered.
                    while let Ok(stream) =
                        std::net::TcpStream::connect_timeout(&site.address, Duration::from_millis(100))
                    {
                        let mut client = Client::of(stream);
                        loop {
                            client.send(get_of("/text"));
                            let reply = client.try_reply("GET").expect("no request is lost");
                            answered += 1;
                            if reply.closes() {
                                break;
                            }
                        }
                    }
                    answered
                })
            })
            .collect();
        until("it is busy", || site.seen.len() > 500);
        site.stop.drain(false, 15);
        for thread in threads {
            assert!(thread.join().unwrap() > 0);
        }
    });
    assert_eq!(site.report().verdict, Verdict::Drained);
}

#[test]
fn the_time_is_up() {
    let site = Site::start(Config { thread_count: 2, drain_timeout: Duration::from_millis(300), ..config() });
    let mut reading = site.send(get_of("/file/20000000"));
    reading.wait_for_bytes();
    let handed_off = site.send(get_of("/gate/a"));
    let blocking = site.send(get_of("/blocking/b"));
    site.gate.wait_for(2);
    let queued = site.send(get_of("/blocking/c"));
    let collecting = site.send("POST /string?d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx");
    site.settle();
    let report = site.drain();
    assert_eq!(report.verdict, Verdict::TimedOut);
    for path in ["/gate/a", "/blocking/b", "/blocking/c", "/string", "/file/20000000"] {
        let named = report.aborted.iter().filter(|request| request.contains(path)).count();
        assert_eq!(named, 1, "{path} in {:?}", report.aborted);
    }
    assert_eq!(site.lifecycle.state(), State::Forced);
    let mut seen: Vec<_> = site.seen.try_iter().filter(|seen| seen.path != "/probe").collect();
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["/blocking/b", "/blocking/c", "/file/20000000", "/gate/a", "/string"]);
    assert!(seen.iter().all(|seen| seen.outcome != Outcome::Ok), "{seen:?}");
    let unanswered = seen.iter().filter(|seen| seen.path != "/file/20000000");
    assert!(unanswered.clone().all(|seen| seen.status == 503), "whoever was to answer: {seen:?}");
    assert_eq!(report.served_while_draining, 0, "what was aborted was not served");
    drop((handed_off, blocking, queued, collecting, reading));
}

#[test]
fn functions_that_write_are_waited_for_and_given_up_like_handlers() {
    let site = Site::start(patient());
    let mut talking = site.send(request("POST", "/duplex", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
    talking.wait_for_bytes();
    begin_to_stop(&site);
    talking.send("5\r\nworld\r\n0\r\n\r\n");
    assert_eq!(talking.reply().text(), "HELLOWORLD");
    drop(talking);
    assert_eq!(site.report().verdict, Verdict::Drained);

    let site = Site::start(Config { drain_timeout: Duration::from_millis(300), ..config() });
    let mut stuck = site.send(get_of("/written/50000000"));
    let mut silent = site.send(request("POST", "/duplex", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n");
    let mut slow = site.send(get_of("/stream/50000000"));
    [&mut stuck, &mut silent, &mut slow].into_iter().for_each(Client::wait_for_bytes);
    site.settle();
    let report = site.drain();
    assert_eq!(report.verdict, Verdict::TimedOut);
    let mut paths: Vec<_> = site.seen.try_iter().filter(|seen| seen.path != "/probe").map(|seen| seen.path).collect();
    paths.sort();
    assert_eq!(
        (report.aborted.len(), &paths[..]),
        (3, &["/duplex", "/stream/50000000", "/written/50000000"].map(String::from)[..]),
        "{:?}",
        report.aborted
    );
}

#[test]
fn a_second_call_gives_up_and_an_abort_ends_at_once() {
    for second in [true, false] {
        let site = Site::start(patient());
        let client = site.send(get_of("/gate/x"));
        site.gate.wait_for(1);
        begin_to_stop(&site);
        if second {
            site.stop.drain(true, 2)
        } else {
            site.stop.abort(2)
        }
        let report = site.report();
        assert_eq!(report.verdict, Verdict::Killed(2));
        assert_eq!(report.aborted.len(), 1);
        assert!(report.aborted[0].contains("GET /gate/x"), "{:?}", report.aborted);
        drop(client);
    }
    let site = Site::start(patient());
    site.stop.abort(3);
    assert_eq!(site.report().verdict, Verdict::Killed(3));
}

#[test]
fn what_would_never_end_ends_when_nobody_waits_any_longer() {
    let site = Site::start(config());
    let mut client = site.send(get_of("/endless-writer"));
    // More than its head, so that its function runs.
    client.stream.read_exact(&mut [0; 100_000]).unwrap();
    site.stop.abort(9);
    let report = site.report();
    assert_eq!(report.aborted.len(), 1, "{:?}", report.aborted);
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it must not look whole");
    site.until("its thread is free", |stats| stats.workers_busy.load(Ordering::SeqCst) == 0);
}

#[test]
fn during_the_delay_everything_is_served_until_a_second_call_ends_it() {
    let site = Site::start(Config { drain_delay: Duration::from_secs(600), ..patient() });
    let mut early = site.send(get_of("/text"));
    assert!(!early.reply().closes());
    site.stop.drain(true, 15);
    until("it is draining", || site.lifecycle.state() == State::Draining);
    for _ in 0..3 {
        let mut late = site.send(get_of("/text"));
        let reply = late.reply();
        assert_eq!((reply.status, reply.closes()), (200, true));
        late.expect_end();
    }
    early.send(get_of("/text"));
    assert!(early.reply().closes());
    drop(early);
    assert_eq!(site.lifecycle.state(), State::Draining);
    site.stop.drain(true, 15);
    let report = site.report();
    assert_eq!((report.verdict, report.served_while_draining), (Verdict::Drained, 4));
    assert_eq!(report.first_arrival, Some(Duration::ZERO), "the clock has not moved");
}

#[test]
fn a_response_that_closes_is_not_reset_although_more_was_sent() {
    let site = Site::start(patient());
    let mut client = site.send(get_of("/gate/x"));
    site.gate.wait_for(1);
    begin_to_stop(&site);
    // These come when the last answer is already decided on, and are left unanswered, but not with a reset.
    client.send(get_of("/text").repeat(2000));
    site.gate.open_for_good();
    client.half_close();
    let rest = client.rest();
    assert_eq!(find(&rest, b"HTTP/1.1 200"), Some(0));
    assert_eq!(rest.windows(8).filter(|window| window == b"HTTP/1.1").count(), 1);
    assert_eq!(site.report().verdict, Verdict::Drained);
}
