//! How a drain begins on the admin port, and how that ends with the process.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, PATIENCE, Server, Sig, let_pass};
use crate::{Admin, with_admin};

fn wait_for_state(server: &mut Server, state: &str) {
    let wanted = format!(r#""state":"{state}""#);
    server.stderr.wait_for(|line| line.contains("life cycle") && line.contains(&wanted));
}

#[test]
fn a_posted_drain_is_the_drain_of_sigterm() {
    let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "700ms")]);
    let mut slow = server.connect();
    slow.send("GET /demo/delay/1200 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    admin.wait_for("/statusz?format=json", |reply| reply.text().contains(r#""route":"/demo/delay/{ms}""#));
    let began = Instant::now();
    let accepted = admin.post("/drain", "");
    assert_eq!(accepted.status, 202);
    let body: serde_json::Value = serde_json::from_slice(&accepted.body).unwrap();
    assert_eq!((&body["state"], &body["drain_delay_seconds"]), (&"draining".into(), &0.7.into()), "{body}");
    // From the moment of the answer on.
    let ready = admin.get("/readyz");
    assert!(ready.status == 503 && ready.text().contains("[-]shutdown failed: the server is draining"), "{ready:?}");
    assert_eq!(server.get("/readyz").status, 503);
    assert_eq!(server.get("/demo/plaintext").status, 200, "the delay is there to go on serving");
    assert_eq!(admin.post("/drain", "").status, 202, "asking again changes nothing");
    assert_eq!(admin.get("/healthz").status, 200);
    let reply = slow.read_reply().unwrap();
    assert_eq!((reply.status, reply.closes()), (200, true));
    assert_eq!(server.wait(PATIENCE), 0);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    let last = server.stderr.all_json().pop().unwrap();
    assert_eq!((&last["verdict"], &last["aborted"]), (&"drained".into(), &0.into()), "{last}");
}

#[test]
fn the_sigterm_after_a_posted_drain_cuts_nothing_short() {
    // In the delay.
    let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "800ms")]);
    let began = Instant::now();
    assert_eq!(admin.post("/drain", "").status, 202);
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains("signal received"));
    assert_eq!(server.wait(PATIENCE), 0);
    assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
    // While it stops.
    let (mut server, admin) = with_admin(&[]);
    let mut slow = server.connect();
    slow.send("GET /demo/delay/800 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    admin.wait_for("/statusz?format=json", |reply| reply.text().contains(r#""route":"/demo/delay/{ms}""#));
    assert_eq!(admin.post("/drain", "").status, 202);
    wait_for_state(&mut server, "stopping");
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains("signal received"));
    assert_eq!(slow.read_reply().unwrap().status, 200);
    assert_eq!(server.wait(PATIENCE), 0);
    // The second one means what it always means.
    let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "60s")]);
    assert_eq!(admin.post("/drain", "").status, 202);
    server.signal(Sig::TERM);
    server.stderr.wait_for(|line| line.contains("signal received"));
    server.signal(Sig::INT);
    assert_eq!(server.wait(PATIENCE), 0, "SIGINT ends the delay");
}

#[test]
fn no_page_of_another_site_can_drain() {
    let (mut server, admin) = with_admin(&[]);
    for fields in ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n", "Origin: null\r\n"] {
        assert_eq!(admin.post("/drain", fields).status, 403, "{fields}");
    }
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.stop(), 0);
    let logged = server.stdout.all_json();
    assert_eq!(logged.iter().filter(|line| line["path"] == "/drain" && line["status"] == 403).count(), 3);
}

#[test]
fn the_admin_port_answers_until_the_main_server_has_ended_and_then_holds_nobody() {
    let (mut server, admin) = with_admin(&[]);
    // What a scraper leaves open, what a browser leaves half open, and what never says anything.
    let mut idle = admin.connect();
    assert_eq!(idle.get("/metrics").unwrap().status, 200);
    let mut silent = admin.connect();
    let mut slow = server.connect();
    slow.send("GET /demo/delay/700 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    admin.wait_for("/statusz?format=json", |reply| reply.text().contains(r#""route":"/demo/delay/{ms}""#));
    server.signal(Sig::TERM);
    wait_for_state(&mut server, "stopping");
    let ready = admin.get("/readyz");
    assert!(ready.status == 503 && ready.text().contains("the server is stopping"), "{ready:?}");
    assert!(admin.get("/statusz").text().contains("<strong>Stopping</strong>"));
    assert!(admin.get("/metrics").text().contains("rws_lifecycle_state{state=\"stopping\"} 1"));
    assert_eq!(slow.read_reply().unwrap().status, 200);
    drop(slow);
    wait_for_state(&mut server, "stopped");
    let ended = Instant::now();
    assert_eq!(server.wait(PATIENCE), 0);
    // The main server would wait for a second and two more.
    assert!(ended.elapsed() < Duration::from_millis(700), "{:?} after the main server", ended.elapsed());
    assert!(idle.read_to_end().is_empty() && silent.read_to_end().is_empty());
}

/// Asks on one connection for as long as it lasts, then on the next one, until nobody listens. Returns what was lost.
fn ask_until_the_end(admin: Admin) -> (u64, Vec<String>) {
    /// Who says nothing for longer than this may find the connection closed.
    const IN_TIME: Duration = Duration::from_millis(25);
    let (mut answered, mut lost) = (0, Vec::new());
    let mut last = Instant::now();
    while let Ok(mut client) = Client::new(admin.0) {
        while !client.is_closing() {
            let sent = client.send("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
            let in_time = last.elapsed() < IN_TIME;
            match sent.and_then(|()| client.read_reply()) {
                Ok(reply) => {
                    assert!(matches!(reply.status, 200 | 503), "{reply:?}");
                    answered += 1;
                }
                Err(error) if in_time => {
                    lost.push(error.to_string());
                    return (answered, lost);
                }
                Err(_) => break,
            }
            last = Instant::now();
        }
        last = Instant::now();
    }
    (answered, lost)
}

#[test]
fn no_answer_of_the_admin_port_is_lost_at_the_end() {
    for _ in 0..3 {
        let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "200ms")]);
        let clients: Vec<_> = (0..4).map(|_| thread::spawn(move || ask_until_the_end(admin))).collect();
        let_pass(Duration::from_millis(100));
        assert_eq!(server.stop(), 0);
        for client in clients {
            let (answered, lost) = client.join().unwrap();
            assert!(lost.is_empty() && answered > 0, "{answered} answered, {lost:?}");
        }
    }
}

#[test]
fn an_impatient_signal_ends_the_admin_port_too() {
    let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "60s")]);
    let mut idle = admin.connect();
    assert_eq!(idle.get("/healthz").unwrap().status, 200);
    let asked = Instant::now();
    server.signal(Sig::QUIT);
    assert_eq!(server.wait(PATIENCE), 131);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
