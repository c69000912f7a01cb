//! Method routes: which handler answers which method of one path, and how it wants to be run.

use std::any::type_name;
use std::sync::Arc;

use http::Method;

use super::context::Context;
use super::handler::{Erased, Handler, Typed};
use super::middleware::{Layers, Middleware};
use super::service::{BodyUse, EndpointKind, Placement};

/// The handlers of one path, by method.
///
/// Made by [`get`], [`post`] and so on, and extended with methods of the same names. The options count for all its handlers,
/// whether they were added before or after; to treat one method differently, give the same pattern to
/// [`Router::route`](super::router::Router::route) a second time.
///
/// What has no handler is answered: HEAD as GET without the body, OPTIONS with 204 and `Allow`, other methods with 405 and `Allow`.
///
/// ```
/// use rws::app::{App, Path, TestClient, get, put};
///
/// fn show(Path(id): Path<u32>) -> String {
///     format!("item {id}")
/// }
/// fn replace(Path(_): Path<u32>, body: String) -> String {
///     body
/// }
///
/// let app = App::new()
///     .route("/items/{id}", get(show))
///     .route("/items/{id}", put(replace).blocking().body_limit(1 << 20));
/// let client = TestClient::new(app)?;
/// assert_eq!(client.delete("/items/7").send().header("allow"), Some("GET, HEAD, OPTIONS, PUT"));
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[must_use]
#[derive(Default)]
pub struct MethodRouter {
    pub(super) handlers: Vec<MethodHandler>,
    pub(super) layers: Layers,
    pub(super) placement: Placement,
    pub(super) max_body_bytes: Option<u64>,
    pub(super) kind: EndpointKind,
    pub(super) label: Option<Arc<str>>,
}

/// A handler and what is known of its type.
pub(super) struct MethodHandler {
    /// `None` for all methods that have no handler of their own.
    pub(super) method: Option<Method>,
    pub(super) handler: Box<dyn Erased>,
    pub(super) name: &'static str,
    pub(super) body: BodyUse,
    pub(super) check: fn(&Context) -> Vec<String>,
}

/// The functions that start a method route and the methods that extend it.
macro_rules! methods {
    ($($name:ident $method:ident $text:literal)*) => {
        $(
            #[doc = concat!("A method route whose ", $text, " requests are answered by `handler`.")]
            pub fn $name<H: Handler<M>, M: 'static>(handler: H) -> MethodRouter {
                MethodRouter::default().$name(handler)
            }
        )*

        impl MethodRouter {
            $(
                #[doc = concat!("Answers ", $text, " with `handler`.")]
                pub fn $name<H: Handler<M>, M: 'static>(self, handler: H) -> Self {
                    self.on(Method::$method, handler)
                }
            )*
        }
    };
}

methods! {
    get GET "GET and HEAD"
    post POST "POST"
    put PUT "PUT"
    delete DELETE "DELETE"
    patch PATCH "PATCH"
    head HEAD "HEAD"
    options OPTIONS "OPTIONS"
}

/// A method route whose requests are all answered by `handler`, whatever their method.
pub fn any<H: Handler<M>, M: 'static>(handler: H) -> MethodRouter {
    MethodRouter::default().any(handler)
}

/// A method route whose requests with `method` are answered by `handler`.
pub fn on<H: Handler<M>, M: 'static>(method: Method, handler: H) -> MethodRouter {
    MethodRouter::default().on(method, handler)
}

impl MethodRouter {
    /// Answers `method` with `handler`.
    pub fn on<H: Handler<M>, M: 'static>(self, method: Method, handler: H) -> Self {
        self.with(Some(method), handler)
    }

    /// Answers all methods with `handler` that have no handler of their own.
    pub fn any<H: Handler<M>, M: 'static>(self, handler: H) -> Self {
        self.with(None, handler)
    }

    /// Puts a middleware around the handlers and around the 405 and OPTIONS answers of this path.
    /// The first one added is the outermost; those of the router and the application are further out.
    pub fn layer(mut self, middleware: impl Middleware) -> Self {
        self.layers.push(Arc::new(middleware));
        self
    }

    /// Runs the handlers on a worker from the start. For handlers that always wait for something; without it the
    /// server finds out by itself.
    pub fn blocking(mut self) -> Self {
        self.placement = Placement::Blocking;
        self
    }

    /// Keeps the handlers on the reactor, even if they were slow at times.
    pub fn inline(mut self) -> Self {
        self.placement = Placement::Inline;
        self
    }

    /// Allows request bodies of at most `bytes`, in place of the limit of the router, the application or the server; longer
    /// ones are 413. See [`Router::body_limit`](super::Router::body_limit), which has the rules.
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.max_body_bytes = Some(bytes);
        self
    }

    /// Marks what kind of traffic this is. Probes and metrics stand outside of the middleware of application and
    /// router, and share their paths with no other routes.
    pub fn kind(mut self, kind: EndpointKind) -> Self {
        self.kind = kind;
        self
    }

    /// The name in metrics and logs, in place of the pattern.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    fn with<H: Handler<M>, M: 'static>(mut self, method: Option<Method>, handler: H) -> Self {
        self.handlers.push(MethodHandler {
            method,
            handler: Box::new(Typed::new(handler)),
            name: type_name::<H>(),
            body: H::BODY,
            check: H::check,
        });
        self
    }
}

impl std::fmt::Debug for MethodRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.handlers.iter().map(|handler| (&handler.method, handler.name))).finish()
    }
}
