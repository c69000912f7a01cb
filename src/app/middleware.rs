//! Middleware: functions around handlers, `fn(Request, Next) -> Response`.

use std::sync::Arc;

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
///         return Err(http::StatusCode::UNAUTHORIZED.into());
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
    handler: &'a dyn Erased,
    context: &'a Context,
}

impl<'a> Next<'a> {
    pub(super) fn new(layers: &'a [Arc<dyn Middleware>], handler: &'a dyn Erased, context: &'a Context) -> Self {
        Next { layers, handler, context }
    }

    /// Does it.
    pub fn run(self, request: Request) -> Response {
        match self.layers.split_first() {
            Some((first, layers)) => first.handle(request, Next { layers, ..self }),
            None => self.handler.call(request, self.context),
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
