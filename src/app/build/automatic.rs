//! The answers nobody wrote a handler for: 404, 405 and OPTIONS.

use std::sync::Arc;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};

use crate::app::context::Context;
use crate::app::handler::Erased;
use crate::app::request::Request;
use crate::app::response::Response;

/// 404 for what matches no route.
pub(super) struct NotFound;

impl Erased for NotFound {
    fn call(&self, _: Request, _: &Context) -> Response {
        problem(StatusCode::NOT_FOUND, r#"{"type":"about:blank","title":"Not Found","status":404}"#)
    }
}

/// 204 for OPTIONS and 405 for all other methods, with `Allow` (RFC 9110 sections 9.3.7 and 15.5.6).
pub(super) struct OtherMethods {
    allow: HeaderValue,
    /// What answers in the place of a 405 without words.
    handler: Option<Arc<dyn Erased>>,
}

impl OtherMethods {
    pub(super) fn new(allow: HeaderValue) -> Self {
        OtherMethods { allow, handler: None }
    }

    pub(super) fn or(self, handler: Option<Arc<dyn Erased>>) -> Self {
        OtherMethods { handler, ..self }
    }

    fn not_allowed(&self, request: Request, context: &Context) -> Response {
        let Some(handler) = &self.handler else {
            let body = r#"{"type":"about:blank","title":"Method Not Allowed","status":405}"#;
            return problem(StatusCode::METHOD_NOT_ALLOWED, body);
        };
        let mut response = handler.call(request, context);
        if response.status() == StatusCode::OK {
            response.set_status(StatusCode::METHOD_NOT_ALLOWED);
        }
        response
    }
}

impl Erased for OtherMethods {
    fn call(&self, request: Request, context: &Context) -> Response {
        let mut response = match *request.method() {
            Method::OPTIONS => Response::new(StatusCode::NO_CONTENT),
            _ => self.not_allowed(request, context),
        };
        response.headers_mut().insert(ALLOW, self.allow.clone());
        response
    }
}

/// What `Problem` would make of the status, without allocating: these answer scanners all day.
fn problem(status: StatusCode, body: &'static str) -> Response {
    Response::new(status)
        .with_header(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))
        .with_body(body)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::body::Body;
    use crate::app::into_response::IntoResponse;
    use crate::app::problem::Problem;

    #[test]
    fn the_fixed_bodies_are_what_problem_makes() {
        let context = Context::new("".into(), [].into(), Arc::default());
        let request = || Request::new(Arc::default(), Default::default(), Body::empty());
        for mut fixed in [
            NotFound.call(request(), &context),
            OtherMethods::new(HeaderValue::from_static("")).call(request(), &context),
        ] {
            let mut made = Problem::new(fixed.status()).into_response();
            let bytes = |response: &mut Response| std::mem::take(response.body_mut()).into_bytes().unwrap();
            assert_eq!(bytes(&mut fixed), bytes(&mut made));
            assert_eq!(fixed.headers().get(&CONTENT_TYPE), made.headers().get(&CONTENT_TYPE));
        }
    }
}
