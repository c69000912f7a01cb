//! A limit for request bodies as middleware. Knows how long a body is and how much of it was read.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Middleware, Next};
use crate::app::body::{Body, BodyError};
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;

/// Answers requests whose body is longer than a number of bytes with 413 (RFC 9110 section 15.5.14), as a problem.
///
/// A body whose length is known is refused before the handler runs. One that comes in chunks fails under the hands of
/// the handler that reads it, with [`BodyError::TooLarge`], and the answer is 413 whatever the handler makes of that.
/// Bodies that no handler takes are not looked at: the server discards them.
///
/// It only ever lowers a limit: of several the smallest counts, and what the server enforces comes before all of them:
/// [`body_limit`](crate::app::Router::body_limit) of the route, the router or the application, or else
/// RWS_CONFIG_MAX_BODY_SIZE_IN_BYTES (2 MiB). Those refuse a body before any of it is read and can raise a limit as well,
/// so they are the better choice unless the limit depends on the request: this can be the inside of a middleware that
/// knows the user, say.
///
/// ```
/// use rws::app::middleware::BodyLimit;
/// use rws::app::{App, Router, TestClient, post};
///
/// let notes = Router::new().route("/", post(|text: String| text)).layer(BodyLimit::new(5));
/// let client = TestClient::new(App::new().nest("/notes", notes))?;
/// assert_eq!(client.post("/notes").body("short").send().text(), "short");
/// assert_eq!(client.post("/notes").body("too long").send().status(), 413);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    bytes: u64,
}

impl BodyLimit {
    /// Bodies of at most `bytes`; 0 lets only requests without a body in.
    pub const fn new(bytes: u64) -> Self {
        BodyLimit { bytes }
    }

    /// Has the body of a request fail once more of it is read than there may be.
    fn watch(self, request: &mut Request) -> Arc<AtomicBool> {
        let exceeded = Arc::new(AtomicBool::new(false));
        let body = request.take_body();
        *request.body_mut() = Body::reader(Limited { body, left: self.bytes, exceeded: Arc::clone(&exceeded) }, None);
        exceeded
    }
}

impl Middleware for BodyLimit {
    fn handle(&self, mut request: Request, next: Next<'_>) -> Response {
        match request.body_mut().length() {
            Some(length) if length > self.bytes => too_large(),
            Some(_) => next.run(request),
            None => {
                let exceeded = self.watch(&mut request);
                let response = next.run(request);
                if exceeded.load(Ordering::Relaxed) { too_large() } else { response }
            }
        }
    }
}

fn too_large() -> Response {
    Problem::from(BodyError::TooLarge).into_response()
}

/// A body that fails when it turns out to be too long, and says so.
struct Limited {
    body: Body,
    left: u64,
    exceeded: Arc<AtomicBool>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            self.exceeded.store(true, Ordering::Relaxed);
            BodyError::TooLarge
        })?;
        Ok(read)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, Router, TestClient, post};

    /// Reads everything and makes a 200 of whatever happens.
    fn careless(mut body: Body) -> String {
        format!("{:?}", io::copy(&mut body, &mut io::sink()).is_ok())
    }

    #[test]
    fn bodies_over_the_limit_are_413_however_they_come_and_are_read() {
        let routes = Router::new()
            .route("/whole", post(|text: String| text))
            .route("/stream", post(careless))
            .route("/ignored", post(|| "ignored"))
            .route("/less", post(|text: String| text).layer(BodyLimit::new(3)))
            .route("/more", post(|text: String| text).layer(BodyLimit::new(9)).body_limit(9))
            .layer(BodyLimit::new(5));
        let client = TestClient::new(App::new().nest("/in", routes).route("/out", post(|text: String| text))).unwrap();
        for (path, body, status) in [
            ("/in/whole", "12345", 200),
            ("/in/whole", "123456", 413),
            ("/in/stream", "12345", 200),
            ("/in/stream", "123456", 413),
            ("/in/ignored", "123456", 200),
            ("/in/less", "123", 200),
            ("/in/less", "1234", 413),
            ("/in/more", "123456", 413),
            ("/out", "123456", 200),
        ] {
            for body in [Body::from(body), Body::reader(body.as_bytes(), None)] {
                let answer = client.post(path).body(body).send();
                assert_eq!(answer.status(), status, "{path}: {}", answer.text());
                let is_problem = answer.content_type() == Some("application/problem+json");
                assert_eq!(is_problem, status == 413, "{path}");
            }
        }
    }

    #[test]
    fn an_announced_length_is_refused_before_the_handler_runs() {
        let app = App::new().route("/", post(|_: Body| -> &str { panic!("it runs") })).layer(BodyLimit::new(5));
        let built = app.build().unwrap();
        let ask = |length| {
            use crate::app::service::{Resolved, Service};
            let resolved = Resolved { endpoint: 1, ..Resolved::default() };
            let body = Body::reader(&b"123456"[..], Some(length));
            built.call(Request::new(Arc::default(), resolved, body)).status()
        };
        assert_eq!(ask(6), 413);
    }
}
