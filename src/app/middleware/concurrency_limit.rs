//! How many requests may be in a part of an application at the same time. Knows no queue: what is too much is refused.

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

use super::{Middleware, Next};
use crate::app::into_response::IntoResponse;
use crate::app::permits::Permits;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;

/// Lets at most so many requests in at the same time and answers 503 (RFC 9110 section 15.6.4) to those beyond, with
/// `Retry-After: 1`: a bulkhead around what is slow, so that it cannot take all threads from what is not.
///
/// A request counts until its handler has returned the response; what is streamed after that does not. For work
/// inside a stream, take a [`Permit`](crate::app::permits::Permit) along with it.
///
/// ```
/// use rws::app::middleware::ConcurrencyLimit;
/// use rws::app::{App, TestClient, get};
///
/// let app = App::new().route("/search", get(|| "found").layer(ConcurrencyLimit::new(8))).route("/", get(|| "fast"));
/// assert_eq!(TestClient::new(app)?.get("/search").send().text(), "found");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    permits: Permits,
}

impl ConcurrencyLimit {
    /// At most `most` requests; with 0 none comes in. Clones count together, so that several routes may share a limit.
    pub fn new(most: usize) -> Self {
        ConcurrencyLimit::of(Permits::new(most))
    }

    /// As many requests as there are `permits`, which other work may need too.
    pub fn of(permits: Permits) -> Self {
        ConcurrencyLimit { permits }
    }
}

impl Middleware for ConcurrencyLimit {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        match self.permits.try_acquire() {
            Some(_permit) => next.run(request),
            None => too_many(),
        }
    }
}

fn too_many() -> Response {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE)
        .with_detail("too many requests are in progress here; try again")
        .with_header(RETRY_AFTER, 1.into())
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .into_response()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::app::{App, State, TestClient, get};

    #[test]
    fn what_is_too_much_is_refused_and_counts_no_longer_than_its_handler_runs() {
        let permits = Permits::new(1);
        let limit = ConcurrencyLimit::of(permits.clone());
        let left = |State(permits): State<Permits>| permits.available().to_string();
        let app = App::new()
            .route("/left", get(left).layer(limit.clone()))
            .route("/shared", get(|| "in").layer(limit))
            .route("/broken", get(|| -> &str { panic!("on purpose") }).layer(ConcurrencyLimit::of(permits.clone())))
            .state(permits.clone());
        let client = TestClient::new(app).unwrap();
        assert_eq!(client.get("/left").send().text(), "0");
        assert!(catch_unwind(AssertUnwindSafe(|| client.get("/broken").send())).is_err());
        assert_eq!(permits.available(), 1, "given back by a panic too");

        let other = permits.try_acquire();
        let refused = client.get("/shared").send();
        assert_eq!((refused.status().as_u16(), refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.content_type(), Some("application/problem+json"));
        drop(other);
        assert_eq!(client.get("/shared").send().text(), "in");
    }
}
