//! Clients that mean no good, or know no better.

use std::sync::atomic::AtomicBool;

use rws::app::middleware::{Compression, SecurityHeaders, Timeout, from_fn};
use rws::app::{IntoResponse, Path};

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

/// What stands around a route concerns the handshake: who is let in gets a WebSocket that works.
#[test]
fn middleware_stands_around_the_handshake_only() {
    let extend = |app: App| {
        app.layer(Compression::default())
            .layer(SecurityHeaders::default())
            .layer(Timeout::new(Duration::from_millis(1)))
            .layer(from_fn(|request, next| match request.head().field("authorization") {
                Some(b"Bearer secret") => next.run(request),
                _ => http::StatusCode::UNAUTHORIZED.into_response(),
            }))
    };
    let site = Site::with(Config::default(), extend, |server| server);
    for (credentials, status) in [("", 401), ("Authorization: Bearer secret\r\n", 101)] {
        let mut stream = site.tcp();
        let fields = format!("1.1\r\nAccept-Encoding: gzip\r\n{credentials}");
        stream.write_all(OFFER.replacen("1.1\r\n", &fields, 1).as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        if status == 101 {
            assert!(!head.contains("content-encoding") && !head.contains("content-length"), "{head}");
            // Long after the time of the handshake.
            stream.write_all(&frame(FIN | TEXT, b"wait")).unwrap();
            site.waiting.recv_timeout(PATIENCE).unwrap();
            site.gate.as_ref().unwrap().send(()).unwrap();
            stream.write_all(&[frame(FIN | TEXT, &[b'a'; 5000]), goodbye(1000, b"")].concat()).unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            assert_eq!(parse(&bytes).0, [Seen::Text(vec![b'a'; 5000]), Seen::Close(Some(1000))]);
        }
    }
    site.until_deserted();
}

/// A place is a place, whatever is spoken on it, and free again when it has ended.
#[test]
fn websockets_count_among_the_connections_that_may_be() {
    let site = Site::of(Config { max_connections: 3, ..Config::default() }, |server| server);
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..3).map(|_| site.connect("/echo")).collect();
        let mut fourth = site.tcp();
        fourth.write_all(OFFER.as_bytes()).unwrap();
        for client in &mut clients {
            client.send("hello".into()).unwrap();
            client.read().unwrap();
        }
        assert_eq!(site.stats.websocket_connections_active.load(Ordering::SeqCst), 3);
        drop(clients);
        assert!(read_head(&mut fourth).starts_with("http/1.1 101 "), "it comes in when there is room");
        drop(fourth);
        (0..4).for_each(|_| assert_eq!(site.closed().code, CloseCode::ABNORMAL));
        site.until_deserted();
    }
}

/// Who sets no limits has some all the same: a peer must not be able to end the server.
#[test]
fn the_largest_limits_are_no_danger_and_the_smallest_no_trap() {
    fn extreme(Path(which): Path<String>, upgrade: WebSocketUpgrade) -> Response {
        let (size, time) = if which == "most" { (usize::MAX, Duration::MAX) } else { (0, Duration::ZERO) };
        let upgrade = upgrade.max_outgoing(size).ping_interval(time).close_timeout(time);
        let upgrade = if which == "most" { upgrade.max_message_size(size).max_frame_size(size) } else { upgrade };
        upgrade.on_message(|socket, message| {
            let _ = socket.send(message);
        })
    }
    let site = Site::with(Config::default(), |app| app.route("/{which}", get(extreme)), |server| server);
    for which in ["most", "least"] {
        let mut client = site.connect(&format!("/{which}"));
        client.send("hello".into()).unwrap();
        assert_eq!(client.read().unwrap(), "hello".into(), "{which}");
        let lengths = [BINARY | FIN, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        client.get_mut().write_all(&lengths).unwrap();
        let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("{which}: it does not close") };
        assert_eq!(u16::from(frame.code), 1009, "{which}");
    }
    site.until_deserted();
}

/// Whoever still holds a handle after the end sends in vain, and does no harm.
#[test]
fn what_is_sent_after_the_end_is_refused() {
    fn keep(State(kept): State<Sender<rws::app::WebSocket>>, upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_open(move |socket| drop(kept.send(socket.clone()))).on_message(|_, _| {})
    }
    let (sender, kept) = unbounded::<rws::app::WebSocket>();
    let site = Site::with(Config::default(), |app| app.route("/keep", get(keep)).state(sender), |server| server);
    let mut client = site.connect("/keep");
    let socket = kept.recv_timeout(PATIENCE).unwrap();
    client.close(None).unwrap();
    while client.read().is_ok() {}
    site.until_deserted();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let socket = socket.clone();
            thread::spawn(move || (0..1000).all(|_| socket.send("late").is_err()))
        })
        .collect();
    assert!(senders.into_iter().all(|sender| sender.join().unwrap()) && socket.is_closed());
    socket.close(CloseCode::NORMAL, "once more");
    site.shared.room.join(&socket);
    assert!(site.shared.room.is_empty());
    // Whoever has its place now hears nothing of it.
    let mut next = site.connect("/echo");
    next.send("mine".into()).unwrap();
    assert_eq!(next.read().unwrap(), "mine".into());
}
