//! Responses that a test reads piece by piece, as they come. Knows bodies, and the format of server-sent events.

use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method, StatusCode};

use super::TestRequest;
use super::response::framed;
use crate::app::body::{Body, Kind};
use crate::app::feed::Feed;
use crate::app::response::{Headers, Response};

/// How long a test waits for the next piece unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is read at once, and gathers while a body is written without being flushed: as the server does it.
const PIECE: usize = 32 * 1024;

/// How many pieces are there before they are asked for.
const AHEAD: usize = 4;

/// A response whose body is read while it comes, made by [`TestRequest::stream`]. Dropped, it is a client that goes away.
///
/// Whatever waits for a piece waits for 5 s at most, or for [`patience`](Self::patience), and then makes the test panic.
pub struct TestStream {
    status: StatusCode,
    headers: Headers,
    pieces: Receiver<io::Result<Bytes>>,
    /// What has come and was not taken.
    rest: BytesMut,
    is_at_end: bool,
    patience: Duration,
    feed: Option<Arc<Feed>>,
}

/// An event of a `text/event-stream`, as a browser would have it (HTML Living Standard section 9.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestEvent {
    /// Its type: `message` unless the stream says otherwise.
    pub event: String,
    /// Its data; the lines of it with line feeds between them.
    pub data: String,
    /// Its id, if it has one.
    pub id: Option<String>,
}

impl TestRequest<'_> {
    /// Sends it, and hands the response over before its body has come: for streams that go on, such as server-sent events and
    /// [`Body::writer`](crate::app::Body::writer).
    ///
    /// The body is read by a thread of its own, at most a few pieces ahead of the test. Comments that keep a stream alive are
    /// the server's and are not there.
    ///
    /// ```
    /// use rws::app::sse::{Event, Sse};
    /// use rws::{App, TestClient, get};
    ///
    /// let (sender, feed) = Sse::channel();
    /// let feed = std::sync::Mutex::new(Some(feed));
    /// let app = App::new().route("/news", get(move || feed.lock().unwrap().take().unwrap()));
    ///
    /// let client = TestClient::new(app)?;
    /// let mut news = client.get("/news").stream();
    /// sender.send(Event::new("first"))?;
    /// assert_eq!(news.next_event().unwrap().data, "first");
    /// sender.send(Event::new("second"))?;
    /// assert_eq!(news.next_event().unwrap().data, "second");
    /// drop(news);
    /// assert!(sender.is_closed(), "the client has gone");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the handler panics.
    pub fn stream(self) -> TestStream {
        let (method, response) = self.answered();
        TestStream::of(&method, response)
    }
}

impl TestStream {
    fn of(method: &Method, mut response: Response) -> Self {
        let body = framed(method, &mut response);
        let feed = match &body.kind {
            Kind::Feed(reader) => Some(Arc::clone(reader.feed())),
            _ => None,
        };
        let (sender, pieces) = sync_channel(AHEAD);
        thread::spawn(move || deliver(body, &sender));
        let (rest, is_at_end, patience) = (BytesMut::new(), false, PATIENCE);
        TestStream { status: response.status, headers: response.headers, pieces, rest, is_at_end, patience, feed }
    }

