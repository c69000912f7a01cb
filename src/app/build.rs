//! From routes as they were written down to tables that requests are looked up in, collecting every mistake.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;
use matchit::InsertError;

pub use self::built::BuiltApp;
use self::built::{Entry, Fallback, PathTable, Site};
pub(super) use self::hosts::Host;
use self::methods::MethodTable;
use super::context::{Context, States};
use super::error::{BuildError, BuildErrors};
use super::handler::Erased;
use super::middleware::Layers;
use super::route_info::RouteInfo;
use super::router::{Route, Router};
use super::service::{BodyUse, Endpoint, EndpointKind, Pace};

mod automatic;
mod built;
mod hosts;
mod methods;
mod pattern;

/// The template of what no route matched, in metrics and logs.
const UNMATCHED: &str = "_unmatched";

/// An application as it was written down.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) router: Router,
    pub(super) hosts: Vec<(Host, Router)>,
    /// What answers methods that a path has no handler for.
    pub(super) not_allowed: Option<Route>,
    pub(super) states: States,
    pub(super) errors: Vec<BuildError>,
}

/// Makes a service of an application, or tells every mistake in it.
pub(super) fn build(plan: Plan) -> Result<BuiltApp, BuildErrors> {
    let mut builder = Builder::new(plan.router.layers, plan.router.max_body_bytes, plan.states, plan.errors);
    builder.not_allowed = plan.not_allowed.and_then(|route| builder.not_allowed(route));
    builder.app.site = builder.add_site(plan.router.routes, plan.router.fallbacks);
    builder.keep_built_in();
    for (host, router) in plan.hosts {
        builder.add_host(host, router);
    }
    builder.finish()
}

/// The routes of one pattern, in the order in which they were added.
struct Group {
    pattern: String,
    routes: Vec<Route>,
}

fn groups(routes: Vec<Route>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places = HashMap::<String, usize>::new();
    for route in routes {
        let place = *places.entry(route.pattern.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.routes.push(route),
            None => groups.push(Group { pattern: route.pattern.clone(), routes: vec![route] }),
        }
    }
    groups
}

impl Group {
    /// Its first route.
    fn info(&self) -> RouteInfo {
        RouteInfo::of_all(&self.routes[0], &self.pattern)
    }
}

struct Builder {
    /// Middleware of the application.
    layers: Layers,
    /// The application's limit.
    max_body_bytes: Option<u64>,
    states: Arc<States>,
    app: BuiltApp,
    /// What is being filled.
    site: Site,
    /// The first route of each pattern in its tree.
    patterns: Vec<RouteInfo>,
    /// The paths of probes and the like, which all hosts have, with their tables.
    built_in: Vec<(RouteInfo, usize)>,
    not_allowed: Option<Arc<dyn Erased>>,
    errors: Vec<BuildError>,
}

impl Builder {
    fn new(layers: Layers, max_body_bytes: Option<u64>, states: States, errors: Vec<BuildError>) -> Self {
        let states = Arc::new(states);
        let unmatched = Context::new(UNMATCHED.into(), Arc::default(), Arc::clone(&states));
        let not_found = Entry::new(layers.clone(), Box::new(automatic::NotFound), unmatched.clone());
        let no_methods = automatic::OtherMethods::new(methods::allow_all([]));
        let server_wide = Entry::new(layers.clone(), Box::new(no_methods), unmatched);
        let app = BuiltApp::new(not_found, server_wide, max_body_bytes);
        let (site, patterns, built_in) = (Site::default(), Vec::new(), Vec::new());
        Builder { layers, max_body_bytes, states, app, site, patterns, built_in, not_allowed: None, errors }
    }

    /// The handler of a route that answers in the place of a 405.
    fn not_allowed(&mut self, mut route: Route) -> Option<Arc<dyn Erased>> {
        let info = route.info_anywhere();
        let handler = route.methods.handlers.pop()?;
        let body = (handler.body != BodyUse::Ignored).then(|| "it takes a body, which nobody reads for it".to_owned());
        let missing = (handler.check)(&self.app.not_found().context).into_iter().chain(body);
        self.errors.extend(missing.map(|reason| BuildError::Extractor { route: Box::new(info.clone()), reason }));
        Some(handler.handler.into())
    }

