//! One WebSocket connection: frames in and out (tungstenite's), the user's functions, and the time. Driven by the server
//! through [`Upgraded`]; knows no sockets.

mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message as Received};

use self::wire::{Position, Wire};
use super::close::{CloseCode, Closed};
use super::limit::Place;
use super::message::{Message, Text};
use super::socket::WebSocket;
use crate::app::feed::{Feed, Taken};
use crate::app::upgrade::{Advanced, News, Step, Upgraded};

/// The memory that each connection keeps for reading. What a longer message has taken is given back after it.
const READ_BYTES: usize = 512;

/// While so much is to be written, what waits stays in the feed, where it is shared and counted.
const ENOUGH_BYTES: usize = 16 * 1024;

/// What a handler may choose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) max_message: usize,
    pub(super) max_frame: Option<usize>,
    pub(super) max_outgoing: usize,
    pub(super) ping_interval: Option<Duration>,
    pub(super) close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_message: 1 << 20,
            max_frame: None,
            max_outgoing: 256 << 10,
            ping_interval: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// A connection that has just begun, as tungstenite sees it.
    fn context(&self) -> WebSocketContext {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(self.max_message))
            .max_frame_size(Some(self.max_frame.unwrap_or(self.max_message)));
        WebSocketContext::new(Role::Server, Some(config))
    }
}

pub(super) type OnOpen = Box<dyn FnOnce(&WebSocket) + Send>;
pub(super) type OnMessage = Box<dyn FnMut(&WebSocket, Message) + Send>;
pub(super) type OnClose = Box<dyn FnOnce(&WebSocket, &Closed) + Send>;

/// The user's functions.
pub(super) struct Callbacks {
    pub(super) on_open: Option<OnOpen>,
    pub(super) on_message: OnMessage,
    pub(super) on_close: Option<OnClose>,
}

pub(super) struct Session {
    socket: WebSocket,
    limits: Limits,
    callbacks: Callbacks,
    context: WebSocketContext,
    /// Where in a frame the input is.
    position: Position,
    place: Option<Place>,
    /// It was handed to the server, and has begun.
    has_begun: bool,
    /// For `run`.
    message: Option<Message>,
    /// When the other end must have confirmed that it is closed.
    close_by: Option<Instant>,
    /// Our goodbye is sent.
    has_said_goodbye: bool,
    /// All is over, but for `on_close`.
    end: Option<Closed>,
    signs: Signs,
    news: Heard,
}

/// Whether the other end is there.
#[derive(Default)]
struct Signs {
    /// When it last was seen.
    seen: Option<Instant>,
    /// When it was asked since.
    pinged: Option<Instant>,
    /// Nothing was read for a while, because user code ran or too much was to be written.
    hidden: bool,
}

/// What was heard since the last time.
#[derive(Default)]
struct Heard {
    has_ended: bool,
    /// Why, in words.
    lost: Option<&'static str>,
    has_panicked: bool,
}

impl Session {
    pub(super) fn new(socket: WebSocket, limits: Limits, callbacks: Callbacks, place: Option<Place>) -> Self {
        Session {
            socket,
            limits,
            callbacks,
            context: limits.context(),
            position: Position::default(),
            place,
            has_begun: false,
            message: None,
            close_by: None,
            has_said_goodbye: false,
            end: None,
            signs: Signs::default(),
            news: Heard::default(),
        }
    }
}

impl Upgraded for Session {
    fn advance(&mut self, input: &[u8], output: &mut Vec<u8>, now: Instant) -> Advanced {
        self.has_begun = true;
        let mut wire = Wire::new(input, self.position, output);
        self.look_for_signs(&wire, now);
        let next = self.step(&mut wire, now);
        self.signs.hidden |= matches!(next, Step::Write(_));
        self.position = wire.position;
        let used = if self.end.is_some() { input.len() } else { wire.used };
        Advanced { used, next }
    }

