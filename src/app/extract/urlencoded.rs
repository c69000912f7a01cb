//! `application/x-www-form-urlencoded`, as it stands in queries and forms.

use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::app::problem::Problem;

/// Reads a `T`, or says with `status` which member of `what` is wrong.
///
/// As the URL standard has it, invalid escapes stand for themselves and invalid UTF-8 becomes U+FFFD.
pub(super) fn decode<T: DeserializeOwned>(input: &[u8], what: &str, status: StatusCode) -> Result<T, Problem> {
    let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(input));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let reason = error.inner().to_string();
        let problem = Problem::new(status);
        // Errors of the whole, a missing field among them, have no path.
        match error.path().iter().next() {
            None => problem.with_detail(format!("{what}: {reason}")).with_unplaced(reason),
            Some(_) => {
                let field = error.path().to_string();
                problem.with_detail(format!("{what}: `{field}`: {reason}")).with_field(field, reason)
            }
        }
    })
}
