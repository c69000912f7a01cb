//! What was found under the names that are asked for, so that files which are asked for again cost no system call.
//!
//! What is kept is looked at again, by its name, when it was last looked at more than a second ago: renamed, deleted and
//! replaced files, swapped links and lost permissions are seen then. The memory and the number of descriptors it
//! takes are bounded, and so is what names that do not exist can do to it. Knows no requests.

mod budget;
mod table;
mod ticks;

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

pub(super) use self::budget::{Budget, Taken};
use self::table::{Slot, Table};
use self::ticks::{Ticks, nanoseconds};
use super::entry::{self, Entry};
use super::name::Name;
use super::open::Root;
use super::refusal::Refusal;
use super::stamp::Clock;

/// How long what was found is taken for granted.
const PERIOD: u64 = nanoseconds(Duration::from_secs(1));

/// For so much longer, while one thread looks again, the others go on with what they have. And whether the root is still the
/// same is not looked at more often.
const GRACE: u64 = nanoseconds(Duration::from_millis(100));

/// What was not asked for during this time is let go, so that no deleted file stays on its disk for long.
const IDLE: u64 = nanoseconds(Duration::from_secs(30));

/// Files, times eight.
const FILE_SETS: usize = 512;

/// Names without a file, times eight.
const MISSING_SETS: usize = 128;

/// Longer names are not kept.
const LONGEST_NAME: usize = 255;

/// How many descriptors may be kept open, where the process may have plenty.
const DESCRIPTORS: usize = 64;

/// Counted for each file beside its content: names, fields, the slot.
const OVERHEAD: usize = 1024;

/// How many sets are searched at most for something idle when there is no room.
const SEARCH: usize = 32;

/// The size of the cache unless it is said otherwise, in bytes.
pub(super) const DEFAULT_BYTES: usize = 16 << 20;

/// What was found under some names.
#[derive(Debug)]
pub(super) struct Cache {
    files: Table<Arc<Entry>>,
    /// Names under which there was no file, apart from the files so that they cannot crowd them out.
    missing: Table<Refusal>,
    ticks: Ticks,
    bytes: Budget,
    descriptors: Budget,
}

/// How to find out what there is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) root: &'a Root,
    pub(super) clock: &'a Clock,
}

impl Cache {
    /// A cache that takes at most so much memory; with 0 nothing is kept.
    pub(super) fn new(bytes: usize) -> Cache {
        Cache {
            files: Table::new(FILE_SETS),
            missing: Table::new(MISSING_SETS),
            ticks: Ticks::default(),
            bytes: Budget::new(bytes),
            descriptors: Budget::new(DESCRIPTORS.min(an_eighth_of_all())),
        }
    }

    /// Changes how much memory it may take.
    pub(super) fn set_bytes(&self, bytes: usize) {
        self.bytes.set_limit(bytes);
        self.files.sweep(|_| true, FILE_SETS, || bytes > 0 && self.bytes.taken() <= bytes);
        self.missing.sweep(|_| true, MISSING_SETS, || bytes > 0);
    }

    /// Lets go what nobody has asked for lately. To be called now and then.
    pub(super) fn sweep(&self) {
        let idle = self.ticks.now() - IDLE;
        self.files.sweep(|slot| slot.checked() < idle, FILE_SETS, || false);
        self.missing.sweep(|slot| slot.checked() < idle, MISSING_SETS, || false);
    }

