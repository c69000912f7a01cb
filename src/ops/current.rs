//! Which request the current thread is at, for the diagnostics: a line that a handler writes names the request it belongs
//! to, without the handler having to pass an id around.
//!
//! Only the thread itself can know; so this is the one place with a thread-local variable. Setting it costs a few
//! nanoseconds and no allocation. A thread that a handler starts is at no request.

use std::cell::RefCell;
use std::sync::Arc;

use crate::app::request::{Received, Request};
use crate::app::response::Response;
use crate::app::service::{Endpoint, Resolved, Service};
use crate::semantics::head::RequestHead;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Received>>> = const { RefCell::new(None) };
}

/// A service whose calls are known to the diagnostics.
#[derive(Debug)]
pub struct Tracked<S> {
    service: Arc<S>,
}

impl<S: Service> Tracked<S> {
    /// Wraps `service`.
    pub fn new(service: Arc<S>) -> Self {
        Tracked { service }
    }
}

impl<S: Service> Service for Tracked<S> {
    fn endpoints(&self) -> &[Endpoint] {
        self.service.endpoints()
    }

    fn resolve(&self, head: &RequestHead) -> Resolved {
        self.service.resolve(head)
    }

    fn call(&self, request: Request) -> Response {
        let _guard = Guard::enter(Arc::clone(request.received()));
        self.service.call(request)
    }
}

/// The request the thread was at before, to be restored even by a panic.
struct Guard(Option<Arc<Received>>);

impl Guard {
    fn enter(received: Arc<Received>) -> Self {
        Guard(replace(Some(received)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        replace(self.0.take());
    }
}

fn replace(received: Option<Arc<Received>>) -> Option<Arc<Received>> {
    // At the end of a thread the variable may be gone, and so is the need for it.
    CURRENT
        .try_with(|current| {
            current.try_borrow_mut().ok().and_then(|mut current| std::mem::replace(&mut *current, received))
        })
        .ok()?
}

/// Calls `look` with the request that the thread is at, if there is one.
pub(super) fn request<T>(look: impl FnOnce(Option<&Received>) -> T) -> T {
    let received =
        CURRENT.try_with(|current| current.try_borrow().ok().and_then(|current| current.clone())).ok().flatten();
    look(received.as_deref())
}
