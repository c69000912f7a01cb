//! What can be said of a pattern by itself.

/// An error, in a sentence, if no request can ever match.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    if !pattern.starts_with('/') {
        return Err("a pattern starts with `/`".to_owned());
    }
    if let Some(bad) = fixed_text(pattern).find(|c| !c.is_ascii_graphic() || "?#".contains(*c)) {
        let encoded: String = percent_encoding::percent_encode(bad.encode_utf8(&mut [0; 4]).as_bytes(), ALL).collect();
        return Err(format!("a path cannot contain {bad:?}; write `{encoded}` for it"));
    }
    let names = param_names(pattern);
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(format!("there are two parameters called `{name}`")),
        None => Ok(()),
    }
}

const ALL: &percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC;

/// The names of the parameters, in order.
pub(super) fn param_names(pattern: &str) -> Vec<Box<str>> {
    parts(pattern)
        .filter_map(|part| match part {
            Part::Param(name) => Some(name.trim_start_matches('*').into()),
            Part::Fixed(_) => None,
        })
        .collect()
}

fn fixed_text(pattern: &str) -> impl Iterator<Item = char> {
    parts(pattern).filter_map(|part| match part {
        Part::Fixed(c) => Some(c),
        Part::Param(_) => None,
    })
}

enum Part<'a> {
    Fixed(char),
    Param(&'a str),
}

/// The pattern in its parts; a brace without its partner counts as text, which is for matchit to refuse.
fn parts(pattern: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = pattern;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let doubled = rest.starts_with("{{") || rest.starts_with("}}");
        let (part, length) = match rest.find('}') {
            Some(end) if first == '{' && !doubled => (Part::Param(&rest[1..end]), end + 1),
            _ if doubled => (Part::Fixed(first), 2),
            _ => (Part::Fixed(first), first.len_utf8()),
        };
        rest = &rest[length..];
        Some(part)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_order_and_doubled_braces_are_text() {
        for (pattern, names) in [
            ("/", &[][..]),
            ("/users/{id}", &["id"]),
            ("/{a}/x-{b}.png/{*rest}", &["a", "b", "rest"]),
            ("/{{not}}/{yes}", &["yes"]),
            ("/{open", &[]),
        ] {
            let found = param_names(pattern);
            assert_eq!(found.iter().map(|name| &**name).collect::<Vec<_>>(), names, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_can_never_match_are_refused() {
        for (pattern, part) in [
            ("", "starts with"),
            ("users", "starts with"),
            ("/café", "`%C3%A9`"),
            ("/a b", "`%20`"),
            ("/a?b", "`%3F`"),
            ("/a#b", "`%23`"),
            ("/{id}/{id}", "two parameters"),
        ] {
            assert!(check(pattern).unwrap_err().contains(part), "{pattern}");
        }
        for pattern in ["/", "/a%20b", "/{naïve}", "/{{x}}", "/a/", "/~user"] {
            assert_eq!(check(pattern), Ok(()), "{pattern}");
        }
    }
}
