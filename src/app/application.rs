//! The application: a router, states, and what turns them into a service.

use std::any::type_name;
use std::panic::Location;
use std::sync::Arc;

use super::build::{self, BuiltApp};
use super::context::States;
use super::error::{BuildError, BuildErrors};
use super::handler::Handler;
use super::method::MethodRouter;
use super::middleware::Middleware;
use super::parts::Parts;
use super::router::Router;
use super::service::EndpointKind;

/// An application: routes, middleware around all of them, and states for their handlers.
///
/// ```
/// use rws::app::{App, Path, State, TestClient, get};
///
/// #[derive(Clone)]
/// struct Greeting(&'static str);
///
/// fn greet(Path(name): Path<String>, State(greeting): State<Greeting>) -> String {
///     format!("{}, {name}!", greeting.0)
/// }
///
/// let app = App::new().route("/hello/{name}", get(greet)).state(Greeting("Hello"));
/// assert_eq!(TestClient::new(app)?.get("/hello/world").send().text(), "Hello, world!");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[must_use]
#[derive(Debug, Default)]
pub struct App {
    router: Router,
    states: States,
    parts: Parts,
    errors: Vec<BuildError>,
}

impl App {
    /// An application that answers everything with 404.
    pub fn new() -> Self {
        App::default()
    }

    /// Answers requests for paths like `pattern`; see [`Router`] for patterns and [`Router::route`].
    #[track_caller]
    pub fn route(mut self, pattern: impl Into<String>, methods: MethodRouter) -> Self {
        self.router = self.router.route(pattern, methods);
        self
    }

    /// The same for a part that is not the application's own traffic; see [`Router::mount`].
    #[track_caller]
    pub fn mount(mut self, pattern: impl Into<String>, methods: MethodRouter, kind: EndpointKind) -> Self {
        self.router = self.router.mount(pattern, methods, kind);
        self
    }

    /// Takes over the routes of `router` under a prefix; see [`Router::nest`].
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        self.router = self.router.nest(prefix, router);
        self
    }

    /// Takes over the routes of `router`; see [`Router::merge`].
    pub fn merge(mut self, router: Router) -> Self {
        self.router = self.router.merge(router);
        self
    }

    /// Answers what no route matches, in place of 404; see [`Router::fallback`].
    #[track_caller]
    pub fn fallback<H: Handler<M>, M: 'static>(mut self, handler: H) -> Self {
        self.router = self.router.fallback(handler);
        self
    }

    /// The same with a method route, for its options; see [`Router::fallback_route`].
    #[track_caller]
    pub fn fallback_route(mut self, methods: MethodRouter) -> Self {
        self.router = self.router.fallback_route(methods);
        self
    }

    /// Puts a middleware around everything except probes and metrics: all routes, whether they were added before or after,
    /// fallbacks, and the answers to what matches nothing. The first one added is the outermost.
    pub fn layer(mut self, middleware: impl Middleware) -> Self {
        self.router = self.router.layer(middleware);
        self
    }

    /// The same, around all that there are already.
    pub(crate) fn layer_around(mut self, middleware: impl Middleware) -> Self {
        self.router.layers.insert(0, Arc::new(middleware));
        self
    }

    /// Gives handlers a value to take as [`State<T>`](super::extract::State). There is one of each type; a second is an error.
    #[track_caller]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        if !self.states.insert(value) {
            self.errors.push(BuildError::State { type_name: type_name::<T>(), at: Location::caller() });
        }
        self
    }

    /// What the layers above keep with an application until it runs, one value of each type.
    pub(crate) fn part<T: Default + Send + 'static>(&mut self) -> &mut T {
        self.parts.get_or_default()
    }

    /// Takes such a value out.
    pub(crate) fn take_part<T: Default + Send + 'static>(&mut self) -> T {
        std::mem::take(self.part())
    }

    /// Has [`build`](Self::build) tell a mistake that a layer above has found.
    pub(crate) fn reject(&mut self, error: BuildError) {
        self.errors.push(error);
    }

    /// Makes it a service, or tells every mistake in it.
    pub fn build(self) -> Result<BuiltApp, BuildErrors> {
        build::build(self.router, self.states, self.errors)
    }
}
