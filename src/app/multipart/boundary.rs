//! The boundary a `Content-Type` announces.

use http::StatusCode;

use crate::app::problem::Problem;

/// The boundary of a form with files, or the answer to another type: 415, or 400 if only the boundary is wrong.
pub(super) fn of(content_type: &str) -> Result<String, Problem> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("multipart/form-data") {
        let detail = "the request body must be multipart/form-data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail(detail));
    }
    let boundary = multer::parse_boundary(content_type).ok().filter(|boundary| (1..=LONGEST).contains(&boundary.len()));
    let detail = "the Content-Type has no boundary of 1 to 70 characters";
    boundary.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST).with_detail(detail))
}

/// RFC 2046 section 5.1.1.
const LONGEST: usize = 70;
