//! `ROUTE_<NAME>`: a route of the binary, written in one line.
//!
//! ```text
//! GET /hello/{name} -> respond 200 text/plain Hello, {name}!
//! /old/{*rest} -> redirect 308 /new/{rest}
//! ```
//!
//! This module reads and checks the text. It does not know requests: escaping what a client sent, for the
//! content type or for `Location`, is up to whoever serves the route.

use std::fmt;
use std::str::FromStr;

use http::{HeaderValue, Method, StatusCode};
use mime_guess::Mime;

/// Methods a route may name. CONNECT and TRACE are not for applications.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS];

/// Statuses that redirect (RFC 9110 sections 15.4.2 to 15.4.4, 15.4.8 and 15.4.9).
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Statuses of responses that have no content (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
const WITHOUT_CONTENT: [u16; 3] = [204, 205, 304];

/// A route as the operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The variable's name after `ROUTE_`.
    pub name: String,
    /// The method; `None`: any. Without a method in the text, `respond` is for GET (and so for HEAD), and
    /// `redirect` is for any method.
    pub method: Option<Method>,
    /// The pattern: `/users/{id}`, `/files/{*rest}`. Each parameter is a whole segment.
    pub pattern: String,
    /// What to answer.
    pub action: Action,
}

/// What a route answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the parts of a response")]
pub enum Action {
    /// A text.
    Respond { status: StatusCode, content_type: HeaderValue, template: Template },
    /// Another place.
    Redirect { status: StatusCode, location: Template },
}

/// A text with placeholders, split into its parts. Two literals never follow each other, and none is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The parts in order.
    pub parts: Vec<Part>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that stands as it is.
    Literal(String),
    /// The value of a path parameter.
    Placeholder {
        /// The parameter's name.
        name: String,
        /// Its place among the pattern's parameters.
        index: usize,
    },
}

/// What is wrong with the text of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each displays what it means")]
pub enum RouteError {
    NoArrow,
    UnknownMethod(String),
    ExtraBeforeArrow(String),
    NoPattern,
    InvalidPattern(String),
    InvalidSegment(String),
    InvalidParameter(String),
    DuplicateParameter(String),
    CatchAllNotLast(String),
    UnknownAction(String),
    InvalidStatus(String),
    NotARedirect(StatusCode),
    InvalidContentType(String),
    ContentNotAllowed(StatusCode),
    InvalidLocation(String),
    UnknownPlaceholder(String),
    StarInPlaceholder(String),
}

impl RouteSpec {
    /// Reads the text of the route called `name`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, RouteError> {
        let (left, right) = text.split_once("->").ok_or(RouteError::NoArrow)?;
        let (method, pattern) = method_and_pattern(left)?;
        let parameters = parameters(pattern)?;
        let (verb, rest) = word(right);
        let (method, action) = match verb {
            "respond" => (method.or(Some(Method::GET)), respond(rest, &parameters)?),
            "redirect" => (method, redirect(rest, &parameters)?),
            other => return Err(RouteError::UnknownAction(other.to_owned())),
        };
        Ok(RouteSpec { name: name.to_owned(), method, pattern: pattern.to_owned(), action })
    }
}

fn method_and_pattern(text: &str) -> Result<(Option<Method>, &str), RouteError> {
    let (first, rest) = word(text);
    let (method, (pattern, rest)) =
        if first.starts_with('/') { (None, (first, rest)) } else { (Some(first), word(rest)) };
    let method = method.filter(|method| !method.is_empty()).map(known_method).transpose()?;
    match (pattern, rest.trim()) {
        ("", _) => Err(RouteError::NoPattern),
        (pattern, "") => Ok((method, pattern)),
        (_, extra) => Err(RouteError::ExtraBeforeArrow(extra.to_owned())),
    }
}

fn known_method(text: &str) -> Result<Method, RouteError> {
    let known = METHODS.into_iter().find(|method| method.as_str() == text);
    known.ok_or_else(|| RouteError::UnknownMethod(text.to_owned()))
}

