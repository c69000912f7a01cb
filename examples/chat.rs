//! Run with `cargo run --example chat`, then open <http://localhost:7878> in two windows and talk to yourself.
//!
//! A chat over WebSockets. However many are connected, no thread waits for them: a function runs when one of them says
//! something. Whoever is gone is found by pings, whoever cannot keep up is closed, and there is a limit for how many there
//! may be (`CHAT_LIMIT`, 10000 by default), past which 503 is the answer.
//!
//! How many there are stands in the log and, as `chat_connections`, in /metrics. The probes answer beside it as always. At
//! SIGTERM each connection is closed with 1001, and the page connects anew, to another pod.

use std::process::ExitCode;
use std::time::Duration;

use rws::app::websocket::{CloseCode, ConnectionLimit, Message, Room, WebSocketUpgrade};
use rws::prometheus::IntGauge;
use rws::{App, Html, Response, State, get};

/// Longer than what the page lets one write, in bytes of UTF-8.
const LONGEST: usize = 2000;

/// Who is there.
#[derive(Clone)]
struct Chat {
    room: Room,
    limit: ConnectionLimit,
    connections: IntGauge,
}

impl Chat {
    fn new(limit: usize) -> Self {
        let connections = IntGauge::new("chat_connections", "How many are connected to the chat.");
        let connections = connections.expect("it is a name for a metric");
        Chat { room: Room::new(), limit: ConnectionLimit::new(limit), connections }
    }

    /// Someone has come or gone: the log, the metric and everybody there are told.
    fn tell(&self, what: &str) {
        let active = self.limit.active();
        self.connections.set(i64::try_from(active).unwrap_or(i64::MAX));
        tracing::info!(active, "{what}");
        self.room.broadcast(format!("{what}: {} here", self.room.len()));
    }
}

fn chat(State(chat): State<Chat>, upgrade: WebSocketUpgrade) -> Response {
    let [opened, closed, heard] = [chat.clone(), chat.clone(), chat.clone()];
    upgrade
        .limit(&chat.limit)
        .max_message_size(LONGEST)
        .ping_interval(Duration::from_secs(20))
        .on_open(move |socket| {
            opened.room.join(socket);
            opened.tell("someone has come");
        })
        .on_close(move |_, _| closed.tell("someone has gone"))
        .on_message(move |socket, message| match message {
            Message::Text(text) => {
                heard.room.broadcast(text);
            }
            Message::Binary(_) => socket.close(CloseCode::UNSUPPORTED_DATA, "only text is taken"),
        })
}

fn main() -> ExitCode {
    let limit = std::env::var("CHAT_LIMIT").ok().and_then(|limit| limit.parse().ok()).unwrap_or(10_000);
    let state = Chat::new(limit);
    App::new()
        .route("/", get(|| Html(include_str!("chat/index.html"))))
        .route("/chat", get(chat))
        .metric(state.connections.clone())
        .state(state)
        .run()
}
