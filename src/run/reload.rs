//! Live configuration: notices that files have changed, or that somebody asks, has the configuration read again, and
//! says what came of it. What is in force is in [`Live`]; who acts on it follows that.

#[cfg(not(feature = "watch"))]
mod unwatched;
#[cfg(feature = "watch")]
mod watch;

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, after, never, select, unbounded};
use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

#[cfg(not(feature = "watch"))]
use self::unwatched::Watch;
#[cfg(feature = "watch")]
use self::watch::Watch;
use crate::config::{ChangedValue, ConfigErrors, Live, Notice, Outcome, Places, Sources};

/// How often files are looked at although nobody said that they have changed.
const SELDOM: Duration = Duration::from_secs(15);
/// How often when nobody would say so.
const OFTEN: Duration = Duration::from_secs(2);
/// A change is over when nothing has happened for so long: the kubelet takes several steps, one right after the other.
const QUIET: Duration = Duration::from_millis(100);
/// Something that changes all the time is read all the same.
const RESTLESS: Duration = Duration::from_secs(1);

/// Why the sources are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// SIGHUP: somebody wants an answer.
    Asked,
    /// Something happened to the files, or the time has come to look.
    Looked,
}

/// Asks for a reload, as SIGHUP does. The thread that reloads ends when all of these are gone.
#[derive(Clone, Debug)]
pub(super) struct Reload(Sender<()>);

impl Reload {
    /// Asks, and does not wait for the answer.
    pub(super) fn ask(&self) {
        let _ = self.0.send(());
    }
}

/// What else is made of files and follows their changes.
pub(super) trait Follower: Send {
    /// The files.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads them. `None` if they say what they said before, else whether that can be used. Tells the log.
    fn look(&mut self) -> Option<bool>;
}

/// Starts the thread that keeps `live` up to date with `sources`, if there are any, and each of `followers` with its
/// files.
///
/// # Errors
/// When the operating system has no thread to give.
pub(super) fn start(
    sources: Option<Sources>,
    live: Live,
    followers: Vec<Box<dyn Follower>>,
    counters: Counters,
) -> io::Result<Reload> {
    let (sender, asked) = unbounded();
    let (watch, places) = (Watch::new(), Places::default());
    let reloader = Reloader { sources, live, followers, counters, asked, watch, places };
    thread::Builder::new().name("rws-reload".into()).spawn(move || reloader.run())?;
    Ok(Reload(sender))
}

/// What the metrics tell of reloads.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    success: IntCounter,
    failure: IntCounter,
    last_success: Gauge,
}

impl Counters {
    /// Registers the metrics. The start counts as the first success, in the time only.
    ///
    /// # Errors
    /// When the registry has metrics of these names.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Reloads of the configuration, by whether it was valid.";
        let reloads = IntCounterVec::new(Opts::new("rws_config_reloads_total", help), &["result"])?;
        let help = "When the configuration was last found valid, in seconds since 1970.";
        let last_success = Gauge::new("rws_config_last_reload_success_timestamp_seconds", help)?;
        registry.register(Box::new(reloads.clone()))?;
        registry.register(Box::new(last_success.clone()))?;
        let counters = Counters {
            success: reloads.with_label_values(&["success"]),
            failure: reloads.with_label_values(&["failure"]),
            last_success,
        };
        counters.set_time();
        Ok(counters)
    }

    fn succeeded(&self) {
        self.success.inc();
        self.set_time();
    }

    fn set_time(&self) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.last_success.set(since.unwrap_or_default().as_secs_f64());
    }
}

struct Reloader {
    sources: Option<Sources>,
    live: Live,
    followers: Vec<Box<dyn Follower>>,
    counters: Counters,
    asked: Receiver<()>,
    watch: Watch,
    places: Places,
}

impl Reloader {
    /// The thread's life.
    fn run(mut self) {
        // What has changed since the start was not told by anybody.
        let mut all_told = self.reload(Cause::Looked);
        loop {
            let look = match (self.places.is_empty(), all_told) {
                (true, _) => never(),
                (_, true) => after(SELDOM),
                (_, false) => after(OFTEN),
            };
            let cause = select! {
                recv(self.asked) -> asked => match asked {
                    Ok(()) => Cause::Asked,
                    Err(_) => return,
                },
                recv(self.watch.changes()) -> _ => {
                    self.wait_for_quiet();
                    Cause::Looked
                }
                recv(look) -> _ => Cause::Looked,
            };
            all_told = self.reload(cause);
        }
    }

