//! The application: a router, states, and what turns them into a service.

use std::any::type_name;
use std::panic::Location;
use std::sync::Arc;

use super::build::{self, BuiltApp, Host, Plan};
use super::error::{BuildError, BuildErrors};
use super::handler::Handler;
use super::method::{MethodRouter, any};
use super::middleware::Middleware;
use super::parts::Parts;
use super::router::{Route, Router};
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
    plan: Plan,
    parts: Parts,
}

impl App {
    /// An application that answers everything with 404.
    pub fn new() -> Self {
        App::default()
    }

    /// Answers requests for paths like `pattern`; see [`Router`] for patterns and [`Router::route`].
    #[track_caller]
    pub fn route(mut self, pattern: impl Into<String>, methods: MethodRouter) -> Self {
        self.plan.router = self.plan.router.route(pattern, methods);
        self
    }

    /// The same for a part that is not the application's own traffic; see [`Router::mount`].
    #[track_caller]
    pub fn mount(mut self, pattern: impl Into<String>, methods: MethodRouter, kind: EndpointKind) -> Self {
        self.plan.router = self.plan.router.mount(pattern, methods, kind);
        self
    }

    /// Takes over the routes of `router` under a prefix; see [`Router::nest`].
    pub fn nest(mut self, prefix: &str, router: Router) -> Self {
        self.plan.router = self.plan.router.nest(prefix, router);
        self
    }

    /// Takes over the routes of `router`; see [`Router::merge`].
    pub fn merge(mut self, router: Router) -> Self {
        self.plan.router = self.plan.router.merge(router);
        self
    }

    /// Has requests to `host` answered by `router` alone: a site of its own beside the routes of the application, which
    /// remain for all other hosts.
    ///
    /// A host is a name in any case (`api.example.com`), an address (`192.0.2.1`, `[2001:db8::1]`), or a wildcard:
    /// `*.example.com` stands for names with exactly one more label, as in a certificate (RFC 9525 section 6.3) and in an
    /// Ingress of Kubernetes, and comes after names in full. The port that a request names is ignored. What a site does not match is
    /// 404 or its own fallback's, not the application's; the middleware and the states of the application count for it, and
    /// probes and metrics are on all hosts.
    ///
    /// The same host may come again with other routes. Routes of one host that conflict, routes in the place of a probe, and
    /// hosts that no request can name are errors of [`build`](Self::build).
    ///
    /// Any client can name any host: what a host's routes protect, they protect themselves.
    ///
    /// ```
    /// use rws::app::{App, Router, TestClient, get};
    ///
    /// let api = Router::new().route("/", get(|| "the API"));
    /// let shops = Router::new().route("/", get(|| "some shop"));
    /// let app = App::new()
    ///     .route("/", get(|| "the page"))
    ///     .host("api.example.com", api)
    ///     .host("*.example.com", shops);
    ///
    /// let client = TestClient::new(app)?;
    /// let ask = |host: &str| client.get("/").header("host", host).send().text().to_owned();
    /// assert_eq!(ask("API.example.com:8080"), "the API");
    /// assert_eq!(ask("shoes.example.com"), "some shop");
    /// assert_eq!(ask("example.com"), "the page");
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    #[track_caller]
    pub fn host(mut self, host: &str, router: Router) -> Self {
        match Host::parse(host) {
            Ok(host) => self.add_host(host, router),
            Err(reason) => {
                let (host, at) = (host.to_owned(), Location::caller());
                self.plan.errors.push(BuildError::Host { host, at, reason });
            }
        }
        self
    }

    fn add_host(&mut self, host: Host, router: Router) {
        let router = router.on_host(&host.to_string());
        match self.plan.hosts.iter_mut().find(|(other, _)| *other == host) {
            Some((_, site)) => *site = std::mem::take(site).merge(router),
            None => self.plan.hosts.push((host, Router::new().merge(router))),
        }
    }

