//! A bounded queue of bytes, from any thread to whoever sends them on. Knows no sockets: the one who sends is woken through
//! a [`Waker`].
//!
//! [`Body::channel`](super::body::Body::channel) is the public side of it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread::{self, ThreadId};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::compression::Coder;

/// How much may wait, unless something else is said: 64 KiB.
pub(crate) const LIMIT: usize = 64 * 1024;

/// What a piece counts at least: with tiny ones, the queue itself is what takes memory.
const LEAST: usize = 32;
/// So many pieces may always wait, and the memory for so many is kept.
const FEW: usize = 16;

/// The queue. One side puts bytes in; the other, which must never wait, takes them out.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    /// Who has made it: that thread must not wait for room before anybody takes.
    maker: ThreadId,
    pub(crate) terms: Terms,
}

/// How it is to be sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// It has no end of its own: the server ends it, cleanly, when it stops, and a client that closes its half is gone.
    pub(crate) is_endless: bool,
    /// What is sent when nothing else was for so long.
    pub(crate) keep_alive: Option<(Duration, Bytes)>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes in the queue.
    waiting: usize,
    end: Option<End>,
    /// Whoever takes is there, and how to wake it.
    waker: Option<Waker>,
    /// It found nothing, and waits to be woken.
    is_hungry: bool,
    /// Somebody has begun to take.
    is_taken: bool,
    /// What is put in passes this, which is locked before the state.
    coder: Option<Arc<Mutex<Option<Coder>>>>,
}

/// Why nothing more is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is complete.
    Complete,
    /// Something will always be missing.
    Broken,
    /// Nobody takes any more.
    Gone,
    /// The server stops; what waits is still sent.
    Stopping,
}

/// What there is to take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// These bytes, never none.
    Bytes(Bytes),
    /// Nothing now; the waker will be woken.
    Nothing,
    /// Nothing any more: that was all.
    End,
    /// Nothing any more, and something is missing.
    Broken,
}

/// Why bytes were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// As much waits as may. Only of [`BodySender::try_send`], and where waiting could never end: in the handler, before it
    /// has returned the response.
    Full,
    /// The client has gone, or the response was given up.
    Closed,
    /// The server is stopping and has ended this stream.
    Stopping,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full => "as much waits to be sent as may",
            SendError::Closed => "the client has gone",
            SendError::Stopping => "the server is stopping",
        })
    }
}

impl std::error::Error for SendError {}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        let kind = match error {
            SendError::Full => io::ErrorKind::WouldBlock,
            SendError::Closed | SendError::Stopping => io::ErrorKind::BrokenPipe,
        };
        io::Error::new(kind, error)
    }
}

impl Feed {
    /// An empty one that holds up to `limit` bytes, and one piece more.
    pub(crate) fn new(limit: usize, terms: Terms) -> Arc<Feed> {
        Arc::new(Feed { state: Mutex::default(), changed: Condvar::new(), limit, maker: thread::current().id(), terms })
    }

    /// Puts bytes in, if less waits than may. Never waits.
    pub(crate) fn put(&self, bytes: Bytes) -> Result<(), SendError> {
        self.put_into(self.state(), bytes)
    }

