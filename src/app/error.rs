//! Mistakes in an application, found when it is built.

use std::fmt;
use std::panic::Location;

use super::route_info::RouteInfo;

/// All mistakes of an application, in the order in which they were found. Never empty.
#[derive(Clone, Debug)]
pub struct BuildErrors(Vec<BuildError>);

/// One mistake of an application.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// No path can match the pattern, or it is not well-formed.
    Pattern {
        /// Whose pattern it is.
        route: Box<RouteInfo>,
        /// What is wrong with it.
        reason: String,
    },
    /// Some paths match two patterns equally well.
    Conflict {
        /// The route that came second.
        route: Box<RouteInfo>,
        /// The route that came first.
        with: Box<RouteInfo>,
    },
    /// Two handlers for one method of one pattern.
    Duplicate {
        /// The route that came second.
        route: Box<RouteInfo>,
        /// The route that came first.
        with: Box<RouteInfo>,
    },
    /// A route has the path of a built-in one, or one of its paths.
    Reserved {
        /// The route that came second.
        route: Box<RouteInfo>,
        /// The route that came first.
        with: Box<RouteInfo>,
    },
    /// A handler takes what its route or the application does not have.
    Extractor {
        /// Whose handler it is.
        route: Box<RouteInfo>,
        /// What is missing.
        reason: String,
    },
    /// Two states of one type.
    State {
        /// The type.
        type_name: &'static str,
        /// Where the second one was given.
        at: &'static Location<'static>,
    },
    /// A host that no request can name.
    Host {
        /// What was given for a host.
        host: String,
        /// Where it was given.
        at: &'static Location<'static>,
        /// What is wrong with it.
        reason: String,
    },
    /// Something that a layer above keeps with the application is wrong: a health check, for instance.
    Part {
        /// What it is.
        part: String,
        /// Where it was given.
        at: &'static Location<'static>,
        /// What is wrong with it.
        reason: String,
    },
}

impl BuildErrors {
    /// `Err` if there are any.
    pub(super) fn check(errors: Vec<BuildError>) -> Result<(), BuildErrors> {
        if errors.is_empty() { Ok(()) } else { Err(BuildErrors(errors)) }
    }

    /// The mistakes, one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &BuildError> {
        self.0.iter()
    }
}

impl fmt::Display for BuildErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [only] => only.fmt(f),
            all => {
                write!(f, "{} mistakes in the application:", all.len())?;
                all.iter().try_for_each(|error| write!(f, "\n- {error}"))
            }
        }
    }
}

impl std::error::Error for BuildErrors {}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Pattern { route, reason } => write!(f, "{route}: {reason}"),
            BuildError::Conflict { route, with } => {
                write!(f, "{route} conflicts with {with}: some paths match both patterns equally well")
            }
            BuildError::Duplicate { route, with } => write!(f, "{route} is already answered by {with}"),
            BuildError::Reserved { route, with } => {
                let how = if route.pattern == with.pattern { "has the same path as" } else { "takes requests from" };
                write!(f, "{route} {how} {with}; a built-in path is not shared, move one of them")
            }
            BuildError::Extractor { route, reason } => write!(f, "the handler of {route}: {reason}"),
            BuildError::State { type_name, at } => write!(f, "there is already a state of type {type_name} ({at})"),
            BuildError::Host { host, at, reason } => write!(f, "host {host:?} ({at}): {reason}"),
            BuildError::Part { part, at, reason } => write!(f, "{part} ({at}): {reason}"),
        }
    }
}

impl std::error::Error for BuildError {}
