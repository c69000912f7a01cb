//! The handle through which everybody sends to a WebSocket.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use super::close::{CloseCode, Closed};
use super::message::Message;
use super::room::WeakRoom;
use crate::app::feed::{Feed, SendError, Terms};

/// A WebSocket, to send to. Clones are the same WebSocket, and equal; they may be kept anywhere and do not keep it open.
#[derive(Clone)]
pub struct WebSocket(Arc<Shared>);

struct Shared {
    id: String,
    feed: Arc<Feed>,
    /// Set before the feed is complete: what is said after everything in it.
    closing: OnceLock<Closed>,
    rooms: Mutex<Vec<WeakRoom>>,
}

impl WebSocket {
    pub(super) fn new(id: String, max_outgoing: usize) -> Self {
        let feed = Feed::new(max_outgoing, Terms::default());
        WebSocket(Arc::new(Shared { id, feed, closing: OnceLock::new(), rooms: Mutex::default() }))
    }

    /// Sends a message, after all that were sent before. Never waits.
    ///
    /// # Errors
    /// [`SendError::Full`] if as much as [`max_outgoing`](super::WebSocketUpgrade::max_outgoing) waits for the other end
    /// already: the message was not taken. [`SendError::Closed`] or [`SendError::Stopping`] if nothing can be sent any more.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.send_frame(message.into().into_frame())
    }

    pub(super) fn send_frame(&self, frame: Bytes) -> Result<(), SendError> {
        self.0.feed.put(frame)
    }

    /// Closes it, after everything was sent that waits. Only the first call counts. `reason` is cut off after 123 bytes
    /// (RFC 6455 section 5.5).
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.closing.get_or_init(|| Closed::new(code, reason));
        self.0.feed.complete();
    }

    /// Closes it because the server stops.
    pub(super) fn stop(&self) {
        self.0.closing.get_or_init(|| Closed::new(CloseCode::GOING_AWAY, "the server is stopping"));
        self.0.feed.stop();
    }

    /// Whether sending is in vain.
    pub fn is_closed(&self) -> bool {
        self.0.feed.closed().is_some()
    }

    /// The id of the request that it was: what the access log has, and `X-Request-Id`. Clients may have chosen it, so it
    /// need not be unique.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn feed(&self) -> &Arc<Feed> {
        &self.0.feed
    }

    /// What somebody has said to close it.
    pub(super) fn closing(&self) -> Option<&Closed> {
        self.0.closing.get()
    }

    /// Tells it apart from all others there are.
    pub(super) fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Remembers a room that it is in.
    pub(super) fn enter(&self, room: WeakRoom) {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }

    /// Forgets rooms.
    pub(super) fn forget(&self, is_left: impl Fn(&WeakRoom) -> bool) {
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner).retain(|room| !is_left(room));
    }

    /// Nothing can be sent any more: drops what waits and leaves all rooms.
    pub(super) fn end(&self) {
        self.0.feed.abandon();
        let rooms = std::mem::take(&mut *self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner));
        for room in rooms {
            room.remove(self);
        }
    }
}

impl PartialEq for WebSocket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for WebSocket {}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("id", &self.0.id).field("is_closed", &self.is_closed()).finish()
    }
}
