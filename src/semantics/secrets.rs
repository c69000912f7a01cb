//! Lists of who may come in, as operators write them: users as in the files of htpasswd, and bearer tokens.
//!
//! Knows how they are written. Verifies nobody, and never shows a secret.

#[cfg(feature = "auth")]
mod htpasswd;

use core::fmt;
use std::collections::HashSet;

use super::credentials::is_token68;
#[cfg(feature = "auth")]
pub use htpasswd::{check_users, users};

/// A user and what proves that it is them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Not empty, without colons.
    pub name: String,
    /// The password or its hash.
    pub secret: Secret,
}

/// What proves who somebody is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The password itself.
    Plain(String),
    /// Its bcrypt hash, 60 characters that begin with `$2a$`, `$2b$` or `$2y$`.
    Bcrypt(String),
}

/// A bearer token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is, for logs and handlers.
    pub name: Option<String>,
    /// What clients send: a token68.
    pub token: String,
}

/// What is wrong with a list, and where; never what is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of a list of users, or the number of a token, from 1.
    pub place: usize,
    /// In a clause.
    pub reason: &'static str,
}

/// The tokens of `text`, separated by commas or white space; `name:token` tells whose one is.
///
/// # Errors
/// The first one that is no token68 (letters, digits and `-._~+/`, perhaps `=` at the end), or stands there twice.
pub fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let items = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|item| !item.is_empty());
    let tokens: Vec<Token> = items.map(token).collect();
    check_tokens(&tokens)?;
    Ok(tokens)
}

fn token(item: &str) -> Token {
    let (name, token) = item.split_once(':').map_or((None, item), |(name, token)| (Some(name), token));
    Token { name: name.map(str::to_owned), token: token.to_owned() }
}

/// Whether `tokens` could stand in such a text.
///
/// # Errors
/// The first one that could not.
pub fn check_tokens(tokens: &[Token]) -> Result<(), Fault> {
    let mut before = HashSet::new();
    let judge = |(index, token)| judge_token(token, &mut before).map_err(|reason| Fault { place: index + 1, reason });
    tokens.iter().enumerate().try_for_each(judge)
}

fn judge_token<'t>(token: &'t Token, before: &mut HashSet<&'t str>) -> Result<(), &'static str> {
    if token.name.as_ref().is_some_and(|name| name.is_empty() || name.contains(char::is_control)) {
        return Err("has no name before the colon");
    }
    if !is_token68(&token.token) {
        return Err("has other characters than letters, digits, -._~+/ and = at the end");
    }
    if !before.insert(&token.token) {
        return Err("stands there for the second time");
    }
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Secret::Plain(_) => "Plain(<redacted>)",
            Secret::Bcrypt(_) => "Bcrypt(<redacted>)",
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_stand_between_commas_or_spaces() {
        let found = tokens(" abc==,ci:x.y-z_~+/\n\tdef ,").unwrap();
        let seen: Vec<_> = found.iter().map(|token| (token.name.as_deref(), token.token.as_str())).collect();
        assert_eq!(seen, [(None, "abc=="), (Some("ci"), "x.y-z_~+/"), (None, "def")]);
        assert_eq!(tokens(" ,\n"), Ok(Vec::new()));
        assert!(!format!("{found:?}").contains("abc"));
        for (text, place) in [("abc,d!", 2), ("a:b:c", 1), (":abc", 1), ("a:", 1), ("x y x", 3), ("ä", 1), ("==", 1)] {
            assert_eq!(tokens(text).unwrap_err().place, place, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_a_fault(text: String) {
            let _ = tokens(&text);
        }
    }
}
