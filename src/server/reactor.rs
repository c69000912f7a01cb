//! A reactor: one poller, its connections, their deadlines, its mailbox and its recorder.
//!
//! Exactly one worker drives a reactor at any time, so nothing in it needs a lock. It may change hands in the middle of
//! a batch of events: everything it is at is in the struct.

mod date;
mod handshakes;
mod mail;
mod records;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

pub(super) use self::date::{Date, current_date};
use self::handshakes::Handshakes;
use self::records::SPARE;
use super::connection::{Buffer, Connection, InFlight, serve};
use super::deadlines::Deadlines;
use super::lifecycle::State;
use super::observe::Recorder;
use super::settings::{CurrentSettings, Settings};
use super::shared::{Mail, Shared, lock};
use super::workers::Worker;
use crate::app::request::Received;
use crate::app::request_id::Generator;

/// The token of the waker; connections have their place in the slab.
pub(super) const WAKER: Token = Token(usize::MAX);
/// How many events one look at the poller may bring.
const EVENTS: usize = 256;
/// How much one read may bring.
pub(super) const ROOMY: usize = 32 * 1024;
/// One event loop's state.
pub(super) struct Reactor {
    shared: Arc<Shared>,
    settings: CurrentSettings,
    index: usize,
    poll: Poll,
    events: Events,
    mailbox: Receiver<Mail>,
    connections: Slab<Place>,
    deadlines: Deadlines,
    /// What the last look brought, and how far it was dealt with.
    batch: Vec<Ready>,
    dealt_with: usize,
    /// Connections that had their turn and are not done.
    again: Vec<usize>,
    /// Connections that have just come, or come back, in that order.
    returned: VecDeque<Box<Connection>>,
    recorder: Box<dyn Recorder>,
    flush_by: Option<Instant>,
    now: Instant,
    date: Date,
    date_second: u64,
    ids: Generator,
    state: State,
    /// Connections that have to wait with their handshake.
    handshakes: Handshakes,
    /// The request whose handler runs inline.
    pub(super) running: Option<InFlight>,
    spare_received: Vec<Arc<Received>>,
    spare_input: Option<Buffer>,
    spare_output: Vec<u8>,
}

/// Where a connection is.
enum Place {
    /// Here, waiting.
    Here(Box<Connection>),
    /// Being served, or with a worker. What the poller said of it meanwhile, and whether its deadline's entry came up.
    Away { readable: bool, ending: bool, entry_gone: bool },
}

impl Place {
    const AWAY: Place = Place::Away { readable: false, ending: false, entry_gone: false };

    /// Takes the connection out to serve it.
    fn take(&mut self) -> Option<Box<Connection>> {
        match std::mem::replace(self, Place::AWAY) {
            Place::Here(connection) => Some(connection),
            away => {
                *self = away;
                None
            }
        }
    }

    /// The same, if it is such a one.
    fn take_if(&mut self, is_such: impl FnOnce(&Connection) -> bool) -> Option<Box<Connection>> {
        matches!(self, Place::Here(connection) if is_such(connection)).then(|| self.take()).flatten()
    }
}

/// One event of a batch.
#[derive(Clone, Copy)]
struct Ready {
    token: usize,
    readable: bool,
    writable: bool,
    ending: bool,
}

/// Drives a reactor until it ends or is taken away.
pub(super) fn drive(shared: &Arc<Shared>, mut reactor: Box<Reactor>, worker: &Arc<Worker>) {
    reactor.has_driver(worker);
    loop {
        while let Some(connection) = reactor.next_connection() {
            match serve(shared, reactor, connection, worker) {
                Some(back) => reactor = back,
                None => return,
            }
        }
        if !reactor.turn() {
            reactor.end();
            return;
        }
    }
}

