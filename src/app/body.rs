//! Bodies of requests and responses: nothing, bytes, a part of a file, a blocking reader, or what another thread sends.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::StatusCode;

use super::feed::{BodySender, Feed, FeedReader, LIMIT, Terms};
use super::upgrade::Upgraded;

/// The body of a [`Request`](super::request::Request) or a [`Response`](super::response::Response).
///
/// A body of a request is read with [`std::io::Read`]; reading may block, within the server's body deadline.
#[derive(Default)]
pub struct Body {
    pub(crate) kind: Kind,
}

/// What a body is made of, for the server that sends it.
#[derive(Default)]
pub(crate) enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    File(FilePart),
    Reader {
        reader: Box<dyn Read + Send>,
        length: Option<u64>,
    },
    /// What a function writes.
    Writer(Write),
    /// What is put into it by other threads.
    Feed(FeedReader),
    /// No body: the connection speaks this from now on. Only in a response with status 101.
    #[cfg_attr(not(feature = "websocket"), allow(dead_code, reason = "no other protocol does"))]
    Upgrade(Box<dyn Upgraded>),
}

/// Writes a body, once, and says whether it is complete.
pub(crate) type Write = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + Send>;

/// `length` bytes of `file` from `offset`; what the server sends with sendfile(2).
#[derive(Debug)]
pub(crate) struct FilePart {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Body { kind: Kind::Empty }
    }

    /// A body that is read while it is sent, on a worker. With a `length` it is sent with `Content-Length`
    /// (and cut off or aborted if the reader disagrees), without one it is chunked.
    pub fn reader(reader: impl Read + Send + 'static, length: Option<u64>) -> Self {
        Body { kind: Kind::Reader { reader: Box::new(reader), length } }
    }

    /// A body that a function writes, on a worker, once the head is sent: for what writes to a [`Write`](io::Write) anyway,
    /// an archive or a table. It is chunked; what is written gathers to 32 KiB or until it is flushed, and writing waits
    /// for the client, within RWS_CONFIG_WRITE_TIMEOUT, after which it fails.
    ///
    /// If the function fails or panics the body is cut short, so that the client does not take it for whole. Where something
    /// else reads the body, a middleware of yours or a [`TestClient`](super::testing::TestClient), it is written into memory
    /// first.
    ///
    /// # While the request still comes
    ///
    /// The function may own the request's `Body` and read it between writes, on the same thread: an echo, a filter. Write
    /// and [`flush`](io::Write::flush) what the client waits for before reading on. A part of the request that is then
    /// left unread and has not arrived ends the connection after the response.
    ///
    /// Beware of clients that read nothing before they have sent everything, as most libraries do: once the buffers on the way
    /// are full, hundreds of kilobytes, neither side can go on, and RWS_CONFIG_WRITE_TIMEOUT ends it. Read first what such
    /// clients send, or answer with less than that.
    ///
    /// Proxies are such clients too, or worse: nginx sends no more of the request once the response has begun, so that what is
    /// longer than the buffers on the way ends with RWS_CONFIG_BODY_TIMEOUT, whatever its own buffering is set to; HAProxy 2.6 ended
    /// such exchanges half-way. Behind one of them read the request to its end before you return the response.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use rws::app::{App, Body, TestClient, post};
    ///
    /// fn upper(mut request: Body) -> Body {
    ///     Body::writer(move |out| {
    ///         let mut piece = [0; 4096];
    ///         loop {
    ///             match request.read(&mut piece)? {
    ///                 0 => return Ok(()),
    ///                 n => out.write_all(&piece[..n].to_ascii_uppercase())?,
    ///             }
    ///             out.flush()?;
    ///         }
    ///     })
    /// }
    ///
    /// let client = TestClient::new(App::new().route("/", post(upper)))?;
    /// assert_eq!(client.post("/").body("loud").send().text(), "LOUD");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    ///
    /// # Example
    ///
    /// ```
    /// use std::io::Write;
    /// use rws::app::{App, Body, TestClient, get};
    ///
    /// fn table() -> Body {
    ///     Body::writer(|out| (1..=3).try_for_each(|n| writeln!(out, "{n};{}", n * n)))
    /// }
    ///
    /// let client = TestClient::new(App::new().route("/", get(table)))?;
    /// assert_eq!(client.get("/").send().text(), "1;1\n2;4\n3;9\n");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn writer(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static) -> Self {
        Body { kind: Kind::Writer(Box::new(write)) }
    }

    /// A body that other threads send piece by piece, while no thread waits for them. It is chunked.
    ///
    /// ```
    /// use rws::app::{App, Body, TestClient, get};
    ///
    /// fn count() -> Body {
    ///     let (sender, body) = Body::channel();
    ///     std::thread::spawn(move || (1..=3).try_for_each(|n| sender.send(format!("{n}\n"))));
    ///     body
    /// }
    ///
    /// let client = TestClient::new(App::new().route("/", get(count)))?;
    /// assert_eq!(client.get("/").send().text(), "1\n2\n3\n");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn channel() -> (BodySender, Body) {
        let feed = Feed::new(LIMIT, Terms::default());
        (BodySender::new(feed.clone()), Body::feed(feed))
    }

    /// A body of what is put into `feed`.
    pub(crate) fn feed(feed: Arc<Feed>) -> Self {
        Body { kind: Kind::Feed(FeedReader::new(feed)) }
    }

    /// `length` bytes of `file` from `offset`, sent without copying them through the process where the connection allows.
    pub fn file(file: impl Into<Arc<File>>, offset: u64, length: u64) -> Self {
        Body { kind: Kind::File(FilePart { file: file.into(), offset, length }) }
    }

    /// How many bytes are left, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.kind {
            Kind::Empty => Some(0),
            Kind::Bytes(bytes) => Some(bytes.len() as u64),
            Kind::File(part) => Some(part.length),
            Kind::Reader { length, .. } => *length,
            Kind::Feed(_) | Kind::Writer(_) => None,
            Kind::Upgrade(_) => Some(0),
        }
    }
}

