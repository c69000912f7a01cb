//! The router as users write it down: patterns, method routes, nesting and fallbacks. Nothing is decided here;
//! [`App::build`](super::application::App::build) finds the mistakes.

use std::panic::Location;
use std::sync::Arc;

use super::handler::Handler;
use super::method::{MethodRouter, any};
use super::middleware::{Layers, Middleware};
use super::route_info::RouteInfo;
use super::service::EndpointKind;

/// Routes by path.
///
/// # Patterns
///
/// A pattern starts with `/`. `{id}` stands for one segment or a part of one (`/img-{id}.png`), `{*rest}` for everything
/// to the end of the path, at least one character; `{{` and `}}` are braces. Where several patterns match, fixed text goes before
/// a parameter. Two patterns that cannot be told apart are an error, `/{a}` and `/{*b}` as well.
///
/// Paths are compared as they are received: percent-encoded, without normalising dots or slashes. `/users/` is not `/users`
/// and `/a//b` is not `/a/b`. Characters that a path cannot contain must be written percent-encoded in a pattern.
///
/// # Mistakes
///
/// Nothing here panics. Conflicts, doubled handlers and bad patterns are collected and reported together by
/// [`App::build`](super::application::App::build), with the place in the source of both routes.
#[must_use]
#[derive(Debug, Default)]
pub struct Router {
    pub(super) routes: Vec<Route>,
    pub(super) fallbacks: Vec<Route>,
    pub(super) layers: Layers,
    pub(super) max_body_bytes: Option<u64>,
}

/// A method route and where it hangs.
#[derive(Debug)]
pub(super) struct Route {
    /// The pattern, or the prefix of a fallback.
    pub(super) pattern: String,
    pub(super) methods: MethodRouter,
    /// Middleware of the routers it was nested from, the outermost first.
    pub(super) layers: Layers,
    pub(super) at: &'static Location<'static>,
    /// The host it is for, if not for all.
    pub(super) host: Option<Arc<str>>,
}

impl Router {
    /// A router without routes.
    pub fn new() -> Self {
        Router::default()
    }

    /// Answers requests for paths like `pattern` with `methods`. The same pattern may come again with other methods.
    #[track_caller]
    pub fn route(mut self, pattern: impl Into<String>, methods: MethodRouter) -> Self {
        self.routes.push(Route::new(pattern.into(), methods));
        self
    }

    /// The same, with a kind: for parts like probes and metrics that are not the application's own traffic.
    #[track_caller]
    pub fn mount(self, pattern: impl Into<String>, methods: MethodRouter, kind: EndpointKind) -> Self {
        self.route(pattern, methods.kind(kind))
    }

