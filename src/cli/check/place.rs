//! Where something stands in the input. Knows lines and columns, not what is written there.

use saphyr_parser::{Marker, Span};

/// A part of one input, from its first character to the one after its last. Lines and columns count from 1, columns in
/// characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the input.
    pub(super) input: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) end_line: usize,
    pub(super) end_column: usize,
}

impl Place {
    pub(super) fn new(input: usize, span: Span) -> Self {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let (end_line, end_column) = (span.end.line(), span.end.col() + 1);
        Place { input, line, column, end_line, end_column }
    }

    pub(super) fn at(input: usize, mark: Marker) -> Self {
        Place::new(input, Span::empty(mark))
    }

    /// From the beginning of this place to the end of `last`.
    pub(super) fn to(self, last: Place) -> Self {
        Place { end_line: last.end_line, end_column: last.end_column, ..self }
    }

    pub(super) fn contains(&self, other: &Place) -> bool {
        let (start, end) = ((self.line, self.column), (self.end_line, self.end_column));
        let inner = (other.line, other.column);
        self.input == other.input && start <= inner && inner <= end
    }
}
