//! Server-sent events (HTML Living Standard section 9.2): a response that goes on, and other threads that send events into it.
//! Knows bodies that others feed, and no connections.
//!
//! No thread waits while a stream is open: the server sends what is put in, comments in between so that proxies keep
//! the connection, and ends the stream cleanly when it stops, so that browsers connect again, elsewhere.

mod broadcast;
mod event;
mod last_event_id;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};

pub use self::broadcast::SseBroadcast;
pub use self::event::{Event, InvalidEvent};
pub use self::last_event_id::LastEventId;
use super::body::Body;
use super::feed::{BodySender, Feed, LIMIT, SendError, Terms};
use super::into_response::IntoResponse;
use super::response::Response;

/// A stream of events as a response: `text/event-stream` that neither caches nor nginx hold back.
///
/// ```
/// use rws::app::sse::{Event, Sse};
/// use rws::app::{App, TestClient, get};
///
/// fn countdown() -> Sse {
///     let (sender, events) = Sse::channel();
///     std::thread::spawn(move || (0..3).rev().try_for_each(|n| sender.send(Event::new(n.to_string()))));
///     events
/// }
///
/// let answer = TestClient::new(App::new().route("/", get(countdown)))?.get("/").send();
/// assert_eq!(answer.content_type(), Some("text/event-stream"));
/// assert_eq!(answer.text(), "data: 2\n\ndata: 1\n\ndata: 0\n\n");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
///
/// Over HTTP/1.1 a browser opens at most six connections to a site, tabs together: have one stream for all kinds of events,
/// told apart by [`Event::event`]. A stream ends when its sender is dropped; the browser then connects again. Any status but 200,
/// be it a 503 of a proxy, makes it give up for good (`readyState` is `CLOSED` in `onerror`); 204 (No Content) is the one to
/// ask for that. Where the sender is dropped by a thread that panics, the stream breaks off, and the browser
/// connects again as well. A sender that is never dropped keeps its stream open until the client goes or the server stops.
///
/// The response is not compressed by [`Compression`](super::middleware::Compression), and `no-transform` keeps proxies from it:
/// compressors hold events back until they have enough.
#[derive(Debug)]
pub struct Sse {
    feed: Arc<Feed>,
}

/// Options of a stream, made by [`Sse::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SseBuilder {
    keep_alive: Option<Duration>,
    retry: Option<Duration>,
    buffer: usize,
}

/// The side of a stream that events are put into, by any thread. Dropped, it ends the stream.
///
/// It is told at once of a client that closes its connection or only its half of it. One that vanishes without a word (a cable,
/// a dead node) is noticed when nothing that is sent to it, comments among it, is acknowledged for RWS_CONFIG_WRITE_TIMEOUT (30 s
/// unless it is set, and never less than 10 s).
#[derive(Debug)]
pub struct SseSender {
    body: BodySender,
}

/// Less than the minute after which most proxies take a connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Comments more often than this would be a load and no help.
const LEAST_KEEP_ALIVE: Duration = Duration::from_millis(100);

/// A comment, which clients ignore.
const COMMENT: &[u8] = b":\n\n";

impl Sse {
    /// A stream with the usual options, and where its events are put in.
    pub fn channel() -> (SseSender, Sse) {
        Sse::builder().channel()
    }

    /// A stream with other options.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rws::app::IntoResponse;
    /// use rws::app::sse::Sse;
    ///
    /// let options = Sse::builder().keep_alive(Duration::from_secs(5)).retry(Duration::from_secs(1));
    /// let (sender, events) = options.channel();
    /// drop(sender);
    /// assert_eq!(events.into_response().body_mut().take_text(), "retry: 1000\n\n");
    /// # trait Text { fn take_text(&mut self) -> String; }
    /// # impl Text for rws::app::Body {
    /// #     fn take_text(&mut self) -> String { std::io::read_to_string(self).unwrap() }
    /// # }
    /// ```
    pub fn builder() -> SseBuilder {
        SseBuilder::default()
    }
}

impl SseBuilder {
    /// How long nothing may be sent before a comment is, so that nobody on the way takes the connection for dead (default 15 s,
    /// at least 0.1 s); `None` for no comments.
    pub fn keep_alive(self, interval: impl Into<Option<Duration>>) -> Self {
        let keep_alive = interval.into().map(|interval| interval.max(LEAST_KEEP_ALIVE));
        SseBuilder { keep_alive, ..self }
    }

    /// How long clients wait before they connect again; without it they choose, mostly 3 s. In whole milliseconds.
    pub fn retry(self, time: Duration) -> Self {
        SseBuilder { retry: Some(time), ..self }
    }

    /// How many bytes may wait to be sent (default 64 KiB); one event more always may.
    pub fn buffer(self, bytes: usize) -> Self {
        SseBuilder { buffer: bytes.max(1), ..self }
    }

    /// The stream, and where its events are put in.
    pub fn channel(self) -> (SseSender, Sse) {
        let keep_alive = self.keep_alive.map(|interval| (interval, Bytes::from_static(COMMENT)));
        let feed = Feed::new(self.buffer, Terms { is_endless: true, keep_alive });
        let sender = SseSender { body: BodySender::new(feed.clone()) };
        if let Some(time) = self.retry {
            // There is room: it is the first.
            let _ = sender.try_send(Event::default().retry(time));
        }
        (sender, Sse { feed })
    }
}

impl Default for SseBuilder {
    fn default() -> Self {
        SseBuilder { keep_alive: Some(KEEP_ALIVE), retry: None, buffer: LIMIT }
    }
}

impl SseSender {
    /// Sends an event; waits while as much waits as may (64 KiB by default).
    ///
    /// # Errors
    /// [`SendError::Closed`] when the client has gone, [`SendError::Stopping`] when the server stops, [`SendError::Full`] in
    /// the handler itself, where nobody could make room.
    pub fn send(&self, event: Event) -> Result<(), SendError> {
        self.body.send(event)
    }

    /// Sends an event without ever waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] when too much waits already, otherwise as [`send`](Self::send).
    pub fn try_send(&self, event: Event) -> Result<(), SendError> {
        self.body.try_send(event)
    }

    /// Sends what clients ignore: each line of `text` as a comment. Waits as [`send`](Self::send) does.
    ///
    /// ```
    /// use rws::app::IntoResponse;
    /// use rws::app::sse::Sse;
    ///
    /// let (sender, events) = Sse::channel();
    /// sender.comment("connected")?;
    /// drop(sender);
    /// let body = std::mem::take(events.into_response().body_mut());
    /// assert_eq!(body.into_bytes()?, ": connected\n\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn comment(&self, text: &str) -> Result<(), SendError> {
        self.body.send(event::comment(text))
    }

    /// Whether sending is in vain: the client has gone, or the server stops.
    pub fn is_closed(&self) -> bool {
        self.body.is_closed()
    }

    /// Puts in what is encoded already.
    fn put(&self, encoded: Bytes) -> Result<(), SendError> {
        self.body.try_send(encoded)
    }
}

impl IntoResponse for Sse {
    fn into_response(self) -> Response {
        // nginx and what is made of it hold responses back unless they are told not to.
        const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
        Response::default()
            .with_header(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))
            .with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"))
            .with_header(UNBUFFERED, HeaderValue::from_static("no"))
            .with_body(Body::feed(self.feed))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
