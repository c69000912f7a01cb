//! The trace a request belongs to, for handlers that call others.

use std::convert::Infallible;

use http::{HeaderName, HeaderValue};

use super::OptionalFromRequestParts;
use crate::app::context::Context;
use crate::app::request::Request;
use crate::semantics::trace_context::{TraceContext, is_trace_state};

/// The trace that the caller of this request is in (W3C Trace Context), if it told one: take `Option<Trace>`.
///
/// rws takes part in no trace itself. A handler that calls another service sends [`fields`](Trace::fields) along, so that the
/// trace does not end here.
///
/// ```
/// use rws::app::{App, TestClient, Trace, get};
///
/// fn order(trace: Option<Trace>) -> String {
///     let mut call = rws::http::Request::get("http://stock/");
///     for (name, value) in trace.iter().flat_map(Trace::fields) {
///         call = call.header(name, value);
///     }
///     trace.map(|trace| trace.trace_id).unwrap_or_default()
/// }
///
/// let client = TestClient::new(App::new().route("/", get(order)))?;
/// let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// assert_eq!(client.get("/").header("traceparent", context).send().text(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// The caller's span: 16 lower-case hexadecimal digits.
    pub parent_id: String,
    /// Whether the caller may have recorded its part.
    pub sampled: bool,
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl Trace {
    /// `traceparent` and, if a valid one came, `tracestate`, as whoever takes no part in a trace has to send them on:
    /// unchanged (section 4.2 of the recommendation).
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let parent = (HeaderName::from_static("traceparent"), self.parent.clone());
        let state = self.state.clone().map(|state| (HeaderName::from_static("tracestate"), state));
        std::iter::once(parent).chain(state)
    }
}

impl OptionalFromRequestParts for Trace {
    type Rejection = Infallible;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Option<Self>, Infallible> {
        let head = request.head();
        let parent = head.field("traceparent").and_then(|value| HeaderValue::from_bytes(value).ok());
        let (Some(context), Some(parent)) = (TraceContext::of(head), parent) else { return Ok(None) };
        // Several fields are one list (section 3.3.1.1).
        let state = head.values("tracestate").collect::<Vec<_>>().join(&b","[..]);
        let state = is_trace_state(&state).then(|| HeaderValue::from_bytes(&state).ok()).flatten();
        Ok(Some(Trace {
            trace_id: context.trace_id.to_owned(),
            parent_id: context.parent_id.to_owned(),
            sampled: context.sampled,
            parent,
            state,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{App, TestClient, get};

    #[test]
    fn a_trace_is_sent_on_as_it_came() {
        fn show(trace: Option<Trace>) -> String {
            let Some(trace) = trace else { return "none".to_owned() };
            let fields = trace.fields().map(|(name, value)| format!("{name}={}", value.to_str().unwrap_or_default()));
            format!("{} {} {} {}", trace.trace_id, trace.parent_id, trace.sampled, fields.collect::<Vec<_>>().join(" "))
        }
        let client = TestClient::new(App::new().route("/", get(show))).expect("the routes are right");
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let parent = format!("00-{trace}-{span}-01");
        let shown = format!("{trace} {span} true traceparent={parent}");
        let ask = |fields: &[(&str, &str)]| {
            fields
                .iter()
                .fold(client.get("/"), |request, &(name, value)| request.header(name, value))
                .send()
                .text()
                .to_owned()
        };
        assert_eq!(ask(&[("traceparent", &parent)]), shown);
        assert_eq!(
            ask(&[("traceparent", &parent), ("tracestate", "a=1"), ("TraceState", "b@c=2, d=3")]),
            format!("{shown} tracestate=a=1,b@c=2, d=3")
        );
        assert_eq!(ask(&[("traceparent", &parent), ("tracestate", "A=1")]), shown);
        assert_eq!(ask(&[("tracestate", "a=1")]), "none");
        assert_eq!(ask(&[("traceparent", &parent), ("traceparent", &parent)]), "none");
        assert_eq!(ask(&[("traceparent", "00-0-0-00")]), "none");
    }
}
