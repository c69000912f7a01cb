//! The running configuration, for those who read it while it changes, and for those who must hear of it.
//!
//! It says what a reload did, in an [`Outcome`]; when to reload and what to log is the caller's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::error::{ConfigErrors, Notice};
use super::load::Loaded;
use super::places::Places;
use super::reload::{ChangedValue, Reloaded};
use super::{Config, Sources};

/// A shared view of the [`Running`] configuration. Clones see the same one.
#[derive(Clone)]
pub struct Live {
    running: Arc<ArcSwap<Running>>,
    followers: Arc<Mutex<Vec<Follower>>>,
}

type Follower = Box<dyn Fn(&Config) + Send>;

/// What is in force, and what is not.
#[derive(Clone, Debug)]
pub struct Running {
    /// The configuration in force, with values, origins and notices. What only changes at the next start is as it was
    /// at this one.
    pub loaded: Loaded,
    /// What has another value by now that waits for the next start.
    pub pending: Vec<ChangedValue>,
    /// Why the latest state of the sources is not in force, if it is not.
    pub errors: Option<ConfigErrors>,
    /// When the sources were last found valid and different, or asked for and valid; first of all the start.
    pub since: SystemTime,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the sources say what they said before.
    Unchanged,
    /// Nothing: the sources are as wrong as they were before.
    StillRefused(ConfigErrors),
    /// Nothing: the sources are wrong.
    Refused(ConfigErrors),
    /// The sources are valid, and something is different.
    Accepted {
        /// What is in force from now on.
        applied: Vec<ChangedValue>,
        /// What will be after the next start, and is news.
        pending: Vec<ChangedValue>,
        /// What would have been after the next start, and is no longer to be.
        withdrawn: Vec<ChangedValue>,
        /// Warnings that are news.
        notices: Vec<Notice>,
    },
}

impl Live {
    /// The configuration of a server that starts now.
    pub fn new(loaded: Loaded) -> Self {
        let running = Running { loaded, pending: Vec::new(), errors: None, since: SystemTime::now() };
        Live { running: Arc::new(ArcSwap::from_pointee(running)), followers: Arc::default() }
    }

    /// What is in force now.
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Calls `follower` with the configuration now, and again after every change, on the thread that reloads. It must
    /// neither block for long nor follow others.
    pub fn follow(&self, follower: impl Fn(&Config) + Send + 'static) {
        let mut followers = self.followers();
        follower(&self.running.load().loaded.config);
        followers.push(Box::new(follower));
    }

    /// Reads the sources again and takes over what may change, if all of it is valid. Only one thread should, and then
    /// [tell](Self::tell) those who follow.
    pub fn reload(&self, sources: &Sources) -> (Places, Outcome) {
        let (places, read) = Config::load_from_places(sources);
        let before = self.running();
        let outcome = match read.and_then(|next| before.loaded.reload(&next)) {
            Ok(reloaded) => self.accept(&before, reloaded),
            Err(errors) => self.refuse(&before, errors),
        };
        (places, outcome)
    }

    /// Calls everybody who follows.
    pub fn tell(&self) {
        let running = self.running();
        self.followers().iter().for_each(|follower| follower(&running.loaded.config));
    }

    fn accept(&self, before: &Running, reloaded: Reloaded) -> Outcome {
        let Reloaded { running: loaded, applied, pending } = reloaded;
        let news_in = |old: &[ChangedValue], new: &[ChangedValue]| -> Vec<ChangedValue> {
            new.iter().filter(|change| !old.contains(change)).cloned().collect()
        };
        let withdrawn = before.pending.iter().filter(|old| pending.iter().all(|new| new.variable != old.variable));
        let withdrawn: Vec<_> = withdrawn.cloned().collect();
        let news = news_in(&before.pending, &pending);
        let old_notices = &before.loaded.notices;
        let notices: Vec<_> = loaded.notices.iter().filter(|notice| !old_notices.contains(notice)).cloned().collect();

        let unchanged = applied.is_empty() && news.is_empty() && withdrawn.is_empty() && notices.is_empty();
        let unchanged = unchanged && before.errors.is_none();
        let since = if unchanged { before.since } else { SystemTime::now() };
        self.running.store(Arc::new(Running { loaded, pending, errors: None, since }));
        if unchanged {
            return Outcome::Unchanged;
        }
        Outcome::Accepted { applied, pending: news, withdrawn, notices }
    }

    fn refuse(&self, before: &Running, errors: ConfigErrors) -> Outcome {
        if before.errors.as_ref() == Some(&errors) {
            return Outcome::StillRefused(errors);
        }
        self.running.store(Arc::new(Running { errors: Some(errors.clone()), ..before.clone() }));
        Outcome::Refused(errors)
    }

    /// Nothing is ever left half done in the list.
    fn followers(&self) -> std::sync::MutexGuard<'_, Vec<Follower>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Live").field(&self.running.load()).finish()
    }
}
