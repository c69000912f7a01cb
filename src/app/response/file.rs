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
/// use rws::app::{App, NamedFile, Path, Problem, Request, Response, TestClient, get};
///
/// fn invoice(Path(id): Path<u32>, request: Request) -> Result<Response, Problem> {
/// #   let temporary = tempfile::tempdir().unwrap();
/// #   let dir = temporary.path();
/// #   std::fs::write(dir.join("7.pdf"), "%PDF").unwrap();
///     let file = NamedFile::open(dir.join(format!("{id}.pdf")))?;
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
#[must_use]
#[derive(Debug)]
pub struct NamedFile {
    file: Arc<std::fs::File>,
    length: u64,
    modified: Option<SystemTime>,
    etag: String,
    content_type: HeaderValue,
    disposition: Option<HeaderValue>,
}

impl NamedFile {
    /// Opens a file.
    ///
    /// A path that comes from a client can lead anywhere, through `..` and links: take a [`Path`](crate::app::Path) parameter
    /// only as a number, or look the name up.
    ///
    /// # Errors
    /// 404 when there is none, or something else than a file; 500 when it cannot be opened, with the reason in the log.
    pub fn open(path: impl AsRef<Path>) -> Result<NamedFile, Problem> {
        let path = path.as_ref();
        let refused = |error: io::Error| refusal(path, &error);
        // Opening a named pipe would wait for its other end.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(refused)?;
        let metadata = file.metadata().map_err(refused)?;
        if !metadata.is_file() {
            return Err(StatusCode::NOT_FOUND.into());
        }
        Ok(NamedFile {
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
        self.called("attachment", name)
    }

    /// Has browsers show it, and suggest `name` to those who save it (RFC 6266). The rest is as with
    /// [`attachment`](Self::attachment).
    ///
    /// What others have uploaded is better not shown: a page or an SVG image among it can run scripts in the name of this site.
    ///
    /// ```
    /// use rws::app::{IntoResponse, NamedFile};
    ///
    /// # let dir = tempfile::tempdir().unwrap();
    /// # std::fs::write(dir.path().join("7"), "%PDF").unwrap();
    /// let response = NamedFile::open(dir.path().join("7"))?.inline("invoice.pdf").into_response();
    /// assert_eq!(response.headers().get(&http::header::CONTENT_DISPOSITION).unwrap(), "inline; filename=\"invoice.pdf\"");
    /// assert_eq!(response.headers().get(&http::header::CONTENT_TYPE).unwrap(), "application/pdf");
    /// # Ok::<(), rws::Problem>(())
    /// ```
    pub fn inline(self, name: &str) -> Self {
        self.called("inline", name)
    }

    fn called(self, disposition: &str, name: &str) -> Self {
        let content_type = match media_type::of_name(name.as_bytes()) {
            unknown if unknown == "application/octet-stream" => self.content_type,
            known => known,
        };
        NamedFile { content_type, disposition: Some(content_disposition(disposition, name)), ..self }
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

/// All of it, whatever the request says of parts and of copies it has; see [`NamedFile::answer`] for the other way.
impl IntoResponse for NamedFile {
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
fn content_disposition(disposition: &str, name: &str) -> HeaderValue {
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
    ascii(format!("{disposition}; filename=\"{plain}\"{rest}"))
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
        let all = move |PathParameter(name): PathParameter<String>| NamedFile::open(whole.join(name));
        let part = move |PathParameter(name): PathParameter<String>, request: Request| {
            NamedFile::open(parts.join(name)).map(|file| file.answer(request.head()))
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
            let problem = NamedFile::open(dir.path().join(name)).unwrap_err();
            assert_eq!(problem.into_response().status(), status, "{name:?}");
        }
        assert_eq!(client(dir.path()).get("/all/file").send().text(), "");
    }

    #[test]
    fn a_link_is_followed_and_what_is_empty_has_no_parts() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("empty.txt"), "").unwrap();
        std::os::unix::fs::symlink("empty.txt", dir.path().join("link.html")).unwrap();
        let client = client(dir.path());
        for target in ["/all/link.html", "/part/link.html"] {
            for range in ["bytes=0-", "bytes=-1", "bytes=5-6"] {
                let answer = client.get(target).header("range", range).send();
                assert_eq!((answer.status().as_u16(), answer.text()), (200, ""), "{target} {range}");
                assert_eq!(answer.header("content-range"), None, "{target} {range}");
            }
        }
        let named = client.get("/all/link.html").send();
        assert_eq!(named.content_type(), Some("text/html; charset=utf-8"), "it goes by the name it was asked for by");
    }

    #[test]
    fn a_file_of_more_than_four_gib_has_parts_everywhere() {
        const LENGTH: u64 = (5 << 30) + 3;
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("film.mp4")).unwrap();
        file.set_len(LENGTH).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"end", LENGTH - 3).unwrap();
        let client = client(dir.path());
        for (range, expected) in
            [("bytes=-3", "end"), ("bytes=5368709119-5368709120", "\0e"), ("bytes=5368709122-", "d")]
        {
            let answer = client.get("/part/film.mp4").header("range", range).send();
            assert_eq!((answer.status().as_u16(), answer.text()), (206, expected), "{range}");
            assert!(answer.header("content-range").unwrap().ends_with("/5368709123"), "{range}");
        }
        for target in ["/all/film.mp4", "/part/film.mp4"] {
            let head = client.head(target).header("range", "bytes=-3").send();
            assert_eq!((head.status().as_u16(), head.header("content-length")), (200, Some("5368709123")), "{target}");
            assert_eq!((head.header("accept-ranges"), head.text()), (Some("bytes"), ""), "{target}");
        }
    }

