//! Forms with files: `multipart/form-data` (RFC 7578), one field after the other, as they arrive.
//! Knows nothing of how the body is received.
//!
//! Nothing is kept: of a body of many gigabytes at most some hundred kilobytes are in memory at a time.
//!
//! ```
//! use rws::app::{App, Multipart, MultipartError, TestClient, post};
//!
//! fn upload(mut form: Multipart) -> Result<String, MultipartError> {
//!     let mut said = String::new();
//!     while let Some(mut field) = form.next_field()? {
//!         match field.file_name() {
//!             Some(_) => said += &format!("{} bytes in {}\n", field.copy_to(&mut std::io::sink())?, field.name()),
//!             None => said += &format!("{} is {}\n", field.name().to_owned(), field.text()?),
//!         }
//!     }
//!     Ok(said)
//! }
//!
//! let client = TestClient::new(App::new().route("/", post(upload)))?;
//! let body = "--x\r\nContent-Disposition: form-data; name=title\r\n\r\nCups\r\n\
//!     --x\r\nContent-Disposition: form-data; name=photo; filename=cup.png\r\n\r\nPNG\r\n--x--\r\n";
//! let answer = client.post("/").header("content-type", "multipart/form-data; boundary=x").body(body).send();
//! assert_eq!(answer.text(), "title is Cups\n3 bytes in photo\n");
//! # Ok::<(), rws::app::BuildErrors>(())
//! ```

use std::fmt;
use std::task::{Context as Waiting, Poll, Waker};

use bytes::Bytes;
use futures_util::stream::Stream;
use http::{HeaderMap, HeaderName, StatusCode};

use super::body::Body;
use super::context::Context;
use super::extract::{FromRequest, ViaRequest};
use super::problem::Problem;
use super::request::Request;
use super::service::BodyUse;

mod boundary;
mod disposition;
mod error;
mod field;
mod limits;
mod source;
mod texts;

pub use self::error::MultipartError;
pub use self::field::Field;
pub use self::limits::MultipartLimits;
pub use self::texts::TextFields;
pub use tempfile::NamedTempFile;

use self::disposition::Disposition;
use self::source::Source;

/// A form with files, read field by field; the last argument of a handler.
///
/// The [`body_limit`](super::Router::body_limit) of the route, the router or the application holds for all of it (2 MiB unless
/// they or the configuration say otherwise), and [`MultipartLimits`] for its parts: those of [`Multipart::with_limits`], or of the
/// request's extensions, or of the application's state, or the default ones.
///
/// Rejected with 415 if the body is not `multipart/form-data`, and with 400 if the type has no usable `boundary`
/// (RFC 2046 section 5.1.1). What is wrong further on comes out of [`Multipart::next_field`] and of the [`Field`]s as a
/// [`MultipartError`]. The file names and types are what the client says: never use them as paths or as the truth.
///
/// ```
/// use rws::app::{App, MultipartLimits, TestClient, post};
/// # use rws::app::{Multipart, MultipartError};
/// # fn upload(mut form: Multipart) -> Result<(), MultipartError> { form.next_field().map(|_| ()) }
///
/// let app = App::new()
///     .route("/photos", post(upload).body_limit(20 << 20))
///     .state(MultipartLimits::default().max_fields(10).max_file_bytes(5 << 20));
/// assert_eq!(TestClient::new(app)?.post("/photos").json(&1).send().status(), 415);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
pub struct Multipart {
    parser: multer::Multipart<'static>,
    source: Source,
    /// The field that was given out last, until the next one is asked for.
    current: Option<multer::Field<'static>>,
    limits: MultipartLimits,
    fields: usize,
    is_broken: bool,
}

impl FromRequest<ViaRequest> for Multipart {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Stream;

    fn from_request(mut request: Request, context: &Context) -> Result<Self, Problem> {
        let boundary = boundary::of(request.head().field_str("content-type").unwrap_or_default())?;
        let attached = request.extensions().get::<MultipartLimits>();
        let limits = attached.or_else(|| context.state()).copied().unwrap_or_default();
        Ok(Multipart::new(request.take_body(), boundary).with_limits(limits))
    }
}

impl Multipart {
    /// A form with this boundary, of whatever body.
    ///
    /// ```
    /// use rws::app::{Body, Multipart};
    ///
    /// let body = Body::from("--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--");
    /// let mut form = Multipart::new(body, "x");
    /// assert_eq!(form.next_field()?.map(|field| field.name().to_owned()).as_deref(), Some("a"));
    /// assert!(form.next_field()?.is_none());
    /// # Ok::<(), rws::app::MultipartError>(())
    /// ```
    pub fn new(body: Body, boundary: impl Into<String>) -> Self {
        let (source, stream) = Source::new(body);
        let parser = multer::Multipart::new(stream, boundary);
        Multipart { parser, source, current: None, limits: MultipartLimits::default(), fields: 0, is_broken: false }
    }

