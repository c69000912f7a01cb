//! Middleware made of closures whose types need not be written out.

use super::{Middleware, Next};
use crate::app::into_response::IntoResponse;
use crate::app::request::Request;
use crate::app::response::Response;

/// A closure as middleware, without the types of its arguments.
///
/// A function `fn(Request, Next<'_>) -> impl IntoResponse` is middleware as it is and needs none of this.
///
/// ```
/// use std::time::Instant;
///
/// use rws::app::middleware::from_fn;
/// use rws::app::{App, TestClient, get};
///
/// let timed = from_fn(|request, next| {
///     let start = Instant::now();
///     let response = next.run(request);
///     ([("server-timing", format!("app;dur={}", start.elapsed().as_millis()))], response)
/// });
/// let client = TestClient::new(App::new().route("/", get(|| "hello")).layer(timed))?;
/// assert!(client.get("/").send().header("server-timing").unwrap().starts_with("app;dur="));
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
pub fn from_fn<F, R>(function: F) -> F
where
    F: Fn(Request, Next<'_>) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    function
}

/// Middleware that changes requests on their way in; an `Err` is the answer in the handler's place.
///
/// ```
/// use rws::StatusCode;
/// use rws::app::middleware::map_request;
/// use rws::app::{App, Extension, TestClient, get};
///
/// let tenant = map_request(|mut request| {
///     let name = request.head().field_str("x-tenant").ok_or(StatusCode::BAD_REQUEST)?.to_owned();
///     request.extensions_mut().insert(name);
///     Ok::<_, StatusCode>(request)
/// });
/// let app = App::new().route("/", get(|Extension(name): Extension<String>| name)).layer(tenant);
/// let client = TestClient::new(app)?;
/// assert_eq!(client.get("/").header("x-tenant", "acme").send().text(), "acme");
/// assert_eq!(client.get("/").send().status(), 400);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
pub fn map_request<F, E>(function: F) -> impl Middleware
where
    F: Fn(Request) -> Result<Request, E> + Send + Sync + 'static,
    E: IntoResponse,
{
    move |request: Request, next: Next<'_>| match function(request) {
        Ok(request) => next.run(request),
        Err(answer) => answer.into_response(),
    }
}

/// Middleware that changes responses on their way out, those of the automatic answers (404, 405) among them.
///
/// ```
/// use rws::app::middleware::map_response;
/// use rws::app::{App, TestClient, get};
///
/// let app = App::new().route("/", get(|| "hello")).layer(map_response(|response| ([("x-powered-by", "rws")], response)));
/// let client = TestClient::new(app)?;
/// assert_eq!(client.get("/").send().header("x-powered-by"), Some("rws"));
/// assert_eq!(client.get("/none").send().header("x-powered-by"), Some("rws"));
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
pub fn map_response<F, R>(function: F) -> impl Middleware
where
    F: Fn(Response) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    move |request: Request, next: Next<'_>| function(next.run(request))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::app::{App, Router, TestClient, get};

    #[test]
    fn closures_stand_around_application_nest_and_route_in_the_order_they_are_written_in() {
        let mark = |name: &'static str| {
            map_response(move |mut response: Response| {
                let text = String::from_utf8(std::mem::take(response.body_mut()).into_bytes().unwrap().into()).unwrap();
                response.with_body(format!("{name}({text})"))
            })
        };
        let closed =
            map_request(|request| if request.path() == "/in/closed" { Err(StatusCode::GONE) } else { Ok(request) });
        let inner = Router::new()
            .route("/", get(|| "x").layer(mark("route")))
            .route("/closed", get(|| "x"))
            .layer(mark("nest"))
            .layer(closed);
        let app = App::new().nest("/in", inner).layer(from_fn(|request, next| next.run(request))).layer(mark("app"));
        let client = TestClient::new(app).unwrap();
        assert_eq!(client.get("/in").send().text(), "app(nest(route(x)))");
        let gone = client.get("/in/closed").send();
        assert_eq!((gone.status().as_u16(), gone.text()), (410, "app(nest())"));
    }
}
