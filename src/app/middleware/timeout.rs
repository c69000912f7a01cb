//! Deadlines that handlers can see. Knows when a request came and what time it is; ends nothing.

use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::{Middleware, Next};
use crate::app::context::Context;
use crate::app::extract::{FromRequestParts, OptionalFromRequestParts};
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;

/// Gives requests a [`Deadline`]: a time after their head has arrived.
///
/// A request that has waited for longer than that, in the queue or for its body, is answered with 503 before its handler
/// runs. Work that nobody waits for any more is what keeps a server busy when it has too much to do.
///
/// A handler that has begun is not ended: a thread cannot be stopped from outside without losing what it holds. It takes
/// the [`Deadline`] as an argument, hands [`Deadline::remaining`] to whatever it waits for, and asks [`Deadline::check`] between
/// steps. What it answers too late is sent all the same: the work is done then, and a 503 would have the client repeat it.
/// 503 and not 504, which is for gateways (RFC 9110 sections 15.6.4 and 15.6.5).
///
/// Of several the earliest counts. The server's own RWS_CONFIG_HANDLER_TIMEOUT reports slow handlers and is not
/// changed by this.
///
/// ```
/// use std::time::Duration;
///
/// use rws::app::middleware::{Deadline, Timeout};
/// use rws::app::{App, Problem, TestClient, get};
///
/// fn report(deadline: Deadline) -> Result<String, Problem> {
///     let mut lines = Vec::new();
///     for part in ["sales", "stock"] {
///         deadline.check()?;
///         lines.push(format!("{part} within {:?}", deadline.remaining() < Duration::from_secs(2)));
///     }
///     Ok(lines.join("\n"))
/// }
///
/// let app = App::new()
///     .route("/report", get(report).layer(Timeout::new(Duration::from_secs(2))))
///     .route("/late", get(report).layer(Timeout::new(Duration::ZERO)));
/// let client = TestClient::new(app)?;
/// assert_eq!(client.get("/report").send().text(), "sales within true\nstock within true");
/// assert_eq!(client.get("/late").send().status(), 503);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeout {
    after: Duration,
}

impl Timeout {
    /// A deadline `after` the arrival of a request's head. Zero answers everything with 503.
    pub const fn new(after: Duration) -> Self {
        Timeout { after }
    }

    /// When a request has to be answered; `None` if that is beyond what clocks can tell.
    fn deadline(self, request: &Request) -> Option<Deadline> {
        let own = request.received.at.checked_add(self.after).map(Deadline);
        let outer = request.extensions().get().copied();
        own.into_iter().chain(outer).min()
    }
}

impl Middleware for Timeout {
    fn handle(&self, mut request: Request, next: Next<'_>) -> Response {
        if let Some(deadline) = self.deadline(&request) {
            if let Err(late) = deadline.check() {
                return late.into_response();
            }
            request.extensions_mut().insert(deadline);
        }
        next.run(request)
    }
}

/// When a request has to be answered, from [`Timeout`]; an argument of handlers.
///
/// Without a `Timeout` around the route it is a mistake in the program and makes a 500; take `Option<Deadline>` for what may
/// have none. Middleware finds it in [`Request::extensions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment.
    pub fn at(self) -> Instant {
        self.0
    }

    /// How long it is until then; zero once it has passed. For the time limits of what the handler waits for.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// A 503 with `Retry-After` once it has passed; for `?` between the steps of a handler.
    ///
    /// # Errors
    ///
    /// When it has passed.
    pub fn check(self) -> Result<(), Problem> {
        if !self.has_passed() {
            return Ok(());
        }
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .with_detail("the request could not be answered in time")
            .with_header(RETRY_AFTER, 1.into()))
    }
}

impl FromRequestParts for Deadline {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
        let missing = || Problem::internal(format_args!("there is no Timeout around {}", context.route()));
        request.extensions().get().copied().ok_or_else(missing)
    }
}

impl OptionalFromRequestParts for Deadline {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Problem> {
        Ok(request.extensions().get().copied())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, Router, TestClient, get};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_earliest_deadline_counts_and_a_late_request_is_not_begun() {
        let minutes = |deadline: Option<Deadline>| match deadline {
            Some(deadline) => (deadline.remaining().as_secs_f64() / 60.0).ceil().to_string(),
            None => "none".to_owned(),
        };
        let inner = Router::new()
            .route("/", get(minutes))
            .route("/earlier", get(minutes).layer(Timeout::new(2 * MINUTE)))
            .route("/later", get(minutes).layer(Timeout::new(9 * MINUTE)))
            .route("/never", get(minutes).layer(Timeout::new(Duration::MAX)))
            .route("/late", get(|| -> &str { panic!("it runs") }).layer(Timeout::new(Duration::ZERO)))
            .layer(Timeout::new(5 * MINUTE));
        let app = App::new().nest("/in", inner).route("/out", get(minutes)).route("/wrong", get(|_: Deadline| ""));
        let client = TestClient::new(app).unwrap();
        for (path, status, text) in [
            ("/in", 200, "5"),
            ("/in/earlier", 200, "2"),
            ("/in/later", 200, "5"),
            ("/in/never", 200, "5"),
            ("/out", 200, "none"),
        ] {
            let answer = client.get(path).send();
            assert_eq!((answer.status().as_u16(), answer.text()), (status, text), "{path}");
        }
        let late = client.get("/in/late").send();
        assert_eq!((late.status().as_u16(), late.header("retry-after")), (503, Some("1")));
        assert!(late.text().contains("in time"), "{}", late.text());
        assert_eq!(client.get("/wrong").send().status(), 500);
    }

    #[test]
    fn a_deadline_passes() {
        let now = Instant::now();
        let (past, future) = (Deadline(now), Deadline(now + MINUTE));
        assert!(past.has_passed() && past.check().is_err() && past.remaining().is_zero());
        assert!(!future.has_passed() && future.check().is_ok() && future.remaining() <= MINUTE);
        assert_eq!(future.at(), now + MINUTE);
    }
}
