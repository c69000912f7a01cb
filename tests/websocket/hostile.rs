//! Clients that mean no good, or know no better.

use std::sync::atomic::AtomicBool;

use super::cases::{BINARY, CONTINUATION, PING};
use super::*;

/// Sends while it reads everything that comes, until the end.
fn talk(stream: TcpStream, bytes: &[u8]) -> Vec<Seen> {
    let mut reader = stream.try_clone().unwrap();
    let reading = thread::spawn(move || {
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        heard
    });
    // The server may have enough before it has all.
    let _ = (&stream).write_all(bytes);
    let heard = reading.join().unwrap();
    let (seen, used) = parse(&heard);
    assert_eq!(used, heard.len(), "half a frame");
    seen
}

#[test]
fn floods_are_bounded_and_what_is_well_is_answered() {
    let site = Site::start();
    let end = goodbye(1000, b"");
    let pings: Vec<u8> = (0..5000_u32).flat_map(|n| frame(PING, &n.to_be_bytes())).collect();
    let pongs: Vec<Seen> = (0..5000_u32).map(|n| Seen::Pong(n.to_be_bytes().to_vec())).collect();
    assert!(talk(site.raw(), &[pings, end.clone()].concat()) == [&pongs[..], &[Seen::Close(Some(1000))]].concat());

    let octets = [frame(BINARY, b""), frame(CONTINUATION, b"x").repeat(MAX_MESSAGE + 1), frame(FIN, b"")].concat();
    assert_eq!(talk(site.raw(), &octets), [Seen::Close(Some(1009))], "a message of single octets");

    let nothing = [frame(TEXT, b"a"), frame(CONTINUATION, b"").repeat(100_000), frame(PING, b"between")].concat();
    let nothing = [nothing, frame(FIN, b"b"), end].concat();
    let seen = [Seen::Pong(b"between".to_vec()), Seen::Text(b"ab".to_vec()), Seen::Close(Some(1000))];
    assert_eq!(talk(site.raw(), &nothing), seen, "a message of fragments that are empty");

    let lengths = [BINARY | FIN, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(talk(site.raw(), &lengths), [Seen::Close(Some(1009))]);
    site.until_deserted();
}

#[test]
fn frames_may_come_with_the_handshake() {
    let site = Site::start();
    let mut stream = site.tcp();
    let early = [OFFER.as_bytes(), &frame(FIN | TEXT, b"early"), &goodbye(1000, b"")].concat();
    stream.write_all(&early).unwrap();
    assert!(read_head(&mut stream).starts_with("http/1.1 101 "));
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(parse(&bytes).0, [Seen::Text(b"early".to_vec()), Seen::Close(Some(1000))]);
}

#[test]
fn a_handshake_behind_other_requests_and_as_the_last_of_its_connection_works() {
    let site = Site::of(Config { max_requests_per_connection: 2, ..Config::default() }, |server| server);
    let mut stream = site.tcp();
    let offers = ["GET /missing HTTP/1.1\r\nHost: test\r\n\r\n", &OFFER.replace("Upgrade\r\n", "close, Upgrade\r\n")];
    stream.write_all(&[offers.concat().as_bytes(), &frame(FIN | TEXT, b"hi")].concat()).unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    assert!(read_head(&mut stream).starts_with("http/1.1 101 "));
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
}

#[test]
fn handshakes_that_are_none_are_refused() {
    let site = Site::start();
    for (from, to, status) in [
        ("GET", "POST", 405),
        ("GET", "HEAD", 405),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello", 400),
        ("\r\n\r\n", "\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n", 400),
        ("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n", 403),
        ("\r\n\r\n", "\r\nOrigin: http://test\r\nOrigin: https://evil.example\r\n\r\n", 400),
        ("Upgrade: websocket", "Upgrade: h2c", 426),
        ("Upgrade: websocket", "Upgrade: websocket2", 426),
        ("Connection: Upgrade", "Connection: keep-alive", 400),
        ("Version: 13", "Version: 13, 8", 426),
        ("Version: 13", "Version: 14", 426),
        ("Key: dGhl", "Key: dGh", 400),
        ("\r\n\r\n", "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400),
    ] {
        let mut stream = site.tcp();
        stream.write_all(OFFER.replacen(from, to, 1).as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{from:?} as {to:?}: {head}");
    }
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive,upgrade"),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        ("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
        ("\r\n\r\n", "\r\nOrigin: http://test\r\n\r\n"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"),
    ] {
        let mut stream = site.tcp();
        stream.write_all(OFFER.replacen(from, to, 1).as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("extensions"), "{from:?} as {to:?}: {head}");
    }
    site.until_deserted();
}

#[test]
fn a_message_that_takes_long_holds_up_its_own_connection_only() {
    let site = Site::start();
    let mut slow = site.connect("/echo");
    slow.send("wait".into()).unwrap();
    slow.send("next".into()).unwrap();
    slow.send(Message::Ping("ping".into())).unwrap();
    site.waiting.recv_timeout(PATIENCE).unwrap();
    let mut others: Vec<_> = (0..20).map(|_| site.connect("/echo")).collect();
    for other in &mut others {
        other.send("hello".into()).unwrap();
        assert_eq!(other.read().unwrap(), "hello".into());
    }
    site.gate.as_ref().unwrap().send(()).unwrap();
    assert_eq!(slow.read().unwrap(), "next".into());
    assert_eq!(slow.read().unwrap(), Message::Pong("ping".into()));
}

/// Threads that send and close while clients come and vanish: nothing is left of anybody.
#[test]
fn sending_from_everywhere_while_members_vanish_leaves_nothing_behind() {
    let site = Site::start();
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..3)
        .map(|_| {
            let (room, over) = (site.shared.room.clone(), over.clone());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    room.broadcast(vec![b'x'; 1000]);
                    thread::yield_now();
                }
            })
        })
        .collect();
    for round in 0..20 {
        let mut clients: Vec<_> = (0..10).map(|_| site.connect("/room")).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            client.read().unwrap();
            if (n + round) % 2 == 0 {
                client.close(None).unwrap();
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    (0..200).for_each(|_| drop(site.closed()));
    site.until_deserted();
}
