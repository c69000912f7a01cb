//! MAX_CONNECTIONS_PER_IP.

use std::io::Read;
use std::net::{IpAddr, Shutdown};
use std::thread;
use std::time::Instant;

use socket2::SockRef;

use crate::support::{Client, PATIENCE, Server, Sig, rws};

const REJECTED: &str = "rws_connections_rejected_total{reason=\"per_ip\"}";

fn connect(server: &Server, client: [u8; 4]) -> Client {
    Client::from(client.into(), server.address()).unwrap()
}

/// A connection of this client that was let in.
fn admitted(server: &Server, client: [u8; 4]) -> Option<Client> {
    let mut connection = connect(server, client);
    let reply = connection.get("/demo/plaintext");
    reply.is_ok_and(|reply| reply.status == 200).then_some(connection)
}

/// The same, once there is room.
fn admitted_soon(server: &Server, client: [u8; 4]) -> Client {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(connection) = admitted(server, client) {
            return connection;
        }
        assert!(Instant::now() < end, "{client:?} is kept out for good");
    }
}

#[test]
fn connections_beyond_the_limit_of_an_address_are_told_so_and_closed() {
    let settings = [("MAX_CONNECTIONS_PER_IP", "2"), ("TRUSTED_PROXIES", "127.0.0.9")];
    let mut server = rws(&settings).start();
    let held: Vec<Client> = (0..2).map(|_| admitted(&server, [127, 0, 0, 2]).unwrap()).collect();
    for _ in 0..3 {
        let mut third = connect(&server, [127, 0, 0, 2]);
        let reply = third.read_reply().unwrap();
        assert_eq!((reply.status, reply.closes(), reply.field("retry-after")), (429, true, Some("1")));
        assert_eq!(reply.field("content-type"), Some("application/problem+json"));
        assert!(reply.field("date").is_some() && reply.text().contains("too many connections"), "{reply:?}");
        assert!(third.read_to_end().is_empty());
    }
    let others: Vec<Client> = (3..9).map(|last| admitted(&server, [127, 0, 0, last]).unwrap()).collect();
    let proxy: Vec<Client> = (0..10).map(|_| admitted(&server, [127, 0, 0, 9]).unwrap()).collect();
    assert_eq!(server.metric(REJECTED), 3.0);
    let line = server.stderr.wait_for(|line| line.contains("MAX_CONNECTIONS_PER_IP reached"));
    assert!(line.contains("127.0.0.2") && line.contains("RWS_CONFIG_TRUSTED_PROXIES"), "{line}");
    drop(held);
    admitted_soon(&server, [127, 0, 0, 2]);
    drop((others, proxy));
    let warnings = server.stderr.so_far().iter().filter(|line| line.contains("PER_IP reached")).count();
    assert_eq!(warnings, 1, "one in ten seconds");
}

/// However a connection ends, its place is free again.
#[test]
fn every_end_of_a_connection_is_counted() {
    const MOST: usize = 5;
    let settings = [("MAX_CONNECTIONS_PER_IP", "5"), ("HEAD_TIMEOUT", "200ms"), ("IDLE_TIMEOUT", "2s")];
    let server = rws(&settings).start();
    let ways: [fn(Client); 9] = [
        drop,
        |client| client.send("GET / HTTP/1.1\r\nHost:").unwrap(),
        |client| client.send("no HTTP at all\r\n\r\n").unwrap(),
        |client| SockRef::from(client.socket.get_ref()).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
        |client| client.send("GET /demo/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(),
        |client| client.send("GET /demo/panic HTTP/1.1\r\nHost: x\r\n\r\n").unwrap(),
        |client| client.send("POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx").unwrap(),
        |mut client| {
            client.send("GET /demo/delay/30 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            client.socket.get_ref().shutdown(Shutdown::Write).unwrap();
            client.read_to_end();
        },
        |client| {
            // Its time for a head runs out.
            client.send("GET").unwrap();
            let _ = client.socket.get_ref().read(&mut [0; 1024]);
        },
    ];
    thread::scope(|scope| {
        for host in 1..=8u8 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..30usize {
                    if let Ok(client) = Client::from(IpAddr::from([127, 0, 1, host]), server.address()) {
                        ways[(round + usize::from(host)) % ways.len()](client);
                    }
                }
            });
        }
    });
    for host in 1..=8 {
        let held: Vec<Client> = (0..MOST).map(|_| admitted_soon(&server, [127, 0, 1, host])).collect();
        assert!(admitted(&server, [127, 0, 1, host]).is_none(), "one more than {MOST}");
        drop(held);
    }
}

#[test]
fn whoever_waits_when_the_server_stops_is_served() {
    let settings = [("MAX_CONNECTIONS_PER_IP", "1"), ("MAX_CONNECTIONS", "1"), ("DRAIN_DELAY", "0")];
    let mut server = rws(&settings).start();
    let mut first = admitted(&server, [127, 0, 0, 2]).unwrap();
    first.send("GET /demo/delay/300 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut waiting: Vec<Client> = (0..5).map(|_| connect(&server, [127, 0, 0, 2])).collect();
    for client in &waiting {
        client.send("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.signal(Sig::TERM);
    assert_eq!(first.read_reply().unwrap().status, 200);
    for client in &mut waiting {
        assert_eq!(client.read_reply().unwrap().status, 200);
    }
    drop((first, waiting));
    assert_eq!(server.wait(PATIENCE), 0);
}