impl Reactor {
    /// A reactor with an empty poller. Its waker and mailbox are with `shared`.
    pub(super) fn new(
        shared: Arc<Shared>,
        index: usize,
        poll: Poll,
        mailbox: Receiver<Mail>,
        recorder: Box<dyn Recorder>,
    ) -> Self {
        let now = shared.clock.now();
        Reactor {
            settings: CurrentSettings::new(&shared.settings),
            shared,
            index,
            poll,
            events: Events::with_capacity(EVENTS),
            mailbox,
            connections: Slab::new(),
            deadlines: Deadlines::default(),
            batch: Vec::with_capacity(EVENTS),
            dealt_with: 0,
            again: Vec::new(),
            returned: VecDeque::new(),
            recorder,
            flush_by: None,
            now,
            date: current_date(),
            date_second: 0,
            ids: Generator::new(),
            state: State::Starting,
            handshakes: Handshakes::default(),
            running: None,
            spare_received: Vec::with_capacity(SPARE),
            spare_input: None,
            spare_output: Vec::new(),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Limits and deadlines as of this turn.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time as of the last look at the clock: at the start of the batch and after each handler.
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Looks at the clock, and shows that it comes round.
    pub(super) fn tick(&mut self) -> Instant {
        self.shared.reactors[self.index].pulse.beat();
        self.now = self.shared.clock.now();
        self.now
    }

    /// The current `Date`.
    pub(super) fn date(&self) -> &Date {
        &self.date
    }

    fn has_driver(&self, worker: &Arc<Worker>) {
        let handle = &self.shared.reactors[self.index];
        *lock(&handle.driver) = Some(worker.clone());
    }

    /// The next connection that has something to do in this batch.
    fn next_connection(&mut self) -> Option<Box<Connection>> {
        if let Some(connection) = self.returned.pop_front() {
            return Some(connection);
        }
        while let Some(&ready) = self.batch.get(self.dealt_with) {
            self.dealt_with += 1;
            let Some(place) = self.connections.get_mut(ready.token) else { continue };
            match place {
                Place::Here(connection) => {
                    if ready.readable {
                        connection.became_readable(ready.ending);
                    }
                    let has_work = ready.readable || (ready.writable && connection.has_output());
                    if has_work && !connection.waits_for_handshake {
                        return place.take();
                    }
                }
                Place::Away { readable, ending, .. } => {
                    *readable |= ready.readable;
                    *ending |= ready.ending;
                }
            }
        }
        self.next_handshake().or_else(|| self.next_expired())
    }

    /// The next connection whose deadline has passed. Those come after the events, which may have brought what was
    /// waited for.
    fn next_expired(&mut self) -> Option<Box<Connection>> {
        while let Some((at, token)) = self.deadlines.pop(self.now) {
            let Some(place) = self.connections.get_mut(token) else { continue };
            let connection = match place {
                Place::Here(connection) => connection,
                Place::Away { entry_gone, .. } => {
                    *entry_gone = true;
                    continue;
                }
            };
            if self.deadlines.is_due(token, at, self.now, &mut connection.deadline)
                && let Some(mut connection) = place.take()
            {
                connection.expired(self);
                return Some(connection);
            }
        }
        None
    }

    /// Hands over the records, waits for events and mail. Returns whether there is anything left to live for.
    fn turn(&mut self) -> bool {
        self.flush_by = self.recorder.flush(self.now);
        self.look_at_lifecycle();
        if self.state == State::Forced || (self.state == State::Stopping && self.is_deserted()) {
            return false;
        }
        let timeout = self.timeout();
        self.shared.monitor.reactor_rests(&self.shared.reactors[self.index]);
        let polled = self.poll.poll(&mut self.events, timeout);
        self.shared.monitor.reactor_works(&self.shared.reactors[self.index]);
        self.tick();
        self.refresh_date();
        self.settings.refresh();
        if let Err(error) = polled
            && error.kind() != io::ErrorKind::Interrupted
        {
            tracing::error!(%error, reactor = self.index, "polling failed");
        }
        self.gather();
        self.read_mail();
        true
    }

    /// How long to wait: not at all with work left over, else until the next deadline.
    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() || !self.handshakes.is_empty() {
            return Some(Duration::ZERO);
        }
        if !self.shared.clock.is_real() {
            return None;
        }
        let next = match (self.deadlines.next(), self.flush_by) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(next.saturating_duration_since(self.shared.clock.now()))
    }

    /// Makes a batch of what the poller brought and what was left over.
    fn gather(&mut self) {
        self.batch.clear();
        self.dealt_with = 0;
        self.handshakes.turn();
        let left_over = self.again.drain(..);
        self.batch.extend(left_over.map(|token| Ready { token, readable: true, writable: true, ending: false }));
        self.batch.extend(self.events.iter().filter(|event| event.token() != WAKER).map(|event| Ready {
            token: event.token().0,
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable(),
            ending: event.is_read_closed() || event.is_error(),
        }));
    }

    /// Keeps a connection that waits. It leaves behind what memory it does not need.
    pub(super) fn park(&mut self, mut connection: Box<Connection>) {
        if !connection.watched
            && let Err(error) = self.watch(&mut connection)
        {
            tracing::error!(%error, "cannot watch a connection; it is closed");
            return self.close(connection);
        }
        connection.stream.rest();
        self.reclaim_input(&mut connection);
        if let Some(buffer) = connection.give_output_back() {
            self.keep_output(buffer);
        }
        self.deadlines.watch(connection.token, &mut connection.deadline);
        let token = connection.token;
        self.connections[token] = Place::Here(connection);
    }

    /// Takes back the input buffer that a connection does not need while it waits, or while a request of it does.
    pub(super) fn reclaim_input(&mut self, connection: &mut Connection) {
        if let Some(buffer) = connection.give_input_back()
            && (ROOMY..=4 * ROOMY).contains(&buffer.capacity())
        {
            self.spare_input = Some(buffer);
        }
    }

    /// Has the poller watch a connection. What is ready already is reported like what becomes ready.
    fn watch(&self, connection: &mut Connection) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let descriptor = connection.stream.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&descriptor), Token(connection.token), interest)?;
        connection.watched = true;
        Ok(())
    }

    /// Keeps a connection that had its turn and goes on in the next batch.
    pub(super) fn park_ready(&mut self, mut connection: Box<Connection>) {
        self.deadlines.watch(connection.token, &mut connection.deadline);
        let token = connection.token;
        self.connections[token] = Place::Here(connection);
        self.again.push(token);
    }

    /// Keeps a connection whose handshake goes on when it is its turn.
    pub(super) fn park_shaking(&mut self, mut connection: Box<Connection>) {
        self.deadlines.watch(connection.token, &mut connection.deadline);
        connection.waits_for_handshake = true;
        let token = connection.token;
        self.connections[token] = Place::Here(connection);
        self.handshakes.wait(token);
    }

    /// Closes a connection.
    pub(super) fn close(&mut self, mut connection: Box<Connection>) {
        connection.finish_response(self);
        connection.stream.finish();
        self.connections.remove(connection.token);
        // The descriptor goes before the count: who waits for room must find some.
        drop(connection);
        self.shared.connection_closed(self.index);
    }

    /// A buffer with room for a whole read.
    pub(super) fn take_input(&mut self) -> Buffer {
        self.spare_input.take().unwrap_or_else(|| Buffer::with_capacity(ROOMY))
    }

    /// A buffer for output, if one is spare.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare_output)
    }

    /// Takes an output buffer back, unless there is one or it has grown.
    fn keep_output(&mut self, buffer: Vec<u8>) {
        if self.spare_output.capacity() < buffer.capacity() && buffer.capacity() <= 4 * ROOMY {
            self.spare_output = buffer;
        }
    }

    /// Follows the life cycle: when stopping begins, idle connections get a moment for one last request.
    fn look_at_lifecycle(&mut self) {
        let state = self.shared.lifecycle.state();
        if state == self.state {
            return;
        }
        self.state = state;
        if state == State::Stopping {
            let role = self.shared.role;
            for (token, place) in &mut self.connections {
                if let Place::Here(connection) = place {
                    if connection.is_live() {
                        self.again.push(token);
                    }
                    connection.hurry(role, self.now);
                    self.deadlines.watch(connection.token, &mut connection.deadline);
                }
            }
        }
    }

    /// Whether nothing is left and nothing more can come.
    fn is_deserted(&self) -> bool {
        self.shared.accept.is_closed() && self.mailbox.is_empty() && self.connections.is_empty()
    }

    fn end(mut self: Box<Self>) {
        self.read_mail();
        let mut left = std::mem::take(&mut self.returned);
        left.extend(self.connections.iter_mut().filter_map(|(_, place)| place.take()));
        let mut last_words = Vec::new();
        for mut connection in left {
            last_words.extend(connection.take_live());
            if let Some(request) = connection.describe() {
                self.shared.drain.abort(request);
            }
            connection.abandon(&mut self);
            self.close(connection);
        }
        self.recorder.finish();
        // What user code does with them may take long, and now keeps nobody else waiting.
        drop(last_words);
        // Those that have come back meanwhile.
        self.read_mail();
        self.returned.clear();
        let handle = &self.shared.reactors[self.index];
        *lock(&handle.driver) = None;
        self.shared.monitor.reactor_rests(handle);
        handle.ended.store(true, Ordering::Release);
        self.shared.drain.reactor_ended();
    }
}