    /// The same form with other limits.
    ///
    /// ```
    /// use rws::app::{Multipart, MultipartError, MultipartLimits};
    ///
    /// fn upload(form: Multipart) -> Result<(), MultipartError> {
    ///     let mut form = form.with_limits(MultipartLimits::default().max_fields(2));
    ///     while let Some(field) = form.next_field()? { /* … */ }
    ///     Ok(())
    /// }
    /// # drop(upload);
    /// ```
    #[must_use]
    pub fn with_limits(mut self, limits: MultipartLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The next field, or `None` after the last; what is left of the one before is skipped.
    ///
    /// Blocks until the field's header is there. A field without a name is an error (RFC 7578 section 4.2); so is one more
    /// than [`MultipartLimits::max_fields`], one whose content is encoded as base64 or quoted-printable (415), and a body that ends
    /// before its closing boundary.
    pub fn next_field(&mut self) -> Result<Option<Field<'_>>, MultipartError> {
        if self.is_broken {
            return Err(MultipartError::malformed("it was given up after an error"));
        }
        self.skip()?;
        self.source.begin_header();
        let Some(field) = self.drive(|form, waiting| form.parser.poll_next_field(waiting))? else { return Ok(None) };
        self.source.end_header();
        self.count()?;
        let headers = field.headers().clone();
        let named = named(&headers).and_then(|disposition| as_it_is(&headers, disposition));
        let Disposition { name, file_name } = named.or_else(|error| self.fail(error))?;
        self.current = Some(field);
        Ok(Some(Field::new(self, name, file_name, headers)))
    }

    fn skip(&mut self) -> Result<(), MultipartError> {
        while self.chunk()?.is_some() {}
        self.current = None;
        Ok(())
    }

    fn count(&mut self) -> Result<(), MultipartError> {
        self.fields += 1;
        let limit = self.limits.max_fields;
        if self.fields > limit { self.fail(MultipartError::TooManyFields { limit }) } else { Ok(()) }
    }

    /// The next piece of the current field, `None` at its end.
    fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        self.drive(|form, waiting| match &mut form.current {
            Some(field) => std::pin::Pin::new(field).poll_next(waiting).map(Option::transpose),
            None => Poll::Ready(Ok(None)),
        })
    }

    /// Has the parser go on, and gives it a piece of the body whenever it cannot.
    fn drive<T>(
        &mut self,
        mut poll: impl FnMut(&mut Self, &mut Waiting<'_>) -> Poll<Result<T, multer::Error>>,
    ) -> Result<T, MultipartError> {
        loop {
            match poll(self, &mut Waiting::from_waker(Waker::noop())) {
                Poll::Ready(Ok(value)) => return Ok(value),
                Poll::Ready(Err(error)) => return self.fail(error.into()),
                Poll::Pending => self.source.feed().or_else(|error| self.fail(error))?,
            }
        }
    }

    /// Nothing that follows such an error could be trusted.
    fn fail<T>(&mut self, error: MultipartError) -> Result<T, MultipartError> {
        self.is_broken = true;
        Err(error)
    }
}

/// The field's name; each has one (RFC 7578 section 4.2).
fn named(headers: &HeaderMap) -> Result<Disposition, MultipartError> {
    let reason = "a field has no Content-Disposition that is form-data with a name, each parameter once, in UTF-8";
    disposition::of(headers).ok_or_else(|| MultipartError::malformed(reason))
}

/// Content comes as it is (RFC 7578 section 4.7): what says that it is encoded would be taken for what it is not.
fn as_it_is(headers: &HeaderMap, disposition: Disposition) -> Result<Disposition, MultipartError> {
    const IDENTITY: [&str; 3] = ["7bit", "8bit", "binary"];
    let Some(encoding) = headers.get(CONTENT_TRANSFER_ENCODING) else { return Ok(disposition) };
    if IDENTITY.iter().any(|identity| encoding.as_bytes().eq_ignore_ascii_case(identity.as_bytes())) {
        return Ok(disposition);
    }
    let detail = "has a Content-Transfer-Encoding, which forms do not have; send it as it is".to_owned();
    Err(MultipartError::Invalid { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, field: disposition.name, detail })
}

const CONTENT_TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Multipart { limits, fields, .. } = self;
        f.debug_struct("Multipart").field("limits", limits).field("fields", fields).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
