//! The handoff slot, and feeds that wake their connections, under every interleaving that the memory model allows.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

/// What the slot and the queue of a feed use instead of what the standard library has.
mod sync {
    use loom::sync::atomic::AtomicPtr as Model;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};

    /// The model lets a swap read any store that no other is known to follow, even one that an earlier swap of another
    /// thread should have read had it come before. On real machines (and in the memory model, since a swap reads the
    /// value right before its own in the order of modifications) there is no such order. Writing by swap only keeps
    /// the order of modifications and that of the model the same.
    pub(crate) struct AtomicPtr<T>(Model<T>);

    impl<T> AtomicPtr<T> {
        pub(crate) fn new(pointer: *mut T) -> Self {
            AtomicPtr(Model::new(pointer))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> *mut T {
            self.0.load(ordering)
        }

        pub(crate) fn store(&self, pointer: *mut T, ordering: Ordering) {
            self.0.swap(pointer, ordering);
        }

        pub(crate) fn swap(&self, pointer: *mut T, ordering: Ordering) -> *mut T {
            self.0.swap(pointer, ordering)
        }
    }
}

#[path = "../src/server/handoff.rs"]
#[allow(dead_code, reason = "the model needs only a part")]
mod handoff;

/// What a queue knows of compression: here it only marks the end.
mod app {
    pub(crate) mod compression {
        use crate::sync::Arc;

        #[derive(Debug)]
        pub(crate) struct Coder {
            pub(crate) _permit: Arc<()>,
        }

        impl Coder {
            pub(crate) fn piece(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
                Ok(bytes.to_vec())
            }

            pub(crate) fn finish(self) -> std::io::Result<Vec<u8>> {
                Ok(b".".to_vec())
            }
        }
    }
}

#[path = "../src/app/feed/queue.rs"]
#[allow(dead_code, reason = "the model needs only a part")]
mod queue;

use std::task::{Wake, Waker};

use app::compression::Coder;
use handoff::Slot;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use queue::{Feed, SendError, Taken, Terms};

#[test]
fn exactly_one_side_gets_the_value_and_sees_what_was_done_to_it() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || slot.take())
        };
        slot.publish(Box::new(7));
        let worker = slot.take();
        let monitor = monitor.join().unwrap();
        match (worker, monitor) {
            (Some(value), None) | (None, Some(value)) => assert_eq!(*value, 7),
            (worker, monitor) => panic!("worker has {worker:?}, monitor has {monitor:?}"),
        }
    });
}

#[test]
fn a_value_is_taken_once_however_many_rounds_and_takers_there_are() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || {
                // As the monitor does: it looks first, and the worker may have gone on meanwhile.
                if slot.occupied().is_some() { slot.take().map(|value| *value) } else { None }
            })
        };
        let mut rounds = 0;
        for round in 0..2 {
            slot.publish(Box::new(round));
            match slot.take() {
                Some(value) => assert_eq!(*value, round),
                None => break,
            }
            rounds += 1;
        }
        let taken = monitor.join().unwrap();
        // The worker stops when its value is gone, and the monitor must then have exactly that one.
        assert_eq!(taken, if rounds < 2 { Some(rounds) } else { None });
    });
}

#[test]
fn the_monitor_never_takes_a_round_it_was_told_is_older() {
    loom::model(|| {
        let slot = Arc::new(Slot::default());
        slot.publish(Box::new(1_u64));
        let seen = slot.occupied().unwrap();
        let monitor = {
            let slot = slot.clone();
            thread::spawn(move || {
                // Still the same stay: then it is a stay of this round or a later one, never of an earlier.
                if slot.occupied() == Some(seen) { slot.take().map(|value| *value) } else { None }
            })
        };
        if slot.take().is_some() {
            slot.publish(Box::new(2));
        }
        if let Some(value) = monitor.join().unwrap() {
            assert!(value >= seen);
        }
    });
}

