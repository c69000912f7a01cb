//! A bounded queue of bytes, from any thread to whoever sends them on. Knows no sockets: the one who sends is woken through
//! a [`Waker`](std::task::Waker).
//!
//! [`Body::channel`](super::body::Body::channel) is the public side of it.

mod queue;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;

use bytes::{Buf, Bytes};

pub use self::queue::SendError;
pub(crate) use self::queue::{Feed, Taken, Terms};
use super::compression::Coder;

/// How much may wait, unless something else is said: 64 KiB.
pub(crate) const LIMIT: usize = 64 * 1024;

/// What the queue uses; its model check puts others in their place.
mod sync {
    pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
}

/// Takes from a feed and waits where there is nothing: for those who may.
pub(crate) struct FeedReader {
    feed: Arc<Feed>,
    rest: Bytes,
}

impl FeedReader {
    /// What it takes from.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Takes up to `most` bytes. Never waits.
    pub(crate) fn take(&mut self, most: usize) -> Taken {
        if self.rest.is_empty() {
            match self.feed.take() {
                Taken::Bytes(bytes) => self.rest = bytes,
                other => return other,
            }
        }
        Taken::Bytes(self.rest.split_to(most.min(self.rest.len())))
    }

    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        FeedReader { feed, rest: Bytes::new() }
    }

    /// Has all that is still to be taken coded, by the threads that put it in. On an error nothing has changed.
    pub(in crate::app) fn code(&mut self, coder: Coder) -> io::Result<()> {
        self.feed.code(coder, self.rest.clone())?;
        self.rest = Bytes::new();
        Ok(())
    }

    /// The next bytes; none at the end.
    fn next(&self) -> io::Result<Bytes> {
        match self.feed.take_waiting() {
            Taken::Bytes(bytes) => Ok(bytes),
            Taken::End | Taken::Nothing => Ok(Bytes::new()),
            Taken::Broken => Err(io::Error::other("its sender gave up")),
        }
    }
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.next()?;
        }
        let n = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        self.feed.abandon();
    }
}

/// The sending side of [`Body::channel`](super::body::Body::channel). Can be shared between threads.
///
/// Dropped, it ends the body; dropped by a thread that panics, it breaks the body off, so that the client does not take it
/// for whole.
#[derive(Debug)]
pub struct BodySender {
    feed: Arc<Feed>,
}

impl BodySender {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        BodySender { feed }
    }

    /// Sends bytes; waits while 64 KiB wait that the client has not taken yet.
    ///
    /// # Errors
    /// [`SendError::Closed`] when nobody takes them any more, [`SendError::Full`] where waiting could never end.
    pub fn send(&self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.feed.put_waiting(bytes.into())
    }

    /// Sends bytes without ever waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] when too much waits already, otherwise as [`send`](Self::send).
    pub fn try_send(&self, bytes: impl Into<Bytes>) -> Result<(), SendError> {
        self.feed.put(bytes.into())
    }

    /// Whether sending is in vain.
    pub fn is_closed(&self) -> bool {
        self.feed.closed().is_some()
    }

    /// Breaks the body off: the client sees that it is not complete.
    pub fn abort(self) {
        self.feed.break_off();
    }
}