    /// Takes over the routes of another router under a prefix, which may have parameters.
    ///
    /// Its `/` becomes the prefix itself. Its middleware and its fallback count for what is under the prefix. The path
    /// that its handlers see is the whole path.
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        let (routes, fallbacks) = router.into_parts();
        self.routes.extend(routes.map(|route| Route { pattern: join(prefix, &route.pattern), ..route }));
        let prefix = prefix.trim_end_matches('/');
        self.fallbacks.extend(fallbacks.map(|route| Route { pattern: format!("{prefix}{}", route.pattern), ..route }));
        self
    }

    /// The same router, for messages: its routes say which host they are for.
    pub(super) fn on_host(mut self, host: &str) -> Self {
        let host = Arc::from(host);
        for route in self.routes.iter_mut().chain(&mut self.fallbacks) {
            route.host = Some(Arc::clone(&host));
        }
        self
    }

    /// Takes over the routes of another router as they are. Its middleware and its limit go on counting for them only.
    pub fn merge(mut self, router: Router) -> Self {
        let (routes, fallbacks) = router.into_parts();
        self.routes.extend(routes);
        self.fallbacks.extend(fallbacks);
        self
    }

    /// Answers with `handler` what no route of this router matches, in place of 404. In a nested router: what is under its prefix.
    #[track_caller]
    pub fn fallback<H: Handler<M>, M: 'static>(self, handler: H) -> Self {
        self.fallback_route(any(handler))
    }

    /// The same with a method route, for its options; other methods than it has get a 405.
    #[track_caller]
    pub fn fallback_route(mut self, methods: MethodRouter) -> Self {
        self.fallbacks.push(Route::new(String::new(), methods));
        self
    }

    /// Puts a middleware around all routes of this router, whether they were added before or after, and around their
    /// 405 and OPTIONS answers.
    ///
    /// A request passes middleware in the order in which it is written: the first one added is the outermost.
    /// (In axum it is the last one, and routes that are added later are left out.)
    pub fn layer(mut self, middleware: impl Middleware) -> Self {
        self.layers.push(Arc::new(middleware));
        self
    }

    /// Allows the request bodies of all routes and fallbacks of this router at most `bytes`, whether they were added before
    /// or after, except where a route or a router within says something else. Of limits written twice the last counts.
    ///
    /// The closest limit counts alone: that of the route ([`MethodRouter::body_limit`]), else that of the innermost router
    /// that has one, else the application's ([`App::body_limit`](super::App::body_limit)), else the server's,
    /// RWS_CONFIG_MAX_BODY_SIZE_IN_BYTES (2 MiB). So it may lower or raise what is around it.
    ///
    /// The server refuses with 413 (RFC 9110 section 15.5.14) before it reads: a body whose `Content-Length` is over the limit
    /// before the client is told to continue, one that comes in chunks as soon as it is. A handler that reads a stream gets
    /// [`BodyError::TooLarge`](super::BodyError::TooLarge) in that case. [`u64::MAX`] is no limit, 0 lets no body in.
    ///
    /// ```
    /// use rws::app::{App, Body, Problem, Router, TestClient, post};
    ///
    /// fn size(mut body: Body) -> Result<String, Problem> {
    ///     Ok(std::io::copy(&mut body, &mut std::io::sink())?.to_string())
    /// }
    ///
    /// let uploads = Router::new()
    ///     .route("/video", post(size).body_limit(5 << 30))
    ///     .route("/photo", post(size))
    ///     .body_limit(20 << 20);
    /// let app = App::new().route("/note", post(size)).nest("/uploads", uploads).body_limit(1 << 20);
    ///
    /// let client = TestClient::new(app)?;
    /// let send = |path: &str| client.post(path).body(vec![0; 3 << 20]).send().status();
    /// assert_eq!(send("/note"), 413);
    /// assert_eq!(send("/uploads/photo"), 200);
    /// assert_eq!(send("/uploads/video"), 200);
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.max_body_bytes = Some(bytes);
        self
    }

    /// Its routes and fallbacks, with what counts for all of them around each.
    fn into_parts(self) -> (impl Iterator<Item = Route>, impl Iterator<Item = Route>) {
        let Router { routes, fallbacks, layers, max_body_bytes } = self;
        let inside = move |route: Route| route.inside(&layers, max_body_bytes);
        (routes.into_iter().map(inside.clone()), fallbacks.into_iter().map(inside))
    }
}

impl Route {
    #[track_caller]
    pub(super) fn new(pattern: String, methods: MethodRouter) -> Self {
        Route { pattern, methods, layers: Layers::default(), at: Location::caller(), host: None }
    }

    /// What messages call it if it is for all paths.
    pub(super) fn info_anywhere(&self) -> RouteInfo {
        RouteInfo::of_all(self, "/…")
    }

    /// The route with more middleware around it, and with this limit if it has none.
    fn inside(mut self, outer: &Layers, max_body_bytes: Option<u64>) -> Self {
        self.layers.splice(..0, outer.iter().cloned());
        self.limit(max_body_bytes);
        self
    }

    /// Gives it a limit if it has none and is the application's own traffic.
    pub(super) fn limit(&mut self, max_body_bytes: Option<u64>) {
        if self.methods.kind == EndpointKind::Route {
            self.methods.max_body_bytes = self.methods.max_body_bytes.or(max_body_bytes);
        }
    }
}

/// `pattern` under `prefix`.
fn join(prefix: &str, pattern: &str) -> String {
    match (prefix, pattern) {
        ("", pattern) => pattern.to_owned(),
        (prefix, "/") => prefix.to_owned(),
        (prefix, pattern) => format!("{}{pattern}", prefix.trim_end_matches('/')),
    }
}
