//! One event to many streams. Knows senders, and of each only whether it still takes something.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Event, LastEventId, Sse, SseBuilder, SseSender};

/// Sends events to everybody who listens. Clones are the same one; put it into the state of the application.
///
/// An event is encoded once, and its bytes are shared. Sending never waits: a client for which too much waits already is let go. It
/// gets what waits and then the end of its stream, after which it connects again and [resumes](Self::resume). So each client costs
/// no more memory than its [buffer](SseBuilder::buffer), however slowly it reads.
///
/// ```
/// use rws::app::sse::{Event, Sse, SseBroadcast};
/// use rws::app::{App, State, TestClient, get, post};
///
/// fn listen(State(news): State<SseBroadcast>) -> Sse {
///     news.subscribe()
/// }
/// fn publish(State(news): State<SseBroadcast>, text: String) -> String {
///     format!("{} have heard it", news.send(Event::new(text)))
/// }
///
/// let news = SseBroadcast::new();
/// let app = App::new().route("/news", get(listen).on(http::Method::POST, publish)).state(news.clone());
/// let client = TestClient::new(app)?;
///
/// std::thread::scope(|scope| {
///     let listener = scope.spawn(|| client.get("/news").send());
///     while news.is_empty() {
///         std::thread::yield_now();
///     }
///     assert_eq!(client.post("/news").body("It rains").send().text(), "1 have heard it");
///     news.close();
///     assert_eq!(listener.join().unwrap().text(), "data: It rains\n\n");
/// });
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SseBroadcast {
    shared: Arc<Mutex<Shared>>,
    options: SseBuilder,
    history: usize,
}

#[derive(Debug, Default)]
struct Shared {
    listeners: Vec<SseSender>,
    /// The latest events that have an id, the oldest first.
    past: VecDeque<(String, Bytes)>,
}

impl SseBroadcast {
    /// To nobody yet.
    pub fn new() -> Self {
        SseBroadcast::default()
    }

    /// Options of the streams that [`subscribe`](Self::subscribe) and [`resume`](Self::resume) of this one make.
    #[must_use]
    pub fn options(self, options: SseBuilder) -> Self {
        SseBroadcast { options, ..self }
    }

    /// Keeps so many of the latest events that have an id, for those who [resume](Self::resume) (default 0).
    #[must_use]
    pub fn history(self, events: usize) -> Self {
        SseBroadcast { history: events, ..self }
    }

    /// A stream of the events from now on.
    pub fn subscribe(&self) -> Sse {
        self.resume(None)
    }

    /// A stream of the events after the last one that the client has seen, as far as they are [kept](Self::history); of all that
    /// are, when its id is not among them. Without an id, of the events from now on; the client is told the latest id, so that it
    /// can resume before it has seen an event.
    ///
    /// An id must never be used for two events, not even by two runs of the program or two of its pods: a client that comes from
    /// one of them to another gets all that is kept there if its id is unknown, and too little if it means something else. What
    /// one pod is told only its own listeners hear; others must hear it from a database or a message broker.
    ///
    /// ```
    /// use rws::app::IntoResponse;
    /// use rws::app::sse::{Event, LastEventId, SseBroadcast};
    ///
    /// let news = SseBroadcast::new().history(100);
    /// for id in 1..=3 {
    ///     news.send(Event::new("news").id(id)?);
    /// }
    /// let events = news.resume(Some(LastEventId("2".to_owned())));
    /// news.close();
    /// let body = std::mem::take(events.into_response().body_mut());
    /// assert_eq!(body.into_bytes()?, "data: news\nid: 3\n\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self, last: Option<LastEventId>) -> Sse {
        let (sender, events) = self.options.clone().channel();
        let mut shared = self.shared();
        let missed = match last {
            Some(LastEventId(last)) => shared.after(&last),
            None => shared.place().into_iter().collect(),
        };
        // What does not fit ends the stream, and the client resumes from there.
        if missed.into_iter().all(|event| sender.put(event).is_ok()) {
            shared.add(sender);
        }
        events
    }

    /// Has a stream of your own listen, into which something was sent before, say.
    pub fn add(&self, sender: SseSender) {
        self.shared().add(sender);
    }

    /// Sends an event to all who listen, and says how many these are. Who cannot take it is let go.
    pub fn send(&self, event: Event) -> usize {
        let id = event.last_id().filter(|_| self.history > 0).map(str::to_owned);
        let encoded = Bytes::from(event);
        let mut shared = self.shared();
        shared.listeners.retain(|listener| listener.put(encoded.clone()).is_ok());
        if let Some(id) = id {
            shared.past.push_back((id, encoded));
            let surplus = shared.past.len().saturating_sub(self.history);
            shared.past.drain(..surplus);
        }
        shared.listeners.len()
    }

    /// Ends all streams. Others can be made afterwards.
    pub fn close(&self) {
        self.shared().listeners.clear();
    }

    /// How many listen.
    pub fn len(&self) -> usize {
        self.shared().listeners.iter().filter(|listener| !listener.is_closed()).count()
    }

    /// Whether nobody listens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are on the list, whether they have gone or not.
    #[cfg(test)]
    pub(super) fn senders(&self) -> usize {
        self.shared().listeners.len()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn add(&mut self, sender: SseSender) {
        // Before the list grows, those who have gone make room: where nothing is ever sent, nothing else removes them.
        if self.listeners.len() == self.listeners.capacity() {
            self.listeners.retain(|listener| !listener.is_closed());
        }
        self.listeners.push(sender);
    }

    /// An event that nobody hears, with the id of the latest that is kept.
    fn place(&self) -> Option<Bytes> {
        let (id, _) = self.past.back()?;
        Event::default().id(id).ok().map(Bytes::from)
    }

    /// The events that are kept of those after `last`.
    fn after(&self, last: &str) -> Vec<Bytes> {
        let seen = self.past.iter().rposition(|(id, _)| id == last).map_or(0, |place| place + 1);
        self.past.range(seen..).map(|(_, event)| event.clone()).collect()
    }
}