/// The names of a pattern's parameters, in order.
fn parameters(pattern: &str) -> Result<Vec<&str>, RouteError> {
    let path = pattern.strip_prefix('/').ok_or_else(|| RouteError::InvalidPattern(pattern.to_owned()))?;
    if !pattern.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\\"<>".contains(&byte)) {
        return Err(RouteError::InvalidPattern(pattern.to_owned()));
    }
    let mut names = Vec::new();
    let mut segments = path.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        let Some(name) = parameter(segment, last)? else { continue };
        if names.contains(&name) {
            return Err(RouteError::DuplicateParameter(name.to_owned()));
        }
        names.push(name);
    }
    Ok(names)
}

/// The name of the parameter that `segment` is, if it is one.
fn parameter(segment: &str, last: bool) -> Result<Option<&str>, RouteError> {
    let invalid = || RouteError::InvalidParameter(segment.to_owned());
    if !segment.contains(['{', '}']) {
        let ambiguous = matches!(segment, "." | "..") || (segment.is_empty() && !last);
        return if ambiguous { Err(RouteError::InvalidSegment(segment.to_owned())) } else { Ok(None) };
    }
    let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(invalid)?;
    let name = inner.strip_prefix('*').unwrap_or(inner);
    match (is_name(name), inner.len() > name.len() && !last) {
        (false, _) => Err(invalid()),
        (true, true) => Err(RouteError::CatchAllNotLast(segment.to_owned())),
        (true, false) => Ok(Some(name)),
    }
}

fn respond(text: &str, parameters: &[&str]) -> Result<Action, RouteError> {
    let (status, rest) = status(text)?;
    let (content_type, body) = word(rest);
    let invalid = || RouteError::InvalidContentType(content_type.to_owned());
    Mime::from_str(content_type).ok().filter(is_one_type).ok_or_else(invalid)?;
    let content_type = HeaderValue::from_str(content_type).map_err(|_| invalid())?;
    let template = Template::parse(body, parameters)?;
    if WITHOUT_CONTENT.contains(&status.as_u16()) && !template.parts.is_empty() {
        return Err(RouteError::ContentNotAllowed(status));
    }
    Ok(Action::Respond { status, content_type, template })
}

/// Whether `mime` names one type: the crate also reads ranges such as `text/*`, and an empty subtype.
fn is_one_type(mime: &Mime) -> bool {
    [mime.type_(), mime.subtype()].iter().all(|part| !matches!(part.as_str(), "" | "*"))
}

fn redirect(text: &str, parameters: &[&str]) -> Result<Action, RouteError> {
    let (status, rest) = status(text)?;
    if !REDIRECTS.contains(&status.as_u16()) {
        return Err(RouteError::NotARedirect(status));
    }
    let text = rest.trim();
    let location = Template::parse(text, parameters)?;
    if !is_location(text, &location) {
        return Err(RouteError::InvalidLocation(text.to_owned()));
    }
    Ok(Action::Redirect { status, location })
}

/// A status from 200 to 599 at the start of `text`, and the rest.
fn status(text: &str) -> Result<(StatusCode, &str), RouteError> {
    let (word, rest) = word(text);
    let status = word.parse::<StatusCode>().ok().filter(|status| (200..600).contains(&status.as_u16()));
    Ok((status.ok_or_else(|| RouteError::InvalidStatus(word.to_owned()))?, rest))
}

/// Whether `text` is a path of this server or an http(s) URI. No placeholder may stand before the path, or a
/// client could choose where it, or whoever follows its link, is sent.
fn is_location(text: &str, location: &Template) -> bool {
    let Some(Part::Literal(start)) = location.parts.first() else { return false };
    let authority = ["https://", "http://"].iter().find_map(|scheme| start.strip_prefix(scheme));
    let fixed = match authority {
        // Only a `/` ends the authority for certain: a placeholder behind it cannot become part of the host.
        Some(rest) => match rest.find(['/', '?', '#', '\\']) {
            Some(end) => end > 0 && rest.as_bytes()[end] == b'/',
            None => !rest.is_empty() && location.parts.len() == 1,
        },
        None => start.starts_with('/') && !start.starts_with("//"),
    };
    fixed && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>".contains(&byte))
}

