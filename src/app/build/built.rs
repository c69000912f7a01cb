//! The finished application: what requests are looked up in.

use std::fmt;
use std::sync::Arc;

use http::Method;
use smallvec::SmallVec;

use super::hosts::Hosts;
use super::methods::MethodTable;
use crate::app::context::{Context, States};
use crate::app::handler::Erased;
use crate::app::middleware::{Layers, Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;
use crate::app::route_info::RouteInfo;
use crate::app::service::{BodyUse, Endpoint, EndpointKind, Pace, Resolved, Service};
use crate::app::span;
use crate::semantics::head::{RequestHead, Span};

/// An application that is ready to be served.
///
/// Endpoint 0 has the answers nobody wrote a handler for: 404, 405 and OPTIONS.
pub struct BuiltApp {
    pub(super) endpoints: Vec<Endpoint>,
    /// What runs, for each endpoint.
    pub(super) entries: Vec<Entry>,
    /// Where each endpoint comes from, except for endpoint 0.
    pub(super) routes: Vec<RouteInfo>,
    /// For all hosts that have none of their own.
    pub(super) site: Site,
    pub(super) hosts: Option<Box<Hosts>>,
    pub(super) paths: Vec<PathTable>,
    /// The answer to `OPTIONS *`.
    pub(super) server_wide: Entry,
}

/// What requests to one host, or to all others, are looked up in.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// From patterns to path tables.
    pub(super) tree: matchit::Router<usize>,
    /// The most special ones first.
    pub(super) fallbacks: Vec<Fallback>,
}

/// A handler with everything around it.
pub(super) struct Entry {
    layers: Box<[Arc<dyn Middleware>]>,
    handler: Box<dyn Erased>,
    pub(super) context: Context,
}

/// What answers the methods of one path.
pub(super) struct PathTable {
    pub(super) methods: MethodTable,
    /// The answer to methods without a handler.
    pub(super) automatic: Entry,
}

/// A path table for whatever is under a prefix and matches no pattern.
#[derive(Debug)]
pub(super) struct Fallback {
    /// Without a slash at its end.
    prefix: String,
    /// Index into the path tables.
    path: usize,
}

impl BuiltApp {
    /// Without routes.
    pub(super) fn new(not_found: Entry, server_wide: Entry, max_body_bytes: Option<u64>) -> Self {
        let unmatched = Endpoint {
            template: not_found.context.shared_route(),
            kind: EndpointKind::Route,
            body: BodyUse::Ignored,
            pace: Pace::default(),
            max_body_bytes,
        };
        BuiltApp {
            endpoints: vec![unmatched],
            entries: vec![not_found],
            routes: Vec::new(),
            site: Site::default(),
            hosts: None,
            paths: Vec::new(),
            server_wide,
        }
    }

    /// Every route, in the order in which they were added, fallbacks last. Entry `i` is endpoint `i + 1`.
    pub fn routes(&self) -> &[RouteInfo] {
        &self.routes
    }

    /// What handlers take as `State`.
    pub(in crate::app) fn states(&self) -> Arc<States> {
        self.not_found().context.states()
    }

    /// The index of the endpoint that is added next.
    pub(super) fn next_endpoint(&self) -> u32 {
        u32::try_from(self.endpoints.len()).expect("an endpoint takes more than a byte of memory")
    }

    /// The table for a head, and the places of the parameters in its path.
    fn find(&self, head: &RequestHead) -> Option<(&PathTable, SmallVec<[Span; 4]>)> {
        let (site, path) = (self.site(head), head.path());
        let Ok(found) = site.tree.at(path) else {
            return self.paths.get(site.fallback(path)?).map(|table| (table, SmallVec::new()));
        };
        let params = found.params.iter().map(|(_, value)| place(value, path)).collect();
        Some((self.paths.get(*found.value)?, params))
    }

    fn site(&self, head: &RequestHead) -> &Site {
        match &self.hosts {
            None => &self.site,
            Some(hosts) => head.host().and_then(|host| hosts.find(host)).unwrap_or(&self.site),
        }
    }

    /// The answer to a request that has no handler. It is looked up again: this is rare.
    #[cold]
    fn automatic(&self, request: &Request) -> &Entry {
        match self.find(request.head()) {
            Some((table, _)) => &table.automatic,
            None if request.path().is_empty() && request.method() == Method::OPTIONS => &self.server_wide,
            None => self.not_found(),
        }
    }

    fn answer(&self, request: Request) -> Response {
        match self.entries.get(request.resolved.endpoint as usize) {
            Some(entry) if request.resolved.endpoint != 0 => entry.run(request),
            _ => self.automatic(&request).run(request),
        }
    }

    pub(super) fn not_found(&self) -> &Entry {
        &self.entries[0]
    }
}

/// Where `value` is in `path`, of which it is a part.
fn place(value: &str, path: &str) -> Span {
    let start = (value.as_ptr() as usize).wrapping_sub(path.as_ptr() as usize);
    Span::new(start, start + value.len())
}

impl Service for BuiltApp {
    fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    fn resolve(&self, head: &RequestHead) -> Resolved {
        match self.find(head) {
            Some((table, params)) => Resolved { endpoint: table.methods.get(head.method()), params },
            None => Resolved::default(),
        }
    }

    fn call(&self, request: Request) -> Response {
        match self.endpoints.get(request.resolved.endpoint as usize) {
            Some(endpoint) if endpoint.kind == EndpointKind::Route => {
                span::within(&endpoint.template, request, |request| self.answer(request))
            }
            _ => self.answer(request),
        }
    }
}

impl Site {
    /// The table of the closest fallback.
    #[cold]
    fn fallback(&self, path: &str) -> Option<usize> {
        self.fallbacks.iter().find(|fallback| fallback.covers(path)).map(|fallback| fallback.path)
    }
}

impl Entry {
    pub(super) fn new(layers: Layers, handler: Box<dyn Erased>, context: Context) -> Self {
        Entry { layers: layers.into(), handler, context }
    }

    fn run(&self, request: Request) -> Response {
        Next::new(&self.layers, &*self.handler, &self.context).run(request)
    }
}

impl Fallback {
    pub(super) fn new(prefix: &str, path: usize) -> Self {
        Fallback { prefix: prefix.trim_end_matches('/').to_owned(), path }
    }

    /// For sorting: long prefixes first, those with parameters last among equals.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let params = self.prefix.split('/').filter(|segment| is_param(segment)).count();
        (std::cmp::Reverse(self.prefix.split('/').count()), params)
    }

    /// Whether `path` is the prefix or something under it.
    fn covers(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        path.starts_with('/')
            && self.prefix.split('/').all(|wanted| {
                segments.next().is_some_and(|segment| is_param(wanted) && !segment.is_empty() || segment == wanted)
            })
    }
}

/// Whether any text may stand in the place of a segment of a prefix.
fn is_param(segment: &str) -> bool {
    segment.contains('{')
}

impl fmt::Debug for BuiltApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuiltApp").field("routes", &self.routes).finish_non_exhaustive()
    }
}
