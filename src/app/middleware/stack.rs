//! Middleware that is exchanged while an application runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::{Layers, Middleware, Next};
use crate::app::request::Request;
use crate::app::response::Response;

/// A list of middleware in place of one, the first of it outermost. It begins empty, and a clone is the same list.
///
/// A request meets the list that is there when it comes; while there is none it costs a load.
///
/// ```
/// use std::sync::Arc;
///
/// use rws::StatusCode;
/// use rws::app::middleware::Stack;
/// use rws::app::{App, Next, Request, TestClient, get};
///
/// let stack = Stack::default();
/// let client = TestClient::new(App::new().route("/", get(|| "open")).layer(stack.clone()))?;
/// assert_eq!(client.get("/").send().status(), 200);
///
/// let closed = |_: Request, _: Next<'_>| StatusCode::SERVICE_UNAVAILABLE;
/// stack.set(vec![Arc::new(closed)]);
/// assert_eq!(client.get("/").send().status(), 503);
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stack {
    layers: Arc<ArcSwapOption<Layers>>,
}

impl Stack {
    /// Has requests pass these from now on.
    pub fn set(&self, layers: Vec<Arc<dyn Middleware>>) {
        self.layers.store((!layers.is_empty()).then(|| Arc::new(layers)));
    }
}

impl Middleware for Stack {
    fn handle(&self, request: Request, next: Next<'_>) -> Response {
        match &*self.layers.load() {
            Some(layers) => next.behind(layers).run(request),
            None => next.run(request),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::app::{App, TestClient, get};

    /// Writes its name before what comes from inside.
    fn named(name: &'static str) -> Arc<dyn Middleware> {
        Arc::new(move |request: Request, next: Next<'_>| {
            let mut inner = next.run(request);
            let text = std::mem::take(inner.body_mut()).into_bytes().unwrap();
            inner.with_body(format!("{name}{}", String::from_utf8_lossy(&text)))
        })
    }

    #[test]
    fn stacks_stand_in_order_with_what_is_around_and_inside_of_them_and_within_each_other() {
        let (outer, inner) = (Stack::default(), Stack::default());
        let app = App::new().route("/", get(|| ".")).layer(outer.clone());
        let app = app.layer(|request: Request, next: Next<'_>| next.run(request)).layer(inner.clone());
        let client = TestClient::new(app).unwrap();
        let answer = || client.get("/").send().text().to_owned();
        assert_eq!(answer(), ".");
        inner.set(vec![named("c"), named("d")]);
        assert_eq!(answer(), "cd.");
        let within = Stack::default();
        within.set(vec![named("x"), named("y")]);
        outer.set(vec![named("a"), Arc::new(within.clone()), named("b")]);
        assert_eq!(answer(), "axybcd.");
        within.set(Vec::new());
        inner.set(Vec::new());
        assert_eq!(answer(), "ab.");
    }
}
