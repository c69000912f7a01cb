//! WebSockets that hear the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::close::CloseCode;
use super::message::Message;
use super::socket::WebSocket;
use crate::app::feed::SendError;

/// A set of WebSockets to which messages are sent at once. Clones are the same room.
///
/// A WebSocket that has ended leaves by itself. All hear messages in the same order.
///
/// ```
/// use rws::app::websocket::{Room, WebSocketUpgrade};
/// use rws::app::{App, Response, State, TestClient, get};
///
/// fn chat(State(room): State<Room>, upgrade: WebSocketUpgrade) -> Response {
///     let joining = room.clone();
///     upgrade.on_open(move |socket| joining.join(socket)).on_message(move |_, message| {
///         room.broadcast(message);
///     })
/// }
///
/// let room = Room::new();
/// let client = TestClient::new(App::new().route("/chat", get(chat)).state(room.clone()))?;
/// assert_eq!(room.len(), 0);
/// assert_eq!(room.broadcast("Is anybody there?"), 0);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Default)]
pub struct Room(Arc<Mutex<HashMap<usize, WebSocket>>>);

impl Room {
    /// An empty one.
    pub fn new() -> Self {
        Room::default()
    }

    /// Adds a WebSocket, unless it is there or has ended.
    pub fn join(&self, socket: &WebSocket) {
        if self.members().insert(socket.key(), socket.clone()).is_none() {
            socket.enter(WeakRoom(Arc::downgrade(&self.0)));
        }
        // It may have ended before it could know of this room.
        if socket.is_closed() {
            self.leave(socket);
        }
    }

    /// Removes a WebSocket.
    pub fn leave(&self, socket: &WebSocket) {
        self.members().remove(&socket.key());
        socket.forget(|room| room.0.ptr_eq(&Arc::downgrade(&self.0)));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// Sends a message to all, and returns to how many. Never waits: whoever has too much waiting already is closed with
    /// [`CloseCode::TRY_AGAIN_LATER`] and removed. The message is encoded once, and its bytes are shared by all.
    pub fn broadcast(&self, message: impl Into<Message>) -> usize {
        let frame = message.into().into_frame();
        let mut failed = Vec::new();
        // The room stays locked, so that all hear two messages in the same order.
        let mut members = self.members();
        members.retain(|_, socket| match socket.send_frame(frame.clone()) {
            Ok(()) => true,
            Err(error) => {
                failed.push((socket.clone(), error));
                false
            }
        });
        let heard = members.len();
        drop(members);
        failed.iter().for_each(|(socket, error)| self.give_up(socket, *error));
        heard
    }

    fn give_up(&self, socket: &WebSocket, error: SendError) {
        if error == SendError::Full {
            socket.close(CloseCode::TRY_AGAIN_LATER, "too slow");
        }
        self.leave(socket);
    }

    fn members(&self) -> MutexGuard<'_, HashMap<usize, WebSocket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a WebSocket knows of a room that it is in.
pub(super) struct WeakRoom(Weak<Mutex<HashMap<usize, WebSocket>>>);

impl WeakRoom {
    pub(super) fn remove(&self, socket: &WebSocket) {
        if let Some(room) = self.0.upgrade() {
            Room(room).members().remove(&socket.key());
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("len", &self.len()).finish()
    }
}
