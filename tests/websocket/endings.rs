//! However connections end: the user's code is told exactly once, and nobody is counted any more.

use std::collections::HashSet;

use rws::app::Path;
use rws::server::Verdict;

use super::*;

/// The ids of those who have ended, each of whom was told this.
fn told(site: &Site, count: usize, code: u16, reason: &str) -> HashSet<String> {
    (0..count)
        .map(|_| {
            let (id, closed) = site.ends.recv_timeout(PATIENCE).unwrap();
            assert_eq!((closed.code.get(), &*closed.reason, closed.is_clean), (code, reason, false));
            id
        })
        .collect()
}

#[test]
fn a_server_that_is_killed_tells_everybody() {
    let mut site = Site::start();
    let mut idle: Vec<_> = (0..50).map(|_| site.connect("/room")).collect();
    let mut half = site.raw();
    half.write_all(&frame(TEXT, b"half a message")).unwrap();
    // More than there are threads: some wait for one.
    let mut busy: Vec<_> = (0..8).map(|_| site.connect("/echo")).collect();
    busy.iter_mut().for_each(|client| client.send("wait".into()).unwrap());
    (0..3).for_each(|_| site.waiting.recv_timeout(PATIENCE).unwrap());
    idle[0].send("all are here".into()).unwrap();
    assert!(idle.iter_mut().all(|client| client.read().is_ok()));
    site.stop.abort(9);
    let mut ids = told(&site, 51, 1001, "the server has ended");
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Killed(9));
    site.gate.take();
    ids.extend(told(&site, 8, 1001, "the server has ended"));
    assert_eq!(ids.len(), 59, "each of them once");
    site.until_deserted();
    assert!(site.ends.is_empty(), "and nobody twice");
}

#[test]
fn a_drain_that_is_cut_short_tells_everybody() {
    let site = Site::of(Config { drain_timeout: Duration::from_millis(100), ..Config::default() }, |server| server);
    let clients: Vec<_> = (0..20).map(|_| site.raw()).collect();
    site.stop.drain(false, 15);
    // Nobody confirms.
    told(&site, 20, 1001, "the server is stopping");
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::TimedOut);
    site.until_deserted();
    drop(clients);
}

#[test]
fn panics_are_told_wherever_they_happen() {
    fn panicking(State(shared): State<Shared>, Path(place): Path<String>, upgrade: WebSocketUpgrade) -> Response {
        let [open, message] = ["open", "message"].map(|name| name == place);
        upgrade
            .limit(&shared.limit)
            .on_open(move |_| assert!(!open, "on purpose"))
            .on_close(move |socket, closed| {
                let _ = shared.ends.send((socket.id().to_owned(), closed.clone()));
                panic!("on purpose");
            })
            .on_message(move |_, _| assert!(!message, "on purpose"))
    }
    let site = Site::with(Config::default(), |app| app.route("/panicking/{place}", get(panicking)), |server| server);
    for (place, code) in [("open", 1011), ("message", 1011), ("close", 1000)] {
        let mut client = site.connect(&format!("/panicking/{place}"));
        let _ = client.send("hello".into());
        if code == 1000 {
            let frame = tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() };
            client.close(Some(frame)).unwrap();
        }
        let goodbye = loop {
            if let Message::Close(frame) = client.read().unwrap() {
                break frame.map(|frame| u16::from(frame.code));
            }
        };
        assert_eq!((goodbye, site.end().0), (Some(code), code), "{place}");
        while client.read().is_ok() {}
        site.until_deserted();
        assert!(site.ends.is_empty(), "{place}: told twice");
    }
    assert_eq!(site.stats.handler_panics.load(Ordering::SeqCst), 5, "one each, and each on_close");
}

#[test]
fn who_vanishes_is_told_apart_from_who_says_goodbye() {
    let site = Site::start();
    let resets = site.raw();
    socket2::SockRef::from(&resets).set_linger(Some(Duration::ZERO)).unwrap();
    drop(resets);
    assert_eq!(&*site.closed().reason, "the connection was lost");
    let mut in_the_middle = site.raw();
    in_the_middle.write_all(&frame(FIN | TEXT, b"cut off")[..5]).unwrap();
    drop(in_the_middle);
    assert_eq!((site.closed().code, site.ends.len()), (CloseCode::ABNORMAL, 0));
    site.until_deserted();
}

#[test]
fn many_can_come_wait_vanish_and_be_sent_away() {
    const COUNT: usize = 500;
    let site = Site::start();
    let mut clients: Vec<_> = (0..COUNT).map(|_| site.connect("/room")).collect();
    while site.shared.room.len() < COUNT {
        thread::yield_now();
    }
    let threads = site.stats.worker_threads.load(Ordering::SeqCst);
    assert!(threads <= 6, "{threads} threads");
    assert_eq!(site.shared.room.broadcast("to all"), COUNT);
    assert!(clients.iter_mut().all(|client| client.read().unwrap() == "to all".into()));
    for client in clients.drain(..COUNT / 2) {
        socket2::SockRef::from(client.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }
    told(&site, COUNT / 2, 1006, "the connection was lost");
    assert_eq!((site.shared.room.len(), site.shared.limit.active()), (COUNT / 2, COUNT / 2));
    site.stop.drain(false, 15);
    for client in &mut clients {
        let Message::Close(Some(frame)) = client.read().unwrap() else { panic!("no goodbye") };
        assert_eq!(u16::from(frame.code), 1001);
        while client.read().is_ok() {}
    }
    assert!((0..COUNT / 2).all(|_| site.end() == (1001, true)));
    assert_eq!(site.report.recv_timeout(PATIENCE).unwrap().verdict, Verdict::Drained);
    site.until_deserted();
}

#[test]
fn a_drain_during_the_handshake_is_a_goodbye() {
    let site = Site::start();
    let mut other = site.connect("/echo");
    let mut stream = site.tcp();
    let (first, rest) = OFFER.split_at(30);
    stream.write_all(first.as_bytes()).unwrap();
    other.send("heard after the first half".into()).unwrap();
    other.read().unwrap();
    site.stop.drain(false, 15);
    let Message::Close(_) = other.read().unwrap() else { panic!("it does not stop") };
    stream.write_all(rest.as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("http/1.1 101 "));
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!((bytes[0], u16::from_be_bytes([bytes[2], bytes[3]])), (0x88, 1001));
}