    /// The same with another time that a piece may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The first header field called `name`, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(&name)?.to_str().ok()
    }

    /// The next bytes, as many as have come; `None` at the end.
    ///
    /// ```
    /// use rws::app::Body;
    /// use rws::{App, TestClient, get};
    ///
    /// let (sender, body) = Body::channel();
    /// let body = std::sync::Mutex::new(body);
    /// let app = App::new().route("/", get(move || std::mem::take(&mut *body.lock().unwrap())));
    ///
    /// let client = TestClient::new(app)?;
    /// let mut answer = client.get("/").stream();
    /// sender.send("one")?;
    /// assert_eq!(answer.next_piece().unwrap(), "one");
    /// drop(sender);
    /// assert_eq!(answer.next_piece(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If nothing comes in time, and if the body breaks off.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            self.wait();
        }
        (!self.rest.is_empty()).then(|| self.rest.split().freeze())
    }

    /// The next line, without what ends it; `None` at the end.
    ///
    /// # Panics
    ///
    /// If it does not come in time, if the body breaks off, and if it is not UTF-8.
    pub fn next_line(&mut self) -> Option<String> {
        loop {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            if let Some(line) = end.map(|end| self.rest.split_to(end + 1)) {
                return Some(text(line.strip_suffix(b"\r\n").unwrap_or(&line[..line.len() - 1])));
            }
            if !self.wait() {
                let last = self.rest.split();
                return (!last.is_empty()).then(|| text(&last));
            }
        }
    }

    /// The next server-sent event that has data, over comments and what else has none; `None` at the end.
    ///
    /// # Panics
    ///
    /// If it does not come in time, if the body breaks off, and if this is no `text/event-stream` of UTF-8.
    pub fn next_event(&mut self) -> Option<TestEvent> {
        let kind = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "the response is of the type {kind:?}, not text/event-stream");
        let (mut event, mut data, mut id) = (None, Vec::new(), None);
        loop {
            let line = self.next_line()?;
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "event" => event = Some(value),
                "data" => data.push(value),
                "id" => id = Some(value),
                "" if line.is_empty() && !data.is_empty() => {
                    let event = event.unwrap_or_else(|| "message".to_owned());
                    return Some(TestEvent { event, data: data.join("\n"), id });
                }
                // What ends without data is no event.
                "" if line.is_empty() => (event, id) = (None, None),
                _ => {}
            }
        }
    }

    /// All that is still to come, to the end.
    ///
    /// # Panics
    ///
    /// If a piece does not come in time, and if the body breaks off.
    pub fn rest(mut self) -> Bytes {
        while self.wait() {}
        self.rest.split().freeze()
    }

    /// Waits for more; false at the end.
    fn wait(&mut self) -> bool {
        if self.is_at_end {
            return false;
        }
        match self.pieces.recv_timeout(self.patience) {
            Ok(Ok(piece)) => self.rest.extend_from_slice(&piece),
            Ok(Err(error)) => panic!("the response's body breaks off: {error}"),
            Err(RecvTimeoutError::Disconnected) => self.is_at_end = true,
            Err(RecvTimeoutError::Timeout) => panic!("nothing more of the response has come for {:?}", self.patience),
        }
        !self.is_at_end
    }
}

impl Drop for TestStream {
    fn drop(&mut self) {
        // The thread may wait for more, and would not notice before some comes.
        if let Some(feed) = &self.feed {
            feed.abandon();
        }
    }
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).expect("the response's body is UTF-8").to_owned()
}

/// Reads a body to its end, as long as somebody wants it.
fn deliver(mut body: Body, sender: &SyncSender<io::Result<Bytes>>) {
    let write = || match std::mem::take(&mut body.kind) {
        Kind::Writer(write) => {
            let mut out = BufWriter::with_capacity(PIECE, Pieces(sender));
            write(&mut out).and_then(|()| out.flush())
        }
        kind => io::copy(&mut Body { kind }, &mut Pieces(sender)).map(drop),
    };
    let panicked = |_| Err(io::Error::other("what makes it has panicked"));
    let outcome = catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(panicked);
    if let Err(error) = outcome {
        // Nobody wants to know if it is that nobody reads any more.
        let _ = sender.send(Err(error));
    }
}