    fn run(&mut self) {
        self.signs.hidden = true;
        if let Some(call) = self.callbacks.on_open.take() {
            call(&self.socket);
        }
        if let Some(message) = self.message.take() {
            (self.callbacks.on_message)(&self.socket, message);
        }
        if let Some(closed) = self.end.clone() {
            self.tell(&closed);
        }
    }

    fn feed(&self) -> &Arc<Feed> {
        self.socket.feed()
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Stopping => self.socket.stop(),
            News::Ended => self.news.has_ended = true,
            News::Lost => self.news.lost = Some(LOST),
            News::Stuck => self.news.lost = Some("the client did not read in time"),
            News::Panicked => self.news.has_panicked = true,
        }
    }
}

impl Session {
    /// Everything that can be done now, until user code has to run or something has to happen.
    fn step(&mut self, wire: &mut Wire<'_>, now: Instant) -> Step {
        self.take_news(wire);
        while self.end.is_none() {
            if self.has_work() {
                return Step::Run;
            }
            self.send(wire, now);
            self.watch(wire, now);
            if self.end.is_none() && self.is_congested(wire) {
                // How long the other end may take nothing is the server's to bound.
                return Step::Write(self.close_by);
            }
            if self.end.is_none() && !self.receive(wire) {
                let deadline = self.deadline();
                return if self.may_send(wire) { Step::Wait(deadline) } else { Step::Send(deadline) };
            }
        }
        if self.has_work() || self.callbacks.on_close.is_some() { Step::Run } else { Step::Close }
    }

    fn has_work(&self) -> bool {
        self.callbacks.on_open.is_some() || self.message.is_some()
    }

    fn take_news(&mut self, wire: &mut Wire<'_>) {
        if std::mem::take(&mut self.news.has_panicked) {
            self.fail(&panicked(), wire);
        }
        if let Some(why) = self.news.lost {
            self.lose(why);
        }
    }

    /// Whether too much waits for the other end to listen to it.
    fn is_congested(&self, wire: &Wire<'_>) -> bool {
        wire.output.len() + self.socket.feed().waiting() > self.limits.max_outgoing / 2
    }

    /// Moves what waits to where it is written, and the goodbye after it.
    fn send(&mut self, wire: &mut Wire<'_>, now: Instant) {
        if self.socket.closing().is_some() {
            self.close_by.get_or_insert(now + self.limits.close_timeout);
        }
        while !self.has_said_goodbye && self.may_send(wire) {
            match self.socket.feed().take() {
                Taken::Bytes(frame) => wire.output.extend_from_slice(&frame),
                Taken::Nothing => return,
                Taken::End | Taken::Broken => self.say_goodbye(wire),
            }
        }
    }

    /// Whether what waits may be moved, so that all of it was, or is told when more comes.
    fn may_send(&self, wire: &Wire<'_>) -> bool {
        wire.output.len() < ENOUGH_BYTES
    }

    fn say_goodbye(&mut self, wire: &mut Wire<'_>) {
        self.has_said_goodbye = true;
        let frame = self.socket.closing().and_then(Closed::frame);
        // It is written into memory; what else it says of the connection, the next read says again.
        let _ = self.context.close(wire, frame);
    }

    /// Takes the next message, if it has arrived. Whether there may be another.
    fn receive(&mut self, wire: &mut Wire<'_>) -> bool {
        match self.context.read(wire) {
            Ok(Received::Text(text)) => self.take(Message::Text(Text(text))),
            Ok(Received::Binary(bytes)) => self.take(Message::Binary(bytes)),
            Ok(Received::Close(frame)) => {
                // Answers it.
                let _ = self.context.flush(wire);
                self.confirm(Closed::received(frame.as_ref()));
            }
            Ok(Received::Ping(_)) => {
                let _ = self.context.flush(wire);
            }
            Ok(Received::Pong(_) | Received::Frame(_)) => {}
            Err(Error::Io(_)) if self.news.has_ended => self.lose(LOST),
            Err(Error::Io(_)) => return false,
            Err(Error::Capacity(error)) => {
                self.fail(&Closed::new(CloseCode::MESSAGE_TOO_BIG, &error.to_string()), wire);
            }
            Err(Error::Utf8(_)) => self.fail(&Closed::new(CloseCode::INVALID_PAYLOAD, "text must be UTF-8"), wire),
            Err(Error::Protocol(error)) => {
                self.fail(&Closed::new(CloseCode::PROTOCOL_ERROR, &error.to_string()), wire);
            }
            Err(_) => self.lose(LOST),
        }
        true
    }

