//! A connection that has left HTTP: its protocol is driven by the reactor, and runs the user's code as a handler is run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::StatusCode;

use super::away::{go_home, let_go};
use super::{Connection, Failure, InFlight, Next, OUTPUT_HIGH, Phase, Waiting};
use crate::app::body::{Body, Kind};
use crate::app::request::Received;
use crate::app::response::Response;
use crate::app::upgrade::{Advanced, News, Step, Upgraded};
use crate::proto::cycle::CloseReason;
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::reactor::Reactor;
use crate::server::shared::{Shared, lock};
use crate::server::stats::Stats;
use crate::server::workers::{Job, Work, Worker};

/// The protocol that a connection speaks after its upgrade.
pub(in crate::server) struct Speaking {
    /// Until it is dropped, which may be the user's code.
    protocol: Option<Box<dyn Upgraded>>,
    /// The request that was the upgrade, for those who watch its handler's time.
    received: Arc<Received>,
    endpoint: u32,
    stats: Arc<Stats>,
    /// What it wanted when it was last asked.
    step: Step,
    knows_waker: bool,
    /// The user's code has run, and what answered the upgrade is written.
    has_run: bool,
    has_ended: bool,
    is_lost: bool,
    /// Until when it may go on once the server is stopping.
    stop_by: Option<Instant>,
    /// Until when the socket must take something, if it has taken no more.
    write_by: Option<Instant>,
}

impl Speaking {
    pub(super) fn new(protocol: Box<dyn Upgraded>, in_flight: &InFlight, stats: &Arc<Stats>) -> Self {
        stats.websocket_connections_active.fetch_add(1, Ordering::Relaxed);
        Speaking {
            protocol: Some(protocol),
            received: in_flight.received.clone(),
            endpoint: in_flight.endpoint,
            stats: stats.clone(),
            step: Step::Wait(None),
            knows_waker: false,
            has_run: false,
            has_ended: false,
            is_lost: false,
            stop_by: None,
            write_by: None,
        }
    }

    fn hear(&mut self, news: News) {
        if let Some(protocol) = &mut self.protocol {
            protocol.hear(news);
        }
    }

    /// The peer has sent all it will.
    pub(super) fn ended(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.hear(News::Ended);
        }
    }

    /// Nothing can be sent or received any more. Returns whether the protocol has yet to say how it ends.
    pub(super) fn lose(&mut self, news: News) -> bool {
        if self.step == Step::Close {
            return false;
        }
        if !std::mem::replace(&mut self.is_lost, true) {
            self.hear(news);
        }
        true
    }

    /// Whether it goes on once its output is written.
    pub(super) fn wants_to_write(&self) -> bool {
        self.is_lost || matches!(self.step, Step::Write(_) | Step::Send(_))
    }

    /// When to ask it again although nothing happens.
    fn due(&self) -> Option<Instant> {
        let (Step::Wait(due) | Step::Send(due) | Step::Write(due)) = self.step else { return self.stop_by };
        [due, self.stop_by, self.write_by].into_iter().flatten().min()
    }

    /// Runs the user's code. A panic is something to hear of, too.
    fn run(&mut self) {
        let Some(protocol) = &mut self.protocol else { return };
        if catch_unwind(AssertUnwindSafe(|| protocol.run())).is_err() {
            self.stats.handler_panics.fetch_add(1, Ordering::Relaxed);
            protocol.hear(News::Panicked);
        }
    }

    /// What those see who watch how long the user's code takes.
    fn in_flight(&self, reactor: &Reactor, home: usize) -> InFlight {
        let (received, endpoint, started) = (self.received.clone(), self.endpoint, reactor.now());
        let (reported, upgraded, answered) = (false, true, None);
        InFlight { received, endpoint, reactor: home, queued: None, started, reported, upgraded, answered }
    }
}

/// Drops the protocol, which may have a last word for the user's code.
impl Drop for Speaking {
    fn drop(&mut self) {
        self.stats.websocket_connections_active.fetch_sub(1, Ordering::Relaxed);
        if let Some(protocol) = self.protocol.take() {
            protocol.feed().abandon();
            let_go(protocol);
        }
    }
}

