//! A file as a response of a handler: its type, its length, when it was changed, and the name to save it under. Knows no
//! directory of the site; for those there are the static files.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::OFlags;

use super::Response;
use crate::app::body::Body;
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::semantics::conditional::{self, Outcome, Validators};
use crate::semantics::etag::EntityTag;
use crate::semantics::head::RequestHead;
use crate::semantics::range::{self, ByteRange, Selection};
use crate::semantics::{date, media_type};

/// A file that is sent without copying it through the process where the connection allows.
///
/// The response has the `Content-Type` that goes with the name, `Content-Length`, `Last-Modified`, an `ETag` and
/// `X-Content-Type-Options: nosniff`. Other fields can be put in its place or beside it: `([(CONTENT_TYPE, "text/csv")], file)`.
///
/// ```
/// use rws::app::response::File;
/// use rws::app::{App, Path, Problem, Request, Response, TestClient, get};
///
/// fn invoice(Path(id): Path<u32>, request: Request) -> Result<Response, Problem> {
/// #   let temporary = tempfile::tempdir().unwrap();
/// #   let dir = temporary.path();
/// #   std::fs::write(dir.join("7.pdf"), "%PDF").unwrap();
///     let file = File::open(dir.join(format!("{id}.pdf")))?;
///     Ok(file.attachment(&format!("Rechnung für März {id}.pdf")).answer(request.head()))
/// }
///
/// let client = TestClient::new(App::new().route("/invoices/{id}", get(invoice)))?;
/// let answer = client.get("/invoices/7").send();
/// assert_eq!(answer.content_type(), Some("application/pdf"));
/// assert_eq!(
///     answer.header("content-disposition"),
///     Some("attachment; filename=\"Rechnung f_r M_rz 7.pdf\"; filename*=UTF-8''Rechnung%20f%C3%BCr%20M%C3%A4rz%207.pdf")
/// );
/// assert_eq!(client.get("/invoices/7").header("Range", "bytes=1-").send().text(), "PDF");
/// assert_eq!(client.get("/invoices/8").send().status(), 404);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Debug)]
pub struct File {
    file: Arc<std::fs::File>,
    length: u64,
    modified: Option<SystemTime>,
    etag: String,
    content_type: HeaderValue,
    disposition: Option<HeaderValue>,
}

