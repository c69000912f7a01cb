//! Extractors: what handlers take as arguments.

use http::{HeaderMap, Method, StatusCode};
use std::convert::Infallible;
use std::sync::Arc;

use super::body::Body;
use super::context::Context;
use super::into_response::IntoResponse;
use super::problem::Problem;
use super::request::{Received, Request};
use super::service::BodyUse;

mod body;
mod client_certificate;
mod extension;
mod form;
mod json;
mod path;
mod query;
mod state;
mod trace;
#[cfg(feature = "typed-header")]
mod typed_header;
mod urlencoded;

pub use self::extension::Extension;
pub use self::form::Form;
pub use self::json::Json;
pub use self::path::Path;
pub use self::query::Query;
pub use self::state::State;
pub use self::trace::Trace;
#[cfg(feature = "typed-header")]
pub use self::typed_header::TypedHeader;
pub use crate::semantics::client_certificate::ClientCertificate;

/// Something that is made from a request without its body; any argument of a handler.
///
/// ```
/// use rws::app::{App, Context, FromRequestParts, Problem, Request, TestClient, get};
///
/// struct Language(String);
///
/// impl FromRequestParts for Language {
///     type Rejection = Problem;
///
///     fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
///         Ok(Language(request.head().field_str("accept-language").unwrap_or("en").to_owned()))
///     }
/// }
///
/// let app = App::new().route("/", get(|Language(language): Language| language));
/// assert_eq!(TestClient::new(app)?.get("/").send().text(), "en");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor that leaves the body alone",
    label = "a handler cannot take this in any place but the last",
    note = "Path, Query, State, HeaderMap, Method, Uri, RequestId, ConnectInfo, ClientCertificate, Extension and `Result`s of them are; what takes the body (Json, Form, Bytes, String, Body, Request) goes last",
    note = "implement `FromRequestParts` for your own extractors"
)]
pub trait FromRequestParts: Sized {
    /// The answer when it cannot be made; [`Problem`] for all extractors of this crate.
    type Rejection: IntoResponse;

    /// Makes it.
    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Self::Rejection>;

    /// Called once for each route when the application is built: an error, in a sentence, if it can never be made there.
    fn check(_: &Context) -> Result<(), String> {
        Ok(())
    }
}

/// Something that is made from a whole request; the last argument of a handler.
///
/// `M` tells implementations apart, since everything that is [`FromRequestParts`] is this too; leave it out in your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "a handler cannot take this as an argument",
    note = "take a body as Json, Form, Bytes, String, Body or Request, anything else as Path, Query, State, HeaderMap …",
    note = "implement `FromRequestParts` (or `FromRequest`, for the body) for your own extractors"
)]
pub trait FromRequest<M = ViaRequest>: Sized {
    /// The answer when it cannot be made; [`Problem`] for all extractors of this crate.
    type Rejection: IntoResponse;

    /// How it takes the body, so that the server can prepare it: as a whole (read before the handler runs,
    /// while no thread waits) or as a stream.
    const BODY: BodyUse;

    /// Makes it.
    fn from_request(request: Request, context: &Context) -> Result<Self, Self::Rejection>;

    /// Called once for each route when the application is built: an error, in a sentence, if it can never be made there.
    fn check(_: &Context) -> Result<(), String> {
        Ok(())
    }
}

/// What an `Option` of it means: `None` is "the client sent none", and bad input remains a rejection.
pub trait OptionalFromRequestParts: Sized {
    /// The answer to bad input.
    type Rejection: IntoResponse;

    /// Makes it, if there is something to make it from.
    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Option<Self>, Self::Rejection>;

    /// Called once for each route when the application is built: an error, in a sentence, if it can never be made there, and
    /// never be absent either.
    fn check(_: &Context) -> Result<(), String> {
        Ok(())
    }
}

/// What an `Option` of it means: `None` is "the client sent none", and bad input remains a rejection.
pub trait OptionalFromRequest: Sized {
    /// The answer to bad input.
    type Rejection: IntoResponse;

    /// How it takes the body.
    const BODY: BodyUse;

    /// Makes it, if there is something to make it from.
    fn from_request(request: Request, context: &Context) -> Result<Option<Self>, Self::Rejection>;
}

/// Marks the implementations of [`FromRequest`] that take the body.
#[derive(Debug)]
pub enum ViaRequest {}

/// Marks the implementations of [`FromRequest`] that come from [`FromRequestParts`].
#[derive(Debug)]
pub enum ViaParts {}

impl<T: FromRequestParts> FromRequest<ViaParts> for T {
    type Rejection = T::Rejection;

    const BODY: BodyUse = BodyUse::Ignored;