impl Template {
    /// Splits `text`. `{name}` is a placeholder and must be one of `parameters`; `{{name}}` is the text `{name}`;
    /// every other brace stands for itself, so that JSON needs no escapes.
    fn parse(text: &str, parameters: &[&str]) -> Result<Self, RouteError> {
        let mut template = Template::default();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            template.push_literal(before);
            rest = template.push_brace(from_brace, parameters)?;
        }
        template.push_literal(rest);
        Ok(template)
    }

    /// Takes what begins with the brace at the start of `text`, and returns what comes after it.
    fn push_brace<'t>(&mut self, text: &'t str, parameters: &[&str]) -> Result<&'t str, RouteError> {
        if let Some((name, after)) = text.strip_prefix("{{").and_then(|rest| rest.split_once("}}"))
            && is_name(name)
        {
            self.push_literal(&text[1..=name.len() + 2]);
            return Ok(after);
        }
        let Some((inner, after)) = text[1..].split_once('}') else {
            self.push_literal("{");
            return Ok(&text[1..]);
        };
        if inner.strip_prefix('*').is_some_and(is_name) {
            return Err(RouteError::StarInPlaceholder(inner.to_owned()));
        }
        if !is_name(inner) {
            self.push_literal("{");
            return Ok(&text[1..]);
        }
        let index = parameters.iter().position(|name| *name == inner);
        let index = index.ok_or_else(|| RouteError::UnknownPlaceholder(inner.to_owned()))?;
        self.parts.push(Part::Placeholder { name: inner.to_owned(), index });
        Ok(after)
    }

    fn push_literal(&mut self, text: &str) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Literal(literal)) => literal.push_str(text),
            _ => self.parts.push(Part::Literal(text.to_owned())),
        }
    }
}

/// Letters, digits and underscores, not beginning with a digit.
fn is_name(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The first word of `text`, and what follows the one white space character behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_ascii_start();
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

impl fmt::Display for RouteSpec {
    /// As it is written; a literal in braces looks like a placeholder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        match &self.action {
            Action::Respond { status, content_type, template } => {
                let content_type = content_type.to_str().unwrap_or_default();
                write!(f, "{} -> respond {} {content_type} {template}", self.pattern, status.as_u16())
            }
            Action::Redirect { status, location } => {
                write!(f, "{} -> redirect {} {location}", self.pattern, status.as_u16())
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Placeholder { name, .. } => write!(f, "{{{name}}}"),
        })
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArrow => f.write_str("there is no ->"),
            Self::UnknownMethod(text) => {
                write!(
                    f,
                    "{text:?} is neither a pattern that starts with / nor one of GET, HEAD, POST, PUT, DELETE, \
                     PATCH, OPTIONS"
                )
            }
            Self::ExtraBeforeArrow(text) => write!(f, "{text:?} stands between the pattern and ->"),
            Self::NoPattern => f.write_str("there is no pattern before ->"),
            Self::InvalidPattern(text) => {
                write!(f, "the pattern {text:?} must start with / and be plain ASCII without query or percent signs")
            }
            Self::InvalidSegment(text) => write!(f, "the pattern has an empty or dot segment {text:?}"),
            Self::InvalidParameter(text) => {
                write!(f, "{text:?} must be a whole segment {{name}} or {{*name}} of letters, digits and underscores")
            }
            Self::DuplicateParameter(name) => write!(f, "the pattern has {{{name}}} twice"),
            Self::CatchAllNotLast(text) => write!(f, "{text} must be the last segment"),
            Self::UnknownAction(text) => write!(f, "{text:?} is neither respond nor redirect"),
            Self::InvalidStatus(text) => write!(f, "{text:?} is not a status from 200 to 599"),
            Self::NotARedirect(status) => {
                write!(f, "{} is not one of 301, 302, 303, 307, 308", status.as_u16())
            }
            Self::InvalidContentType(text) => {
                write!(f, "{text:?} is not a content type such as text/plain or text/html;charset=utf-8")
            }
            Self::ContentNotAllowed(status) => write!(f, "a response {} has no content", status.as_u16()),
            Self::InvalidLocation(text) => {
                write!(
                    f,
                    "the location {text:?} must be a path or an http(s) URI without spaces, and placeholders may \
                     stand only in or after the path"
                )
            }
            Self::UnknownPlaceholder(name) => {
                write!(f, "{{{name}}} is not in the pattern (for the text {{{name}}} itself write {{{{{name}}}}})")
            }
            Self::StarInPlaceholder(name) => write!(f, "in place of {{{name}}} write {{{}}}", &name[1..]),
        }
    }
}

impl std::error::Error for RouteError {}

#[cfg(test)]
mod tests;