    /// Adds everything that one host, or all others, can be asked for.
    fn add_site(&mut self, routes: Vec<Route>, fallbacks: Vec<Route>) -> Site {
        for group in groups(routes) {
            self.add_path(group);
        }
        for group in groups(fallbacks) {
            self.add_fallback(group);
        }
        self.check_built_in_parameters();
        self.site.fallbacks.sort_by_key(Fallback::rank);
        std::mem::take(&mut self.site)
    }

    /// Notes which paths hosts of their own have as well: a kubelet asks for them by address.
    fn keep_built_in(&mut self) {
        let table = |info: &RouteInfo| self.app.site.tree.at(&info.pattern).map(|found| *found.value);
        let built_in = self.patterns.drain(..).filter(|info| info.kind != EndpointKind::Route);
        self.built_in =
            built_in.filter_map(|info| Some((table(&info).ok()?, info))).map(|(at, info)| (info, at)).collect();
    }

    fn add_host(&mut self, host: Host, router: Router) {
        self.patterns = self.built_in.iter().map(|(info, _)| info.clone()).collect();
        for (info, table) in &self.built_in {
            // They do not conflict: they come from one tree.
            let _ = self.site.tree.insert(info.pattern.as_str(), *table);
        }
        let site = self.add_site(router.routes, router.fallbacks);
        self.app.hosts.get_or_insert_default().insert(host, site);
    }