    fn from_request(mut request: Request, context: &Context) -> Result<Self, Self::Rejection> {
        T::from_request_parts(&mut request, context)
    }

    fn check(context: &Context) -> Result<(), String> {
        T::check(context)
    }
}

/// For handlers that answer bad input themselves.
impl<T: FromRequestParts> FromRequestParts for Result<T, T::Rejection> {
    type Rejection = Infallible;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Infallible> {
        Ok(T::from_request_parts(request, context))
    }

    fn check(context: &Context) -> Result<(), String> {
        T::check(context)
    }
}

/// For handlers that answer bad input themselves.
impl<T: FromRequest<ViaRequest>> FromRequest<ViaRequest> for Result<T, T::Rejection> {
    type Rejection = Infallible;

    const BODY: BodyUse = T::BODY;

    fn from_request(request: Request, context: &Context) -> Result<Self, Infallible> {
        Ok(T::from_request(request, context))
    }

    fn check(context: &Context) -> Result<(), String> {
        T::check(context)
    }
}

impl<T: OptionalFromRequestParts> FromRequestParts for Option<T> {
    type Rejection = T::Rejection;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Self::Rejection> {
        T::from_request_parts(request, context)
    }

    fn check(context: &Context) -> Result<(), String> {
        T::check(context)
    }
}

impl<T: OptionalFromRequest> FromRequest<ViaRequest> for Option<T> {
    type Rejection = T::Rejection;

    const BODY: BodyUse = T::BODY;

    fn from_request(request: Request, context: &Context) -> Result<Self, Self::Rejection> {
        T::from_request(request, context)
    }
}

/// The whole request, with a body that is still to be read.
impl FromRequest<ViaRequest> for Request {
    type Rejection = Infallible;

    const BODY: BodyUse = BodyUse::Stream;

    fn from_request(request: Request, _: &Context) -> Result<Self, Infallible> {
        Ok(request)
    }
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectInfo(pub std::net::SocketAddr);

/// The client's address; see [`Request::client_ip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIp(pub std::net::IpAddr);

/// The request's id, as logged and echoed in `X-Request-Id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The pattern of the route that was taken, `/users/{id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedPath(pub Arc<str>);

/// Extractors that cannot fail.
macro_rules! infallible {
    ($($type:ty: |$request:pat_param, $context:pat_param| $value:expr;)*) => {$(
        impl FromRequestParts for $type {
            type Rejection = Infallible;

            fn from_request_parts($request: &mut Request, $context: &Context) -> Result<Self, Infallible> {
                Ok($value)
            }
        }
    )*};
}

infallible! {
    Method: |request, _| request.method().clone();
    HeaderMap: |request, _| request.head().to_header_map();
    Arc<Received>: |request, _| Arc::clone(&request.received);
    ConnectInfo: |request, _| ConnectInfo(request.remote());
    ClientIp: |request, _| ClientIp(request.client_ip());
    RequestId: |request, _| RequestId(request.id().to_owned());
    MatchedPath: |_, context| MatchedPath(context.shared_route());
}

/// The name of a type without the paths to it: `Vec<Item>` for `alloc::vec::Vec<shop::Item>`.
fn short_name<T: ?Sized>() -> String {
    let mut short = String::new();
    for part in std::any::type_name::<T>().split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        short.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    short
}

/// 415, naming what is taken instead.
fn unsupported(expected: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_detail(format!("the request body must be {expected}"))
        .with_field("content-type", format!("must be {expected}"))
}

/// The media type of the request body in lower case, without parameters; empty if there is none, or if there are several,
/// which others on the way may have read otherwise (RFC 9110 section 5.3).
fn media_type(request: &Request) -> String {
    let is_only = request.head().values("content-type").nth(1).is_none();
    let field = request.head().field_str("content-type").filter(|_| is_only).unwrap_or_default();
    field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// 415 for a body that says of itself to be in another charset than UTF-8, of which ASCII is a part.
fn check_charset(request: &Request) -> Result<(), Problem> {
    let fields = request.head().values("content-type").map(|field| std::str::from_utf8(field).unwrap_or_default());
    let parameters =
        fields.flat_map(|field| field.split(';').skip(1)).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let is_known =
        |charset: &str| ["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(charset));
    match charsets.all(|(_, charset)| is_known(charset.trim().trim_matches('"'))) {
        true => Ok(()),
        false => Err(unsupported("UTF-8")),
    }
}

/// The body as a whole, or the problem that kept it from being read.
fn whole_body(body: Body) -> Result<bytes::Bytes, Problem> {
    body.into_bytes().map_err(Problem::from)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
