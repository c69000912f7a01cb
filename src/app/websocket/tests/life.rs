//! Opening, sending, waiting and ending.

use super::cases::{BINARY, FIN, PING, PONG, TEXT, frame, goodbye};
use super::*;

fn text(text: &str) -> Seen {
    Seen::Text(text.as_bytes().to_vec())
}

#[test]
fn a_websocket_opens_once_and_closes_once() {
    let mut driven = Driven::echo();
    driven.arrive(&frame(FIN | TEXT, b"hi"));
    driven.arrive(&goodbye(4001, b"enough"));
    assert_eq!(driven.written(), [text("hi"), Seen::Close(Some(4001))]);
    driven.hear(News::Lost);
    assert_eq!(driven.next, Step::Close);
    assert_eq!(driven.log(), ["open", r#"4001 "enough" clean"#]);
    assert_eq!(driven.socket.send("late"), Err(SendError::Closed));
}

#[test]
fn who_closes_first_is_reported_and_the_rest_is_sent_before() {
    let mut driven = Driven::echo();
    driven.socket.send("last").unwrap();
    driven.socket.close(CloseCode::POLICY_VIOLATION, "rude");
    driven.socket.close(CloseCode::NORMAL, "second");
    assert!(driven.socket.is_closed());
    driven.arrive(&frame(FIN | TEXT, b"not heard any more"));
    assert_eq!(driven.written(), [text("last"), Seen::Close(Some(1008))]);
    assert!(matches!(driven.next, Step::Wait(Some(_))), "for the other end to confirm");
    driven.arrive(&goodbye(1000, b""));
    assert_eq!(driven.next, Step::Close);
    assert_eq!(driven.log(), ["open", r#"1008 "rude" clean"#]);
}

#[test]
fn who_does_not_confirm_is_given_up() {
    for stopping in [true, false] {
        let mut driven = Driven::echo();
        let begin = driven.now;
        match stopping {
            true => driven.hear(News::Stopping),
            false => driven.socket.close(CloseCode::GOING_AWAY, "the server is stopping"),
        }
        driven.arrive(b"");
        assert_eq!(driven.written(), [Seen::Close(Some(1001))]);
        assert!(driven.socket.send("x").is_err());
        driven.wait();
        assert_eq!((driven.next, driven.now - begin), (Step::Close, Duration::from_secs(10)));
        assert_eq!(driven.log(), ["open", r#"1001 "the server is stopping" not clean"#]);
    }
}

#[test]
fn a_code_that_must_not_be_sent_is_not() {
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
        let mut driven = Driven::echo();
        driven.socket.close(code, "");
        driven.arrive(b"");
        assert_eq!(driven.written(), [Seen::Close(None)]);
    }
    let long = Closed::new(CloseCode::NORMAL, &"ä".repeat(100));
    assert_eq!(long.reason.len(), 122, "whole characters");
}

#[test]
fn a_panic_is_an_error_of_the_server() {
    let mut driven = Driven::new(Limits::default(), |_, _| panic!("on purpose"));
    driven.arrive(&frame(FIN | TEXT, b"hi"));
    assert_eq!(driven.written(), [Seen::Close(Some(1011))]);
    assert_eq!((driven.next, driven.log()), (Step::Close, vec!["open".into(), r#"1011 "" not clean"#.into()]));
}

const LOST: &str = r#"1006 "the connection was lost" not clean"#;

#[test]
fn a_lost_connection_is_told_apart() {
    let mut stuck = Driven::echo();
    stuck.hear(News::Stuck);
    assert_eq!(stuck.log(), ["open", r#"1006 "the client did not read in time" not clean"#]);
    for news in [News::Lost, News::Ended] {
        let mut driven = Driven::echo();
        driven.hear(news);
        assert_eq!((driven.next, driven.log()), (Step::Close, vec!["open".into(), LOST.into()]));
    }
    let mut driven = Driven::echo();
    driven.session.hear(News::Ended);
    driven.arrive(&[frame(FIN | TEXT, b"hi"), goodbye(1000, b"")].concat());
    assert_eq!(driven.written(), [text("hi"), Seen::Close(Some(1000))], "what had arrived before is heard");
}

#[test]
fn who_is_silent_is_asked_and_then_given_up() {
    let mut driven = Driven::echo();
    let begin = driven.now;
    driven.wait();
    assert_eq!((driven.written(), driven.now - begin), (vec![Seen::Ping(vec![])], Duration::from_secs(30)));
    driven.now += Duration::from_secs(5);
    driven.arrive(&frame(PONG, b""));
    driven.wait();
    assert_eq!((driven.written(), driven.now - begin), (vec![Seen::Ping(vec![])], Duration::from_secs(65)));
    driven.wait();
    assert_eq!((driven.next, driven.now - begin), (Step::Close, Duration::from_secs(95)));
    assert_eq!(driven.log(), ["open", r#"1006 "the client did not answer a ping" not clean"#]);

    let silent = Driven::new(Limits { ping_interval: None, ..Limits::default() }, |_, _| {});
    assert_eq!(silent.next, Step::Wait(None));
}

#[test]
fn who_does_not_listen_is_not_listened_to() {
    let limits = Limits { max_outgoing: 1000, ..Limits::default() };
    let mut driven = Driven::new(limits, |socket, message| socket.send(message).unwrap());
    let message = frame(FIN | BINARY, &[b'x'; 100]);
    let all = message.repeat(100);
    let used = driven.arrive(&all);
    assert_eq!(driven.next, Step::Write(None));
    assert!(used < 15 * message.len(), "{used} of {}", all.len());
    assert!(driven.output.len() + driven.socket.feed().waiting() <= 1000);
    let (mut rest, mut seen) = (&all[used..], driven.written().len());
    while !rest.is_empty() {
        rest = &rest[driven.arrive(rest)..];
        seen += driven.written().len();
    }
    assert_eq!(seen + driven.all_written().len(), 100, "none is lost");
    let pings = frame(PING, &[0; 125]).repeat(100);
    assert!(driven.arrive(&pings) < pings.len(), "nor are pings answered without an end");
}

/// Who is not told that more has come must look again by itself.
#[test]
fn large_messages_from_elsewhere_do_not_wait_for_anything_else() {
    let mut driven = Driven::new(Limits::default(), |_, _| {});
    let (wakes, woken) = crossbeam_channel::unbounded();
    driven.session.feed().attach(std::task::Waker::from(Arc::new(Wakes(wakes))));
    let large = vec![b'x'; 50_000];
    for round in 0..3 {
        driven.socket.send(large.clone()).unwrap();
        assert!(woken.try_recv().is_ok(), "round {round}");
        driven.arrive(b"");
        assert!(matches!(driven.next, Step::Send(Some(_))), "it wants to be called when that is written");
        driven.socket.send(large.clone()).unwrap();
        assert_eq!(driven.written(), [Seen::Binary(large.clone())]);
        assert_eq!(driven.written(), [Seen::Binary(large.clone())], "the one that came meanwhile");
        assert!(matches!(driven.next, Step::Wait(Some(_))));
    }
}

struct Wakes(crossbeam_channel::Sender<()>);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// What is not answered for want of being read is for the server to bound.
#[test]
fn who_takes_long_to_read_is_not_given_up_for_a_ping() {
    let mut driven = Driven::new(Limits::default(), |_, _| {});
    driven.socket.send(vec![0; 50_000]).unwrap();
    driven.arrive(b"");
    for _ in 0..5 {
        driven.wait();
    }
    assert_eq!(driven.log(), ["open"]);
    driven.written();
    driven.wait();
    driven.written();
    driven.wait();
    assert_eq!(driven.log().len(), 2, "but then it is");
}

#[test]
fn who_is_sent_too_much_is_full() {
    let limits = Limits { max_outgoing: 1000, ..Limits::default() };
    let mut driven = Driven::new(limits, |_, _| {});
    let sent = (0..100).take_while(|_| driven.socket.send(vec![0; 98]).is_ok()).count();
    assert_eq!((sent, driven.socket.send("x")), (10, Err(SendError::Full)));
    driven.arrive(b"");
    assert_eq!(driven.all_written().len(), 10);
    assert_eq!(driven.socket.send("x"), Ok(()));
}

#[test]
fn a_room_hears_all_and_loses_who_is_slow_or_gone() {
    let limits = Limits { max_outgoing: 100, ..Limits::default() };
    let mut three = [(); 3].map(|()| Driven::new(limits, |_, _| {}));
    let room = Room::new();
    three.iter().chain(&three).for_each(|driven| room.join(&driven.socket));
    assert_eq!((room.len(), room.broadcast("one")), (3, 3));
    for driven in &mut three {
        driven.arrive(b"");
        assert_eq!(driven.written(), [text("one")]);
    }
    let [slow, gone, fine] = &mut three;
    gone.hear(News::Lost);
    assert_eq!(room.len(), 2, "who has ended has left");
    room.join(&gone.socket);
    assert_eq!(room.len(), 2, "and does not come back");
    slow.socket.send(vec![0; 200]).unwrap();
    assert_eq!(room.broadcast("two"), 1);
    fine.arrive(b"");
    assert_eq!(fine.written(), [text("two")]);
    slow.arrive(b"");
    assert_eq!(slow.all_written().last(), Some(&Seen::Close(Some(1013))));
    room.leave(&fine.socket);
    assert!(room.is_empty());
}

#[test]
fn a_place_is_free_before_the_end_is_told() {
    let limit = ConnectionLimit::new(1);
    let place = limit.enter().unwrap();
    let mut driven = Driven::in_place(Limits::default(), |_, _| {}, Some(place));
    assert_eq!(limit.active(), 1);
    driven.hear(News::Lost);
    assert_eq!(limit.active(), 0);
}

/// What happens before, and what `on_close` is told.
type Before = (fn(&mut Driven), &'static str);

#[test]
fn whoever_is_dropped_is_told_once_that_it_is_over() {
    let all: [Before; 7] = [
        (|_| {}, r#"1001 "the server has ended" not clean"#),
        (|driven| driven.hear(News::Stopping), r#"1001 "the server is stopping" not clean"#),
        (|driven| driven.session.hear(News::Lost), LOST),
        (|driven| driven.session.hear(News::Panicked), r#"1011 "" not clean"#),
        (|driven| driven.socket.close(CloseCode::NORMAL, "enough"), r#"1000 "enough" not clean"#),
        (|driven| driven.arrives(&frame(TEXT, b"half")), r#"1001 "the server has ended" not clean"#),
        (|driven| driven.arrives(&goodbye(4001, b"bye")), r#"4001 "bye" clean"#),
    ];
    for (before, told) in all {
        let limit = ConnectionLimit::new(1);
        let mut driven = Driven::in_place(Limits::default(), |_, _| {}, Some(limit.enter().unwrap()));
        before(&mut driven);
        let log = driven.log.clone();
        drop(driven);
        assert_eq!(*log.lock().unwrap(), ["open", told]);
        assert_eq!(limit.active(), 0, "{told}");
    }
}

#[test]
fn what_was_never_opened_is_not_closed() {
    let told = Arc::new(Mutex::new(Vec::new()));
    for on_open in [true, false] {
        let [open, close] = [told.clone(), told.clone()];
        let callbacks = Callbacks {
            on_open: on_open.then(|| Box::new(move |_: &WebSocket| open.lock().unwrap().push("open")) as _),
            on_message: Box::new(|_, _| {}),
            on_close: Some(Box::new(move |_, _| close.lock().unwrap().push("close"))),
        };
        let limits = Limits::default();
        let mut session = Session::new(WebSocket::new("id".into(), limits.max_outgoing), limits, callbacks, None);
        if on_open {
            session.advance(b"", &mut Vec::new(), Instant::now());
        }
    }
    assert!(told.lock().unwrap().is_empty());
}

#[test]
fn a_small_message_does_not_keep_the_memory_of_a_large_one() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = kept.clone();
    let mut driven = Driven::new(Limits::default(), move |_, message| keeping.lock().unwrap().push(message));
    for _ in 0..3 {
        driven.arrive(&[frame(FIN | BINARY, &vec![b'x'; 100_000]), frame(FIN | BINARY, b"small")].concat());
    }
    for message in std::mem::take(&mut *kept.lock().unwrap()) {
        let length = message.as_bytes().len();
        // Alone in its memory, it can become a vector without being copied.
        let bytes = message.into_bytes().try_into_mut().map_or(usize::MAX, |bytes| bytes.capacity());
        assert!(length == 5 || bytes < 110_000, "{length} bytes in {bytes}");
        assert!(length > 5 || bytes == usize::MAX || bytes <= 1024, "{length} bytes in {bytes}");
    }
}

#[test]
fn an_idle_one_is_small() {
    assert!(size_of::<Session>() < 1024, "{}", size_of::<Session>());
}