    #[test]
    fn a_part_goes_only_with_the_file_it_was_asked_of() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "0123456789").unwrap();
        let client = client(dir.path());
        let first = client.get("/part/a.txt").send();
        let [etag, date] = ["etag", "last-modified"].map(|name| first.header(name).unwrap().to_owned());
        let ask = |validator: &str| {
            client.get("/part/a.txt").header("range", "bytes=2-").header("if-range", validator).send()
        };
        assert_eq!((ask(&etag).status().as_u16(), ask(&etag).text()), (206, "23456789"));
        for other in ["\"other\"", &format!("W/{etag}"), "Sun, 06 Nov 1994 08:49:37 GMT", "nonsense"] {
            assert_eq!((ask(other).status().as_u16(), ask(other).text()), (200, "0123456789"), "{other}");
        }
        let unchanged = client.get("/part/a.txt").header("if-none-match", &*etag).send();
        assert_eq!((unchanged.header("etag"), unchanged.header("last-modified")), (Some(&*etag), Some(&*date)));
        fs::write(dir.path().join("a.txt"), "0123456789 and more").unwrap();
        assert_eq!(ask(&etag).text(), "0123456789 and more");
        assert_eq!(client.get("/part/a.txt").header("if-none-match", &*etag).send().status(), 200);
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
            (
                "Größe\u{1f600}.txt",
                "attachment; filename=\"Gr__e_.txt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%F0%9F%98%80.txt",
            ),
            ("'; x=y*", "attachment; filename=\"'; x=y*\""),
            ("", "attachment; filename=\"\""),
        ];
        for (name, expected) in cases {
            assert_eq!(content_disposition("attachment", name), expected, "{name:?}");
        }
    }

    #[test]
    fn the_type_goes_by_the_name_to_save_under_if_that_tells() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.txt"), "").unwrap();
        for (name, expected) in [("b.pdf", "application/pdf"), ("b", "text/plain; charset=utf-8")] {
            let response = NamedFile::open(dir.path().join("a.txt")).unwrap().attachment(name).into_response();
            assert_eq!(response.headers().get(&CONTENT_TYPE).unwrap(), expected, "{name}");
        }
    }
}
