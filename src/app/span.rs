//! A `tracing` span around each request, for subscribers of the application's own: OpenTelemetry, a log with spans.
//!
//! It is around the middleware of the application and the handler, in the thread that runs them, so whatever they say is
//! inside it. Probes, metrics and pages for operators have none. It is called `request`, its target is `rws::request` and its
//! level INFO:
//!
//! | field | is |
//! |---|---|
//! | `method` | the request method |
//! | `route` | the route's pattern as in metrics, `/users/{id}`; `_unmatched` where there is none |
//! | `request_id` | the id that the logs have and that the response tells in `X-Request-Id` |
//! | `trace_id`, `span_id` | the trace and the caller's span, if a valid `traceparent` came (W3C Trace Context section 3.2) |
//! | `status` | the response's status code; not recorded when the handler panics |
//!
//! It ends with the handler: a body that is made afterwards is sent outside of it. Where no subscriber takes it, it is a load
//! and a branch. The server's own diagnostics do not: they know the request without it.
//!
//! ```
//! use rws::app::{App, TestClient, get};
//! use tracing::Span;
//!
//! // What a handler starts elsewhere belongs to the request once it is told so.
//! fn order() -> &'static str {
//!     let span = Span::current();
//!     std::thread::spawn(move || span.in_scope(|| tracing::info!("packed")));
//!     "thank you"
//! }
//!
//! let client = TestClient::new(App::new().route("/order", get(order)))?;
//! assert_eq!(client.get("/order").send().status(), 200);
//! # Ok::<(), rws::app::BuildErrors>(())
//! ```

use tracing::Span;
use tracing::field::Empty;

use super::request::Request;
use super::response::Response;
use crate::semantics::trace_context::TraceContext;

/// Has `call` answer inside the span of the request, if anybody takes it.
pub(super) fn within(route: &str, request: Request, call: impl FnOnce(Request) -> Response) -> Response {
    let span = span(route, &request);
    if span.is_disabled() {
        return call(request);
    }
    let response = span.in_scope(|| call(request));
    span.record("status", response.status().as_u16());
    response
}

/// What it takes to tell the fields is done only where the span is taken.
#[inline]
fn span(route: &str, request: &Request) -> Span {
    let trace = || TraceContext::of(request.head());
    tracing::info_span!(
        target: "rws::request",
        "request",
        method = request.method().as_str(),
        route,
        request_id = request.id(),
        trace_id = trace().map(|trace| trace.trace_id),
        span_id = trace().map(|trace| trace.parent_id),
        status = Empty,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};

    use http::StatusCode;
    use tracing::field::{Field, Visit};
    use tracing::level_filters::LevelFilter;
    use tracing::span::{Attributes, Id, Record};
    use tracing::subscriber::with_default;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::registry::LookupSpan;

    use super::*;
    use crate::app::service::EndpointKind;
    use crate::app::{App, Next, Path, TestClient, get};

    /// What was said, with the fields of the span it was said in; and the fields of each span that has ended.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<(Events, Vec<Fields>)>>);

    type Events = Vec<(String, Fields)>;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Fields(BTreeMap<String, String>);

    impl Visit for Fields {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name().to_owned(), value.to_owned());
        }

        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name().to_owned(), format!("{value:?}"));
        }
    }

    impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Seen {
        fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            context.span(id).unwrap().extensions_mut().insert(fields);
        }

        fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
            values.record(context.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
        }

        fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
            let mut said = Fields::default();
            event.record(&mut said);
            let span = context.event_span(event).map(|span| span.extensions().get::<Fields>().unwrap().clone());
            self.0.lock().unwrap().0.push((said.0["message"].clone(), span.unwrap_or_default()));
        }

        fn on_close(&self, id: Id, context: Context<'_, S>) {
            let fields = context.span(&id).unwrap().extensions().get::<Fields>().unwrap().clone();
            self.0.lock().unwrap().1.push(fields);
        }
    }

    fn fields(fields: &[(&str, &str)]) -> Fields {
        Fields(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn app() -> App {
        fn watch(request: Request, next: Next<'_>) -> Response {
            tracing::info!("middleware");
            next.run(request)
        }
        fn show(Path(id): Path<u32>) -> StatusCode {
            tracing::info!("handler");
            if id == 0 { panic!("as the test wants it") } else { StatusCode::ACCEPTED }
        }
        let probe = || tracing::info!("probe");
        App::new().route("/items/{id}", get(show)).mount("/ready", get(probe), EndpointKind::Probe).layer(watch)
    }

    fn see(level: LevelFilter, ask: impl FnOnce(&TestClient)) -> (Vec<(String, Fields)>, Vec<Fields>) {
        let (seen, client) = (Seen::default(), TestClient::new(app()).unwrap());
        with_default(tracing_subscriber::registry().with(level).with(seen.clone()), || ask(&client));
        std::mem::take(&mut *seen.0.lock().unwrap())
    }

    #[test]
    fn middleware_and_handlers_speak_inside_a_span_that_ends_with_the_status() {
        let (said, spans) = see(LevelFilter::INFO, |client| {
            client.get("/items/7").send();
        });
        let open = [("method", "GET"), ("request_id", "test"), ("route", "/items/{id}")];
        let expected = |what: &str| (what.to_owned(), fields(&open));
        assert_eq!(said, [expected("middleware"), expected("handler")]);
        assert_eq!(spans, [fields(&[&open[..], &[("status", "202")]].concat())]);
    }

    #[test]
    fn the_callers_trace_is_in_the_span_if_it_is_valid() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let (_, spans) = see(LevelFilter::INFO, |client| {
            client.get("/items/7").header("traceparent", format!("00-{trace}-{parent}-01")).send();
            client.get("/items/7").header("traceparent", format!("00-{trace}-{parent}")).send();
        });
        let ids: Vec<_> = spans.iter().map(|span| (span.0.get("trace_id"), span.0.get("span_id"))).collect();
        assert_eq!(ids, [(Some(&trace.to_owned()), Some(&parent.to_owned())), (None, None)]);
    }

    #[test]
    fn what_matches_no_route_has_a_span_and_a_probe_has_none() {
        let (said, spans) = see(LevelFilter::INFO, |client| {
            client.get("/nowhere").send();
            client.get("/ready").send();
        });
        assert_eq!(said.last().unwrap(), &("probe".to_owned(), Fields::default()));
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((&*span.0["route"], &*span.0["status"]), ("_unmatched", "404"));
    }

    #[test]
    fn a_panic_ends_the_span_without_a_status() {
        let (_, spans) = see(LevelFilter::INFO, |client| {
            catch_unwind(AssertUnwindSafe(|| client.get("/items/0").send())).unwrap_err();
            assert!(Span::current().is_none());
        });
        assert_eq!(spans, [fields(&[("method", "GET"), ("request_id", "test"), ("route", "/items/{id}")])]);
    }

    #[test]
    fn below_its_level_there_is_no_span() {
        let (_, spans) = see(LevelFilter::WARN, |client| {
            client.get("/items/7").send();
        });
        assert_eq!(spans, []);
    }
}