    /// After our goodbye nobody wants messages any more.
    fn take(&mut self, message: Message) {
        if message.as_bytes().len() > READ_BYTES && self.context.can_write() {
            // Its reading memory has grown, and would stay as large. Nothing else is in it.
            self.context = self.limits.context();
        }
        if !self.has_said_goodbye {
            self.message = Some(message);
        }
    }

    /// The other end has said goodbye: first, or in answer to ours.
    fn confirm(&mut self, theirs: Closed) {
        let first = if self.has_said_goodbye { self.socket.closing().cloned() } else { None };
        self.finish(Closed { is_clean: true, ..first.unwrap_or(theirs) });
    }

    /// Says what is wrong, and that is the end.
    fn fail(&mut self, closed: &Closed, wire: &mut Wire<'_>) {
        if !self.has_said_goodbye {
            let _ = self.context.close(wire, closed.frame());
        }
        self.finish(closed.clone());
    }

    /// The end, without a word: nobody would hear it. If it was being closed, that is the reason, else `why`.
    fn lose(&mut self, why: &str) {
        self.finish(self.closing_or(CloseCode::ABNORMAL, why));
    }

    fn closing_or(&self, code: CloseCode, why: &str) -> Closed {
        self.socket.closing().cloned().unwrap_or_else(|| Closed::new(code, why))
    }

    /// Calls `on_close`, if that was not done.
    fn tell(&mut self, closed: &Closed) {
        self.place = None;
        if let Some(call) = self.callbacks.on_close.take() {
            call(&self.socket, closed);
        }
    }

    fn finish(&mut self, closed: Closed) {
        self.end.get_or_insert(closed);
        self.socket.end();
    }

    /// Bytes that arrive show that the other end is there; while none were read, nobody could have seen them. Nor could it
    /// have seen a ping behind what it has not taken yet, for which the server has a bound of its own.
    fn look_for_signs(&mut self, wire: &Wire<'_>, now: Instant) {
        let was_hidden = std::mem::take(&mut self.signs.hidden) || !wire.output.is_empty();
        if self.signs.seen.is_none() || was_hidden || wire.has_input() {
            (self.signs.seen, self.signs.pinged) = (Some(now), None);
        }
    }

    /// Does what is due: asks the other end whether it is there, or gives it up.
    fn watch(&mut self, wire: &mut Wire<'_>, now: Instant) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.close_by.is_some() || self.signs.pinged.is_some() {
            return self.lose("the client did not answer a ping");
        }
        self.signs.pinged = Some(now);
        let _ = self.context.write(wire, Received::Ping(bytes::Bytes::new()));
    }

    fn deadline(&self) -> Option<Instant> {
        let since = self.signs.pinged.or(self.signs.seen)?;
        self.close_by.or_else(|| self.limits.ping_interval.map(|interval| since + interval))
    }
}

/// What is said of a connection that is simply gone.
const LOST: &str = "the connection was lost";

/// What a client is told whose message was too much for the user's code.
fn panicked() -> Closed {
    Closed::new(CloseCode::INTERNAL_ERROR, "")
}

/// Who drops it before its end ends the server. The user's code hears of that too, if it knows of the connection.
impl Drop for Session {
    fn drop(&mut self) {
        self.socket.end();
        if !self.has_begun || self.callbacks.on_open.is_some() {
            return;
        }
        let closed = match self.end.take() {
            Some(closed) => closed,
            None if self.news.has_panicked => panicked(),
            None => match self.news.lost {
                Some(why) => self.closing_or(CloseCode::ABNORMAL, why),
                None => self.closing_or(CloseCode::GOING_AWAY, "the server has ended"),
            },
        };
        self.tell(&closed);
    }
}
