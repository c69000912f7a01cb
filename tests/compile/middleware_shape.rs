//! Middleware that takes something else, answers with something else, or is a future.

use rws::{App, Next, Request, Response};

fn no_next(request: Request) -> Request {
    request
}

fn no_response(request: Request, next: Next<'_>) -> u16 {
    next.run(request).status().as_u16()
}

async fn future(request: Request, next: Next<'_>) -> Response {
    next.run(request)
}

fn main() {
    let _ = App::new().layer(no_next);
    let _ = App::new().layer(no_response);
    let _ = App::new().layer(future);
}