impl File {
    /// Opens a file.
    ///
    /// A path that comes from a client can lead anywhere, through `..` and links: take a [`Path`](crate::app::Path) parameter
    /// only as a number, or look the name up.
    ///
    /// # Errors
    /// 404 when there is none, or something else than a file; 500 when it cannot be opened, with the reason in the log.
    pub fn open(path: impl AsRef<Path>) -> Result<File, Problem> {
        let path = path.as_ref();
        let refused = |error: io::Error| refusal(path, &error);
        // Opening a named pipe would wait for its other end.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(StatusCode::NOT_FOUND.into());
        }
        Ok(File {
            file: file.into(),
            length: metadata.len(),
            modified: metadata.modified().ok(),
            etag: format!("\"{:x}-{:x}.{:x}\"", metadata.len(), metadata.mtime(), metadata.mtime_nsec()),
            content_type: media_type::of_name(path.as_os_str().as_encoded_bytes()),
            disposition: None,
        })
    }

    /// Has browsers save it under `name` instead of showing it (RFC 6266).
    ///
    /// Any name will do; in `filename`, for old clients, what is not plain ASCII is `_`, and `filename*` (RFC 8187) has the rest.
    /// Slashes, backslashes and control characters are `_` in both. The type goes by this name if it is a known one.
    pub fn attachment(self, name: &str) -> Self {
        let content_type = match media_type::of_name(name.as_bytes()) {
            unknown if unknown == "application/octet-stream" => self.content_type,
            known => known,
        };
        File { content_type, disposition: Some(disposition(name)), ..self }
    }

    /// The answer to this request: all of the file, or the one part that it asks for (206), or that it has not changed (304), that a
    /// precondition does not hold (412), or that there is no such part (416). Of several parts at once, it is the whole.
    pub fn answer(self, head: &RequestHead) -> Response {
        let etag = EntityTag::parse(self.etag.as_bytes());
        match conditional::evaluate(head, &Validators { etag, last_modified: self.modified }) {
            Outcome::NotModified => self.with_validators(Response::new(StatusCode::NOT_MODIFIED)),
            Outcome::PreconditionFailed => Response::new(StatusCode::PRECONDITION_FAILED),
            Outcome::Proceed { range: None } => self.into_response(),
            Outcome::Proceed { range: Some(range) } => match range::resolve(range, self.length) {
                Selection::Unsatisfiable => Response::new(StatusCode::RANGE_NOT_SATISFIABLE)
                    .with_header(CONTENT_RANGE, ascii(range::unsatisfied(self.length))),
                Selection::Parts(parts) if parts.len() == 1 => self.part(parts[0]),
                Selection::Parts(_) | Selection::Whole => self.into_response(),
            },
        }
    }

    fn part(self, part: ByteRange) -> Response {
        let range = ascii(part.content_range(self.length));
        let mut response = self.sent(part.first, part.len()).with_header(CONTENT_RANGE, range);
        response.set_status(StatusCode::PARTIAL_CONTENT);
        response
    }

    /// These bytes of it, and the fields of all of it.
    fn sent(self, offset: u64, length: u64) -> Response {
        const CONST: [(HeaderName, HeaderValue); 2] = [
            (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        let mut response = self.with_validators(Response::new(StatusCode::OK));
        let headers = response.headers_mut();
        headers.append(CONTENT_TYPE, self.content_type);
        for (name, value) in CONST {
            headers.append(name, value);
        }
        if let Some(disposition) = self.disposition {
            headers.append(CONTENT_DISPOSITION, disposition);
        }
        response.with_body(Body::file(self.file, offset, length))
    }

    fn with_validators(&self, response: Response) -> Response {
        let response = response.with_header(ETAG, ascii(self.etag.clone()));
        match self.modified.map(|time| HeaderValue::from_bytes(&date::format(time))) {
            Some(Ok(date)) => response.with_header(LAST_MODIFIED, date),
            _ => response,
        }
    }
}

/// All of it, whatever the request says of parts and of copies it has; see [`File::answer`] for the other way.
impl IntoResponse for File {
    fn into_response(self) -> Response {
        let length = self.length;
        self.sent(0, length)
    }
}

fn refusal(path: &Path, error: &io::Error) -> Problem {
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, NotFound};
    match error.kind() {
        NotFound | NotADirectory | IsADirectory | InvalidInput | InvalidFilename => StatusCode::NOT_FOUND.into(),
        _ => Problem::internal(format_args!("{}: {error}", path.display())),
    }
}

/// The value of Content-Disposition (RFC 6266 section 4, and appendix D on what old clients make of it).
fn disposition(name: &str) -> HeaderValue {
    /// All but `attr-char` (RFC 8187 section 3.2.1).
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'!')
        .remove(b'#')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b'-')
        .remove(b'.')
        .remove(b'^')
        .remove(b'_')
        .remove(b'`')
        .remove(b'|')
        .remove(b'~');
    let name = name.replace(|c: char| c.is_control() || c == '/' || c == '\\', "_");
    let plain = name.replace(|c: char| !c.is_ascii() || c == '"' || c == '%', "_");
    let rest = if plain == name {
        String::new()
    } else {
        format!("; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED))
    };
    ascii(format!("attachment; filename=\"{plain}\"{rest}"))
}