impl Write for BodySender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(Bytes::copy_from_slice(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if thread::panicking() {
            self.feed.break_off();
        } else {
            self.feed.complete();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::app::body::Body;
    use crate::app::compression::tests::readable;
    use crate::app::compression::{Compressor, decompressed};
    use crate::app::permits::Permits;
    use crate::semantics::accept_encoding::Coding;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_takes_is_woken_once_for_all_that_came_since_it_found_nothing() {
        let (feed, count) = (Feed::new(LIMIT, Terms::default()), Arc::new(Count::default()));
        feed.attach(Waker::from(count.clone()));
        feed.put("a".into()).unwrap();
        assert_eq!((feed.take(), count.0.load(Ordering::SeqCst)), (Taken::Bytes("a".into()), 0), "it had not looked");
        assert_eq!(feed.take(), Taken::Nothing);
        feed.put("b".into()).unwrap();
        feed.put("c".into()).unwrap();
        feed.complete();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        let rest = [feed.take(), feed.take(), feed.take()];
        assert_eq!(rest, [Taken::Bytes("b".into()), Taken::Bytes("c".into()), Taken::End]);
    }

    #[test]
    fn no_more_waits_than_may_and_one_piece() {
        let feed = Feed::new(4, Terms::default());
        assert_eq!(feed.put("abc".into()), Ok(()));
        assert_eq!(feed.put("defg".into()), Ok(()));
        assert_eq!(feed.put("h".into()), Err(SendError::Full));
        assert_eq!(feed.put_waiting("h".into()), Err(SendError::Full), "nobody takes before this thread goes on");
        assert_eq!(feed.waiting(), 7);
        assert_eq!(feed.take(), Taken::Bytes("abc".into()));
        assert_eq!(feed.take(), Taken::Bytes("defg".into()));
        assert_eq!(feed.put("h".into()), Ok(()));
    }

    #[test]
    fn tiny_pieces_are_bounded_by_their_number() {
        let feed = Feed::new(64 * 32, Terms::default());
        let put = (0..1000).take_while(|_| feed.put("x".into()).is_ok()).count();
        assert_eq!((put, feed.waiting()), (64, 64));
        while feed.take() != Taken::Nothing {}
        assert_eq!(feed.put("x".into()), Ok(()));
    }

    #[test]
    fn a_sender_waits_for_room() {
        let (sender, body) = Body::channel();
        let long = vec![b'x'; 3 * LIMIT];
        let copy = long.clone();
        let producer = thread::spawn(move || copy.chunks(1000).all(|piece| sender.send(piece.to_vec()).is_ok()));
        assert_eq!(body.into_bytes().unwrap(), long);
        assert!(producer.join().unwrap());
    }

    #[test]
    fn a_sender_learns_that_nobody_takes() {
        let (sender, body) = Body::channel();
        assert!(!sender.is_closed());
        drop(body);
        assert_eq!((sender.is_closed(), sender.send("x")), (true, Err(SendError::Closed)));
        let feed = Feed::new(LIMIT, Terms::default());
        feed.put("last".into()).unwrap();
        feed.stop();
        assert_eq!(feed.put("x".into()), Err(SendError::Stopping));
        assert_eq!((feed.take(), feed.take()), (Taken::Bytes("last".into()), Taken::End));
        feed.abandon();
        assert_eq!(feed.put("x".into()), Err(SendError::Stopping), "which is why nobody takes");
    }

    #[test]
    fn what_is_broken_off_is_not_taken_for_whole() {
        let (sender, body) = Body::channel();
        sender.send("half").unwrap();
        sender.abort();
        body.into_bytes().unwrap_err();
        let (sender, body) = Body::channel();
        let panicked = thread::spawn(move || {
            sender.send("half").unwrap();
            panic!("on purpose");
        });
        panicked.join().unwrap_err();
        body.into_bytes().unwrap_err();
    }

    /// A sender, and a body that is coded.
    fn coded(streams: &Permits, coding: Coding) -> (BodySender, FeedReader) {
        let feed = Feed::new(LIMIT, Terms::default());
        let (sender, mut reader) = (BodySender::new(feed.clone()), FeedReader::new(feed));
        sender.send("before, ").unwrap();
        reader
            .code(Coder::new(Compressor::each_time(coding).unwrap().level(3).unwrap(), streams.try_acquire().unwrap()))
            .unwrap();
        (sender, reader)
    }

    #[test]
    fn what_is_sent_is_coded_by_its_sender_and_can_be_read_at_once() {
        for &coding in Coding::AVAILABLE {
            let streams = Permits::new(1);
            let (sender, mut reader) = coded(&streams, coding);
            let (mut all, mut expected) = (Vec::new(), "before, ".to_owned());
            let mut look = |all: &mut Vec<u8>| {
                while let Taken::Bytes(bytes) = FeedReader::take(&mut reader, 7) {
                    all.extend_from_slice(&bytes);
                }
            };
            for piece in ["now, ", "and ", "later"] {
                look(&mut all);
                assert_eq!(readable(coding, &all), expected.as_bytes(), "{coding:?}");
                sender.try_send(piece).unwrap();
                expected += piece;
            }
            assert!(streams.try_acquire().is_none());
            drop(sender);
            look(&mut all);
            assert_eq!(decompressed(coding, &all, 1000).unwrap(), expected.as_bytes(), "{coding:?}");
            assert!(streams.try_acquire().is_some(), "given back");
        }
    }

    #[test]
    fn what_is_complete_already_is_coded_whole_and_what_is_broken_off_or_given_up_frees_its_encoder() {
        let (coding, streams) = (Coding::Gzip, Permits::new(1));
        let (sender, body) = Body::channel();
        sender.send("all").unwrap();
        drop(sender);
        let crate::app::body::Kind::Feed(mut reader) = body.kind else { panic!("it is fed") };
        reader
            .code(Coder::new(Compressor::each_time(coding).unwrap().level(3).unwrap(), streams.try_acquire().unwrap()))
            .unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(decompressed(coding, &all, 10).unwrap(), b"all");

        let (sender, mut reader) = coded(&streams, coding);
        sender.abort();
        reader.read_to_end(&mut all).unwrap_err();
        drop(reader);
        let (sender, reader) = coded(&streams, coding);
        drop(reader);
        assert_eq!(sender.send("x"), Err(SendError::Closed));
        assert!(streams.try_acquire().is_some(), "although the sender is still there");
    }

    #[test]
    fn senders_of_what_is_coded_wait_for_room_and_keep_their_order() {
        let (streams, noise) = (Permits::new(1), noise(40 * LIMIT));
        let (sender, mut reader) = coded(&streams, Coding::Gzip);
        let copy = noise.clone();
        let producer = thread::spawn(move || {
            let sent = copy.chunks(5000).all(|piece| sender.send(piece.to_vec()).is_ok());
            (sent, drop(sender))
        });
        while reader.feed().waiting() < LIMIT {
            thread::yield_now();
        }
        assert!(reader.feed().waiting() < 2 * LIMIT, "{}", reader.feed().waiting());
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        let content = decompressed(Coding::Gzip, &all, 41 * LIMIT).unwrap();
        assert!(content == [b"before, ", &*noise].concat());
        assert!(producer.join().unwrap().0);
    }

    /// Bytes that become no shorter.
    fn noise(length: usize) -> Vec<u8> {
        let steps =
            std::iter::successors(Some(1u64), |n| Some(n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)));
        steps.map(|n| (n >> 56) as u8).take(length).collect()
    }
}
