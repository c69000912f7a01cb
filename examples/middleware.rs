//! Run with `cargo run --example middleware`, then:
//!
//! ```text
//! curl -i localhost:7878/
//! curl -u ada:lovelace localhost:7878/admin
//! curl -i -X POST localhost:7878/orders -d 'two cups'
//! curl localhost:7878/count/1000000000000
//! ```
//!
//! Middleware around the whole application (a header that tells how long it took), around one part of it (a password), and
//! around single routes (limits and a deadline). Requests pass it from the outside in, in the order in which it is written.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rws::app::middleware::{AuthenticatedUser, BasicAuth, BodyLimit, Deadline, RateLimit, Timeout, Users};
use rws::{App, IntoResponse, Next, Path, Problem, Request, Response, Router, StatusCode, get, post};

/// Tells the browser's developer tools how long the application took.
fn timing(request: Request, next: Next<'_>) -> Response {
    let start = Instant::now();
    let response = next.run(request);
    let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
    ([("server-timing", format!("app;dur={milliseconds:.3}"))], response).into_response()
}

fn dashboard(AuthenticatedUser(name): AuthenticatedUser) -> String {
    format!("Hello, {name}!\n")
}

fn order(text: String) -> (StatusCode, String) {
    (StatusCode::CREATED, format!("ordered: {text}\n"))
}

/// Counts for as long as the deadline allows.
fn count(Path(to): Path<u64>, deadline: Deadline) -> Result<String, Problem> {
    (0..to).try_for_each(|_| deadline.check())?;
    Ok(format!("counted to {to}\n"))
}

fn app() -> Result<App, Box<dyn Error>> {
    let password = BasicAuth::new("Admin", Users::htpasswd("ada:lovelace")?)?;
    let admin = Router::new().route("/", get(dashboard)).layer(password);

    let often = RateLimit::new(3, Duration::from_secs(60))?;
    let orders = post(order).layer(often).layer(BodyLimit::new(64));

    Ok(App::new()
        .layer(timing)
        .route("/", get(|| "Hello!\n"))
        .nest("/admin", admin)
        .route("/orders", orders)
        .route("/count/{to}", get(count).layer(Timeout::new(Duration::from_secs(1)))))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    Ok(app()?.run())
}