impl Body {
    /// All of it, without copying what is in memory already. Errors of reading, and [`BodyError`] among them, are passed on.
    pub fn into_bytes(self) -> io::Result<Bytes> {
        match self.kind {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Bytes(bytes) => Ok(bytes),
            _ => self.read_whole().map(Bytes::from),
        }
    }

    /// Has a body that is to be written written into memory.
    fn write_whole(&mut self) -> io::Result<()> {
        if let Kind::Writer(write) = std::mem::take(&mut self.kind) {
            let mut all = Vec::new();
            write(&mut all)?;
            self.kind = Body::from(all).kind;
        }
        Ok(())
    }

    fn read_whole(mut self) -> io::Result<Vec<u8>> {
        // A length is a promise of the peer: memory is set aside for what is usual, and grows with what really comes.
        let promised = self.length().map_or(0, |length| length.min(MOST_SET_ASIDE));
        let mut all = Vec::with_capacity(usize::try_from(promised).unwrap_or(0));
        self.read_to_end(&mut all)?;
        Ok(all)
    }
}

/// The most bytes set aside at once for a body whose length is announced.
const MOST_SET_ASIDE: u64 = 1 << 16;

/// Why a request body could not be read to its end. Comes wrapped in an [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than the limit.
    TooLarge,
    /// Nothing came for too long.
    Timeout,
    /// The client closed the connection.
    ClientGone,
    /// It is not framed as RFC 9112 demands.
    Malformed,
    /// The handler has returned, and the response is not made of it: a mistake in the program.
    TooLate,
}

impl BodyError {
    /// The one inside of an I/O error.
    pub fn of(error: &io::Error) -> Option<BodyError> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// The status that answers it.
    pub fn status(self) -> StatusCode {
        match self {
            BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Timeout => StatusCode::REQUEST_TIMEOUT,
            BodyError::ClientGone | BodyError::Malformed => StatusCode::BAD_REQUEST,
            BodyError::TooLate => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn kind(self) -> io::ErrorKind {
        match self {
            BodyError::TooLarge => io::ErrorKind::FileTooLarge,
            BodyError::Timeout => io::ErrorKind::TimedOut,
            BodyError::ClientGone => io::ErrorKind::UnexpectedEof,
            BodyError::Malformed => io::ErrorKind::InvalidData,
            BodyError::TooLate => io::ErrorKind::NotConnected,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyError::TooLarge => "the request body is too large",
            BodyError::Timeout => "the request body did not arrive in time",
            BodyError::ClientGone => "the client went away before the end of the request body",
            BodyError::Malformed => "the request body is malformed",
            BodyError::TooLate => {
                "the request body can be read by its handler, or by the response's body while that is sent, but not elsewhere later"
            }
        })
    }
}

impl std::error::Error for BodyError {}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        io::Error::new(error.kind(), error)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Empty | Kind::Upgrade(_) => Ok(0),
            Kind::Bytes(bytes) => {
                let n = bytes.len().min(buffer.len());
                bytes.copy_to_slice(&mut buffer[..n]);
                Ok(n)
            }
            Kind::File(part) => {
                let most = buffer.len().min(usize::try_from(part.length).unwrap_or(usize::MAX));
                let n = part.file.read_at(&mut buffer[..most], part.offset)?;
                if n == 0 && most > 0 {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the file became shorter while it was read",
                    ));
                }
                part.offset += n as u64;
                part.length -= n as u64;
                Ok(n)
            }
            Kind::Reader { reader, .. } => reader.read(buffer),
            Kind::Feed(feed) => feed.read(buffer),
            Kind::Writer(_) => {
                self.write_whole()?;
                self.read(buffer)
            }
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Body { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) } }
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        text.as_bytes().into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Gives its text and then an error.
    struct Broken(&'static [u8], BodyError);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(self.1.into()),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn bytes_in_memory_are_not_copied() {
        let bytes = Bytes::from(vec![b'x'; 100]);
        let same = Body::from(bytes.clone()).into_bytes().unwrap();
        assert_eq!(same.as_ptr(), bytes.as_ptr());
        assert!(Body::empty().into_bytes().unwrap().is_empty());
    }

    #[test]
    fn readers_and_files_are_read_to_their_end() {
        let long = vec![b'y'; 200_000];
        let cursor = io::Cursor::new(long.clone());
        assert_eq!(Body::reader(cursor, Some(200_000)).into_bytes().unwrap(), long);
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"0123456789").unwrap();
        let body = Body::file(file, 2, 5);
        assert_eq!(body.length(), Some(5));
        assert_eq!(body.into_bytes().unwrap(), &b"23456"[..]);
    }

    #[test]
    fn a_file_that_has_become_shorter_is_not_taken_for_whole() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"0123456789").unwrap();
        let error = Body::file(file, 8, 5).into_bytes().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_reason_survives_the_io_error() {
        for (reason, status) in [
            (BodyError::TooLarge, 413),
            (BodyError::Timeout, 408),
            (BodyError::ClientGone, 400),
            (BodyError::Malformed, 400),
            (BodyError::TooLate, 500),
        ] {
            let error = Body::reader(Broken(b"abc", reason), Some(u64::MAX)).into_bytes().unwrap_err();
            assert_eq!(BodyError::of(&error), Some(reason));
            assert_eq!(reason.status(), status);
        }
        assert_eq!(BodyError::of(&io::Error::other("disk")), None);
    }
}
