//! The grammar of Cache-Control (RFC 9111 section 5.2): directives, by name, with a value or without. Knows none of their
//! meanings.

use http::HeaderValue;

use super::token::is_token;

/// `text` as the value of a Cache-Control field: `name`, `name=token` or `name="text"`, separated by commas. `None`: it is
/// something else, or nothing.
pub fn parse(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::try_from(text).ok().filter(|value| value.to_str().is_ok())?;
    outside_quotes(text).all(is_directive).then_some(value)
}

/// Whether `value` has the directive `name`, in any case, with a value or without.
pub fn has(value: &HeaderValue, name: &str) -> bool {
    let text = value.to_str().unwrap_or_default();
    let mut names = outside_quotes(text).map(|directive| directive.split('=').next().unwrap_or_default().trim());
    names.any(|found| found.eq_ignore_ascii_case(name))
}

fn is_directive(text: &str) -> bool {
    let quoted = |text: &str| {
        text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|rest| !rest.contains('"'))
    };
    match text.trim().split_once('=') {
        Some((name, value)) => is_token(name.as_bytes()) && (is_token(value.as_bytes()) || quoted(value)),
        None => is_token(text.trim().as_bytes()),
    }
}

/// The parts between commas that do not stand in quotes.
fn outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn directives_are_names_perhaps_with_a_value() {
        for text in ["no-cache", "public, max-age=60", "no-cache=\"a, b\", private", "Max-Age=0,x=\"\""] {
            assert_eq!(parse(text).unwrap(), text);
        }
        for text in ["", ",", "max-age 60", "max-age = 60", "a=", "=a", "a=\"b", "a; b", "é", "a\nb", "a=b=c"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn directives_are_found_by_name() {
        for (text, name, found) in [
            ("public, max-age=60", "public", true),
            ("PUBLIC", "public", true),
            ("max-age=60 , s-maxage=5", "s-maxage", true),
            ("x=\"public, private\"", "private", false),
            ("publicity", "public", false),
        ] {
            assert_eq!(has(&HeaderValue::from_static(text), name), found, "{text} {name}");
        }
    }
}
