//! Compression of responses, negotiated with the client (RFC 9110 sections 8.4 and 12.5.3).

mod eligible;

use std::fmt;
use std::io;
use std::sync::Arc;

use http::HeaderValue;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, ETAG};

use self::eligible::{Eligible, judge};
use super::{Middleware, Next, vary};
use crate::app::body::{Body, Kind};
use crate::app::compression::{Coder, Compressor, Levels};
pub use crate::app::compression::{Coding, CompressionError};
use crate::app::permits::Permits;
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::accept_encoding::Accepted;
use crate::semantics::etag;
use crate::semantics::head::RequestHead;

/// Compresses responses for clients that accept it, with zstd, brotli or gzip.
///
/// | a response | |
/// |---|---|
/// | whose `Content-Type` is text, JSON, XML, JavaScript, WebAssembly or the like, but not `text/event-stream` | is compressed |
/// | with a body of less than [`min_size`](Self::min_size) bytes (1 KiB) | stays |
/// | with `Content-Encoding`, `Content-Range`, or a digest of its body | stays |
/// | with `Cache-Control: no-transform` | stays |
/// | with `Vary: Accept-Encoding` | stays: whoever made it has negotiated already, as the static files do |
/// | with status 204, 205, 206 or 304 | stays |
///
/// What could have been compressed gets `Vary: Accept-Encoding`, whether or not this client wanted it. Compressed,
/// it has `Content-Encoding`, a weak `ETag` in place of a strong one, and no `Accept-Ranges`. Of equally wanted codings
/// zstd is taken before brotli before gzip, since it takes the least time for about the same length. If the client
/// refuses whatever could be sent, `identity;q=0` say, it gets the response as it is.
///
/// Bodies of up to 128 KiB in memory are compressed at once, on the handler's thread. All others are compressed while they
/// are sent: longer ones, files and readers by workers, what a function writes ([`Body::writer`]) on its worker, what other
/// threads send ([`Body::channel`]) on theirs. Each piece that a reader yields is sent before the next is asked for, each
/// that a thread sends goes out at once, and what a function writes does when it is flushed.
/// One or two MiB of memory are held meanwhile, so there are at most [`max_streams`](Self::max_streams) (32); what comes while
/// all are taken goes out as it is.
///
/// Do not compress what holds a secret next to something that an attacker can choose, over TLS: the length gives the
/// secret away bit by bit ([BREACH](https://www.breachattack.com)). A CSRF token on a page that repeats its query is the
/// classic; mask the token anew in each response, or leave such pages out with [`only_if`](Self::only_if).
///
/// ```
/// use rws::app::middleware::Compression;
/// use rws::app::{App, Html, TestClient, get};
///
/// let app = App::new().route("/", get(|| Html("<p>Hello</p>".repeat(1000)))).layer(Compression::new());
/// let client = TestClient::new(app)?;
///
/// let page = client.get("/").header("Accept-Encoding", "gzip, br;q=0.5").send();
/// assert_eq!(page.header("content-encoding"), Some("gzip"));
/// assert!(page.bytes().len() < 200);
/// assert_eq!(client.get("/").send().header("content-encoding"), None);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[must_use]
#[derive(Clone)]
pub struct Compression {
    /// The most preferred first.
    codings: Vec<Coding>,
    levels: Levels,
    min_size: u64,
    permits: Permits,
    only_if: Option<Arc<Predicate>>,
}

type Predicate = dyn Fn(&Response) -> bool + Send + Sync;

/// What is preferred of equally wanted codings when a response is compressed for one client: zstd takes a third of the
/// time of the others.
const PREFERENCE: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// What is no longer than this fits into the client's first packet anyway.
const MIN_SIZE: u64 = 1024;

/// Bodies in memory up to this are compressed at once, which takes a millisecond or two.
const AT_ONCE: usize = 128 * 1024;

const MAX_STREAMS: usize = 32;

/// What decides how a response that could be compressed goes out.
const VARY_BY: &str = "Accept-Encoding";

