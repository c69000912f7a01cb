//! Run with `cargo run --example sse` and open <http://localhost:7878> in a few windows. Or, without a browser:
//! `curl -N localhost:7878/events` in one terminal and `curl -d 'It rains' localhost:7878/events` in another.
//!
//! However many listen, no thread waits for them. A browser that loses the connection, as with the button "Interrupt all", comes
//! back after a second and gets what it has missed, once and in order. At SIGTERM every stream ends cleanly, so browsers connect
//! again, to another pod; for those to have the same news, they would have to share a database or a message broker.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rws::app::sse::{Event, LastEventId, Sse, SseBroadcast};
use rws::http::{HeaderName, header};
use rws::{App, Html, Problem, State, StatusCode, get};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>News</title><link rel="icon" href="data:,">
<form><input name="text" autofocus> <button>Publish</button> <button type="button">Interrupt all</button></form>
<p>Up for <b>?</b> s, <i>connecting</i><ul></ul>
<script src="/page.js"></script>"#;

const SCRIPT: &str = r#"const find = name => document.querySelector(name);
const [form, list, state] = ["form", "ul", "i"].map(find);
const events = new EventSource("/events");
events.onopen = () => state.textContent = "connected";
events.onerror = () => state.textContent = events.readyState === EventSource.CLOSED ? "refused" : "interrupted";
events.onmessage = event => list.prepend(Object.assign(document.createElement("li"), { textContent: event.data }));
events.addEventListener("uptime", event => find("b").textContent = event.data);
find("[type=button]").onclick = () => fetch("/events", { method: "DELETE" });
form.onsubmit = event => {
    event.preventDefault();
    fetch("/events", { method: "POST", body: form.text.value });
    form.reset();
};
"#;

#[derive(Clone)]
struct News {
    listeners: SseBroadcast,
    /// The id of the latest. The first is the time of the start: what an earlier run has counted never means something else.
    latest: Arc<AtomicU64>,
}

/// An open stream. Who has been here before gets what came since.
fn listen(State(news): State<News>, last: Option<LastEventId>) -> Sse {
    news.listeners.resume(last)
}

/// Sends the body to all who listen.
fn publish(State(news): State<News>, text: String) -> Result<StatusCode, Problem> {
    let id = news.latest.fetch_add(1, Ordering::Relaxed) + 1;
    news.listeners.send(Event::new(text).id(id)?);
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all streams, as a proxy might. Browsers connect again.
fn interrupt(State(news): State<News>) -> StatusCode {
    news.listeners.close();
    StatusCode::NO_CONTENT
}

/// Tells everybody every second how long this has been running; they get it as an event of another name.
fn tick(listeners: &SseBroadcast) {
    for seconds in 0u64.. {
        if let Ok(event) = Event::new(seconds.to_string()).event("uptime") {
            listeners.send(event);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn script() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

fn main() -> ExitCode {
    let start = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs() * 1_000_000);
    let options = Sse::builder().retry(Duration::from_secs(1));
    let listeners = SseBroadcast::new().options(options).history(100);
    // Nobody hears it, but who comes before there is any news can resume from it.
    listeners.send(Event::default().id(start).expect("a number has no line breaks"));
    let news = News { listeners: listeners.clone(), latest: Arc::new(AtomicU64::new(start)) };
    thread::spawn(move || tick(&listeners));
    App::new()
        .route("/", get(|| Html(PAGE)))
        .route("/page.js", get(script))
        .route("/events", get(listen).post(publish).delete(interrupt))
        .state(news)
        .run()
}