    /// Answers what no route matches, in place of 404; see [`Router::fallback`].
    #[track_caller]
    pub fn fallback<H: Handler<M>, M: 'static>(mut self, handler: H) -> Self {
        self.plan.router = self.plan.router.fallback(handler);
        self
    }

    /// The same with a method route, for its options; see [`Router::fallback_route`].
    #[track_caller]
    pub fn fallback_route(mut self, methods: MethodRouter) -> Self {
        self.plan.router = self.plan.router.fallback_route(methods);
        self
    }

    /// Answers with `handler` what a path has no handler for, in place of a 405 without words, on all paths of the
    /// application but those of probes and metrics. OPTIONS goes on being answered with 204.
    ///
    /// `Allow` is added, and a 200 becomes a 405. The handler takes no body and no path parameters; a second one is an error.
    ///
    /// ```
    /// use rws::http::Method;
    /// use rws::app::{App, TestClient, get};
    ///
    /// let app = App::new().route("/", get(|| "hello")).method_not_allowed(|method: Method| format!("{method} is nothing here"));
    /// let answer = TestClient::new(app)?.delete("/").send();
    /// assert_eq!((answer.status().as_u16(), answer.text()), (405, "DELETE is nothing here"));
    /// assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    #[track_caller]
    pub fn method_not_allowed<H: Handler<M>, M: 'static>(mut self, handler: H) -> Self {
        let route = Route::new(String::new(), any(handler));
        match &self.plan.not_allowed {
            Some(first) => {
                let (route, with) = (Box::new(route.info_anywhere()), Box::new(first.info_anywhere()));
                self.plan.errors.push(BuildError::Duplicate { route, with });
            }
            None => self.plan.not_allowed = Some(route),
        }
        self
    }

    /// Puts a middleware around everything except probes and metrics: all routes, whether they were added before or after,
    /// fallbacks, and the answers to what matches nothing. The first one added is the outermost.
    pub fn layer(mut self, middleware: impl Middleware) -> Self {
        self.plan.router = self.plan.router.layer(middleware);
        self
    }

    /// The same, around all that there are already: for what must see every request first and every response last, such as
    /// a trace or an audit log that someone adds to an application of others. The last one added this way is the outermost.
    /// Only what RWS_CONFIG_* asks for is around it.
    ///
    /// ```
    /// use rws::http::{HeaderName, StatusCode};
    /// use rws::{App, Next, Request, Response, TestClient, get};
    ///
    /// fn refuse(_: Request, _: Next<'_>) -> StatusCode {
    ///     StatusCode::FORBIDDEN
    /// }
    ///
    /// fn stamp(request: Request, next: Next<'_>) -> Response {
    ///     next.run(request).with_header(HeaderName::from_static("x-pod"), "a".parse().expect("it is a value"))
    /// }
    ///
    /// let theirs = App::new().route("/", get(|| "hello")).layer(refuse);
    /// let answer = TestClient::new(theirs.layer_outermost(stamp))?.get("/").send();
    /// assert_eq!((answer.status().as_u16(), answer.header("x-pod")), (403, Some("a")));
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn layer_outermost(mut self, middleware: impl Middleware) -> Self {
        self.plan.router.layers.insert(0, Arc::new(middleware));
        self
    }

    /// Allows request bodies of at most `bytes`, except where a route, a router or a site says something else; see
    /// [`Router::body_limit`], which has the rules. It takes the place of RWS_CONFIG_MAX_BODY_SIZE_IN_BYTES, also for what no
    /// route matches: an application that leaves this to its operators has none.
    ///
    /// ```
    /// use rws::app::{App, TestClient, post};
    ///
    /// let app = App::new().route("/", post(|text: String| text)).body_limit(5);
    /// let client = TestClient::new(app)?;
    /// assert_eq!(client.post("/").body("short").send().status(), 200);
    /// assert_eq!(client.post("/").body("too long").send().status(), 413);
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn body_limit(mut self, bytes: u64) -> Self {
        self.plan.router = self.plan.router.body_limit(bytes);
        self
    }

    /// Gives handlers a value to take as [`State<T>`](super::extract::State). There is one of each type; a second is an error.
    #[track_caller]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, value: T) -> Self {
        if !self.plan.states.insert(value) {
            self.plan.errors.push(BuildError::State { type_name: type_name::<T>(), at: Location::caller() });
        }
        self
    }

    /// What an extension keeps with the application until it is served, one value of each type; it begins with its default.
    ///
    /// An extension is a trait for [`App`] with methods that note things here, and one that makes routes, middleware or hooks of
    /// what was noted. Checks, hooks and metrics are kept in the same way. Nothing of it is there for handlers; that is
    /// [`state`](Self::state).
    ///
    /// ```
    /// use std::panic::Location;
    ///
    /// use rws::app::BuildError;
    /// use rws::{App, TestClient, get};
    ///
    /// /// The jobs of an application, which /jobs lists.
    /// #[derive(Default)]
    /// struct Jobs(Vec<String>);
    ///
    /// trait WithJobs {
    ///     fn job(self, name: &str) -> Self;
    ///     fn with_jobs(self) -> Self;
    /// }
    ///
    /// impl WithJobs for App {
    ///     #[track_caller]
    ///     fn job(mut self, name: &str) -> Self {
    ///         let jobs = &mut self.part::<Jobs>().0;
    ///         if jobs.iter().any(|job| job == name) {
    ///             let (part, reason) = (format!("job {name:?}"), "there is already one".to_owned());
    ///             self.reject(BuildError::Part { part, at: Location::caller(), reason });
    ///         } else {
    ///             jobs.push(name.to_owned());
    ///         }
    ///         self
    ///     }
    ///
    ///     fn with_jobs(mut self) -> Self {
    ///         let Jobs(names) = self.take_part();
    ///         self.route("/jobs", get(move || names.join("\n")))
    ///     }
    /// }
    ///
    /// let client = TestClient::new(App::new().job("mail").job("report").with_jobs())?;
    /// assert_eq!(client.get("/jobs").send().text(), "mail\nreport");
    ///
    /// let mistakes = TestClient::new(App::new().job("mail").job("mail").with_jobs()).unwrap_err();
    /// assert!(mistakes.to_string().starts_with("job \"mail\" ("));
    /// # Ok::<(), rws::app::BuildErrors>(())
    /// ```
    pub fn part<T: Default + Send + 'static>(&mut self) -> &mut T {
        self.parts.get_or_default()
    }

    /// Takes such a value out; the next one begins with its default again.
    pub fn take_part<T: Default + Send + 'static>(&mut self) -> T {
        std::mem::take(self.part())
    }

    /// Has [`build`](Self::build) fail with a mistake that an extension has found, beside all others there are: mostly a
    /// [`BuildError::Part`]. [`part`](Self::part) has an example.
    pub fn reject(&mut self, error: BuildError) {
        self.plan.errors.push(error);
    }

    /// Makes it a service, or tells every mistake in it.
    pub fn build(self) -> Result<BuiltApp, BuildErrors> {
        build::build(self.plan)
    }
}
