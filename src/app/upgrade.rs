//! What a connection speaks once it has left HTTP (RFC 9110 section 7.8): a protocol without I/O and without a clock, driven
//! by the server. Knows no sockets and no protocol.
//!
//! A connection that was handed over by a response with status 101 stays with its reactor. The server calls
//! [`Upgraded::advance`] whenever something has happened, and [`Upgraded::run`] when that asks for it: there, as in a handler,
//! user code may block or panic.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::feed::Feed;

/// A protocol, driven by the server.
pub(crate) trait Upgraded: Send {
    /// Takes what has arrived, and appends to `output` what is to be sent. Called whenever bytes have arrived, the feed has
    /// something, the deadline has passed, `run` has returned, or `output` has room again. Never waits and runs no code of
    /// the user's.
    fn advance(&mut self, input: &[u8], output: &mut Vec<u8>, now: Instant) -> Advanced;

    /// Runs the user's code for what `advance` has found. May block; may panic.
    fn run(&mut self);

    /// What other threads send; its waker makes the server call `advance`, which takes from it.
    fn feed(&self) -> &Arc<Feed>;

    /// Something has happened that bytes do not tell. `advance` is called next, unless the server ends: then it is dropped.
    fn hear(&mut self, news: News);
}

/// How far [`Upgraded::advance`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// How many bytes of the input it has taken.
    pub(crate) used: usize,
    /// What comes next.
    pub(crate) next: Step,
}

/// What a protocol wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "websocket"), allow(dead_code, reason = "no other protocol does"))]
pub(crate) enum Step {
    /// To be called when something happens, at the latest then.
    Wait(Option<Instant>),
    /// The same, and when `output` was written: the feed has not been asked for everything it may have.
    Send(Option<Instant>),
    /// To be called again when `output` was written, at the latest then: it takes no more input before.
    Write(Option<Instant>),
    /// [`Upgraded::run`], then to be called again.
    Run,
    /// The end, once `output` is written.
    Close,
}

/// What bytes do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The server is stopping: to say goodbye, and to be over soon.
    Stopping,
    /// The other end has sent all it will.
    Ended,
    /// The connection is lost: nothing can be sent any more. After a last [`Step::Run`], if any, comes [`Step::Close`].
    Lost,
    /// The same, because the other end did not read.
    Stuck,
    /// [`Upgraded::run`] has panicked.
    Panicked,
}

impl fmt::Debug for dyn Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgraded")
    }
}
