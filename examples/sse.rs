//! Run with `cargo run --example sse` and open <http://localhost:7878> in a few windows. Or, without a browser:
//! `curl -N localhost:7878/events` in one terminal and `curl -d 'It rains' localhost:7878/events` in another.
//!
//! However many listen, no thread waits for them. A browser that loses the connection gets what it has missed. At SIGTERM
//! every stream ends cleanly, so browsers connect again, to another pod.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use rws::app::sse::{Event, LastEventId, Sse, SseBroadcast};
use rws::{App, Html, Problem, State, get};

const PAGE: &str = r#"<!doctype html><meta charset="utf-8"><title>News</title>
<form><input name="text" autofocus> <button>Publish</button></form><p>Up for <b>?</b> s<ul></ul>
<script src="/page.js"></script>"#;

const SCRIPT: &str = r#"const [form, list] = ["form", "ul"].map(name => document.querySelector(name));
const events = new EventSource("/events");
events.onmessage = event => list.prepend(Object.assign(document.createElement("li"), { textContent: event.data }));
events.addEventListener("uptime", event => document.querySelector("b").textContent = event.data);
form.onsubmit = event => {
    event.preventDefault();
    fetch("/events", { method: "POST", body: form.text.value });
    form.reset();
};
"#;

#[derive(Clone, Default)]
struct News {
    listeners: SseBroadcast,
    published: Arc<AtomicU64>,
}

/// An open stream. Who has been here before gets what came since.
fn listen(State(news): State<News>, last: Option<LastEventId>) -> Sse {
    news.listeners.resume(last)
}

/// Sends the body to all who listen.
fn publish(State(news): State<News>, text: String) -> Result<StatusCode, Problem> {
    let id = news.published.fetch_add(1, Ordering::Relaxed) + 1;
    news.listeners.send(Event::new(text).id(id)?);
    Ok(StatusCode::NO_CONTENT)
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
    let news = News { listeners: SseBroadcast::new().history(100), ..News::default() };
    let listeners = news.listeners.clone();
    thread::spawn(move || tick(&listeners));
    App::new()
        .route("/", get(|| Html(PAGE)))
        .route("/page.js", get(script))
        .route("/events", get(listen).post(publish))
        .state(news)
        .run()
}