/// What a test reads, to be written into.
struct Pieces<'a>(&'a SyncSender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.send(Ok(piece)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for TestStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestStream").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::app::handler::Handler;
    use crate::app::sse::{Event, Sse};
    use crate::app::{App, TestClient, get};

    fn stream<H: Handler<M>, M: 'static>(handler: H) -> TestStream {
        TestClient::new(App::new().route("/", get(handler))).unwrap().get("/").stream()
    }

    /// What a panic says.
    fn complaint(read: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(read)).unwrap_err();
        panic.downcast_ref::<String>().cloned().unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
    }

    #[test]
    fn what_is_written_comes_when_it_is_flushed_and_not_when_all_of_it_is() {
        let (go_on, may_go_on) = channel::<()>();
        let may_go_on = Mutex::new(Some(may_go_on));
        let mut answer = stream(move || {
            let may_go_on = may_go_on.lock().unwrap().take().unwrap();
            Body::writer(move |out| {
                out.write_all(b"first\r\nsec")?;
                out.flush()?;
                may_go_on.recv_timeout(PATIENCE).map_err(io::Error::other)?;
                out.write_all(b"ond\nthird")
            })
        });
        assert_eq!(answer.next_line().as_deref(), Some("first"));
        go_on.send(()).unwrap();
        assert_eq!(answer.next_line().as_deref(), Some("second"));
        assert_eq!(answer.next_line().as_deref(), Some("third"));
        assert_eq!((answer.next_line(), answer.next_piece()), (None, None));
    }

    #[test]
    fn events_are_read_as_a_browser_reads_them() {
        let (sender, feed) = Sse::channel();
        let feed = Mutex::new(Some(feed));
        let mut events = stream(move || feed.lock().unwrap().take().unwrap());
        assert_eq!(events.header("content-type"), Some("text/event-stream"));
        sender.send(Event::new("one\ntwo").event("tick").unwrap().id("7").unwrap()).unwrap();
        sender.send(Event::new("")).unwrap();
        let first = events.next_event().unwrap();
        assert_eq!((&*first.event, &*first.data, first.id.as_deref()), ("tick", "one\ntwo", Some("7")));
        let second = events.next_event().unwrap();
        assert_eq!((&*second.event, &*second.data, second.id), ("message", "", None));
        drop(sender);
        assert_eq!(events.next_event(), None);
    }

    #[test]
    fn a_body_that_does_not_come_or_breaks_off_is_no_end() {
        let (sender, body) = Body::channel();
        let body = Mutex::new(body);
        let mut answer = stream(move || std::mem::take(&mut *body.lock().unwrap()));
        answer = answer.patience(Duration::from_millis(20));
        assert!(complaint(|| drop(answer.next_piece())).contains("20ms"));
        answer = answer.patience(PATIENCE);
        sender.send("half").unwrap();
        sender.abort();
        assert_eq!(answer.next_piece().unwrap(), "half");
        assert!(complaint(|| drop(answer.next_piece())).contains("breaks off"));

        let panics = stream(|| Body::writer(|_| panic!("on purpose")));
        assert!(complaint(|| drop(panics.rest())).contains("panicked"));
        let fails = stream(|| Body::writer(|_| Err(io::Error::other("no disk"))));
        assert!(complaint(|| drop(fails.rest())).contains("no disk"));
        assert!(complaint(|| drop(stream(|| "text").next_event())).contains("text/plain"));
    }

    #[test]
    fn what_makes_a_body_learns_that_the_client_has_gone() {
        let (told, is_told) = channel();
        let told = Mutex::new(told);
        let endless = stream(move || {
            let told = told.lock().unwrap().clone();
            Body::writer(move |out| {
                let outcome = loop {
                    if let Err(error) = out.write_all(b"more").and_then(|()| out.flush()) {
                        break error;
                    }
                };
                told.send(outcome.kind()).map_err(io::Error::other)
            })
        });
        drop(endless);
        assert_eq!(is_told.recv_timeout(PATIENCE).unwrap(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn bodies_that_are_whole_and_none_at_all_are_streams_too() {
        let client = TestClient::new(App::new().route("/", get(|| "hello"))).unwrap();
        let answer = client.get("/").stream();
        assert_eq!((answer.status().as_u16(), answer.header("content-length")), (200, Some("5")));
        assert_eq!(answer.rest(), "hello");
        let head = client.head("/").stream();
        assert_eq!(head.header("content-length"), Some("5"));
        assert_eq!(head.rest(), "");
    }
}
