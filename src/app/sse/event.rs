//! One event and how it is written (HTML Living Standard section 9.2.5). Knows text only.

use std::fmt::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::app::problem::Problem;

/// One event, encoded while it is put together.
///
/// ```
/// use bytes::Bytes;
/// use rws::app::sse::Event;
///
/// let event = Event::new("two\nlines").event("note")?.id("7")?;
/// assert_eq!(Bytes::from(event), "data: two\ndata: lines\nevent: note\nid: 7\n\n");
/// # Ok::<(), rws::app::sse::InvalidEvent>(())
/// ```
///
/// One without data changes what the client remembers (the id, the time before it connects again), and nothing is heard of
/// it.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Whole lines.
    lines: String,
}

/// What cannot stand in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidEvent {
    /// A line break in the field of this name, where it would begin another one.
    LineBreak(&'static str),
    /// U+0000 in an id: clients ignore such ids.
    Nul,
}

impl Event {
    /// An event with this data; the browser hands it to `onmessage`, unless [`event`](Self::event) names another listener.
    ///
    /// Any text will do. Line breaks of all three kinds (LF, CR, CRLF) arrive as LF.
    pub fn new(data: impl AsRef<str>) -> Self {
        Event::default().data(data)
    }

    /// The same event with these lines of data, after any others.
    pub fn data(mut self, data: impl AsRef<str>) -> Self {
        let data = data.as_ref();
        self.lines.reserve(data.len() + 32);
        for line in lines(data) {
            self.put("data", line);
        }
        self
    }

    /// An event with `value` as JSON for data.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use rws::app::sse::Event;
    ///
    /// let event = Event::json(&["a\nb"])?;
    /// assert_eq!(Bytes::from(event), "data: [\"a\\nb\"]\n\n");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `value` cannot be written as JSON.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Event::new)
    }

    /// The same event for the listeners of `name`, in place of `message`.
    ///
    /// # Errors
    /// [`InvalidEvent::LineBreak`] for a name with a line break.
    pub fn event(mut self, name: impl AsRef<str>) -> Result<Self, InvalidEvent> {
        self.put("event", one_line("event", name.as_ref())?);
        Ok(self)
    }

    /// The same event with an id: a client that connects again says the last one it has seen, see
    /// [`LastEventId`](super::LastEventId). An empty one makes it forget.
    ///
    /// # Errors
    /// [`InvalidEvent`] for an id with a line break or U+0000.
    pub fn id(mut self, id: impl fmt::Display) -> Result<Self, InvalidEvent> {
        let id = id.to_string();
        if id.contains('\0') {
            return Err(InvalidEvent::Nul);
        }
        self.put("id", one_line("id", &id)?);
        Ok(self)
    }

    /// The same event telling the client how long to wait before it connects again, in whole milliseconds.
    pub fn retry(mut self, time: Duration) -> Self {
        // Writing into a String cannot fail.
        let _ = writeln!(self.lines, "retry: {}", time.as_millis());
        self
    }

    /// The id it has, if it has one.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.lines.lines().rev().find_map(|line| line.strip_prefix("id: "))
    }

    fn put(&mut self, field: &str, value: &str) {
        for piece in [field, ": ", value, "\n"] {
            self.lines.push_str(piece);
        }
    }
}

/// As it is sent.
impl From<Event> for Bytes {
    fn from(event: Event) -> Self {
        let mut text = event.lines;
        text.push('\n');
        text.into()
    }
}

/// A comment as it is sent, of as many lines as the text.
pub(super) fn comment(text: &str) -> String {
    let mut all = lines(text).fold(String::new(), |all, line| all + ": " + line + "\n");
    all.push('\n');
    all
}

/// The lines of a text; at least one, and an empty one after a last line break.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr2(b'\n', b'\r', text.as_bytes());
        let after = end.map(|end| &text[end..]);
        rest = after.map(|after| after.strip_prefix("\r\n").unwrap_or(&after[1..]));
        Some(&text[..end.unwrap_or(text.len())])
    })
}

fn one_line<'v>(field: &'static str, value: &'v str) -> Result<&'v str, InvalidEvent> {
    if value.contains(['\n', '\r']) { Err(InvalidEvent::LineBreak(field)) } else { Ok(value) }
}

impl fmt::Display for InvalidEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidEvent::LineBreak(field) => write!(f, "the field {field} of an event cannot have a line break"),
            InvalidEvent::Nul => f.write_str("the id of an event cannot have U+0000"),
        }
    }
}

impl std::error::Error for InvalidEvent {}

/// Nothing that a client could do better: a 500.
impl From<InvalidEvent> for Problem {
    fn from(error: InvalidEvent) -> Self {
        Problem::internal(error)
    }
}