impl Connection {
    /// The protocol that the response hands the connection over to, if the request has offered an upgrade (RFC 9110
    /// section 7.8) and nothing of its own is left to read.
    pub(super) fn take_protocol(&mut self, response: &mut Response) -> Option<Box<dyn Upgraded>> {
        let may = response.status() == StatusCode::SWITCHING_PROTOCOLS
            && self.cycle.framing().upgrade
            && self.cycle.body_done()
            && matches!(response.body().kind, Kind::Upgrade(_));
        match may.then(|| std::mem::take(&mut response.body.kind))? {
            Kind::Upgrade(protocol) => Some(protocol),
            kind => {
                response.body = Body { kind };
                None
            }
        }
    }

    /// Takes the protocol out because the server ends: dropped, it runs the user's code, which may block.
    pub(in crate::server) fn take_live(&mut self) -> Option<Box<Speaking>> {
        match std::mem::replace(&mut self.phase, Phase::Head) {
            Phase::Upgraded(speaking) => Some(speaking),
            phase => {
                self.phase = phase;
                None
            }
        }
    }

    /// Lets the protocol take what there is and say what it wants. `None`: the output is to be written first, or nothing
    /// is to be done before something happens.
    pub(super) fn speak(&mut self, reactor: &mut Reactor) -> Option<Next> {
        self.hear_the_time(reactor);
        let now = reactor.now();
        while self.closing.is_none() {
            let Phase::Upgraded(speaking) = &mut self.phase else { return None };
            if !speaking.knows_waker {
                speaking.knows_waker = true;
                speaking.protocol.as_ref()?.feed().attach(reactor.waker(self.token));
            }
            if !speaking.is_lost
                && let Step::Write(due) = speaking.step
                && !self.output.is_empty()
                && due.is_none_or(|due| due > now)
            {
                return None;
            }
            let input = if speaking.is_lost { &[] } else { self.input.unused() };
            let before = self.output.waiting();
            let Advanced { used, next } = speaking.protocol.as_mut()?.advance(input, self.output.bytes(), now);
            self.input.consume(used);
            let has_written = self.output.waiting() > before;
            speaking.step = next;
            if speaking.is_lost {
                self.output.discard();
            }
            match next {
                Step::Run => return Some(Next::Run),
                Step::Close => self.closing = Some(CloseReason::Upgraded),
                // It has been told that there is nothing to wait for.
                _ if speaking.is_lost => speaking.step = Step::Close,
                Step::Wait(_) | Step::Send(_)
                    if used > 0 && !self.input.is_empty() && self.output.waiting() < OUTPUT_HIGH => {}
                // Nothing of it is left to be written.
                Step::Write(due) | Step::Send(due) if self.output.is_empty() && !has_written && used == 0 => {
                    speaking.step = Step::Wait(due);
                    return None;
                }
                Step::Wait(_) | Step::Send(_) | Step::Write(_) => return None,
            }
            if speaking.is_lost {
                self.closing = Some(CloseReason::IoError);
            }
        }
        None
    }

    /// What the clock and the life cycle have to say to it.
    fn hear_the_time(&mut self, reactor: &Reactor) {
        let (now, shared, has_output) = (reactor.now(), reactor.shared(), self.has_output());
        let Phase::Upgraded(speaking) = &mut self.phase else { return };
        if speaking.stop_by.is_none() && shared.lifecycle.state() == State::Stopping {
            speaking.stop_by = Some(now + shared.role.last_head());
            speaking.hear(News::Stopping);
        }
        speaking.write_by = speaking.write_by.filter(|_| has_output);
        let is_over = |by: Option<Instant>| by.is_some_and(|by| by <= now);
        let is_stuck = is_over(speaking.write_by);
        if is_stuck {
            shared.stats.error(Failure::WriteTimeout);
            speaking.lose(News::Stuck);
        }
        if is_stuck || is_over(speaking.stop_by) {
            self.abandon_output(Outcome::Timeout);
        }
    }

