//! Rate limits: so many requests in so much time for each client, and 429 for what is more (RFC 6585 section 4).
//!
//! Knows who the client is as the server found out, and what time it was when the request came; how a limit is kept is in
//! `table`.

mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};

use self::table::{Table, Verdict};
use super::{Middleware, Next};
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::forwarded::client_network;

/// Clients that are remembered; 16 bytes each.
const CLIENTS: usize = 1 << 16;
/// Requests that come out of order, since their bodies took long, are taken to have come no earlier than this before others.
const SLACK: u64 = 1_000_000;
const NANOSECONDS: u64 = 1_000_000_000;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");

/// Middleware that lets each client make a number of requests in a window of time, and answers 429 to the others.
///
/// A client may make all of them at once, and gets them back evenly over the window: with 60 in a minute, one each second.
/// A refused request takes nothing away, so a client that keeps trying is not locked out.
///
/// Clients are told apart by [`Request::client_ip`], which believes `X-Forwarded-For` only where trusted proxies wrote it;
/// of an IPv6 address the first 64 bits count. [`by`](Self::by) takes something else.
///
/// The answer is a [`Problem`] with `Retry-After` in whole seconds, and with `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10): the allowance `q`, its window `w`, what is left `r` and the seconds `t` until
/// there is more.
///
/// Memory is bounded: 65,536 clients are remembered, in 1 MiB. Those that have regained everything are forgotten first,
/// then those that have used up least; so neither does a flood of addresses lift the limit for who has reached it, nor does
/// it keep others out. No request waits for another.
///
/// ```
/// use std::time::Duration;
///
/// use rws::app::middleware::RateLimit;
/// use rws::app::{App, TestClient, get};
///
/// let limit = RateLimit::new(2, Duration::from_secs(60))?;
/// let client = TestClient::new(App::new().route("/", get(|| "hello")).layer(limit)).unwrap();
/// assert_eq!(client.get("/").send().status(), 200);
/// assert_eq!(client.get("/").send().status(), 200);
/// let refused = client.get("/").send();
/// assert_eq!(refused.status(), 429);
/// assert_eq!(refused.header("retry-after"), Some("30"));
/// assert_eq!(refused.header("ratelimit-policy"), Some("\"default\";q=2;w=60"));
/// # Ok::<(), rws::app::middleware::RateLimitError>(())
/// ```
pub struct RateLimit {
    table: Table,
    policy: HeaderValue,
    key: Key,
    told: Option<Told>,
    /// When the first request came: time is counted from there.
    start: OnceLock<Instant>,
    /// The time of the latest request, give or take [`SLACK`].
    latest: AtomicU64,
    seeds: RandomState,
}

/// The hash of whatever tells clients apart; `None`: not limited.
type Key = Box<dyn Fn(&Request, &RandomState) -> Option<u64> + Send + Sync>;
type Told = Box<dyn Fn(&Request) + Send + Sync>;

/// Why there cannot be such a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimitError {
    /// No requests at all: a limit that lets nobody in.
    NoRequests,
    /// A window of no time or of more than a day.
    Window,
}

impl RateLimit {
    /// A limit of `max_requests` in each `window`, of up to a day.
    ///
    /// # Errors
    ///
    /// When `max_requests` or `window` is zero, or `window` is longer than a day.
    pub fn new(max_requests: u32, window: Duration) -> Result<Self, RateLimitError> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if max_requests == 0 {
            return Err(RateLimitError::NoRequests);
        }
        if window.is_zero() || window > DAY {
            return Err(RateLimitError::Window);
        }
        let nanoseconds = u64::try_from(window.as_nanos()).map_err(|_| RateLimitError::Window)?;
        let seconds = nanoseconds.div_ceil(NANOSECONDS);
        let policy = HeaderValue::try_from(format!("\"default\";q={max_requests};w={seconds}"));
        Ok(RateLimit {
            table: Table::new(max_requests, nanoseconds, CLIENTS),
            policy: policy.map_err(|_| RateLimitError::Window)?,
            key: Box::new(|request, seeds| Some(seeds.hash_one(client_network(request.client_ip())))),
            told: None,
            start: OnceLock::new(),
            latest: AtomicU64::new(0),
            seeds: RandomState::new(),
        })
    }

    /// The same limit for each of whatever `key` makes of a request, such as an API key. `None`: no limit.
    ///
    /// What a client can choose at will is no key, since each gets an allowance of its own: use it behind what has
    /// verified it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rws::app::middleware::RateLimit;
    /// use rws::app::{App, TestClient, get};
    ///
    /// let limit = RateLimit::new(1, Duration::from_secs(1))?
    ///     .by(|request| request.head().field_str("x-api-key").map(str::to_owned));
    /// let client = TestClient::new(App::new().route("/", get(|| "hello")).layer(limit)).unwrap();
    /// let ask = |key: &str| client.get("/").header("x-api-key", key).send().status().as_u16();
    /// assert_eq!([ask("a"), ask("a"), ask("b")], [200, 429, 200]);
    /// # Ok::<(), rws::app::middleware::RateLimitError>(())
    /// ```
    #[must_use]
    pub fn by<K: Hash>(mut self, key: impl Fn(&Request) -> Option<K> + Send + Sync + 'static) -> Self {
        self.key = Box::new(move |request, seeds| key(request).map(|key| seeds.hash_one(key)));
        self
    }

    /// Calls `told` for each request that is refused, to count it. It runs on the thread of the request.
    #[must_use]
    pub fn on_refusal(mut self, told: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    fn verdict(&self, request: &Request) -> Verdict {
        match (self.key)(request, &self.seeds) {
            Some(hash) => self.table.take(hash, self.now(request.received.at)),
            None => Verdict::Pass,
        }
    }

    /// Nanoseconds since the first request. A request whose body came slowly has come when others come now: what was
    /// regained since its head came is nothing that it could have asked for.
    fn now(&self, at: Instant) -> u64 {
        let start = *self.start.get_or_init(|| at);
        let now = u64::try_from(at.saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX);
        let latest = self.latest.load(Ordering::Relaxed);
        if now > latest.saturating_add(SLACK) {
            self.latest.store(now, Ordering::Relaxed);
        }
        now.max(latest)
    }

    fn refuse(&self, wait: u64) -> Response {
        let seconds = wait.div_ceil(NANOSECONDS).max(1);
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS)
            .with_detail("there were too many requests; come back later")
            .with_header(RETRY_AFTER, seconds.into())
            .with_header(POLICY, self.policy.clone());
        if let Ok(state) = HeaderValue::try_from(format!("\"default\";r=0;t={seconds}")) {
            problem = problem.with_header(STATE, state);
        }
        problem.into_response()
    }
}

impl Middleware for RateLimit {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        match self.verdict(&request) {
            Verdict::Pass => next.run(request),
            Verdict::Wait(time) => {
                if let Some(told) = &self.told {
                    told(&request);
                }
                self.refuse(time)
            }
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (policy, clients) = (&self.policy, self.table.capacity());
        f.debug_struct("RateLimit").field("policy", policy).field("clients", &clients).finish_non_exhaustive()
    }
}

impl fmt::Display for RateLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RateLimitError::NoRequests => "a limit of no requests lets nobody in",
            RateLimitError::Window => "the window of a limit must be longer than nothing and at most a day",
        })
    }
}

impl std::error::Error for RateLimitError {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
