//! Forms with files as clients send them (RFC 7578). Knows how they are written, not how they are read.

use super::TestRequest;

/// What stands between the parts. No test has it in a file.
const BOUNDARY: &str = "----rws-test-ac5c0b1f9d6e4c2a";

/// A part of a form with files, for [`TestRequest::multipart`].
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestPart {
    name: String,
    /// Its name and its media type.
    file: Option<(String, String)>,
    content: Vec<u8>,
}

impl TestPart {
    /// A field of a form that is no file.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        TestPart { name: name.into(), file: None, content: text.into().into_bytes() }
    }

    /// A file: the field's name, the file's own, its media type and what is in it.
    pub fn file(
        name: impl Into<String>,
        file_name: impl Into<String>,
        media_type: impl Into<String>,
        content: impl Into<Vec<u8>>,
    ) -> Self {
        let file = Some((file_name.into(), media_type.into()));
        TestPart { name: name.into(), file, content: content.into() }
    }

    fn write(&self, body: &mut Vec<u8>) {
        let mut head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", escaped(&self.name));
        if let Some((name, media_type)) = &self.file {
            head += &format!("; filename=\"{}\"\r\nContent-Type: {media_type}", escaped(name));
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(&self.content);
        body.extend_from_slice(b"\r\n");
    }
}

/// A name as browsers write it (HTML Living Standard section 4.10.22.8).
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

impl TestRequest<'_> {
    /// Sets the body to a form with files, and `Content-Type`, as a browser does.
    ///
    /// ```
    /// use rws::app::testing::TestPart;
    /// use rws::app::{App, Multipart, MultipartError, TestClient, post};
    ///
    /// fn attach(mut form: Multipart) -> Result<String, MultipartError> {
    ///     let mut told = String::new();
    ///     while let Some(field) = form.next_field()? {
    ///         told += &format!("{} {:?} {:?}: ", field.name(), field.file_name(), field.content_type());
    ///         told += &field.text()?;
    ///         told.push('\n');
    ///     }
    ///     Ok(told)
    /// }
    ///
    /// let client = TestClient::new(App::new().route("/", post(attach)))?;
    /// let parts = [TestPart::text("title", "Milk"), TestPart::file("photo", "a.png", "image/png", *b"PNG")];
    /// let answer = client.post("/").multipart(parts).send();
    /// assert_eq!(answer.text(), "title None None: Milk\nphoto Some(\"a.png\") Some(\"image/png\"): PNG\n");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn multipart(self, parts: impl IntoIterator<Item = TestPart>) -> Self {
        let mut body = Vec::new();
        parts.into_iter().for_each(|part| part.write(&mut body));
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        self.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")).body(body)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, Multipart, TestClient, post};

    #[test]
    fn any_content_and_no_part_at_all_arrive_and_names_cannot_add_fields() {
        let tell = |mut form: Multipart| {
            let mut told = Vec::new();
            while let Some(field) = form.next_field().unwrap() {
                told.push((field.name().to_owned(), field.bytes().unwrap().to_vec()));
            }
            shown(&told)
        };
        let client = TestClient::new(App::new().route("/", post(tell))).unwrap();
        let all: Vec<u8> = (0..=255).chain(*b"\r\n--\r\n\r\n--").collect();
        let cases = [
            (vec![], vec![]),
            (vec![TestPart::text("a", "")], vec![("a", vec![])]),
            (vec![TestPart::file("a", "b\"c", "x/y", all.clone())], vec![("a", all)]),
            (
                vec![TestPart::text("a\"\r\nX: b", "c"), TestPart::text("ä", "ö")],
                vec![("a%22%0D%0AX: b", b"c".to_vec()), ("ä", "ö".into())],
            ),
        ];
        for (parts, expected) in cases {
            let answer = client.post("/").multipart(parts).send();
            assert_eq!(answer.text(), shown(&expected));
        }
    }

    fn shown(told: &impl std::fmt::Debug) -> String {
        format!("{told:?}")
    }
}