impl Compression {
    /// With all codings of this build: zstd, brotli and gzip, or gzip alone without the cargo feature `compression`.
    pub fn new() -> Self {
        Compression {
            codings: PREFERENCE.into_iter().filter(|coding| Coding::AVAILABLE.contains(coding)).collect(),
            levels: Levels::EACH_TIME,
            min_size: MIN_SIZE,
            permits: Permits::new(MAX_STREAMS),
            only_if: None,
        }
    }

    /// Only with these codings, the most preferred first. None at all is allowed, and nothing is compressed.
    ///
    /// # Errors
    /// When this build lacks one of them.
    ///
    /// ```
    /// use rws::app::middleware::{Coding, Compression};
    ///
    /// let compression = Compression::new().codings(&[Coding::Gzip])?;
    /// # Ok::<(), rws::app::middleware::CompressionError>(())
    /// ```
    pub fn codings(self, codings: &[Coding]) -> Result<Self, CompressionError> {
        match codings.iter().find(|coding| !Coding::AVAILABLE.contains(coding)) {
            Some(&coding) => Err(CompressionError::NotBuilt(coding)),
            None => Ok(Compression { codings: codings.to_vec(), ..self }),
        }
    }

    /// Only with those of its codings that are in `allowed`, as a setting may say: the order stays, and what this build
    /// lacks is passed over.
    ///
    /// ```
    /// use rws::app::middleware::{Coding, Compression};
    /// use rws::app::{App, Html, TestClient, get};
    ///
    /// let compression = Compression::new().only(&[Coding::Gzip, Coding::Brotli]);
    /// let app = App::new().route("/", get(|| Html("<p>Hello</p>".repeat(1000)))).layer(compression);
    /// let page = TestClient::new(app)?.get("/").header("Accept-Encoding", "zstd, gzip;q=0.5").send();
    /// assert_eq!(page.header("content-encoding"), Some("gzip"));
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn only(mut self, allowed: &[Coding]) -> Self {
        self.codings.retain(|coding| allowed.contains(coding));
        self
    }

    /// How hard a coding tries: brotli from 0 to 11 (default 4), zstd from 1 to 19 (3), gzip from 1 to 9 (5). Brotli above 9 and
    /// zstd above 12 take a hundred times as long as the defaults and are not meant for responses made on request.
    ///
    /// # Errors
    /// When the level is out of that range.
    ///
    /// ```
    /// use rws::app::middleware::{Coding, Compression};
    ///
    /// assert!(Compression::new().level(Coding::Gzip, 6).is_ok());
    /// let error = Compression::new().level(Coding::Gzip, 12).unwrap_err();
    /// assert_eq!(error.to_string(), "the level of gzip must be from 1 to 9, not 12");
    /// ```
    pub fn level(mut self, coding: Coding, level: u32) -> Result<Self, CompressionError> {
        self.levels.set(coding, level)?;
        Ok(self)
    }

    /// Leaves shorter bodies as they are, in bytes (default 1024). Bodies of unknown length count as long.
    pub fn min_size(self, bytes: u64) -> Self {
        Compression { min_size: bytes, ..self }
    }

    /// How many bodies may be compressed while they are sent, at the same time (default 32). 0: none.
    pub fn max_streams(self, streams: usize) -> Self {
        Compression { permits: Permits::new(streams), ..self }
    }

    /// Leaves responses as they are for which `predicate` is false, of those that would be compressed.
    ///
    /// ```
    /// use http::header::SET_COOKIE;
    /// use rws::app::Response;
    /// use rws::app::middleware::Compression;
    ///
    /// let compression = Compression::new().only_if(|response: &Response| !response.headers().contains(&SET_COOKIE));
    /// ```
    pub fn only_if(self, predicate: impl Fn(&Response) -> bool + Send + Sync + 'static) -> Self {
        Compression { only_if: Some(Arc::new(predicate)), ..self }
    }

    fn wants(&self, response: &Response) -> bool {
        self.only_if.as_ref().is_none_or(|predicate| predicate(response))
    }

