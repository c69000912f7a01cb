//! Tells when something happens in directories: what the system reports, if it does.
//!
//! Directories come and go, and there may be no inotify to be had. So [`Watch::arm`] is called again and again, and
//! says whether everything is being watched; whoever is not told must look for itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::Places;

/// Watches the directories of some [`Places`].
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
    seen: Arc<Seen>,
    changes: Receiver<()>,
    armed: BTreeMap<PathBuf, Identity>,
    /// Whether it was said that something cannot be watched.
    warned: bool,
}

/// Tells a directory from another that has taken its place: device and inode.
type Identity = (u64, u64);

/// The part that the watcher's own thread needs.
struct Seen {
    places: Mutex<Places>,
    /// Directories of which it was said that they are gone. Another one may have the same inode.
    gone: Mutex<Vec<PathBuf>>,
    /// Holds one message, which stands for all changes that were not looked at yet.
    changed: Sender<()>,
}

impl Watch {
    /// Watches nothing so far.
    pub(super) fn new() -> Self {
        let (changed, changes) = bounded(1);
        let seen = Arc::new(Seen { places: Mutex::default(), gone: Mutex::default(), changed });
        Watch { watcher: None, seen, changes, armed: BTreeMap::new(), warned: false }
    }

    /// Has a message whenever something has changed.
    pub(super) fn changes(&self) -> &Receiver<()> {
        &self.changes
    }

    /// Watches these places, and no others. Returns whether every change will be told.
    pub(super) fn arm(&mut self, places: &Places) -> bool {
        self.seen.places.lock().unwrap_or_else(PoisonError::into_inner).clone_from(places);
        let gone = std::mem::take(&mut *self.seen.gone.lock().unwrap_or_else(PoisonError::into_inner));
        let wanted: BTreeMap<PathBuf, Option<Identity>> =
            places.directories().map(|path| (path.to_owned(), identity(path))).collect();
        let stale = |path: &PathBuf, armed: &Identity| gone.contains(path) || wanted.get(path) != Some(&Some(*armed));
        for (path, _) in self.armed.extract_if(.., |path, armed| stale(path, armed)) {
            // It may have ended by itself.
            let _ = self.watcher.as_mut().map(|watcher| watcher.unwatch(&path));
        }
        if wanted.is_empty() {
            return true;
        }
        let result = self.watch_missing(&wanted);
        // Whoever went away in the meantime is not the system's fault.
        if let Err(error) = &result
            && wanted.iter().all(|(path, before)| before.is_none() || identity(path) == *before)
            && !std::mem::replace(&mut self.warned, true)
        {
            tracing::warn!(%error, "changes of the configuration's files are not told by the system; they are looked for instead");
        }
        self.warned &= result.is_err();
        result.is_ok() && wanted.values().all(Option::is_some)
    }

    /// Watches what is there and not watched yet. One that cannot be does not keep the others from it.
    fn watch_missing(&mut self, wanted: &BTreeMap<PathBuf, Option<Identity>>) -> notify::Result<()> {
        let mut result = Ok(());
        for (path, identity) in wanted {
            let Some(identity) = identity else { continue };
            if self.armed.contains_key(path) {
                continue;
            }
            let watcher = match &mut self.watcher {
                Some(watcher) => watcher,
                none => {
                    let seen = self.seen.clone();
                    none.insert(notify::recommended_watcher(move |event| seen.hears(event))?)
                }
            };
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => _ = self.armed.insert(path.clone(), *identity),
                Err(error) => result = Err(error),
            }
        }
        result
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Seen {
    fn hears(&self, event: notify::Result<Event>) {
        let matters = event.as_ref().is_ok_and(|event| self.matters(event));
        // What is no event may stand for any that was lost.
        if matters || event.is_err() {
            let _ = self.changed.try_send(());
        }
    }

    fn matters(&self, event: &Event) -> bool {
        // Reading the files makes events as well.
        if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) {
            return false;
        }
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let leaves = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(_));
        let themselves = event.paths.iter().filter(|path| leaves && places.directories().any(|dir| dir == *path));
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).extend(themselves.cloned());
        event.need_rescan() || event.paths.iter().any(|path| places.concerns(path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::slice;
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    /// What is not told within this time is not told.
    const SILENCE: Duration = Duration::from_millis(50);

    fn watching(files: &[PathBuf]) -> (Watch, Places) {
        let (mut watch, mut places) = (Watch::new(), Places::default());
        files.iter().for_each(|file| places.add_file(file));
        assert!(watch.arm(&places), "every directory is there");
        (watch, places)
    }

    #[test]
    fn what_changes_a_file_is_told_and_what_does_not_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("file"), dir.path().join("other"));
        let (watch, _) = watching(slice::from_ref(&file));
        let changes: [(&str, &dyn Fn()); 5] = [
            ("made", &|| fs::write(&file, "a").unwrap()),
            ("written", &|| fs::write(&file, "b").unwrap()),
            ("permitted", &|| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap()),
            ("replaced", &|| {
                fs::write(&other, "c").unwrap();
                fs::rename(&other, &file).unwrap();
            }),
            ("removed", &|| fs::remove_file(&file).unwrap()),
        ];
        for (what, change) in changes {
            change();
            assert_eq!(watch.changes().recv_timeout(SOON), Ok(()), "{what}");
            // It takes several events.
            while watch.changes().recv_timeout(SILENCE).is_ok() {}
        }
        fs::write(&file, "a").unwrap();
        while watch.changes().recv_timeout(SILENCE).is_ok() {}
        fs::read(&file).unwrap();
        fs::write(&other, "a").unwrap();
        assert!(watch.changes().recv_timeout(SILENCE).is_err(), "a look at it, and its neighbour");
    }

    #[test]
    fn another_directory_in_the_place_of_one_is_watched_once_it_is_armed() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, file) = (dir.path().join("inner"), dir.path().join("inner/file"));
        fs::create_dir(&inner).unwrap();
        let (mut watch, places) = watching(slice::from_ref(&file));
        for way in ["removed", "moved"] {
            match way {
                "removed" => fs::remove_dir(&inner).unwrap(),
                _ => fs::rename(&inner, dir.path().join("aside")).unwrap(),
            }
            assert_eq!(watch.changes().recv_timeout(SOON), Ok(()), "{way}");
            assert!(!watch.arm(&places), "nothing is watched where nothing is");
            fs::create_dir(&inner).unwrap();
            assert!(watch.arm(&places), "{way}");
            while watch.changes().recv_timeout(SILENCE).is_ok() {}
            fs::write(&file, "a").unwrap();
            assert_eq!(watch.changes().recv_timeout(SOON), Ok(()), "{way}");
            fs::remove_file(&file).unwrap();
            while watch.changes().recv_timeout(SILENCE).is_ok() {}
        }
    }
}
