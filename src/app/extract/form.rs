//! Forms.

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{
    FromRequest, FromRequestParts, Query, ViaRequest, check_charset, media_type, unsupported, urlencoded, whole_body,
};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::service::BodyUse;

/// A form as a `T`: the body of type `application/x-www-form-urlencoded`, or the query if the method is GET or HEAD,
/// as browsers send it.
///
/// 415 for other types and for another charset than UTF-8, 422 for fields that do not fit, naming the first of them. Fields
/// that come several times are as in a [`Query`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form<T>(pub T);

const FORM: &str = "application/x-www-form-urlencoded";

impl<T: DeserializeOwned> FromRequest<ViaRequest> for Form<T> {
    type Rejection = Problem;

    const BODY: BodyUse = BodyUse::Whole;

    fn from_request(mut request: Request, context: &Context) -> Result<Self, Problem> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Query::from_request_parts(&mut request, context).map(|Query(form)| Form(form));
        }
        if media_type(&request) != FORM {
            return Err(unsupported(FORM));
        }
        check_charset(&request)?;
        let body = whole_body(request.into_body())?;
        urlencoded::decode(&body, "the form", StatusCode::UNPROCESSABLE_ENTITY).map(Form)
    }
}
