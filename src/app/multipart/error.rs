//! What can be wrong with a form, and how that is answered.

use std::path::Path;
use std::{fmt, io};

use http::StatusCode;

use crate::app::body::BodyError;
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::response::Response;

/// Why a form could not be read or stored. As the error of a handler it answers with a [`Problem`] that names the field;
/// [`Problem`] itself, as the error of a handler, takes it with `?` too.
///
/// ```
/// use rws::app::{IntoResponse, MultipartError};
///
/// let error = MultipartError::TooLarge { field: "photo".to_owned(), limit: 1 << 20 };
/// assert_eq!(error.into_response().status(), 413);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum MultipartError {
    /// It is not a form as RFC 7578 has it: 400.
    Malformed(String),
    /// The field's content is not what the handler needs: 422, 400 for text that is no text, or 415 for what is encoded.
    Invalid {
        /// The status.
        status: StatusCode,
        /// The name of the field.
        field: String,
        /// What is wrong.
        detail: String,
    },
    /// The field is longer than it may be: 413.
    TooLarge {
        /// The name of the field.
        field: String,
        /// The most bytes it may have.
        limit: u64,
    },
    /// There are more fields than there may be: 413.
    TooManyFields {
        /// How many there may be.
        limit: usize,
    },
    /// The body could not be read: 413, 408 or 400.
    Body(BodyError),
    /// What was read could not be stored: 500, and the reason goes to the log.
    Io(io::Error),
}

impl MultipartError {
    pub(super) fn malformed(reason: impl fmt::Display) -> Self {
        MultipartError::Malformed(format!("the form is malformed: {reason}"))
    }

    /// What could not be done with a file, for the log.
    pub(super) fn of_path(path: &Path, error: &io::Error) -> Self {
        MultipartError::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// A body that cannot be read.
    pub(super) fn unreadable(error: io::Error) -> Self {
        BodyError::of(&error).map_or(MultipartError::Io(error), MultipartError::Body)
    }

    /// The status that answers it.
    pub fn status(&self) -> StatusCode {
        match self {
            MultipartError::Malformed(_) => StatusCode::BAD_REQUEST,
            MultipartError::Invalid { status, .. } => *status,
            MultipartError::TooLarge { .. } | MultipartError::TooManyFields { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            MultipartError::Body(reason) => reason.status(),
            MultipartError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            MultipartError::Invalid { field, .. } | MultipartError::TooLarge { field, .. } => Some(field),
            _ => None,
        }
    }
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MultipartError::Malformed(detail) => f.write_str(detail),
            MultipartError::Invalid { field, detail, .. } => write!(f, "the field `{field}` {detail}"),
            MultipartError::TooLarge { field, limit } => write!(f, "the field `{field}` has more than {limit} bytes"),
            MultipartError::TooManyFields { limit } => write!(f, "the form has more than {limit} fields"),
            MultipartError::Body(reason) => reason.fmt(f),
            MultipartError::Io(error) => write!(f, "cannot store what was sent: {error}"),
        }
    }
}

impl std::error::Error for MultipartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MultipartError::Body(reason) => Some(reason),
            MultipartError::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        if let MultipartError::Io(_) = error {
            return Problem::internal(error);
        }
        let problem = Problem::new(error.status()).with_detail(error.to_string());
        match error.field() {
            Some(field) => problem.with_field(field, error.reason()),
            None => problem,
        }
    }
}

impl MultipartError {
    /// What is wrong, for where the field is named anyway.
    fn reason(&self) -> String {
        match self {
            MultipartError::Invalid { detail, .. } => detail.clone(),
            MultipartError::TooLarge { limit, .. } => format!("has more than {limit} bytes"),
            other => other.to_string(),
        }
    }
}

impl IntoResponse for MultipartError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// In words for whoever wrote the client.
impl From<multer::Error> for MultipartError {
    fn from(error: multer::Error) -> Self {
        let boundary = "it ends before its last boundary, or that is not the one of the Content-Type";
        match error {
            multer::Error::IncompleteStream => MultipartError::malformed(boundary),
            multer::Error::IncompleteFieldData { field_name: Some(name) } => {
                MultipartError::malformed(format_args!("it ends within the field `{name}`"))
            }
            multer::Error::ReadHeaderFailed(cause) => {
                MultipartError::malformed(format_args!("the header of a field cannot be read: {cause}"))
            }
            other => MultipartError::malformed(other),
        }
    }
}

/// Errors that came out of a [`Field`](super::Field)'s `Read` are themselves again, others are of storing.
impl From<io::Error> for MultipartError {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(MultipartError::Io)
    }
}

/// For a [`Field`](super::Field)'s `Read`.
impl From<MultipartError> for io::Error {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}
