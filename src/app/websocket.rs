//! WebSocket (RFC 6455): messages in both directions over a connection that was a request.
//!
//! A handler takes a [`WebSocketUpgrade`], says what is to happen with messages, and returns the response that makes the
//! connection a WebSocket. From then on no thread waits for it: the functions given are called when something has happened,
//! one at a time for each connection, and may block as handlers may. Whoever has a [`WebSocket`] can send, from any thread and
//! without ever waiting.
//!
//! ```
//! use rws::app::websocket::{Message, WebSocket, WebSocketUpgrade};
//! use rws::app::{App, Response, TestClient, get};
//!
//! fn echo(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.on_message(|socket: &WebSocket, message: Message| {
//!         // Too slow to read its own echo: the message is dropped.
//!         let _ = socket.send(message);
//!     })
//! }
//!
//! let client = TestClient::new(App::new().route("/echo", get(echo)))?;
//! let response = client
//!     .get("/echo")
//!     .header("connection", "Upgrade")
//!     .header("upgrade", "websocket")
//!     .header("sec-websocket-version", "13")
//!     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .send();
//! assert_eq!(response.status(), 101);
//! assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
//!
//! assert_eq!(client.get("/echo").send().status(), 426);
//! # Ok::<(), rws::app::BuildErrors>(())
//! ```
//!
//! What is done without being asked: pings are answered, peers that are gone are found by pings of our own, text is checked
//! to be UTF-8, the closing handshake is done, and when the server stops each connection is closed with 1001. There is no
//! compression of messages (permessage-deflate, RFC 7692): a client that offers it is answered without it.

mod close;
mod limit;
mod message;
mod room;
mod session;
mod socket;
mod upgrade;

pub use self::close::{CloseCode, Closed};
pub use self::limit::ConnectionLimit;
pub use self::message::{Message, Text};
pub use self::room::Room;
pub use self::socket::WebSocket;
pub use self::upgrade::WebSocketUpgrade;
pub use super::feed::SendError;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
