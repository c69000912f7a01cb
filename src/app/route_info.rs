//! A route as lists and messages name it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use http::Method;

use super::method::MethodHandler;
use super::router::Route;
use super::service::EndpointKind;

/// A route of an application: what it answers and where it comes from.
///
/// Displayed as `GET /users/{id} (shop::show, src/main.rs:12:10)`; with its host before the pattern, if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The host it is for, if not for all that have no routes of their own; see [`App::host`](super::App::host).
    pub host: Option<Arc<str>>,
    /// The method, `*` for any.
    pub method: String,
    /// The pattern; for fallbacks their prefix with `/…`.
    pub pattern: String,
    /// The handler's name in the source.
    pub handler: &'static str,
    /// What kind of traffic it has.
    pub kind: EndpointKind,
    /// Where the route was added.
    pub at: &'static Location<'static>,
}

impl RouteInfo {
    pub(super) fn of(route: &Route, pattern: &str, handler: &MethodHandler) -> Self {
        RouteInfo { method: method(handler).to_owned(), handler: handler.name, ..RouteInfo::of_all(route, pattern) }
    }

    /// A route with all its handlers.
    pub(super) fn of_all(route: &Route, pattern: &str) -> Self {
        let handlers = &route.methods.handlers;
        RouteInfo {
            host: route.host.clone(),
            method: handlers.iter().map(method).collect::<Vec<_>>().join(", "),
            pattern: pattern.to_owned(),
            handler: handlers.first().map_or("no handler", |handler| handler.name),
            kind: route.methods.kind,
            at: route.at,
        }
    }
}

fn method(handler: &MethodHandler) -> &str {
    handler.method.as_ref().map_or("*", Method::as_str)
}

impl fmt::Display for RouteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{} (", self.method, self.host.as_deref().unwrap_or_default(), self.pattern)?;
        match self.kind {
            EndpointKind::Route => write!(f, "{}, {})", self.handler, self.at),
            EndpointKind::Probe => f.write_str("built-in probe)"),
            EndpointKind::Metrics => f.write_str("built-in metrics)"),
            EndpointKind::Admin => f.write_str("built-in admin page)"),
        }
    }
}
