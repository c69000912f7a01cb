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
}
