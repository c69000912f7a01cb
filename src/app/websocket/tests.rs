//! Byte for byte, without a server: sessions are driven as it drives them.

mod handshake;
mod life;

#[path = "../../../tests/websocket/cases.rs"]
mod cases;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::limit::Place;
use super::session::{Callbacks, Limits, Session};
use super::*;
use crate::app::upgrade::{News, Step, Upgraded};
use cases::{MAX_MESSAGE, Seen, parse};

/// A session, and what a server would have of it.
struct Driven {
    session: Session,
    socket: WebSocket,
    log: Log,
    /// What was not written yet.
    output: Vec<u8>,
    now: Instant,
    next: Step,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Driven {
    fn new(limits: Limits, on_message: impl FnMut(&WebSocket, Message) + Send + 'static) -> Self {
        Driven::in_place(limits, on_message, None)
    }

    fn in_place(
        limits: Limits,
        on_message: impl FnMut(&WebSocket, Message) + Send + 'static,
        place: Option<Place>,
    ) -> Self {
        let log = Log::default();
        let [open, close] = [log.clone(), log.clone()];
        let callbacks = Callbacks {
            on_open: Some(Box::new(move |_| open.lock().unwrap().push("open".into()))),
            on_message: Box::new(on_message),
            on_close: Some(Box::new(move |_, closed| {
                let clean = if closed.is_clean { "clean" } else { "not clean" };
                close.lock().unwrap().push(format!("{} {:?} {clean}", closed.code, closed.reason));
            })),
        };
        let socket = WebSocket::new("id".into(), limits.max_outgoing);
        let session = Session::new(socket.clone(), limits, callbacks, place);
        let (output, now, next) = (Vec::new(), Instant::now(), Step::Wait(None));
        let mut driven = Driven { session, socket, log, output, now, next };
        driven.arrive(b"");
        driven
    }

    fn echo() -> Self {
        let limits = Limits { max_message: MAX_MESSAGE, ..Limits::default() };
        Driven::new(limits, |socket, message| socket.send(message).unwrap())
    }

    /// Bytes arrive. Returns how many were taken before the session wants something else.
    fn arrive(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let advanced = self.session.advance(&bytes[used..], &mut self.output, self.now);
            used += advanced.used;
            self.next = advanced.next;
            if self.next != Step::Run {
                return used;
            }
            let session = &mut self.session;
            if catch_unwind(AssertUnwindSafe(|| session.run())).is_err() {
                self.session.hear(News::Panicked);
            }
        }
    }

    /// The same, however many are taken.
    fn arrives(&mut self, bytes: &[u8]) {
        self.arrive(bytes);
    }

    fn hear(&mut self, news: News) {
        self.session.hear(news);
        self.arrive(b"");
    }

    /// Time passes, until the session wants to be called.
    fn wait(&mut self) {
        let (Step::Wait(until) | Step::Send(until) | Step::Write(until)) = self.next else {
            panic!("it does not wait")
        };
        self.now = until.expect("it waits for a time");
        self.arrive(b"");
    }

    /// The output is written.
    fn written(&mut self) -> Vec<Seen> {
        let output = std::mem::take(&mut self.output);
        let (seen, used) = parse(&output);
        assert_eq!(used, output.len(), "half a frame");
        self.arrive(b"");
        seen
    }

    /// Writes everything there is.
    fn all_written(&mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while !self.output.is_empty() {
            all.extend(std::mem::take(&mut self.output));
            self.arrive(b"");
        }
        let (seen, used) = parse(&all);
        assert_eq!(used, all.len(), "half a frame");
        seen
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

#[test]
fn the_cases_of_autobahn_pass_whole_and_in_pieces() {
    for size in [usize::MAX, 1, 7, 1000] {
        for case in cases::cases() {
            let mut driven = Driven::echo();
            let mut seen = Vec::new();
            for piece in case.sent.chunks(size) {
                let used = driven.arrive(piece);
                seen.extend(driven.all_written());
                let mut rest = &piece[used..];
                while !rest.is_empty() && driven.next != Step::Close {
                    rest = &rest[driven.arrive(rest)..];
                    seen.extend(driven.all_written());
                }
            }
            assert_eq!(seen, case.expected, "case {} in pieces of {size}", case.id);
            assert_eq!(driven.next, Step::Close, "case {}", case.id);
            assert_eq!(driven.log().len(), 2, "case {}: opened once, closed once", case.id);
        }
    }
}
