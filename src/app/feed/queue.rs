//! The queue itself, and how whoever takes from it is woken. `tests/handoff_model.rs` checks that in every interleaving.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::PoisonError;
use std::task::Waker;
use std::thread::{self, ThreadId};
use std::time::Duration;

use bytes::Bytes;

use super::sync::{Arc, Condvar, Mutex, MutexGuard};
use crate::app::compression::Coder;

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
#[non_exhaustive]
pub enum SendError {
    /// As much waits as may. Only of [`BodySender::try_send`](super::BodySender::try_send), and where waiting could never end: in
    /// the handler, before it has returned the response.
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
        let (state, maker) = (Mutex::new(State::default()), thread::current().id());
        Arc::new(Feed { state, changed: Condvar::new(), limit, maker, terms })
    }

    /// Puts bytes in, if less waits than may. Never waits.
    pub(crate) fn put(&self, mut bytes: Bytes) -> Result<(), SendError> {
        self.put_into(self.state(), &mut bytes)
    }

    /// Puts bytes in, and waits for room first.
    pub(crate) fn put_waiting(&self, mut bytes: Bytes) -> Result<(), SendError> {
        loop {
            let mut state = self.state();
            while state.end.is_none() && state.is_full(self.limit) {
                if !state.is_taken && thread::current().id() == self.maker {
                    return Err(SendError::Full);
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            // It is full again if another one has got the room while this waited for the coder.
            match self.put_into(state, &mut bytes) {
                Err(SendError::Full) => {}
                put => return put,
            }
        }
    }

    /// Takes the bytes, or leaves them where they are: a clone of what was a `Vec` would allocate.
    fn put_into(&self, state: MutexGuard<'_, State>, bytes: &mut Bytes) -> Result<(), SendError> {
        state.may_take_in(self.limit)?;
        let Some(coder) = state.coder.clone() else {
            self.append(state, std::mem::take(bytes));
            return Ok(());
        };
        drop(state);
        self.put_coded(&coder, bytes)
    }

    /// Without holding the state: whoever takes must not wait for an encoder.
    fn put_coded(&self, coder: &Mutex<Option<Coder>>, bytes: &[u8]) -> Result<(), SendError> {
        let mut coder = coder.lock().unwrap_or_else(PoisonError::into_inner);
        self.state().may_take_in(self.limit)?;
        let coder = coder.as_mut().ok_or(SendError::Closed)?;
        let coded = coder.piece(bytes).map_err(|error| {
            self.give_up_coding(&error);
            SendError::Closed
        })?;
        self.append(self.state(), coded.into());
        Ok(())
    }

    fn give_up_coding(&self, error: &io::Error) {
        tracing::error!(%error, "cannot compress a response; it is broken off");
        self.break_off();
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
                Some(Err(error)) => return self.give_up_coding(&error),
                Some(Ok(rest)) => self.append(self.state(), rest.into()),
                None => {}
            }
            state = self.state();
        }
        self.end_in(state, End::Complete);
    }

    /// Has what waits, and what is still to be put in, pass `coder`. Only for one that has an end of its own.
    pub(super) fn code(&self, mut coder: Coder, before: Bytes) -> io::Result<()> {
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

    /// The next bytes, or how it ends; waits where there is nothing.
    pub(crate) fn take_waiting(&self) -> Taken {
        loop {
            match self.take() {
                Taken::Nothing => {
                    let mut state = self.state();
                    while state.queue.is_empty() && state.end.is_none() {
                        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
                taken => return taken,
            }
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
