//! From routes as they were written down to tables that requests are looked up in, collecting every mistake.

use std::collections::HashMap;
use std::sync::Arc;

use matchit::InsertError;

pub use self::built::{BuiltApp, RouteInfo};
use self::built::{Entry, Fallback, PathTable};
use self::methods::MethodTable;
use super::context::{Context, States};
use super::error::{BuildError, BuildErrors, RouteName};
use super::method::MethodHandler;
use super::middleware::Layers;
use super::router::{Route, Router};
use super::service::{Endpoint, EndpointKind, Pace};

mod automatic;
mod built;
mod methods;
mod pattern;

/// The template of what no route matched, in metrics and logs.
const UNMATCHED: &str = "_unmatched";

/// Makes a service of a router, or tells every mistake in it.
pub(super) fn build(router: Router, states: States, errors: Vec<BuildError>) -> Result<BuiltApp, BuildErrors> {
    let mut builder = Builder::new(router.layers, states, errors);
    for group in groups(router.routes) {
        builder.add_path(group);
    }
    for group in groups(router.fallbacks) {
        builder.add_fallback(group);
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

struct Builder {
    /// Middleware of the application.
    layers: Layers,
    states: Arc<States>,
    app: BuiltApp,
    /// Patterns in the tree, each with the name of its first route.
    patterns: Vec<(String, RouteName)>,
    errors: Vec<BuildError>,
}

impl Builder {
    fn new(layers: Layers, states: States, errors: Vec<BuildError>) -> Self {
        let states = Arc::new(states);
        let unmatched = Context::new(UNMATCHED.into(), Arc::default(), Arc::clone(&states));
        let not_found = Entry::new(layers.clone(), Box::new(automatic::NotFound), unmatched.clone());
        let no_methods = automatic::OtherMethods::new(methods::allow_all([]));
        let server_wide = Entry::new(layers.clone(), Box::new(no_methods), unmatched);
        Builder { layers, states, app: BuiltApp::new(not_found, server_wide), patterns: Vec::new(), errors }
    }

    fn add_path(&mut self, group: Group) {
        match self.insert(&group) {
            Ok(()) => {
                let params = pattern::param_names(&group.pattern);
                let context = Context::new(group.pattern.into(), params.into(), Arc::clone(&self.states));
                self.add_routes(group.routes, &context);
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn add_fallback(&mut self, group: Group) {
        self.app.fallbacks.push(Fallback::new(&group.pattern, self.app.paths.len()));
        let context = self.app.not_found().context.clone();
        self.add_routes(group.routes, &context);
    }

    /// Adds a pattern to the tree, for the path table that comes next.
    fn insert(&mut self, group: &Group) -> Result<(), BuildError> {
        let route = RouteName::of_all(&group.routes[0]);
        let bad = |reason| BuildError::Pattern { route: route.clone(), reason };
        pattern::check(&group.pattern).map_err(bad)?;
        self.app.tree.insert(group.pattern.as_str(), self.app.paths.len()).map_err(|error| match error {
            InsertError::Conflict { with } => match self.rival(&group.pattern) {
                Some(rival) => BuildError::Conflict { route: route.clone(), with: rival.clone() },
                None => bad(format!("it conflicts with the pattern {with}")),
            },
            InsertError::InvalidParamSegment => bad("there is more than one parameter between two slashes".to_owned()),
            InsertError::InvalidCatchAll => bad("a `{*name}` stands only at the end, after a slash".to_owned()),
            _ => bad("a parameter needs a name and both braces; for a brace in the path write `{{` or `}}`".to_owned()),
        })?;
        self.patterns.push((group.pattern.clone(), route));
        Ok(())
    }

    /// The route that is in the way of `pattern`.
    fn rival(&self, pattern: &str) -> Option<&RouteName> {
        let clash = |other: &str| {
            let mut tree = matchit::Router::new();
            tree.insert(other, ()).is_ok() && tree.insert(pattern, ()).is_err()
        };
        self.patterns.iter().find(|(other, _)| clash(other)).map(|(_, name)| name)
    }

    /// Adds the table of one path with all its routes.
    fn add_routes(&mut self, routes: Vec<Route>, context: &Context) {
        let mut methods = MethodTable::default();
        let mut names = Vec::new();
        let mut shared: Option<Layers> = None;
        for route in routes {
            let layers = self.layers_around(&route);
            shared = Some(shared.map_or_else(|| layers.clone(), |outer| common(&outer, &layers)));
            self.add_handlers(route, &layers, context, &mut methods, &mut names);
        }
        let answer = automatic::OtherMethods::new(methods.finish());
        let automatic = Entry::new(shared.unwrap_or_default(), Box::new(answer), context.clone());
        self.app.paths.push(PathTable { methods, automatic });
    }

    fn add_handlers(
        &mut self,
        route: Route,
        layers: &Layers,
        context: &Context,
        methods: &mut MethodTable,
        names: &mut Vec<RouteName>,
    ) {
        let of_route: Vec<_> = route.methods.handlers.iter().map(|handler| RouteName::of(&route, handler)).collect();
        let template = route.methods.label.unwrap_or_else(|| context.shared_route());
        for (handler, name) in route.methods.handlers.into_iter().zip(of_route) {
            self.check(&handler, &name, names, context);
            methods.set(handler.method, self.app.next_endpoint());
            self.app.endpoints.push(Endpoint {
                template: Arc::clone(&template),
                kind: route.methods.kind,
                body: handler.body,
                pace: Pace::new(route.methods.placement),
                max_body_bytes: route.methods.max_body_bytes,
            });
            self.app.entries.push(Entry::new(layers.clone(), handler.handler, context.clone()));
            self.app.routes.push(RouteInfo::from(&name));
            names.push(name);
        }
    }

    /// Notes what is wrong with a handler, given those before it on the same path.
    fn check(&mut self, handler: &MethodHandler, name: &RouteName, before: &[RouteName], context: &Context) {
        let reasons = (handler.check)(context);
        self.errors.extend(reasons.into_iter().map(|reason| BuildError::Extractor { route: name.clone(), reason }));
        let (route, with) = (name.clone(), |with: &RouteName| with.clone());
        if let Some(other) = before.iter().find(|other| other.kind != name.kind) {
            self.errors.push(BuildError::Reserved { route, with: with(other) });
        } else if let Some(other) = before.iter().find(|other| other.method == name.method) {
            self.errors.push(BuildError::Duplicate { route, with: with(other) });
        }
    }

    /// All middleware around a route's handlers, the outermost first.
    fn layers_around(&self, route: &Route) -> Layers {
        let outer: [&[_]; 2] = match route.methods.kind {
            EndpointKind::Route => [&self.layers, &route.layers],
            EndpointKind::Probe | EndpointKind::Metrics => [&[], &[]],
        };
        outer.into_iter().flatten().chain(&route.methods.layers).cloned().collect()
    }

    fn finish(mut self) -> Result<BuiltApp, BuildErrors> {
        BuildErrors::check(self.errors)?;
        self.app.fallbacks.sort_by_key(Fallback::rank);
        let allow = methods::allow_all(self.app.paths.iter().map(|path| &path.methods));
        let context = self.app.not_found().context.clone();
        self.app.server_wide = Entry::new(self.layers, Box::new(automatic::OtherMethods::new(allow)), context);
        Ok(self.app)
    }
}

/// The middleware that both lists begin with.
fn common(one: &Layers, other: &Layers) -> Layers {
    one.iter().zip(other).take_while(|(a, b)| Arc::ptr_eq(a, b)).map(|(a, _)| Arc::clone(a)).collect()
}

#[cfg(test)]
mod tests;
