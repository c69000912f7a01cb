//! Messages, and the frames they are sent in.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{FrameHeader, Utf8Bytes};

/// A message. Cloning it copies nothing.
///
/// ```
/// use rws::app::websocket::Message;
///
/// assert_eq!(Message::from("hello").text(), Some("hello"));
/// assert_eq!(Message::from(vec![1, 2]).text(), None);
/// assert_eq!(Message::json(&[1, 2])?.as_json::<Vec<u8>>()?, [1, 2]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// `value` as JSON, in a text message.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn json(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::to_string(value).map(Message::from)
    }

    /// What this message says as JSON, be it text or binary.
    ///
    /// # Errors
    /// If it is no JSON, or none of this shape.
    pub fn as_json<'m, T: Deserialize<'m>>(&'m self) -> serde_json::Result<T> {
        serde_json::from_slice(self.as_bytes())
    }

    /// The text, if it is a text message.
    pub fn text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// What it consists of.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// What it consists of, without copying it.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(text) => text.0.into(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The frame that a server sends (RFC 6455 section 5.2): whole, and not masked.
    pub(super) fn into_frame(self) -> Bytes {
        let data = if matches!(self, Message::Text(_)) { Data::Text } else { Data::Binary };
        let header = FrameHeader { opcode: OpCode::Data(data), ..FrameHeader::default() };
        let payload = self.into_bytes();
        let length = payload.len() as u64;
        let mut frame = Vec::with_capacity(header.len(length) + payload.len());
        // Memory takes everything.
        let _ = header.format(length, &mut frame);
        frame.extend_from_slice(&payload);
        frame.into()
    }
}

/// Text that is shared, not copied. It is a [`str`] wherever one is needed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(pub(super) Utf8Bytes);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// What messages can be made from.
macro_rules! messages {
    ($($from:ty: |$value:ident| $message:expr;)*) => {$(
        impl From<$from> for Message {
            fn from($value: $from) -> Self {
                $message
            }
        }
    )*};
}

messages! {
    Text: |text| Message::Text(text);
    String: |text| Message::Text(Text(text.into()));
    &str: |text| Message::Text(Text(text.into()));
    Bytes: |bytes| Message::Binary(bytes);
    Vec<u8>: |bytes| Message::Binary(bytes.into());
    &[u8]: |bytes| Message::Binary(Bytes::copy_from_slice(bytes));
}