    /// The current version of the file `name`, or why there is none.
    pub(super) fn look_up(&self, source: Source<'_>, name: &Name) -> Result<Arc<Entry>, Refusal> {
        let (key, now) = (name.as_bytes(), self.ticks.now());
        if self.bytes.limit() == 0 || key.len() > LONGEST_NAME {
            source.root.follow_now_and_then(now, GRACE);
            return Entry::open(source, name, self.ticks.wall()).map(Arc::new);
        }
        let file_at = self.files.address(key);
        let known = self.files.get(file_at, key);
        if let Some(slot) = &known
            && is_fresh(slot, now)
            && slot.value.is_untouched()
        {
            return Ok(Arc::clone(&slot.value));
        }
        let missing_at = self.missing.address(key);
        let missed = self.missing.get(missing_at, key);
        if known.is_none()
            && let Some(slot) = &missed
            && is_fresh(slot, now)
        {
            return Err(slot.value);
        }
        let found = self.find(source, name, known.as_deref(), now);
        match &found {
            Ok(Found::Same(_)) => {}
            Ok(Found::New(entry)) if entry.is_held() => {
                self.files.put(file_at, Slot::new(key, Arc::clone(entry), now), now - PERIOD);
            }
            _ if known.is_some() => self.files.remove(file_at, key, now),
            _ => {}
        }
        match found {
            Err(refusal @ (Refusal::NotFound | Refusal::Directory)) => {
                self.missing.put(missing_at, Slot::new(key, refusal, now), now - PERIOD);
            }
            // Even if the file cannot be kept.
            _ if missed.is_some() => self.missing.remove(missing_at, key, now),
            _ => {}
        }
        found.map(Found::into_entry)
    }

    /// Looks what there is now.
    fn find(
        &self,
        source: Source<'_>,
        name: &Name,
        known: Option<&Slot<Arc<Entry>>>,
        now: u64,
    ) -> Result<Found, Refusal> {
        source.root.follow_now_and_then(now, GRACE);
        let (file, stat) = entry::open(source, name)?;
        if let Some(slot) = known
            && slot.value.is_surely(&stat)
        {
            slot.confirm(now);
            return Ok(Found::Same(Arc::clone(&slot.value)));
        }
        let mut entry = Entry::read(file, stat, name, source.clock, self.ticks.wall())?;
        self.hold(&mut entry, now);
        Ok(Found::New(Arc::new(entry)))
    }

    /// Takes what an entry needs to be kept, if there is room.
    fn hold(&self, entry: &mut Entry, now: u64) {
        if !entry.is_settled() {
            return;
        }
        let Some(bytes) = self.take(&self.bytes, OVERHEAD + entry.bytes_in_memory(), now, |_| true) else { return };
        if !entry.has_descriptor() {
            entry.hold([bytes]);
        } else if let Some(descriptor) = self.take(&self.descriptors, 1, now, Entry::has_descriptor) {
            entry.hold([bytes, descriptor]);
        }
    }

    /// Memory for something that is kept with an entry, in bytes.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Taken> {
        self.take(&self.bytes, bytes, self.ticks.now(), |_| true)
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(super) fn let_pass(&self, time: Duration) {
        self.ticks.skip(time);
    }

    /// Takes so much of a budget; if there is not enough, what has some of it and is idle has to go.
    fn take(&self, budget: &Budget, amount: usize, now: u64, has_some: fn(&Entry) -> bool) -> Option<Taken> {
        let taken = budget.take(amount);
        if taken.is_some() || amount > budget.limit() {
            return taken;
        }
        let idle = |slot: &Slot<Arc<Entry>>| slot.checked() < now - PERIOD && has_some(&slot.value);
        let mut taken = None;
        self.files.sweep(idle, SEARCH, || {
            taken = budget.take(amount);
            taken.is_some()
        });
        taken
    }
}

/// An eighth of the descriptors that the process may have.
fn an_eighth_of_all() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit / 8).unwrap_or(usize::MAX))
}

/// What a look at the file system came to.
enum Found {
    /// The version that is known.
    Same(Arc<Entry>),
    /// Another.
    New(Arc<Entry>),
}

impl Found {
    fn into_entry(self) -> Arc<Entry> {
        match self {
            Found::Same(entry) | Found::New(entry) => entry,
        }
    }
}

/// Whether what was found may be relied on at `now`. If not, it is for the caller to look again.
fn is_fresh<T>(slot: &Slot<T>, now: u64) -> bool {
    let checked = slot.checked();
    match now.saturating_sub(checked) {
        0..PERIOD => true,
        age => age < PERIOD + GRACE && !slot.claim(checked, now - PERIOD + GRACE),
    }
}

#[cfg(test)]
mod tests;
