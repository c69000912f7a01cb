//! Middleware: functions around handlers, `fn(Request, Next) -> Response`.
//!
//! It stands around an application, a router or a route, with a method `layer` of [`App`](super::App::layer),
//! [`Router`](super::Router::layer) and [`MethodRouter`](super::MethodRouter::layer). A request passes the application's
//! first, then that of the routers from the outside in, then the route's; within each the first one added is the outermost.
//!
//! Ids of requests need none: the server gives each one, takes over a well-formed `X-Request-Id`, echoes and logs it, before
//! any middleware runs. [`Request::id`](super::Request::id) and the extractor [`RequestId`](super::RequestId) tell it.

#[cfg(feature = "auth")]
mod auth;
mod body_limit;
mod cache_control;
mod compression;
mod concurrency_limit;
mod cors;
mod function;
mod rate_limit;
mod security_headers;
mod stack;
mod timeout;
mod vary;

use std::sync::Arc;

#[cfg(feature = "auth")]
pub use self::auth::{AuthError, AuthenticatedUser, BasicAuth, BearerAuth, EitherAuth, Secret, Token, User, Users};
pub use self::body_limit::BodyLimit;
pub use self::cache_control::{CacheControl, CacheControlError};
pub use self::compression::{Coding, Compression, CompressionError};
pub use self::concurrency_limit::ConcurrencyLimit;
pub use self::cors::{Cors, CorsBuilder, CorsError, CorsErrors};
pub use self::function::{from_fn, map_request, map_response};
pub use self::rate_limit::{RateLimit, RateLimitError};
pub use self::security_headers::SecurityHeaders;
pub use self::stack::Stack;
pub use self::timeout::{Deadline, Timeout};
use super::context::Context;
use super::handler::Erased;
use super::into_response::IntoResponse;
use super::request::Request;
use super::response::Response;

/// Something that stands around handlers: it may change the request, answer in the handler's place, or change the response.
///
/// Implemented for every `Fn(Request, Next<'_>) -> impl IntoResponse`; a type of its own can implement it too.
/// It is called on the thread that runs the handler and may block as the handler may. It sees a request body only where
/// the handler takes one, since the server discards the bodies that nobody asks for.
///
/// ```
/// use rws::app::{App, Next, Problem, Request, Response, TestClient, get};
///
/// fn members_only(request: Request, next: Next<'_>) -> Result<Response, Problem> {
///     if request.head().field("authorization").is_none() {
///         return Err(rws::StatusCode::UNAUTHORIZED.into());
///     }
///     Ok(next.run(request))
/// }
///
/// let app = App::new().route("/", get(|| "hello")).layer(members_only);
/// let client = TestClient::new(app)?;
/// assert_eq!(client.get("/").send().status(), 401);
/// assert_eq!(client.get("/").header("authorization", "Basic Og==").send().text(), "hello");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware",
    label = "expected a plain function `fn(Request, Next<'_>) -> impl IntoResponse`",
    note = "a closure needs its types written out: `|request: Request, next: Next<'_>| next.run(request)`",
    note = "middleware is blocking code: an `async fn` does not fit"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Answers the request, mostly by way of `next`.
    fn handle(&self, request: Request, next: Next<'_>) -> Response;
}

impl<F, R> Middleware for F
where
    F: Fn(Request, Next<'_>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        self(request, next).into_response()
    }
}

/// Middleware as it is kept; the first of a list is the outermost.
pub(super) type Layers = Vec<Arc<dyn Middleware>>;

/// What is left to be done for a request: more middleware, and the handler.
pub struct Next<'a> {
    layers: &'a [Arc<dyn Middleware>],
    /// What follows the layers, if that is not the handler.
    then: Option<&'a Next<'a>>,
    handler: &'a dyn Erased,
    context: &'a Context,
}

impl<'a> Next<'a> {
    pub(super) fn new(layers: &'a [Arc<dyn Middleware>], handler: &'a dyn Erased, context: &'a Context) -> Self {
        Next { layers, then: None, handler, context }
    }

    /// The same, with more middleware before it.
    fn behind<'b>(&'b self, layers: &'b [Arc<dyn Middleware>]) -> Next<'b> {
        Next { layers, then: Some(self), handler: self.handler, context: self.context }
    }

    /// Does it.
    pub fn run(self, request: Request) -> Response {
        match (self.layers.split_first(), self.then) {
            (Some((first, layers)), _) => first.handle(request, Next { layers, ..self }),
            (None, Some(then)) => Next { ..*then }.run(request),
            (None, None) => self.handler.call(request, self.context),
        }
    }

    /// The route that was taken and the states of the application.
    pub fn context(&self) -> &'a Context {
        self.context
    }
}

impl std::fmt::Debug for dyn Middleware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Middleware")
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Next").field("route", &self.context.route()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{App, Path, Problem, State, TestClient, get};

    /// Middleware with data of its own.
    struct Stamp(&'static str);

    impl Middleware for Stamp {
        fn handle(&self, request: Request, next: Next<'_>) -> Response {
            let route = next.context().route().to_owned();
            let id = next.context().param(&request, "id").unwrap_or("-").to_owned();
            let bonus = next.context().state::<u32>().copied().unwrap_or_default();
            let inner = next.run(request);
            inner.with_body(format!("{} {route} {id} {bonus}", self.0))
        }
    }

    #[test]
    fn a_type_can_be_middleware_and_sees_route_parameters_and_states() {
        let handler = |Path(_): Path<u8>, State(_): State<u32>| "";
        let app = App::new().route("/x/{id}", get(handler).layer(Stamp("abc"))).state(7u32);
        let client = TestClient::new(app).expect("the routes are right");
        assert_eq!(client.get("/x/5").send().text(), "abc /x/{id} 5 7");
    }

    #[test]
    fn middleware_may_answer_in_place_of_the_handler_and_return_errors() {
        fn refuse(request: Request, next: Next<'_>) -> Result<Response, Problem> {
            match request.head().query() {
                Some("refuse") => Err(http::StatusCode::FORBIDDEN.into()),
                _ => Ok(next.run(request)),
            }
        }
        let app = App::new()
            .route("/", get(|| "in"))
            .layer(|request: Request, next: Next<'_>| next.run(request))
            .layer(refuse);
        let client = TestClient::new(app).expect("the routes are right");
        assert_eq!(client.get("/").send().text(), "in");
        assert_eq!(client.get("/?refuse").send().status(), 403);
    }
}
