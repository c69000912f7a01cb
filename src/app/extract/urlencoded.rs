//! `application/x-www-form-urlencoded`, as it stands in queries and forms.

mod decode;

use http::StatusCode;
use serde::de::DeserializeOwned;

use self::decode::Pairs;
use crate::app::problem::Problem;

/// Reads a `T`, or says with `status` which member of `what` is wrong.
///
/// As the URL standard has it, invalid escapes stand for themselves and invalid UTF-8 becomes U+FFFD.
pub(super) fn decode<T: DeserializeOwned>(input: &[u8], what: &str, status: StatusCode) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Pairs::parse(input)).map_err(|error| {
        let reason = error.inner().to_string();
        // Errors of the whole, a missing member among them, have no path.
        let field = match error.path().iter().next() {
            None => return whole(&reason, what, status),
            Some(_) => error.path().to_string(),
        };
        Problem::new(status).with_detail(format!("{what}: `{field}`: {reason}")).with_field(field, reason)
    })
}

/// An error of the whole. Those that serde has about a single member begin with its name.
fn whole(reason: &str, what: &str, status: StatusCode) -> Problem {
    let problem = Problem::new(status).with_detail(format!("{what}: {reason}"));
    let about = ["missing field `", "duplicate field `", "unknown field `"];
    let name = about.iter().find_map(|about| reason.strip_prefix(about)?.split('`').next());
    match name {
        Some(name) => problem.with_field(name, reason),
        None => problem.with_unplaced(reason),
    }
}