    /// Puts the body into `coding`, if it becomes shorter and may be.
    fn code(&self, response: &mut Response, coding: Coding) {
        let compressor = self.levels.of(coding);
        let body = match std::mem::take(&mut response.body).kind {
            Kind::Bytes(bytes) if bytes.len() <= AT_ONCE => match compressor.whole(&bytes) {
                Ok(Some(coded)) => Ok(coded.into()),
                Ok(None) => Err(bytes.into()),
                Err(error) => {
                    tell_of(coding, &error);
                    Err(bytes.into())
                }
            },
            kind => self.stream(Body { kind }, compressor),
        };
        match body {
            Ok(coded) => {
                response.body = coded;
                mark(response, coding);
            }
            Err(same) => response.body = same,
        }
    }

    /// The body compressed while it is sent; or as it was, if too many are already, or if it has no end.
    fn stream(&self, body: Body, compressor: Compressor) -> Result<Body, Body> {
        if matches!(&body.kind, Kind::Feed(feed) if feed.feed().terms.is_endless) {
            return Err(body);
        }
        let Some(permit) = self.permits.try_acquire() else { return Err(body) };
        match body.kind {
            Kind::Writer(write) => Ok(Body::writer(Coder::new(compressor, permit).around(write))),
            Kind::Feed(mut feed) => match feed.code(Coder::new(compressor, permit)) {
                Ok(()) => Ok(Body { kind: Kind::Feed(feed) }),
                Err(error) => {
                    tell_of(compressor.coding(), &error);
                    Err(Body { kind: Kind::Feed(feed) })
                }
            },
            kind => {
                let may_wait = matches!(kind, Kind::Reader { .. });
                let compressing = compressor.stream(Body { kind }, permit);
                Ok(Body::reader(if may_wait { compressing } else { compressing.without_flushing() }, None))
            }
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Compression::new()
    }
}

impl Middleware for Compression {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        let received = Arc::clone(&request.received);
        let mut response = next.run(request);
        match judge(&response, self.min_size) {
            Eligible::No => {}
            Eligible::NotModified => revalidated(&mut response, &received.head),
            Eligible::Yes if !self.wants(&response) => {}
            Eligible::Yes => {
                vary::add(response.headers_mut(), VARY_BY);
                let accepted = Accepted::of(received.head.values("accept-encoding"));
                if let Some(coding) = accepted.best(&self.codings) {
                    self.code(&mut response, coding);
                }
            }
        }
        response
    }
}

fn tell_of(coding: Coding, error: &io::Error) {
    tracing::error!(coding = coding.name(), %error, "cannot compress a response; it goes out as it is");
}

/// Says in the fields that the body is coded.
fn mark(response: &mut Response, coding: Coding) {
    let headers = response.headers_mut();
    headers.remove(&ACCEPT_RANGES);
    headers.append(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    weaken(response);
}

/// The response that is compressed has the same content, but not the same bytes (RFC 9110 section 8.8.3.3).
fn weaken(response: &mut Response) {
    let strong = response.headers().get(&ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    let weak = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok());
    if let Some(weak) = weak {
        response.headers_mut().insert(ETAG, weak);
    }
}

/// A 304 has the tag that the 200 would have had. Which that is, its body would tell; but the client tells too: if all the
/// tags it has are weak, it has the response compressed, and a cache takes no strong tag for that (RFC 9111 section 4.3.4).
fn revalidated(response: &mut Response, head: &RequestHead) {
    vary::add(response.headers_mut(), VARY_BY);
    let mut tags = head.values("if-none-match").flat_map(etag::list).peekable();
    if tags.peek().is_some() && tags.all(etag::EntityTag::is_weak) {
        weaken(response);
    }
}

impl fmt::Debug for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compression { codings, levels, min_size, permits, only_if } = self;
        f.debug_struct("Compression")
            .field("codings", codings)
            .field("levels", levels)
            .field("min_size", min_size)
            .field("permits", permits)
            .field("only_if", &only_if.is_some())
            .finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
