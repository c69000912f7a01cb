//! What requests meet, on a clock that is moved by hand.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::app::body::Body;
use crate::app::request::Received;
use crate::app::service::Service;
use crate::app::{App, get};

/// An application with this limit, and the time at which its requests come.
struct Site {
    service: Box<dyn Service>,
    now: Instant,
}

impl Site {
    fn new(limit: RateLimit) -> Self {
        let app = App::new().route("/", get(|| "in")).layer(limit);
        Site { service: Box::new(app.build().unwrap()), now: Instant::now() }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn ask(&self, client: &str) -> Response {
        self.ask_at(client, self.now)
    }

    fn ask_at(&self, client: &str, at: Instant) -> Response {
        let client_ip: IpAddr = client.parse().unwrap();
        let received = Arc::new(Received { client_ip, at, ..Received::default() });
        self.service.call(Request::new(received, Default::default(), Body::empty()))
    }

    /// How many requests of this client pass now.
    fn passes(&self, client: &str) -> usize {
        std::iter::from_fn(|| (self.ask(client).status() != 429).then_some(())).take(10_000).count()
    }
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(&HeaderName::try_from(name).unwrap()).and_then(|value| value.to_str().ok())
}

#[test]
fn each_client_has_its_own_allowance_and_regains_it_evenly() {
    let mut site = Site::new(RateLimit::new(60, Duration::from_secs(60)).unwrap());
    assert_eq!([site.passes("192.0.2.1"), site.passes("192.0.2.2"), site.passes("2001:db8::1")], [60; 3]);
    assert_eq!(site.passes("2001:db8::ffff:1"), 0, "a network of IPv6 is one client");
    assert_eq!(site.passes("2001:db8:0:1::1"), 60);
    site.pass(Duration::from_millis(2_500));
    assert_eq!(site.passes("192.0.2.1"), 2);
    site.pass(Duration::from_secs(1_000_000));
    assert_eq!(site.passes("192.0.2.1"), 60);
}

#[test]
fn a_refusal_says_when_to_come_back_and_that_is_the_truth() {
    for (max, window, expected) in [(1, 10_000, 10), (7, 1_000, 1), (3, 100, 1), (2, 5_000, 3), (1, 86_400_000, 86_400)]
    {
        let mut site = Site::new(RateLimit::new(max, Duration::from_millis(window)).unwrap());
        assert_eq!(site.passes("192.0.2.1"), max as usize);
        let refused = site.ask("192.0.2.1");
        let seconds = window.div_ceil(1_000);
        assert_eq!(refused.status(), 429);
        assert_eq!(field(&refused, "retry-after"), Some(&*expected.to_string()), "{max} in {window} ms");
        assert_eq!(field(&refused, "ratelimit-policy"), Some(&*format!("\"default\";q={max};w={seconds}")));
        assert_eq!(field(&refused, "ratelimit"), Some(&*format!("\"default\";r=0;t={expected}")));
        assert_eq!(field(&refused, "content-type"), Some("application/problem+json"));
        site.pass(Duration::from_secs(expected));
        assert_eq!(site.ask("192.0.2.1").status(), 404, "there is no route, but the limit lets it through");
    }
}

#[test]
fn who_keeps_trying_is_not_locked_out() {
    let mut site = Site::new(RateLimit::new(10, Duration::from_secs(10)).unwrap());
    let mut passed = 0;
    for _ in 0..10_000 {
        passed += usize::from(site.ask("192.0.2.1").status() != 429);
        site.pass(Duration::from_millis(10));
    }
    // A hundred seconds, and ten to begin with.
    assert!((109..=110).contains(&passed), "{passed}");
}

#[test]
fn a_request_that_came_long_ago_counts_as_one_that_comes_now() {
    let mut site = Site::new(RateLimit::new(2, Duration::from_secs(10)).unwrap());
    let before = site.now;
    site.ask("192.0.2.9");
    site.pass(Duration::from_secs(60));
    assert_eq!(site.ask("192.0.2.1").status(), 404);
    assert_eq!(site.ask_at("192.0.2.1", before).status(), 404, "its body took a minute");
    let refused = site.ask_at("192.0.2.1", before);
    assert_eq!((refused.status().as_u16(), field(&refused, "retry-after")), (429, Some("5")));
}

#[test]
fn other_keys_and_none_at_all() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let counted = refusals.clone();
    let limit = RateLimit::new(3, Duration::from_secs(10)).unwrap();
    let limit = limit
        .by(|request| match request.client_ip() {
            IpAddr::V4(four) => Some(four.octets()[0]),
            IpAddr::V6(_) => None,
        })
        .on_refusal(move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
    let site = Site::new(limit);
    assert_eq!(site.passes("10.0.0.1"), 3);
    assert_eq!(site.passes("10.9.9.9"), 0);
    assert_eq!(site.passes("11.0.0.1"), 3);
    assert_eq!(refusals.load(Ordering::Relaxed), 3);
    assert_eq!(site.passes("2001:db8::1"), 10_000);
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let new = |max, window| RateLimit::new(max, window).map(drop);
    assert_eq!(new(0, Duration::from_secs(1)), Err(RateLimitError::NoRequests));
    assert_eq!(new(1, Duration::ZERO), Err(RateLimitError::Window));
    assert_eq!(new(1, Duration::from_secs(86_401)), Err(RateLimitError::Window));
    assert_eq!(new(u32::MAX, Duration::from_nanos(1)), Ok(()));
}
