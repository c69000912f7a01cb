//! Bodies as bytes, as text and as a stream.

use std::convert::Infallible;

use bytes::Bytes;
use http::StatusCode;

use super::{FromRequest, ViaRequest, check_charset, whole_body};
use crate::app::body::Body;
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::service::BodyUse;

/// The body, to be read with [`std::io::Read`].
impl FromRequest<ViaRequest> for Body {
    type Rejection = Infallible;

    const BODY: BodyUse = BodyUse::Stream;

    fn from_request(request: Request, _: &Context) -> Result<Self, Infallible> {
        Ok(request.into_body())
    }
}

/// The whole body.
impl FromRequest<ViaRequest> for Bytes {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(request: Request, _: &Context) -> Result<Self, Problem> {
        whole_body(request.into_body())
    }
}

/// The whole body.
impl FromRequest<ViaRequest> for Vec<u8> {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(request: Request, _: &Context) -> Result<Self, Problem> {
        whole_body(request.into_body()).map(Vec::from)
    }
}

/// The whole body, which must be UTF-8; 400 otherwise, and 415 if its type names another charset.
impl FromRequest<ViaRequest> for String {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(request: Request, _: &Context) -> Result<Self, Problem> {
        check_charset(&request)?;
        String::from_utf8(whole_body(request.into_body())?.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(StatusCode::BAD_REQUEST)
                .with_detail(format!("the request body is not UTF-8 from byte {at} on"))
        })
    }
}
