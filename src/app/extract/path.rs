//! Path parameters.

use http::StatusCode;
use serde::de::DeserializeOwned;

use self::decode::{Failure, Param, Params, ParamsDeserializer};
use super::{FromRequestParts, OptionalFromRequestParts};
use crate::app::context::Context;
use crate::app::problem::Problem;
use crate::app::request::Request;

mod decode;
mod shape;

/// The parameters of the path, percent-decoded: a single value, a tuple in the order of the pattern, a struct or map by name,
/// or a `Vec` of all of them.
///
/// A value that does not fit, an invalid escape and invalid UTF-8 make a 400 that names the parameter. A handler that asks for
/// more or fewer than its route has keeps the application from being built. `Option<Path<T>>` is `None` on a route without
/// parameters, for a handler that is on several routes.
///
/// ```
/// use rws::app::{App, Path, TestClient, get};
///
/// fn post((user, post): (String, u32)) -> String {
///     format!("{user}: {post}")
/// }
///
/// let app = App::new().route("/users/{name}/posts/{id}", get(|Path(both)| post(both)));
/// let client = TestClient::new(app)?;
/// assert_eq!(client.get("/users/J%C3%BCrgen/posts/7").send().text(), "Jürgen: 7");
/// assert_eq!(client.get("/users/J%C3/posts/7").send().status(), 400);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts for Path<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
        read(request, context).map(Path).map_err(|failure| rejection(failure, context))
    }

    fn check(context: &Context) -> Result<(), String> {
        let (wanted, found) = (shape::count::<T>(), context.param_names().len());
        match wanted {
            Some(wanted) if wanted != found => Err(format!(
                "it takes {wanted} path parameter{} and the pattern has {found}",
                if wanted == 1 { "" } else { "s" }
            )),
            _ => Ok(()),
        }
    }
}

impl<T: DeserializeOwned> OptionalFromRequestParts for Path<T> {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Option<Self>, Problem> {
        match context.param_names().len() {
            0 => Ok(None),
            _ => FromRequestParts::from_request_parts(request, context).map(Some),
        }
    }

    fn check(context: &Context) -> Result<(), String> {
        match context.param_names().len() {
            0 => Ok(()),
            _ => <Self as FromRequestParts>::check(context),
        }
    }
}

fn read<T: DeserializeOwned>(request: &Request, context: &Context) -> Result<T, Failure> {
    let params: Params<'_> = context
        .param_names()
        .zip(request.raw_params())
        .map(|(name, raw)| Param::decode(name, raw))
        .collect::<Result<_, _>>()?;
    T::deserialize(ParamsDeserializer(params))
}

fn rejection(failure: Failure, context: &Context) -> Problem {
    let bad = Problem::new(StatusCode::BAD_REQUEST);
    match failure {
        Failure::Value { name: Some(name), reason } => {
            bad.with_detail(format!("path parameter `{name}`: {reason}")).with_field(name, reason)
        }
        Failure::Value { name: None, reason } => bad.with_detail(format!("path: {reason}")).with_unplaced(reason),
        Failure::Type(reason) => {
            Problem::internal(format_args!("the path parameters of {} cannot be extracted: {reason}", context.route()))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
