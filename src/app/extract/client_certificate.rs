//! Who the client is, as its certificate says.

use std::convert::Infallible;

use http::StatusCode;

use super::{FromRequestParts, OptionalFromRequestParts};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::semantics::client_certificate::ClientCertificate;

impl FromRequestParts for ClientCertificate {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        request.client_certificate().cloned().ok_or_else(|| {
            Problem::new(StatusCode::FORBIDDEN).with_detail("this needs a client certificate, and none was presented")
        })
    }
}

impl OptionalFromRequestParts for ClientCertificate {
    type Rejection = Infallible;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Infallible> {
        Ok(request.client_certificate().cloned())
    }
}