    fn add_path(&mut self, group: Group) {
        match self.insert(&group) {
            Ok(()) => {
                let params = pattern::param_names(&group.pattern);
                let context = Context::new(group.pattern.as_str().into(), params.into(), Arc::clone(&self.states));
                self.add_routes(group, &context);
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn add_fallback(&mut self, group: Group) {
        // A prefix is good where a pattern that begins with it is.
        let probe = format!("{}/", group.pattern);
        if let Err(reason) = pattern::check(&probe).and_then(|()| in_words(matchit::Router::new().insert(probe, ()))) {
            self.errors.push(BuildError::Pattern { route: Box::new(group.info()), reason });
        }
        self.site.fallbacks.push(Fallback::new(&group.pattern, self.app.paths.len()));
        let context = self.app.not_found().context.clone();
        self.add_routes(Group { pattern: format!("{}/…", group.pattern), ..group }, &context);
    }

    /// Adds a pattern to the tree, for the path table that comes next.
    fn insert(&mut self, group: &Group) -> Result<(), BuildError> {
        let route = || Box::new(group.info());
        let bad = |reason| BuildError::Pattern { route: route(), reason };
        pattern::check(&group.pattern).map_err(bad)?;
        let inserted = self.site.tree.insert(group.pattern.as_str(), self.app.paths.len());
        if let (Err(InsertError::Conflict { .. }), Some(with)) = (&inserted, self.rival(&group.pattern)) {
            return Err(in_the_way(group, with));
        }
        in_words(inserted).map_err(bad)?;
        self.patterns.push(group.info());
        Ok(())
    }

    /// The route that is in the way of `pattern`.
    fn rival(&self, pattern: &str) -> Option<&RouteInfo> {
        self.patterns.iter().find(|other| {
            let mut tree = matchit::Router::new();
            tree.insert(other.pattern.as_str(), ()).is_ok() && tree.insert(pattern, ()).is_err()
        })
    }

    /// Adds the table of one path with all its routes.
    fn add_routes(&mut self, group: Group, context: &Context) {
        let mut methods = MethodTable::default();
        let mut shared: Option<Layers> = None;
        let is_own = group.routes.iter().all(|route| route.methods.kind == EndpointKind::Route);
        let not_allowed = self.not_allowed.clone().filter(|_| is_own);
        let first = self.app.routes.len();
        for mut route in group.routes {
            route.limit(self.max_body_bytes);
            let layers = self.layers_around(&route);
            for (method, endpoint) in self.add_handlers(route, &group.pattern, &layers, context) {
                methods.set(method, endpoint);
            }
            shared = Some(shared.map_or_else(|| layers.clone(), |outer| common(&outer, &layers)));
        }
        self.check_clashes(first);
        let answer = automatic::OtherMethods::new(methods.finish()).or(not_allowed);
        let automatic = Entry::new(shared.unwrap_or_default(), Box::new(answer), context.clone());
        self.app.paths.push(PathTable { methods, automatic });
    }

    /// Adds an endpoint for each handler of a route, and returns which method each one is for.
    fn add_handlers(
        &mut self,
        route: Route,
        pattern: &str,
        layers: &Layers,
        context: &Context,
    ) -> Vec<(Option<Method>, u32)> {
        let infos: Vec<_> = route.methods.handlers.iter().map(|h| RouteInfo::of(&route, pattern, h)).collect();
        let template = route.methods.label.unwrap_or_else(|| context.shared_route());
        let mut added = Vec::new();
        for (handler, info) in route.methods.handlers.into_iter().zip(infos) {
            let missing = |reason| BuildError::Extractor { route: Box::new(info.clone()), reason };
            self.errors.extend((handler.check)(context).into_iter().map(missing));
            added.push((handler.method, self.app.next_endpoint()));
            self.app.endpoints.push(Endpoint {
                template: Arc::clone(&template),
                kind: route.methods.kind,
                body: handler.body,
                pace: Pace::new(route.methods.placement),
                max_body_bytes: route.methods.max_body_bytes,
            });
            self.app.entries.push(Entry::new(layers.clone(), handler.handler, context.clone()));
            self.app.routes.push(info);
        }
        added
    }

    /// Notes which of the routes of one path, those from `first` on, are in each other's way.
    fn check_clashes(&mut self, first: usize) {
        let routes = &self.app.routes[first..];
        for (index, route) in routes.iter().enumerate() {
            let before = &routes[..index];
            let pair = |with: &RouteInfo| (Box::new(route.clone()), Box::new(with.clone()));
            if let Some((route, with)) = before.iter().find(|other| other.kind != route.kind).map(pair) {
                self.errors.push(BuildError::Reserved { route, with });
            } else if let Some((route, with)) = before.iter().find(|other| other.method == route.method).map(pair) {
                self.errors.push(BuildError::Duplicate { route, with });
            }
        }
    }

    /// All middleware around a route's handlers, the outermost first.
    fn layers_around(&self, route: &Route) -> Layers {
        let outer: [&[_]; 2] = match route.methods.kind {
            EndpointKind::Route => [&self.layers, &route.layers],
            EndpointKind::Probe | EndpointKind::Metrics | EndpointKind::Admin => [&[], &[]],
        };
        outer.into_iter().flatten().chain(&route.methods.layers).cloned().collect()
    }

    /// Notes which routes would be asked in place of a built-in path with a parameter, since they are more special.
    fn check_built_in_parameters(&mut self) {
        for with in self.patterns.iter().filter(|info| info.kind != EndpointKind::Route) {
            let mut tree = matchit::Router::new();
            // It is in the tree of the application already.
            let _ = tree.insert(with.pattern.as_str(), ());
            let takes = |route: &&RouteInfo| !route.pattern.contains("{*") && tree.at(&route.pattern).is_ok();
            for route in self.patterns.iter().filter(|info| info.kind == EndpointKind::Route).filter(takes) {
                let (route, with) = (Box::new(route.clone()), Box::new(with.clone()));
                self.errors.push(BuildError::Reserved { route, with });
            }
        }
    }

    fn finish(mut self) -> Result<BuiltApp, BuildErrors> {
        BuildErrors::check(self.errors)?;
        let allow = methods::allow_all(self.app.paths.iter().map(|path| &path.methods));
        let context = self.app.not_found().context.clone();
        self.app.server_wide = Entry::new(self.layers, Box::new(automatic::OtherMethods::new(allow)), context);
        Ok(self.app)
    }
}

/// What `with` is to a group that it leaves no room for.
fn in_the_way(group: &Group, with: &RouteInfo) -> BuildError {
    let (route, with) = (Box::new(group.info()), Box::new(with.clone()));
    match route.kind != with.kind && route.pattern == with.pattern {
        true => BuildError::Reserved { route, with },
        false => BuildError::Conflict { route, with },
    }
}

/// What matchit says of a pattern, in a sentence.
fn in_words(inserted: Result<(), InsertError>) -> Result<(), String> {
    inserted.map_err(|error| match error {
        InsertError::Conflict { with } => format!("it conflicts with the pattern {with}"),
        InsertError::InvalidParamSegment => "there is more than one parameter between two slashes".to_owned(),
        InsertError::InvalidCatchAll => "a `{*name}` stands only at the end, after a slash".to_owned(),
        _ => "a parameter needs a name and both braces; for a brace in the path write `{{` or `}}`".to_owned(),
    })
}

/// The middleware that both lists begin with.
fn common(one: &Layers, other: &Layers) -> Layers {
    one.iter().zip(other).take_while(|(a, b)| Arc::ptr_eq(a, b)).map(|(a, _)| Arc::clone(a)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
