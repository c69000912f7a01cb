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
        let under = |route: Route| Route { pattern: join(prefix, &route.pattern), ..route.inside(&router.layers) };
        self.routes.extend(router.routes.into_iter().map(under));
        let under = |route: Route| Route {
            pattern: format!("{}{}", prefix.trim_end_matches('/'), route.pattern),
            ..route.inside(&router.layers)
        };
        self.fallbacks.extend(router.fallbacks.into_iter().map(under));
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

    /// Takes over the routes of another router as they are. Its middleware goes on counting for them only.
    pub fn merge(mut self, router: Router) -> Self {
        self.routes.extend(router.routes.into_iter().map(|route| route.inside(&router.layers)));
        self.fallbacks.extend(router.fallbacks.into_iter().map(|route| route.inside(&router.layers)));
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

    /// The route with more middleware around it.
    fn inside(mut self, outer: &Layers) -> Self {
        self.layers.splice(..0, outer.iter().cloned());
        self
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