    /// The socket takes no more for now.
    pub(super) fn wait_to_write(&mut self, reactor: &Reactor, progress: bool) -> Next {
        let Phase::Upgraded(speaking) = &mut self.phase else { return self.wait(reactor, Waiting::Write, progress) };
        if progress || speaking.write_by.is_none() {
            speaking.write_by = Some(reactor.now() + reactor.settings().write_timeout);
        }
        let due = speaking.due();
        // Closing, it has no wishes any more, but the time to write is still bounded.
        let due = if self.closing.is_some() { speaking.write_by.or(due) } else { due };
        self.wait_live(due);
        Next::Wait
    }

    /// What waited has been written, or some of it.
    pub(super) fn has_all_its_time_again(&mut self) {
        if self.waiting == Waiting::Write {
            self.waiting = Waiting::No;
        }
        if let Phase::Upgraded(speaking) = &mut self.phase {
            speaking.write_by = None;
        }
    }

    /// Waits for whatever the protocol waits for; HTTP's deadlines are not its own.
    pub(super) fn wait_upgraded(&mut self) -> Next {
        if let Phase::Upgraded(speaking) = &self.phase {
            let due = speaking.due();
            self.wait_live(due);
        }
        Next::Wait
    }

    fn run_protocol(&mut self) {
        if let Phase::Upgraded(speaking) = &mut self.phase {
            speaking.run();
        }
    }
}

/// What comes back from running the user's code here: reactor and connection, or the reactor at most if the connection
/// has left it.
type Ran = Result<(Box<Reactor>, Box<Connection>), Option<Box<Reactor>>>;

/// Runs the user's code as a handler is run: here if it may be, from where the reactor may be taken away, else on a worker.
pub(super) fn run_from(
    shared: &Arc<Shared>,
    mut reactor: Box<Reactor>,
    mut connection: Box<Connection>,
    worker: &Arc<Worker>,
) -> Ran {
    let Phase::Upgraded(speaking) = &mut connection.phase else { return Ok((reactor, connection)) };
    let is_first = !std::mem::replace(&mut speaking.has_run, true);
    let in_flight = speaking.in_flight(&reactor, connection.reactor);
    let endpoint = shared.endpoint(in_flight.endpoint);
    if !shared.may_run_inline(&endpoint.pace) {
        connection.flush_before_leaving();
        reactor.reclaim_input(&mut connection);
        let job = Job { connection, work: Work::Upgraded, in_flight, since: reactor.now() };
        shared.submit_upgraded(Box::new(job));
        return Err(Some(reactor));
    }
    if is_first {
        // The peer must not wait for its answer until the user's code has returned, which may take as long as it likes.
        connection.flush_before_leaving();
    }
    reactor.running = Some(in_flight);
    worker.slot.publish(reactor);
    connection.run_protocol();
    let Some(mut reactor) = worker.slot.take() else {
        come_home(shared, connection, worker);
        return Err(None);
    };
    let now = reactor.tick();
    if let Some(in_flight) = reactor.running.take() {
        endpoint.pace.observe(now.saturating_duration_since(in_flight.started));
    }
    Ok((reactor, connection))
}

/// Runs the user's code on a worker.
pub(in crate::server) fn run_away(shared: &Arc<Shared>, mut connection: Box<Connection>, worker: &Arc<Worker>) {
    connection.run_protocol();
    come_home(shared, connection, worker);
}

/// The user's code has returned, away from the reactor.
fn come_home(shared: &Shared, connection: Box<Connection>, worker: &Worker) {
    // If the reactor was taken away, whoever took it put this here, or is about to and holds the lock.
    let in_flight = lock(&worker.running).take();
    shared.handler_is_over();
    shared.stats.requests_active.fetch_sub(1, Ordering::Relaxed);
    if let Some(in_flight) = in_flight {
        let took = shared.clock.now().saturating_duration_since(in_flight.started);
        shared.endpoint(in_flight.endpoint).pace.observe(took);
    }
    go_home(shared, connection);
}

#[cfg(test)]
mod tests;
