//! Handlers: plain functions from extractors to anything that is a response.

use std::marker::PhantomData;

use super::context::Context;
use super::extract::{FromRequest, FromRequestParts};
use super::into_response::IntoResponse;
use super::request::Request;
use super::response::Response;
use super::service::BodyUse;

/// A function that answers requests: up to eight extractors in, anything that is [`IntoResponse`] out.
///
/// Implemented for functions and closures and for nothing else. All arguments are [`FromRequestParts`], except that the
/// last may be [`FromRequest`], which takes the body. `M` only tells the implementations apart. A handler may block.
///
/// ```
/// use rws::StatusCode;
/// use rws::app::{App, IntoResponse, Json, Path, Query, Response, State, TestClient, get};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone)]
/// struct Db;
/// #[derive(Deserialize)]
/// struct Page {
///     number: Option<u32>,
/// }
/// #[derive(Serialize)]
/// struct Item {
///     id: u64,
///     page: u32,
/// }
/// struct ApiError;
/// impl IntoResponse for ApiError {
///     fn into_response(self) -> Response {
///         StatusCode::NOT_FOUND.into_response()
///     }
/// }
///
/// fn show(Path(id): Path<u64>, State(_db): State<Db>, Query(q): Query<Page>) -> Result<Json<Item>, ApiError> {
///     if id == 0 { Err(ApiError) } else { Ok(Json(Item { id, page: q.number.unwrap_or(1) })) }
/// }
///
/// let client = TestClient::new(App::new().route("/items/{id}", get(show)).state(Db))?;
/// assert_eq!(client.get("/items/7?number=2").send().text(), r#"{"id":7,"page":2}"#);
/// assert_eq!(client.get("/items/0").send().status(), 404);
/// assert_eq!(client.get("/items/seven").send().status(), 400);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
///
/// The compiler does not tell which argument of a function keeps it from being a handler. It does as soon as it knows how many
/// there are: `get::<_, (_, _, _)>(show)` says it of a function with two, by one `_` more.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a handler",
    note = "its arguments are extractors, 8 at most: Path, Query, State, HeaderMap …, and in the last place also what takes the body: Json, Form, Bytes, String, Body, Request",
    note = "types of yours in them need a derive: `Deserialize` in Path, Query, Form and Json, `Clone` in State and Extension, `Serialize` in a Json that is returned",
    note = "its result is `IntoResponse`: text, `Json`, `StatusCode`, `Response`, a tuple that ends in one, or a `Result` of two of them",
    note = "it is a plain `fn` or closure that may block, never `async`, and it is `Send + Sync + 'static`",
    note = "to be told what does not fit, write one `_` more than it has arguments: `get::<_, (_, _, _)>(…)` for two"
)]
pub trait Handler<M>: Send + Sync + 'static {
    /// How the handler takes request bodies, which follows from its last argument.
    const BODY: BodyUse;

    /// Extracts the arguments and runs the function; answers with the first rejection otherwise.
    fn call(&self, request: Request, context: &Context) -> Response;

    /// Why the arguments can never be extracted on this route, one entry for each such argument.
    fn check(context: &Context) -> Vec<String>;
}

/// A handler whose type has been forgotten.
pub(super) trait Erased: Send + Sync {
    fn call(&self, request: Request, context: &Context) -> Response;
}

/// A handler that still remembers how its arguments are extracted.
pub(super) struct Typed<H, M>(H, PhantomData<fn() -> M>);

impl<H, M> Typed<H, M> {
    pub(super) fn new(handler: H) -> Self {
        Typed(handler, PhantomData)
    }
}

impl<H: Handler<M>, M> Erased for Typed<H, M> {
    fn call(&self, request: Request, context: &Context) -> Response {
        self.0.call(request, context)
    }
}

impl<F, R> Handler<((),)> for F
where
    F: Fn() -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    const BODY: BodyUse = BodyUse::Ignored;

    fn call(&self, _: Request, _: &Context) -> Response {
        self().into_response()
    }

    fn check(_: &Context) -> Vec<String> {
        Vec::new()
    }
}

macro_rules! handler {
    ($($part:ident)*; $last:ident) => {
        #[allow(non_snake_case, reason = "the arguments are called what their types are called")]
        impl<F, R, M, $($part,)* $last> Handler<(M, $($part,)* $last,)> for F
        where
            F: Fn($($part,)* $last) -> R + Send + Sync + 'static,
            R: IntoResponse,
            $($part: FromRequestParts,)*
            $last: FromRequest<M>,
        {
            const BODY: BodyUse = $last::BODY;

            #[allow(unused_mut, reason = "a handler with one argument takes no parts")]
            fn call(&self, mut request: Request, context: &Context) -> Response {
                $(
                    let $part = match $part::from_request_parts(&mut request, context) {
                        Ok(value) => value,
                        Err(rejection) => return rejection.into_response(),
                    };
                )*
                match $last::from_request(request, context) {
                    Ok($last) => self($($part,)* $last).into_response(),
                    Err(rejection) => rejection.into_response(),
                }
            }

            fn check(context: &Context) -> Vec<String> {
                [$($part::check(context),)* $last::check(context)].into_iter().filter_map(Result::err).collect()
            }
        }
    };
}

handler!(; T1);
handler!(T1; T2);
handler!(T1 T2; T3);
handler!(T1 T2 T3; T4);
handler!(T1 T2 T3 T4; T5);
handler!(T1 T2 T3 T4 T5; T6);
handler!(T1 T2 T3 T4 T5 T6; T7);
handler!(T1 T2 T3 T4 T5 T6 T7; T8);
