//! What the process survives.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::{Client, PATIENCE, RWS, Server, Sig, clean, let_pass, rws};

#[test]
fn resets_in_a_row_leave_nothing_behind() {
    let mut server = rws(&[]).start();
    let requests = [
        "",
        "GET / HT",
        "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /demo/delay/5 HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    for n in 0..300 {
        let socket = TcpStream::connect(server.address()).unwrap();
        SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
        (&socket).write_all(requests[n % requests.len()].as_bytes()).unwrap();
    }
    let end = Instant::now() + PATIENCE;
    while server.metric("rws_connections_active") > 1.0 {
        assert!(Instant::now() < end, "{} are left", server.metric("rws_connections_active"));
    }
    assert_eq!(server.metric("http_server_active_requests"), 0.0);
    assert_eq!(server.stop(), 0);
    server.stdout.all_json();
    server.stderr.all_json();
}

/// Opens 200 connections with a request each to a server that has descriptors for few of them.
fn starve(limit: u32) {
    const CLIENTS: usize = 200;
    let script = format!(r#"ulimit -n {limit}; exec "$RWS""#);
    let mut server = rws(&[("REACTOR_COUNT", "1"), ("IDLE_TIMEOUT", "1h")]).shell(&script).start();
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &clients {
        client.send("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let first = clients[0].read_reply().unwrap();
    assert_eq!(first.status, 200);

    let before = server.cpu_ticks();
    let_pass(Duration::from_secs(1));
    let spent = server.cpu_ticks() - before;
    assert!(spent < 20, "{spent} ticks of 10 ms in a second of waiting");
    assert_eq!(clients[0].get("/healthz").unwrap().status, 200, "who got in is served");

    // Each that leaves makes room for another, in the order in which they came.
    for client in clients.drain(..).skip(1) {
        let mut client = client;
        assert_eq!(client.read_reply().unwrap().status, 200);
    }
    assert_eq!(server.get("/demo/plaintext").status, 200);
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    assert!(lines.iter().any(|line| line["level"] == "warn"), "{lines:#?}");
    assert!(lines.len() < 20, "{} lines about one shortage", lines.len());
    assert_eq!(server.stdout.all_json().len(), CLIENTS + 1);
}

#[test]
fn more_connections_than_descriptors_wait_their_turn() {
    starve(64);
}

/// So few that the calculation of a reserve does not help: accepting fails.
#[test]
fn running_out_of_descriptors_does_not_spin() {
    starve(24);
}

#[test]
fn too_few_descriptors_to_start_are_told() {
    for limit in [5, 7, 9, 11] {
        let script = format!(r#"ulimit -n {limit}; exec {RWS} --port 0 --ip 127.0.0.1"#);
        let output = clean("/bin/sh").args(["-c", &script]).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 3)), "{limit}: {output:?}");
        let lines = crate::support::json_lines(&output.stderr);
        assert!(lines.iter().any(|line| line["level"] == "error"), "{limit}: {lines:#?}");
    }
}

#[test]
fn what_is_no_file_is_not_found_and_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let fifo = clean("mkfifo").arg(path.join("fifo")).status().unwrap();
    assert!(fifo.success());
    let _socket = UnixListener::bind(path.join("socket")).unwrap();
    std::os::unix::fs::symlink("gone", path.join("dangling")).unwrap();
    std::os::unix::fs::symlink("loop", path.join("loop")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("outside")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", path.join("device")).unwrap();
    fs::write(path.join("good"), "good").unwrap();
    let mut server = rws(&[("STATIC_DIR", path.to_str().unwrap()), ("THREAD_COUNT", "1")]).start();
    for name in ["fifo", "socket", "dangling", "loop", "outside", "device", "fifo/", "good/", "../etc/passwd"] {
        let status = server.get(&format!("/{name}")).status;
        assert!(status == 404 || status == 400, "{name}: {status}");
    }
    assert_eq!(server.get("/good").text(), "good");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_static_directory_that_goes_away_is_no_reason_to_fail() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let mut server = rws(&[("STATIC_DIR", dir.path().to_str().unwrap())]).start();
    assert_eq!(server.get("/a").status, 200);
    dir.close().unwrap();
    // What is kept is looked at again once a second.
    let end = Instant::now() + PATIENCE;
    while server.get("/a").status != 404 {
        assert!(Instant::now() < end, "the file is served for ever");
        let_pass(Duration::from_millis(50));
    }
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_is_cut_short_and_not_padded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    fs::write(&path, vec![b'a'; 50_000_000]).unwrap();
    let mut server = rws(&[("STATIC_DIR", dir.path().to_str().unwrap())]).start();
    let mut client = server.connect();
    client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut first = [0; 100];
    std::io::Read::read_exact(&mut client.socket, &mut first).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(10_000_000).unwrap();
    let rest = client.read_to_end();
    assert!(rest.len() < 50_000_000, "{}", rest.len());
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.stop(), 0);
}

#[test]
fn readers_that_stop_reading_hold_no_thread() {
    let mut server = rws(&[("THREAD_COUNT", "2"), ("DRAIN_TIMEOUT", "300ms")]).start();
    let stuck: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &stuck {
        client.send("GET /demo/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.wait_for_metric("http_server_active_requests", 20.0);
    for path in ["/demo/plaintext", "/demo/delay/5", "/demo/bytes/100000"] {
        assert_eq!(server.get(path).status, 200);
    }
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 4, "they had their time");
    let last = server.stderr.all_json().pop().unwrap();
    assert_eq!(last["aborted"], 20, "{last}");
}

#[test]
fn a_full_server_refuses_with_a_time_to_come_back_and_answers_probes() {
    let mut server = rws(&[("THREAD_COUNT", "4"), ("QUEUE_DEPTH", "8"), ("REACTOR_COUNT", "1")]).start();
    let mut clients: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for client in &clients {
        client.send("GET /demo/delay/1000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.wait_for_metric("rws_connections_rejected_total", 1.0);
    assert_eq!(probe(&server).status, 200);
    let (mut served, mut refused) = (0, 0);
    for client in &mut clients {
        let reply = client.read_reply().unwrap();
        match reply.status {
            200 => served += 1,
            503 => {
                refused += 1;
                assert!(reply.field("retry-after").is_some_and(|value| value.parse::<u32>().is_ok()), "{reply:?}");
            }
            status => panic!("{status}"),
        }
    }
    assert!((12..=16).contains(&served), "{served} served, {refused} refused");
    assert_eq!(server.stop(), 0);
}

fn probe(server: &Server) -> crate::support::Reply {
    server.get("/healthz")
}
