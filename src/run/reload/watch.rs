//! Tells when something happens in directories: what the system reports, if it does (inotify(7)).
//!
//! Directories come and go, and there may be no inotify to be had. So [`Watch::arm`] is called again and again, and
//! says whether everything is being watched; whoever is not told must look for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::config::Places;

/// What changes a value, or who may read it. Not that somebody reads: we do.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);
/// After these a directory is not where it was, or not watched any more.
const LEAVES: ReadFlags = ReadFlags::DELETE_SELF.union(ReadFlags::MOVE_SELF).union(ReadFlags::UNMOUNT);
/// One event is at most 272 bytes long.
const BUFFER_BYTES: usize = 4096;

/// Watches the directories of some [`Places`].
pub(super) struct Watch {
    listener: Option<Listener>,
    seen: Arc<Seen>,
    changes: Receiver<()>,
    armed: BTreeMap<PathBuf, Identity>,
    /// Whether it was said that something cannot be watched.
    warned: bool,
}

/// Tells a directory from another that has taken its place: device and inode.
type Identity = (u64, u64);

/// The part that the listener's thread needs.
struct Seen {
    scene: Mutex<Scene>,
    /// Holds one message, which stands for all changes that were not looked at yet.
    changed: Sender<()>,
}

#[derive(Default)]
struct Scene {
    places: Places,
    /// What each watch is of. Several names of one directory share a watch.
    watched: BTreeMap<i32, BTreeSet<PathBuf>>,
    /// Directories of which it was said that they are gone. Another one may have the same inode.
    gone: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing so far.
    pub(super) fn new() -> Self {
        let (changed, changes) = bounded(1);
        let seen = Arc::new(Seen { scene: Mutex::default(), changed });
        Watch { listener: None, seen, changes, armed: BTreeMap::new(), warned: false }
    }

    /// Has a message whenever something has changed.
    pub(super) fn changes(&self) -> &Receiver<()> {
        &self.changes
    }

