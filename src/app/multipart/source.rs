//! The body of a form, handed to the parser piece by piece. The parser reads on for as long as its stream is ready, so the
//! stream is ready only for the one piece that was put into it: everything else would gather in memory.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::task::Poll;

use bytes::Bytes;
use futures_util::stream::{Stream, poll_fn};

use super::error::MultipartError;
use crate::app::body::Body;

/// How much of a body is asked for at once, in bytes.
const PIECE: usize = 64 * 1024;

/// The most bytes that are read for what is before a field: preamble, boundary and header fields. It has to be found as a
/// whole, so it gathers in memory.
pub(super) const HEADER: usize = 16 * 1024;

/// Reads a body and feeds the parser.
pub(super) struct Source {
    body: Body,
    piece: Vec<u8>,
    /// Gone after the end of the body, which is how the parser learns of it.
    sender: Option<SyncSender<Bytes>>,
    /// How much more may be read before a field must have begun.
    header_left: Option<usize>,
}

impl Source {
    /// A source, and the stream it feeds.
    pub(super) fn new(body: Body) -> (Self, impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) {
        let (sender, receiver) = sync_channel(1);
        let length = body.length().and_then(|length| usize::try_from(length).ok()).unwrap_or(PIECE);
        let piece = vec![0; length.clamp(1, PIECE)];
        (Source { body, piece, sender: Some(sender), header_left: None }, poll_fn(move |_| take(&receiver)))
    }

    /// From here on only so much is read until the header of a field is complete.
    pub(super) fn begin_header(&mut self) {
        self.header_left = Some(HEADER);
    }

    /// The header of a field is complete.
    pub(super) fn end_header(&mut self) {
        self.header_left = None;
    }

    /// Reads one more piece, and may wait for it.
    pub(super) fn feed(&mut self) -> Result<(), MultipartError> {
        let sender = self.sender.as_ref().ok_or_else(|| MultipartError::malformed("it ends too early"))?;
        let most = self.header_left.unwrap_or(PIECE).min(self.piece.len());
        if most == 0 {
            return Err(MultipartError::malformed("there is more than 16 KiB before the content of a field"));
        }
        match read(&mut self.body, &mut self.piece[..most]).map_err(MultipartError::unreadable)? {
            0 => self.sender = None,
            n => {
                // The parser keeps the receiver, and has emptied it before it asks for more.
                let _ = sender.try_send(Bytes::copy_from_slice(&self.piece[..n]));
                self.header_left = self.header_left.map(|left| left - n);
            }
        }
        Ok(())
    }
}

fn read(body: &mut Body, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match body.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What was put in, nothing yet, or the end.
fn take(receiver: &Receiver<Bytes>) -> Poll<Option<Result<Bytes, Infallible>>> {
    match receiver.try_recv() {
        Ok(piece) => Poll::Ready(Some(Ok(piece))),
        Err(TryRecvError::Empty) => Poll::Pending,
        Err(TryRecvError::Disconnected) => Poll::Ready(None),
    }
}