    fn wait_for_quiet(&self) {
        let end = Instant::now() + RESTLESS;
        while Instant::now() < end && self.watch.changes().recv_timeout(QUIET) != Err(RecvTimeoutError::Timeout) {}
    }

    /// Reads everything again. Returns whether further changes will be told.
    fn reload(&mut self, cause: Cause) -> bool {
        // First watch, then read: what changes in between is told.
        let told = self.watch.arm(&self.places);
        let places = self.read(cause);
        if places == self.places {
            return told;
        }
        let told = self.watch.arm(&places);
        self.places = self.read(Cause::Looked);
        told && self.places == places
    }

    /// Returns where the files are.
    fn read(&mut self, cause: Cause) -> Places {
        let (mut places, outcome) = match &self.sources {
            Some(sources) => self.live.reload(sources),
            None => (Places::default(), Outcome::Unchanged),
        };
        match outcome {
            Outcome::Unchanged if cause == Cause::Asked => {
                tracing::info!("configuration reloaded: nothing changed");
                self.counters.succeeded();
            }
            Outcome::StillRefused(errors) if cause == Cause::Asked => self.refuse(&errors),
            Outcome::Unchanged | Outcome::StillRefused(_) => {}
            Outcome::Refused(errors) => self.refuse(&errors),
            Outcome::Accepted { applied, pending, withdrawn, notices } => {
                let report = || report(&applied, &pending, &withdrawn, &notices);
                self.accept(!applied.is_empty(), report);
            }
        }
        for follower in &mut self.followers {
            follower.files().iter().for_each(|file| places.add_file(file));
            match follower.look() {
                Some(true) => self.counters.succeeded(),
                Some(false) => self.counters.failure.inc(),
                None => {}
            }
        }
        places
    }

    /// Has the change take effect and told. When it is LOG_LEVEL that changes, the more talkative of both applies.
    fn accept(&self, differs: bool, report: impl Fn()) {
        let audible = tracing::enabled!(tracing::Level::INFO);
        if audible {
            report();
        }
        if differs {
            self.live.tell();
        }
        if !audible {
            report();
        }
        self.counters.succeeded();
    }

    fn refuse(&self, errors: &ConfigErrors) {
        self.counters.failure.inc();
        for error in errors.iter() {
            tracing::error!(
                variable = error.variable(),
                value = error.shown_value(),
                rule = error.rule(),
                example = error.right_setting(),
                "{error}"
            );
        }
        for notice in errors.notices() {
            tracing::warn!(variable = notice.variable(), "{notice}");
        }
        let count = errors.iter().count();
        tracing::error!(errors = count, "configuration not reloaded: the running one stays in force");
    }
}

fn report(applied: &[ChangedValue], pending: &[ChangedValue], withdrawn: &[ChangedValue], notices: &[Notice]) {
    for notice in notices {
        tracing::warn!(variable = notice.variable(), "{notice}");
    }
    for change in applied {
        let ChangedValue { variable, from, to, origin } = change;
        tracing::info!(variable, from, to, %origin, "{variable} {} → {} ({origin})", or_none(from), or_none(to));
    }
    for change in pending {
        let ChangedValue { variable, from, to, origin } = change;
        let (running, new) = (or_none(from), or_none(to));
        tracing::warn!(variable, running = from, new = to, %origin, "{variable} {running} → {new} ({origin}) takes effect at the next start");
    }
    for change in withdrawn {
        let ChangedValue { variable, from, .. } = change;
        tracing::info!(
            variable,
            running = from,
            "{variable} is {} again: nothing of it waits for the next start",
            or_none(from)
        );
    }
    tracing::info!(changed = applied.len(), at_next_start = pending.len(), "configuration reloaded");
}

/// A value that is empty is easily overlooked.
fn or_none(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}
