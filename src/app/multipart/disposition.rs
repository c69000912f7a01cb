//! What `Content-Disposition` says of a field (RFC 7578 section 4.2). The parser's own reading takes ` name=` inside of a
//! quoted file name for the field's name.

use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;

/// The names of a field and of its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
}

/// `None` if there is no name, if there are two, or if it is not written as RFC 2183 has it, in UTF-8. `filename*` is not for forms.
pub(super) fn of(headers: &HeaderMap) -> Option<Disposition> {
    let field = std::str::from_utf8(headers.get(CONTENT_DISPOSITION)?.as_bytes()).ok()?;
    let (kind, mut rest) = field.split_once(';')?;
    let (mut name, mut file_name) = (None, None);
    while !rest.trim().is_empty() {
        let (key, value, after) = parameter(rest)?;
        match &*key.to_ascii_lowercase() {
            "name" if name.is_none() => name = Some(value),
            "filename" if file_name.is_none() => file_name = Some(value),
            // Others on the way may have read the other one.
            "name" | "filename" => return None,
            _ => {}
        }
        rest = after;
    }
    let is_form_data = kind.trim().eq_ignore_ascii_case("form-data");
    name.filter(|_| is_form_data).map(|name| Disposition { name, file_name })
}

/// The first parameter, and what comes after it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let (value, rest) = rest.strip_prefix('"').map_or_else(|| Some(token(rest)), quoted)?;
    let rest = rest.trim_start();
    let after = if rest.is_empty() { rest } else { rest.strip_prefix(';')? };
    Some((key.trim(), value, after))
}

fn token(text: &str) -> (String, &str) {
    let (value, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    (value.trim_end().to_owned(), rest)
}

/// Up to the closing quote. A backslash stands for itself unless a quote or another one follows: old browsers send paths.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next_if(|(_, next)| matches!(next, '"' | '\\')).map_or(c, |(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    None
}