    /// Puts bytes in, and waits for room first.
    pub(crate) fn put_waiting(&self, bytes: Bytes) -> Result<(), SendError> {
        loop {
            let mut state = self.state();
            while state.end.is_none() && state.is_full(self.limit) {
                if !state.is_taken && thread::current().id() == self.maker {
                    return Err(SendError::Full);
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            // It is full again if another one has got the room while this waited for the coder.
            match self.put_into(state, bytes.clone()) {
                Err(SendError::Full) => {}
                put => return put,
            }
        }
    }

    fn put_into(&self, state: MutexGuard<'_, State>, bytes: Bytes) -> Result<(), SendError> {
        state.may_take_in(self.limit)?;
        let Some(coder) = state.coder.clone() else {
            self.append(state, bytes);
            return Ok(());
        };
        drop(state);
        self.put_coded(&coder, &bytes)
    }

    /// Without holding the state: whoever takes must not wait for an encoder.
    fn put_coded(&self, coder: &Mutex<Option<Coder>>, bytes: &[u8]) -> Result<(), SendError> {
        let mut coder = coder.lock().unwrap_or_else(PoisonError::into_inner);
        self.state().may_take_in(self.limit)?;
        let coder = coder.as_mut().ok_or(SendError::Closed)?;
        let coded = coder.piece(bytes).map_err(|error| {
            tracing::error!(%error, "cannot compress a response; it is broken off");
            self.break_off();
            SendError::Closed
        })?;
        self.append(self.state(), coded.into());
        Ok(())
    }

    fn append(&self, mut state: MutexGuard<'_, State>, bytes: Bytes) {
        if !bytes.is_empty() && state.end.is_none() {
            state.waiting += bytes.len();
            state.queue.push_back(bytes);
            self.wake(state);
        }
    }

    /// Nothing more will be put in, and nothing is missing.
    pub(crate) fn complete(&self) {
        let mut state = self.state();
        let coder = state.coder.take();
        if let Some(coder) = coder {
            drop(state);
            let rest = coder.lock().unwrap_or_else(PoisonError::into_inner).take().map(Coder::finish);
            match rest {
                Some(Err(_)) => return self.break_off(),
                Some(Ok(rest)) => self.append(self.state(), rest.into()),
                None => {}
            }
            state = self.state();
        }
        self.end_in(state, End::Complete);
    }

    /// Has what waits, and what is still to be put in, pass `coder`. Only for one that has an end of its own.
    fn code(&self, mut coder: Coder, before: Bytes) -> io::Result<()> {
        let mut state = self.state();
        let mut queue = VecDeque::new();
        for piece in std::iter::once(&before).chain(&state.queue).filter(|piece| !piece.is_empty()) {
            queue.push_back(Bytes::from(coder.piece(piece)?));
        }
        match state.end {
            Some(End::Complete) => queue.push_back(coder.finish()?.into()),
            Some(_) => {}
            None => state.coder = Some(Arc::new(Mutex::new(Some(coder)))),
        }
        state.waiting = queue.iter().map(Bytes::len).sum();
        state.queue = queue;
        Ok(())
    }

    /// Nothing more will be put in, although something is missing.
    pub(crate) fn break_off(&self) {
        self.end(End::Broken);
    }

    /// The server stops: nothing more may be put in, what waits is sent.
    pub(crate) fn stop(&self) {
        self.end(End::Stopping);
    }

    /// Nobody takes any more: what waits is dropped. Whoever sends is still told of a stop, if there was one.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        (state.queue, state.waiting, state.waker, state.coder) = (VecDeque::new(), 0, None, None);
        state.end = state.end.filter(|end| *end == End::Stopping).or(Some(End::Gone));
        self.changed.notify_all();
    }

    fn end(&self, end: End) {
        self.end_in(self.state(), end);
    }

    fn end_in(&self, mut state: MutexGuard<'_, State>, end: End) {
        state.end.get_or_insert(end);
        self.wake(state);
    }

    /// Wakes whoever takes, if it waits.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        self.changed.notify_all();
        let waker = std::mem::take(&mut state.is_hungry).then(|| state.waker.clone()).flatten();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Says who takes from now on.
    pub(crate) fn attach(&self, waker: Waker) {
        let mut state = self.state();
        state.is_taken = true;
        state.waker = Some(waker);
        self.changed.notify_all();
    }

    /// Takes the next bytes. Never waits.
    pub(crate) fn take(&self) -> Taken {
        let mut state = self.state();
        state.is_taken = true;
        if let Some(bytes) = state.queue.pop_front() {
            state.waiting -= bytes.len();
            if state.queue.is_empty() {
                state.queue.shrink_to(FEW);
            }
            self.changed.notify_all();
            return Taken::Bytes(bytes);
        }
        match state.end {
            None => {
                state.is_hungry = true;
                Taken::Nothing
            }
            Some(End::Complete | End::Stopping) => Taken::End,
            Some(End::Broken | End::Gone) => Taken::Broken,
        }
    }

    /// How many bytes wait.
    #[cfg_attr(not(feature = "websocket"), allow(dead_code, reason = "no other protocol does"))]
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting
    }

    /// Why nothing can be put in any more.
    pub(crate) fn closed(&self) -> Option<SendError> {
        match self.state().end {
            None => None,
            Some(End::Stopping) => Some(SendError::Stopping),
            Some(_) => Some(SendError::Closed),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full(&self, limit: usize) -> bool {
        self.waiting >= limit || self.queue.len() >= FEW.max(limit / LEAST)
    }

    /// Whether more may be put in.
    fn may_take_in(&self, limit: usize) -> Result<(), SendError> {
        match self.end {
            Some(End::Stopping) => Err(SendError::Stopping),
            Some(_) => Err(SendError::Closed),
            None if self.is_full(limit) => Err(SendError::Full),
            None => Ok(()),
        }
    }
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
        loop {
            match self.feed.take() {
                Taken::Bytes(bytes) => return Ok(bytes),
                Taken::End => return Ok(Bytes::new()),
                Taken::Broken => return Err(io::Error::other("its sender gave up")),
                Taken::Nothing => {
                    let state = self.feed.state();
                    let idle = |state: &mut State| state.queue.is_empty() && state.end.is_none();
                    drop(self.feed.changed.wait_while(state, idle));
                }
            }
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
    use std::task::Wake;

    use super::*;
    use crate::app::body::Body;
    use crate::app::compression::Compressor;
    use crate::app::compression::tests::{decoded, readable};
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
        let feed = Feed::new(64 * LEAST, Terms::default());
        let put = (0..1000).take_while(|_| feed.put("x".into()).is_ok()).count();
        assert_eq!((put, feed.waiting()), (64, 64));
        while feed.take() != Taken::Nothing {}
        assert!(feed.state().queue.capacity() <= FEW, "what they needed is given back");
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
            assert_eq!(decoded(coding, &all, 1000).unwrap(), expected.as_bytes(), "{coding:?}");
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
        assert_eq!(decoded(coding, &all, 10).unwrap(), b"all");

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
        let content = decoded(Coding::Gzip, &all, 41 * LIMIT as u64).unwrap();
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
