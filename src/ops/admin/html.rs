//! Writing pages: text is escaped unless it says that it is markup, and one policy allows one style sheet and one script.

use std::fmt::{self, Write};

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};

use super::respond as plain;
use crate::app::response::Response;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("statusz.js");

/// A page may run the one script and use the one style sheet, known by their SHA-256, and ask this server; nothing else.
const POLICY: &str = "default-src 'none'; connect-src 'self'; img-src data:; \
    script-src 'sha256-gsxEQ+dEQ0VBDQML862fRQrY71lyj5eVfl2tIrh++bY='; style-src 'sha256-fiUc9P7OgBPijOxVt+aTp/WLTOa4vHasgQC700+Dh6Y='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// A page with this title, open for what is on it.
    pub(super) fn page(title: &str) -> Self {
        let mut html = Html::default();
        html.raw("<!doctype html><html lang=en><head><meta charset=utf-8>");
        html.raw("<meta name=viewport content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=color-scheme content=\"light dark\"><link rel=icon href=\"data:,\"><title>").text(title);
        html.raw("</title><style>").raw(STYLE).raw("</style></head><body>");
        html
    }

    /// The same without what stays the same.
    pub(super) fn part(title: &str) -> Self {
        let mut html = Html::default();
        html.raw("<!doctype html><title>").text(title).raw("</title><body>");
        html
    }

    /// Appends markup.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends text, for between tags or between quotes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Invisible, and able to turn the text around them.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Appends formatted text, escaped.
    pub(super) fn fmt(&mut self, arguments: fmt::Arguments<'_>) -> &mut Self {
        match arguments.as_str() {
            Some(text) => self.text(text),
            None => self.text(&arguments.to_string()),
        }
    }

    /// Appends a number.
    pub(super) fn number(&mut self, number: impl fmt::Display) -> &mut Self {
        // Writing into memory cannot fail.
        let _ = write!(self.0, "{number}");
        self
    }

    /// Has the page run the script.
    pub(super) fn script(&mut self) -> &mut Self {
        self.raw("<script>").raw(SCRIPT).raw("</script>")
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        self.raw("</body></html>\n");
        self.0
    }
}

/// Sends a page.
pub(super) fn respond(page: String) -> Response {
    plain(StatusCode::OK, "text/html; charset=utf-8", page)
        .with_header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::welcome::csp;

    #[test]
    fn the_policy_allows_this_script_and_this_style_sheet() {
        for (directive, content) in [("script-src", SCRIPT), ("style-src", STYLE)] {
            let source = csp::source(directive, content);
            assert!(POLICY.contains(&source), "the policy should have {source}");
            assert!(!content.contains("</"), "nothing in it may end it");
        }
    }

    #[test]
    fn text_stays_text() {
        let mut html = Html::default();
        html.raw("<p title=\"").text("\"><script>").raw("\">").text("a & 'b' \u{202e}").fmt(format_args!("{}", "<"));
        assert_eq!(html.0, "<p title=\"&quot;&gt;&lt;script&gt;\">a &amp; &#39;b&#39; \u{fffd}&lt;");
    }
}
