//! Whether the client of a request could want a page: what it says of itself, in Accept (RFC 9110 section 12.5.1) and
//! Sec-Fetch-Mode (Fetch Metadata Request Headers, W3C).
//!
//! A browser that goes to a page names `text/html`. One that loads a script, a style sheet or a picture, or runs
//! `fetch()`, does not, and says so in Sec-Fetch-Mode where the connection can be trusted. curl, crawlers that make
//! previews, and requests whose Accept was lost in a CDN name nothing, and may want a page.

use crate::semantics::accept;
use crate::semantics::head::RequestHead;

/// What a client would do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It asks for one by name.
    Page,
    /// It would take one, as anything else.
    Anything,
    /// It wants something else.
    Other,
}

/// Whether a page is of any use.
pub(super) fn may_want_page(head: &RequestHead) -> bool {
    wish(head) != Wish::Other
}

pub(super) fn wish(head: &RequestHead) -> Wish {
    let mut wish = Wish::Anything;
    for item in head.values("accept").flat_map(|field| field.split(|byte| *byte == b',')) {
        let range = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match &*range.to_ascii_lowercase() {
            b"text/html" | b"text/*" => {
                wish = Wish::Page;
                break;
            }
            b"*/*" | b"" => {}
            _ => wish = Wish::Other,
        }
    }
    let refused = || accept::media_type(head.values("accept"), "text/html", &[]) == 0;
    let goes_elsewhere = head.field("sec-fetch-mode").is_some_and(|mode| mode != b"navigate");
    match wish {
        Wish::Page | Wish::Anything if refused() => Wish::Other,
        Wish::Anything if goes_elsewhere => Wish::Other,
        wish => wish,
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::Wish::{Anything, Other, Page};
    use super::*;
    use crate::semantics::conditional::tests::head;

    /// Header fields of a request.
    type Fields<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn what_clients_want() {
        let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
                        application/signed-exchange;v=b3;q=0.7";
        let cases: &[(Fields<'_>, Wish)] = &[
            (&[("Accept", firefox)], Page),
            (&[("Accept", chromium), ("Sec-Fetch-Mode", "navigate")], Page),
            (&[("Accept", "text/html"), ("Sec-Fetch-Mode", "cors")], Page),
            (&[("Accept", "TEXT/HTML;q=0.1")], Page),
            (&[("Accept", "text/*")], Page),
            (&[("Accept", "application/json"), ("Accept", "text/html")], Page),
            // Names nothing: curl, kubelets, previews, what is left by a CDN.
            (&[], Anything),
            (&[("Accept", "*/*")], Anything),
            (&[("Accept", "")], Anything),
            (&[("Accept", "*/*;q=0.5")], Anything),
            (&[("Accept", "*/*"), ("Sec-Fetch-Mode", "navigate")], Anything),
            // Scripts, style sheets, pictures, fetch(), axios.
            (&[("Accept", "*/*"), ("Sec-Fetch-Mode", "no-cors")], Other),
            (&[("Accept", "*/*"), ("Sec-Fetch-Mode", "cors")], Other),
            (&[("Accept", "*/*"), ("Sec-Fetch-Mode", "same-origin")], Other),
            (&[("Accept", "text/css,*/*;q=0.1")], Other),
            (&[("Accept", "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8")], Other),
            (&[("Accept", "application/json")], Other),
            (&[("Accept", "application/json, text/plain, */*")], Other),
            (&[("Accept", "*/*;q=0")], Other),
            (&[("Accept", "text/html;q=0, */*")], Other),
            (&[("Accept", "text/html;q=0")], Other),
            (&[("Accept", "application/xhtml+xml")], Other),
        ];
        for (fields, expected) in cases {
            assert_eq!(wish(&head(Method::GET, "/", fields)), *expected, "{fields:?}");
        }
    }
}