    /// Watches these places, and no others. Returns whether every change will be told.
    pub(super) fn arm(&mut self, places: &Places) -> bool {
        if self.listener.take_if(|listener| listener.thread.is_finished()).is_some() {
            self.armed.clear();
            self.seen.lock().watched.clear();
        }
        let wanted: BTreeMap<PathBuf, Option<Identity>> =
            places.directories().map(|path| (path.to_owned(), identity(path))).collect();
        self.forget_all_but(&wanted, places);
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

    fn forget_all_but(&mut self, wanted: &BTreeMap<PathBuf, Option<Identity>>, places: &Places) {
        let mut scene = self.seen.lock();
        scene.places.clone_from(places);
        let gone = std::mem::take(&mut scene.gone);
        let stale = |path: &PathBuf, armed: &Identity| gone.contains(path) || wanted.get(path) != Some(&Some(*armed));
        for (path, _) in self.armed.extract_if(.., |path, armed| stale(path, armed)) {
            if let (Some(watch), Some(listener)) = (scene.forget(&path), &self.listener) {
                // It may have ended by itself.
                let _ = inotify::remove_watch(&listener.inotify, watch);
            }
        }
    }

    /// Watches what is there and not watched yet. One that cannot be does not keep the others from it.
    fn watch_missing(&mut self, wanted: &BTreeMap<PathBuf, Option<Identity>>) -> io::Result<()> {
        let mut result = Ok(());
        for (path, identity) in wanted {
            let Some(identity) = identity else { continue };
            if self.armed.contains_key(path) {
                continue;
            }
            let listener = match &mut self.listener {
                Some(listener) => listener,
                none => none.insert(Listener::start(self.seen.clone())?),
            };
            // Whoever hears of the watch waits until it is known what it is of.
            let mut scene = self.seen.lock();
            match inotify::add_watch(&listener.inotify, path, CHANGES) {
                Ok(watch) => {
                    scene.watched.entry(watch).or_default().insert(path.clone());
                    self.armed.insert(path.clone(), *identity);
                }
                Err(error) => result = Err(error.into()),
            }
        }
        result
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// An inotify object and the thread that reads it, which ends when this is dropped.
struct Listener {
    inotify: Arc<OwnedFd>,
    thread: JoinHandle<()>,
    /// Closed when this is dropped; nothing is ever written.
    _end: PipeWriter,
}

impl Listener {
    fn start(seen: Arc<Seen>) -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        let (ended, end) = io::pipe()?;
        let source = inotify.clone();
        let listen = move || {
            let Err(error) = listen(&source, &ended, &seen);
            if error != Errno::CANCELED {
                tracing::warn!(%error, "the system does not tell changes of the configuration's files any more");
                // Whoever arms it next begins anew.
                seen.tell();
            }
        };
        let thread = thread::Builder::new().name("rws-watch".into()).spawn(listen)?;
        Ok(Listener { inotify, thread, _end: end })
    }
}

/// Hears events until the other end of `ended` is closed (`CANCELED`), or for as long as the system tells any.
fn listen(inotify: &OwnedFd, ended: &PipeReader, seen: &Seen) -> Result<std::convert::Infallible, Errno> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut events = Reader::new(inotify, &mut buffer);
    loop {
        let mut ready = [PollFd::new(inotify, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            result => result?,
        };
        if !ready[1].revents().is_empty() {
            return Err(Errno::CANCELED);
        }
        loop {
            match events.next() {
                Ok(event) => seen.hear(&event),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, event: &Event<'_>) {
        if self.lock().hear(event) {
            self.tell();
        }
    }

    fn tell(&self) {
        let _ = self.changed.try_send(());
    }
}

impl Scene {
    /// Returns whether the event matters.
    fn hear(&mut self, event: &Event<'_>) -> bool {
        let what = event.events();
        if what.contains(ReadFlags::QUEUE_OVERFLOW) {
            // It stands for any that was lost.
            return true;
        }
        let Some(directories) = self.watched.get(&event.wd()) else { return false };
        let entry = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        let matters = |dir: &PathBuf| self.places.concerns(&entry.map_or_else(|| dir.clone(), |name| dir.join(name)));
        let matters = directories.iter().any(matters);
        if what.intersects(LEAVES | ReadFlags::IGNORED) {
            self.gone.extend(directories.iter().cloned());
        }
        if what.contains(ReadFlags::IGNORED) {
            self.watched.remove(&event.wd());
        }
        matters
    }

    /// Returns the watch that nobody needs any more, if that is so.
    fn forget(&mut self, path: &Path) -> Option<i32> {
        let (&watch, directories) = self.watched.iter_mut().find(|(_, directories)| directories.contains(path))?;
        directories.remove(path);
        let is_last = directories.is_empty();
        is_last.then(|| self.watched.remove(&watch))?;
        Some(watch)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
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
        let (watch, _) = watching(&[file.clone()]);
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
        let (mut watch, places) = watching(&[file.clone()]);
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

    #[test]
    fn two_names_of_a_directory_are_told_of_until_both_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        let (mut watch, _) = watching(&[real.join("a"), link.join("b")]);
        let mut fewer = Places::default();
        fewer.add_file(&link.join("b"));
        assert!(watch.arm(&fewer));
        fs::write(real.join("a"), "").unwrap();
        assert!(watch.changes().recv_timeout(SILENCE).is_err(), "nobody wants to know any more");
        fs::write(real.join("b"), "").unwrap();
        assert_eq!(watch.changes().recv_timeout(SOON), Ok(()));
        assert!(watch.arm(&Places::default()));
        while watch.changes().recv_timeout(SILENCE).is_ok() {}
        fs::write(real.join("b"), "").unwrap();
        assert!(watch.changes().recv_timeout(SILENCE).is_err());
    }

    #[test]
    fn the_thread_ends_with_the_watch() {
        let dir = tempfile::tempdir().unwrap();
        let (mut watch, _) = watching(&[dir.path().join("file")]);
        let Listener { thread, _end, .. } = watch.listener.take().unwrap();
        assert!(!thread.is_finished());
        drop(_end);
        thread.join().unwrap();
    }
}
