//! A response whose body other threads send: the reactor takes what there is, and no thread waits for more.

use std::io;
use std::time::{Duration, Instant};

use super::{Connection, Failure, Next, OUTPUT_HIGH, Phase, Waiting};
use crate::app::feed::{FeedReader, Taken};
use crate::proto::chunked;
use crate::proto::cycle::CloseReason;
use crate::proto::encode::Length;
use crate::server::lifecycle::State;
use crate::server::observe::Outcome;
use crate::server::reactor::{ROOMY, Reactor};
use crate::server::shared::Shared;

/// A response whose body is taken from a feed. Dropped, it tells the sender that nobody takes any more.
pub(super) struct Feeding {
    reader: FeedReader,
    framing: Length,
    /// When something was sent last; `None`: the feed does not know yet whom to wake.
    sent: Option<Instant>,
    /// Nothing was there at the last look.
    is_hungry: bool,
    /// The client has sent all it will: to be read once more when the feed is over.
    has_ended: bool,
}

/// Packets that are lost are sent again after some time: a stream gets no shorter time than this to be acknowledged.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);

/// What a look at a feed has brought.
enum Look {
    /// There may be more.
    More,
    Nothing,
    End,
    Broken,
}

impl Feeding {
    pub(super) fn new(reader: FeedReader, framing: Length) -> Self {
        Feeding { reader, framing, sent: None, is_hungry: false, has_ended: false }
    }

    fn is_endless(&self) -> bool {
        self.reader.feed().terms.is_endless
    }

    /// When there must be a sign of life if nothing else is sent.
    fn due(&self) -> Option<Instant> {
        let (interval, _) = self.reader.feed().terms.keep_alive.as_ref()?;
        self.sent?.checked_add(*interval)
    }
}

impl Connection {
    /// Whether it is at something that other threads may have something for.
    pub(in crate::server) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Feed(_) | Phase::Upgraded(_))
    }

    /// Takes what there is into the output.
    pub(super) fn go_on_live(&mut self, reactor: &mut Reactor) -> Option<Next> {
        if let Phase::Upgraded(_) = self.phase {
            return self.speak(reactor);
        }
        self.meet_feed(reactor);
        match self.take_pieces(reactor.now()) {
            Look::More => {}
            Look::Nothing => self.keep_alive(reactor.now()),
            Look::End => self.end_feed(reactor),
            Look::Broken => self.break_feed(reactor),
        }
        None
    }

    /// Tells the feed whom to wake, and an endless one when it is over.
    fn meet_feed(&mut self, reactor: &Reactor) {
        let Phase::Feed(feeding) = &mut self.phase else { return };
        let feed = feeding.reader.feed();
        if feeding.sent.is_none() {
            feeding.sent = Some(reactor.now());
            feed.attach(reactor.waker(self.token));
            if feed.terms.is_endless {
                // Little is sent, so it fits into the socket's buffer long after the client has vanished. Nothing but TCP says so.
                let _ = self.stream.give_up_after(reactor.settings().write_timeout.max(LEAST_PATIENCE));
            }
        }
        if feed.terms.is_endless && reactor.shared().lifecycle.state() >= State::Stopping {
            feed.stop();
        }
    }

    fn take_pieces(&mut self, now: Instant) -> Look {
        while self.output.waiting() < OUTPUT_HIGH {
            let Phase::Feed(feeding) = &mut self.phase else { return Look::More };
            let taken = feeding.reader.take(OUTPUT_HIGH);
            feeding.is_hungry = taken == Taken::Nothing;
            match taken {
                Taken::Bytes(piece) => {
                    let framing = feeding.framing;
                    feeding.sent = Some(now);
                    self.send_piece(&piece, framing);
                }
                Taken::Nothing => return Look::Nothing,
                Taken::End => return Look::End,
                Taken::Broken => return Look::Broken,
            }
        }
        Look::More
    }

    /// Sends a sign of life if one is due and nothing else is on its way.
    fn keep_alive(&mut self, now: Instant) {
        let Phase::Feed(feeding) = &mut self.phase else { return };
        if self.output.is_empty()
            && feeding.due().is_some_and(|due| due <= now)
            && let Some((_, sign)) = feeding.reader.feed().terms.keep_alive.clone()
        {
            let framing = feeding.framing;
            feeding.sent = Some(now);
            self.send_piece(&sign, framing);
        }
    }

    fn end_feed(&mut self, reactor: &Reactor) {
        let Phase::Feed(feeding) = std::mem::replace(&mut self.phase, Phase::Head) else { return };
        if feeding.framing == Length::Chunked {
            self.output.bytes().extend_from_slice(chunked::LAST);
        }
        self.readable |= feeding.has_ended;
        self.end_cycle();
        let is_last = self.input.is_empty() && reactor.shared().lifecycle.state() >= State::Stopping;
        if feeding.is_endless() && is_last {
            self.closing.get_or_insert(CloseReason::Draining);
        }
    }

    fn break_feed(&mut self, reactor: &Reactor) {
        let Phase::Feed(feeding) = &self.phase else { return };
        let framing = feeding.framing;
        self.cut_short(reactor.shared(), framing, &io::Error::other("its sender gave up"));
    }

    /// The peer will send nothing more. To a stream without an end that means that it has gone; to others it may still
    /// listen, and what the poller tells of later may be a reset.
    pub(super) fn live_ended(&mut self, shared: &Shared) {
        match &mut self.phase {
            Phase::Feed(feeding) if feeding.is_endless() => self.abandon_output(Outcome::ClientAbort),
            Phase::Feed(feeding) => {
                (feeding.has_ended, self.readable) = (true, false);
                if let Err(error) = self.stream.check() {
                    self.broke(shared, Failure::Reset, &error);
                }
            }
            Phase::Upgraded(speaking) => {
                speaking.ended();
                self.readable = false;
            }
            _ => {}
        }
    }

    /// Whether there is more to write than was written, although the socket would take it.
    pub(super) fn has_more_to_say(&self) -> bool {
        match &self.phase {
            Phase::Feed(feeding) => !feeding.is_hungry,
            Phase::Upgraded(speaking) => self.closing.is_none() && speaking.wants_to_write(),
            _ => false,
        }
    }

    /// Whether what arrives can wait. Of further requests a feed lets a buffer full come, so that it sees the client go.
    pub(super) fn is_done_reading(&self) -> bool {
        matches!(self.phase, Phase::Feed(_)) && self.input.unused().len() >= ROOMY
    }

    /// Whether it sends what has no end of its own.
    pub(super) fn is_endless(&self) -> bool {
        matches!(&self.phase, Phase::Feed(feeding) if feeding.is_endless())
    }

    /// Waits for the sender, with no deadline but that of a sign of life.
    pub(super) fn wait_for_feed(&mut self) -> Next {
        if let Phase::Feed(feeding) = &self.phase {
            let due = feeding.due();
            self.wait_live(due);
        }
        Next::Wait
    }

    /// Waits until then, or for ever.
    pub(super) fn wait_live(&mut self, due: Option<Instant>) {
        self.waiting = Waiting::Live;
        match due {
            Some(due) => self.deadline.set(due),
            None => self.deadline.clear(),
        }
    }
}
