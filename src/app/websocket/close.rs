//! Why a WebSocket was closed (RFC 6455 section 7.4).

use std::fmt;

use tungstenite::protocol::CloseFrame;

/// A status code of a closing handshake.
///
/// ```
/// use rws::app::websocket::CloseCode;
///
/// assert_eq!(CloseCode::GOING_AWAY.get(), 1001);
/// assert_eq!(CloseCode::application(4001).map(CloseCode::get), Some(4001));
/// assert_eq!(CloseCode::application(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $name: CloseCode = CloseCode($code);)*
        }
    };
}

codes! {
    /// All is said.
    NORMAL 1000;
    /// The server stops, or the page was left.
    GOING_AWAY 1001;
    /// The other end broke the protocol.
    PROTOCOL_ERROR 1002;
    /// Data of a kind that is not taken, as binary where only text is.
    UNSUPPORTED_DATA 1003;
    /// The other end gave no code. Given to [`WebSocket::close`](super::WebSocket::close), none is sent.
    NO_STATUS 1005;
    /// The connection was lost without a closing handshake. Never sent.
    ABNORMAL 1006;
    /// Text that is not UTF-8.
    INVALID_PAYLOAD 1007;
    /// Against the rules, where no other code fits.
    POLICY_VIOLATION 1008;
    /// A message over the limit.
    MESSAGE_TOO_BIG 1009;
    /// Something went wrong in the server, as a panic.
    INTERNAL_ERROR 1011;
    /// The server starts anew.
    SERVICE_RESTART 1012;
    /// Too much at the moment: the client may come back.
    TRY_AGAIN_LATER 1013;
}

impl CloseCode {
    /// A code of the application's own: 3000 to 3999 are registered with IANA, 4000 to 4999 are free. None for others.
    pub fn application(code: u16) -> Option<Self> {
        (3000..5000).contains(&code).then_some(CloseCode(code))
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a WebSocket has ended.
///
/// | what has happened | code | reason | clean |
/// |---|---|---|---|
/// | the client has closed it | the client's, 1005 if it gave none | the client's | yes |
/// | [`close`](super::WebSocket::close) was called | the one given there | the one given there | if the client has confirmed it in time |
/// | a room gave it up | 1013 | `too slow` | if the client has confirmed it in time |
/// | the server drains | 1001 | `the server is stopping` | if the client has confirmed it in time |
/// | the server was ended without a drain | 1001 | `the server has ended` | no |
/// | the client broke the protocol or a limit | 1002, 1007, 1009 | what it did | no |
/// | `on_open` or `on_message` has panicked | 1011 | none | no |
/// | the connection has ended or broke | 1006 | `the connection was lost` | no |
/// | the client has not answered a ping | 1006 | `the client did not answer a ping` | no |
/// | the client has not read for as long as `RWS_CONFIG_WRITE_TIMEOUT` | 1006 | `the client did not read in time` | no |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed {
    /// Why, as said by the side that closed first; [`CloseCode::ABNORMAL`] if nobody said anything.
    pub code: CloseCode,
    /// What was said in words; of a lost connection, how it was lost.
    pub reason: String,
    /// Whether both sides have said goodbye.
    pub is_clean: bool,
}

/// The most a reason may have: a control frame holds 125 bytes (RFC 6455 section 5.5), the code takes two.
const REASON_BYTES: usize = 123;

impl Closed {
    /// What is still to be confirmed by the other end.
    pub(super) fn new(code: CloseCode, reason: &str) -> Self {
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES)].to_owned();
        Closed { code, reason, is_clean: false }
    }

    /// What the other end has said.
    pub(super) fn received(frame: Option<&CloseFrame>) -> Self {
        let (code, reason) =
            frame.map_or((CloseCode::NO_STATUS, ""), |f| (CloseCode(f.code.into()), f.reason.as_str()));
        Closed { is_clean: true, ..Closed::new(code, reason) }
    }

    /// What is sent of it; none where no code may be sent.
    pub(super) fn frame(&self) -> Option<CloseFrame> {
        let is_sent = ![CloseCode::NO_STATUS, CloseCode::ABNORMAL].contains(&self.code);
        is_sent.then(|| CloseFrame { code: self.code.0.into(), reason: self.reason.as_str().into() })
    }
}