/// A field value that is made of visible ASCII and spaces.
fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("whoever made it has left nothing else in")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::fs;

    use super::*;
    use crate::app::extract::Path as PathParameter;
    use crate::app::request::Request;
    use crate::app::{App, TestClient, get};

    /// A client of an application that answers with the files in `dir`.
    fn client(dir: &Path) -> TestClient {
        let (whole, parts) = (dir.to_owned(), dir.to_owned());
        let all = move |PathParameter(name): PathParameter<String>| File::open(whole.join(name));
        let part = move |PathParameter(name): PathParameter<String>, request: Request| {
            File::open(parts.join(name)).map(|file| file.answer(request.head()))
        };
        TestClient::new(App::new().route("/all/{name}", get(all)).route("/part/{name}", get(part))).unwrap()
    }

    #[test]
    fn a_file_is_sent_with_what_is_known_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        fs::write(&path, "0123456789").unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let answer = client(dir.path()).get("/all/page.html").send();
        assert_eq!((answer.status().as_u16(), answer.text()), (200, "0123456789"));
        let fields = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", "10"),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("etag", "\"a-2ebc98a1.0\""),
            ("x-content-type-options", "nosniff"),
        ];
        for (name, value) in fields {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert_eq!(answer.header("content-disposition"), None);
    }

    #[test]
    fn what_is_no_file_is_not_found_and_what_cannot_be_opened_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        let long = "x".repeat(300);
        let cases = [
            ("none", 404),
            ("dir", 404),
            ("pipe", 404),
            ("file/below", 404),
            ("a\0b", 404),
            (&long, 404),
            ("loop", 500),
        ];
        for (name, status) in cases {
            let problem = File::open(dir.path().join(name)).unwrap_err();
            assert_eq!(problem.into_response().status(), status, "{name:?}");
        }
        assert_eq!(client(dir.path()).get("/all/file").send().text(), "");
    }

    #[test]
    fn parts_and_copies_that_are_current() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "0123456789").unwrap();
        let client = client(dir.path());
        let first = client.get("/part/a.txt").send();
        let [etag, date] = ["etag", "last-modified"].map(|name| first.header(name).unwrap().to_owned());
        let cases: [(&str, &str, u16, &str, Option<&str>); 9] = [
            ("range", "bytes=2-4", 206, "234", Some("bytes 2-4/10")),
            ("range", "bytes=-1", 206, "9", Some("bytes 9-9/10")),
            ("range", "bytes=10-", 416, "", Some("bytes */10")),
            ("range", "bytes=0-0,5-6", 200, "0123456789", None),
            ("range", "lines=1-2", 200, "0123456789", None),
            ("if-none-match", &etag, 304, "", None),
            ("if-none-match", "\"other\"", 200, "0123456789", None),
            ("if-modified-since", &date, 304, "", None),
            ("if-match", "\"other\"", 412, "", None),
        ];
        for (name, value, status, body, range) in cases {
            let answer = client.get("/part/a.txt").header(name, value).send();
            assert_eq!((answer.status().as_u16(), answer.text()), (status, body), "{name}: {value}");
            assert_eq!(answer.header("content-range"), range, "{name}: {value}");
        }
    }

    #[test]
    fn names_to_save_under_are_safe_and_whole() {
        let cases = [
            ("plain name.pdf", "attachment; filename=\"plain name.pdf\""),
            ("a\"b.txt", "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
            ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
            ("../../etc\\passwd", "attachment; filename=\".._.._etc_passwd\""),
            ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie: b\""),
            ("€ it's.csv", "attachment; filename=\"_ it's.csv\"; filename*=UTF-8''%E2%82%AC%20it%27s.csv"),
            ("", "attachment; filename=\"\""),
        ];
        for (name, expected) in cases {
            assert_eq!(disposition(name), expected, "{name:?}");
        }
    }

    #[test]
    fn the_type_goes_by_the_name_to_save_under_if_that_tells() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "").unwrap();
        for (name, expected) in [("b.pdf", "application/pdf"), ("b", "text/plain; charset=utf-8")] {
            let response = File::open(dir.path().join("a.txt")).unwrap().attachment(name).into_response();
            assert_eq!(response.headers().get(&CONTENT_TYPE).unwrap(), expected, "{name}");
        }
    }
}