#[test]
fn what_is_left_in_a_slot_is_dropped_with_it() {
    loom::model(|| {
        struct Counted(Arc<AtomicUsize>);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let drops = Arc::new(AtomicUsize::new(0));
        let slot = Slot::default();
        slot.publish(Box::new(Counted(drops.clone())));
        drop(slot);
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// How a reactor is reached, as in src/server/shared.rs: mail, a flag that says that there is some, and what wakes its poll.
struct Reactor {
    mail: Mutex<Vec<Mail>>,
    notified: AtomicBool,
    rang: Mutex<bool>,
    ringing: Condvar,
}

#[derive(PartialEq)]
enum Mail {
    Wake,
    Return,
}

impl Reactor {
    fn new() -> Arc<Self> {
        let (mail, notified) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        Arc::new(Reactor { mail, notified, rang: Mutex::new(false), ringing: Condvar::new() })
    }

    fn send(&self, mail: Mail) {
        self.mail.lock().unwrap().push(mail);
        if !self.notified.swap(true, Ordering::AcqRel) {
            *self.rang.lock().unwrap() = true;
            self.ringing.notify_one();
        }
    }

    /// Waits until it is woken, and reads its mail. A wake-up that is lost is a deadlock, which the model finds.
    fn turn(&self) -> Vec<Mail> {
        let mut rang = self.rang.lock().unwrap();
        while !*rang {
            rang = self.ringing.wait(rang).unwrap();
        }
        *rang = false;
        drop(rang);
        self.notified.swap(false, Ordering::AcqRel);
        std::mem::take(&mut *self.mail.lock().unwrap())
    }
}

/// Rings for the connection.
struct Bell(Arc<Reactor>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.send(Mail::Wake);
    }
}

/// A feed whose connection belongs to a reactor.
fn fed() -> (Arc<Reactor>, Arc<Feed>) {
    let (reactor, feed) = (Reactor::new(), Feed::new(100, Terms::default()));
    feed.attach(Waker::from(std::sync::Arc::new(Bell(reactor.clone()))));
    (reactor, feed)
}

/// Everything that is there. Whether that was the end.
fn take_all(feed: &Feed, taken: &mut Vec<u8>) -> bool {
    loop {
        match feed.take() {
            Taken::Bytes(bytes) => taken.extend(bytes),
            Taken::Nothing => return false,
            Taken::End | Taken::Broken => return true,
        }
    }
}

#[test]
fn what_another_thread_sends_arrives_without_anything_else_happening() {
    loom::model(|| {
        let (reactor, feed) = fed();
        let sender = {
            let feed = feed.clone();
            thread::spawn(move || {
                feed.put("a".into()).unwrap();
                feed.put("b".into()).unwrap();
                feed.complete();
            })
        };
        let mut taken = Vec::new();
        while !take_all(&feed, &mut taken) {
            reactor.turn();
        }
        assert_eq!(taken, b"ab");
        sender.join().unwrap();
    });
}

#[test]
fn what_is_coded_by_its_sender_arrives_with_its_end_behind_it() {
    loom::model(|| {
        let (reactor, feed) = fed();
        let permit = Arc::new(());
        feed.code(Coder { _permit: permit.clone() }, "a".into()).unwrap();
        let sender = {
            let feed = feed.clone();
            thread::spawn(move || {
                feed.put("b".into()).unwrap();
                feed.complete();
            })
        };
        let mut taken = Vec::new();
        while !take_all(&feed, &mut taken) {
            reactor.turn();
        }
        assert_eq!(taken, b"ab.");
        sender.join().unwrap();
        assert_eq!(Arc::strong_count(&permit), 1, "given back");
    });
}

#[test]
fn who_gives_up_while_a_sender_codes_gets_the_permit_back() {
    loom::model(|| {
        let (_reactor, feed) = fed();
        let permit = Arc::new(());
        feed.code(Coder { _permit: permit.clone() }, "".into()).unwrap();
        let sender = {
            let feed = feed.clone();
            thread::spawn(move || feed.put("a".into()))
        };
        feed.abandon();
        assert!(matches!(sender.join().unwrap(), Ok(()) | Err(SendError::Closed)));
        assert_eq!(Arc::strong_count(&permit), 1, "given back");
        assert_eq!(feed.waiting(), 0, "nothing waits for ever");
    });
}

#[test]
fn what_is_sent_while_the_connection_is_with_a_worker_arrives_when_it_comes_back() {
    loom::model(|| {
        let (reactor, feed) = fed();
        // Nothing was there when it was last looked at, so the sender rings.
        assert_eq!(feed.take(), Taken::Nothing);
        let sender = {
            let feed = feed.clone();
            thread::spawn(move || feed.put("a".into()).unwrap())
        };
        let worker = {
            let reactor = reactor.clone();
            thread::spawn(move || reactor.send(Mail::Return))
        };
        let (mut is_here, mut taken) = (false, Vec::new());
        while taken.is_empty() {
            for mail in reactor.turn() {
                is_here |= mail == Mail::Return;
                // Mail for a connection that is away is dropped.
                if is_here {
                    take_all(&feed, &mut taken);
                }
            }
        }
        assert_eq!(taken, b"a");
        sender.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn sending_while_the_reactor_closes_leaves_nothing_behind_and_is_told() {
    loom::model(|| {
        let (_reactor, feed) = fed();
        assert_eq!(feed.take(), Taken::Nothing);
        let sender = {
            let feed = feed.clone();
            thread::spawn(move || [feed.put("a".into()), feed.put("b".into())])
        };
        let stopper = {
            let feed = feed.clone();
            thread::spawn(move || feed.stop())
        };
        feed.abandon();
        let sent = sender.join().unwrap();
        stopper.join().unwrap();
        assert!(!sent.windows(2).any(|two| two[0].is_err() && two[1].is_ok()), "once it is closed, it stays so");
        assert_eq!(feed.waiting(), 0, "nothing waits for ever");
        assert!(matches!(feed.put("late".into()), Err(SendError::Closed | SendError::Stopping)));
    });
}
