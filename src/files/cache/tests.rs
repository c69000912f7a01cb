//! What the cache keeps and for how long, with time that passes by hand.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Method, header};
use tempfile::TempDir;

use super::*;
use crate::app::response::Response;
use crate::files::Files;
use crate::semantics::conditional::tests::head;

const SECOND: Duration = Duration::from_secs(1);

/// Longer ago than the clock of a file system is coarse.
const LONG: Duration = Duration::from_secs(5);

struct Place {
    directory: TempDir,
    files: Files,
}

impl Place {
    fn new(bytes: usize) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path()).unwrap().with_cache_bytes(bytes);
        // As if everything had been there for a while.
        files.cache.ticks.skip(LONG);
        Place { directory, files }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Place {
        fs::write(self.path(name), content).unwrap();
        self
    }

    /// Replaces a file as one should.
    fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        self.write("new", content);
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn pass(&self, time: Duration) {
        self.files.cache.ticks.skip(time);
    }

    fn find(&self, name: &str) -> Result<Arc<Entry>, Refusal> {
        self.files.lookup(&Name::parse(name).unwrap())
    }

    fn text(&self, name: &str) -> String {
        match self.find(name) {
            Ok(entry) => String::from_utf8(content(&entry)).unwrap(),
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    /// How many files beneath the root the process has open.
    fn open_files(&self) -> usize {
        let root = self.directory.path().to_str().unwrap();
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with(&format!("{root}/"))).count()
    }
}

fn content(entry: &Entry) -> Vec<u8> {
    let mut content = Vec::new();
    entry.body(0, entry.length).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn large(byte: u8) -> Vec<u8> {
    vec![byte; 100_000]
}

#[test]
fn what_is_fresh_is_not_looked_at_again() {
    let place = Place::new(DEFAULT_BYTES);
    place.write("a", "1");
    let first = place.find("a").unwrap();
    place.replace("a", "22");
    place.pass(SECOND / 2);
    assert!(Arc::ptr_eq(&first, &place.find("a").unwrap()));
    place.pass(SECOND / 2);
    let second = place.find("a").unwrap();
    assert_eq!((content(&first), content(&second)), (b"1".to_vec(), b"22".to_vec()));
    assert_ne!(first.etag, second.etag);
    place.pass(10 * SECOND);
    assert!(Arc::ptr_eq(&second, &place.find("a").unwrap()), "it is still the same version");
}

#[test]
fn changes_of_names_are_seen_within_a_second() {
    let place = Place::new(DEFAULT_BYTES);
    fs::create_dir(place.path("1")).unwrap();
    fs::create_dir(place.path("2")).unwrap();
    place.write("1/x", "one").write("2/x", "two").write("gone", "gone");
    symlink("1", place.path("data")).unwrap();
    let seen = || ["data/x", "gone", "come", "turned"].map(|name| place.text(name));
    assert_eq!(seen(), ["one", "gone", "NotFound", "NotFound"]);
    symlink("2", place.path("data_tmp")).unwrap();
    fs::rename(place.path("data_tmp"), place.path("data")).unwrap();
    fs::remove_file(place.path("gone")).unwrap();
    place.write("come", "come");
    fs::create_dir(place.path("turned")).unwrap();
    assert_eq!(seen(), ["one", "gone", "NotFound", "NotFound"], "nothing is looked at twice in a second");
    place.pass(SECOND);
    assert_eq!(seen(), ["two", "NotFound", "come", "Directory"]);
    place.write("gone", "again");
    place.pass(SECOND);
    assert_eq!(seen(), ["two", "again", "come", "Directory"]);
}

#[test]
fn a_file_with_an_open_descriptor_is_never_sent_with_an_old_length() {
    let place = Place::new(DEFAULT_BYTES);
    place.write("x", large(b'a'));
    let first = place.find("x").unwrap();
    assert!(Arc::ptr_eq(&first, &place.find("x").unwrap()));
    assert_eq!(place.open_files(), 1);
    File::options().append(true).open(place.path("x")).unwrap().write_all(b"more").unwrap();
    assert_eq!(place.find("x").unwrap().length, 100_004, "changed in place");
    place.replace("x", large(b'b'));
    assert_eq!(content(&place.find("x").unwrap()), large(b'b'), "replaced");
    drop(first);
    assert_eq!(place.open_files(), 1);
}

/// Within a tick of the file system's clock a file can change without a trace.
#[test]
fn content_read_soon_after_a_change_is_read_again() {
    let place = Place::new(DEFAULT_BYTES);
    // Without the time that has passed for others.
    let young = Place { files: Files::new(place.directory.path()).unwrap(), ..place };
    young.write("x", "1");
    let first = young.find("x").unwrap();
    assert!(Arc::ptr_eq(&first, &young.find("x").unwrap()));
    young.pass(SECOND + SECOND / 10);
    let second = young.find("x").unwrap();
    assert!(!Arc::ptr_eq(&first, &second), "one second after the change");
    young.pass(SECOND + SECOND / 10);
    let third = young.find("x").unwrap();
    assert!(!Arc::ptr_eq(&second, &third), "what was read after one second");
    young.pass(SECOND + SECOND / 10);
    assert!(Arc::ptr_eq(&third, &young.find("x").unwrap()), "what was read after two");
    assert_eq!(first.etag, third.etag);
}

#[test]
fn it_takes_no_more_memory_than_it_may() {
    let limit = 40 * (10_000 + OVERHEAD);
    let place = Place::new(limit);
    let name = |n: usize| format!("file{n}");
    for n in 0..200 {
        place.write(&name(n), vec![b'a' + (n % 26) as u8; 10_000]);
    }
    let cache = &place.files.cache;
    for round in 0..3 {
        for n in 0..200 {
            assert_eq!(content(&place.find(&name(n)).unwrap()), vec![b'a' + (n % 26) as u8; 10_000]);
            assert!(cache.bytes.taken() <= limit);
        }
        assert!((30..=40).contains(&cache.files.len()), "{} files in round {round}", cache.files.len());
        place.pass(2 * SECOND);
    }
    // Nothing that is in use is given up for what comes by.
    let hot = place.find("file0").unwrap();
    let mut seen = Vec::new();
    for n in 1..200 {
        place.find(&name(n)).unwrap();
        seen.push(Arc::ptr_eq(&hot, &place.find("file0").unwrap()));
    }
    assert!(seen.iter().all(|same| *same), "{seen:?}");
    place.files.set_cache_bytes(0);
    assert_eq!((cache.bytes.taken() / (10_000 + OVERHEAD), cache.files.len(), cache.missing.len()), (1, 0, 0));
    drop(hot);
    assert_eq!(cache.bytes.taken(), 0);
    assert_eq!(place.text("file1").len(), 10_000);
    assert_eq!(cache.files.len(), 0, "it is off");
}

#[test]
fn names_without_files_do_not_crowd_out_files() {
    let place = Place::new(DEFAULT_BYTES);
    place.write("a", "1");
    let first = place.find("a").unwrap();
    for n in 0..20_000 {
        assert_eq!(place.find(&format!("missing{n}")).unwrap_err(), Refusal::NotFound);
    }
    let cache = &place.files.cache;
    assert!(cache.missing.len() <= 8 * MISSING_SETS);
    assert!(Arc::ptr_eq(&first, &place.find("a").unwrap()));
    place.find(&"n".repeat(LONGEST_NAME + 1)).unwrap_err();
    place.pass(IDLE_AND_MORE);
    place.files.sweep();
    assert_eq!((cache.missing.len(), cache.files.len()), (0, 0));
}

const IDLE_AND_MORE: Duration = Duration::from_secs(31);

/// What was not there a moment ago must not be missing again only because there is no room to keep it.
#[test]
fn a_file_that_comes_and_cannot_be_kept_is_found_each_time() {
    let place = Place::new(DEFAULT_BYTES);
    for n in 0..DESCRIPTORS {
        place.write(&format!("hot{n}"), large(b'h'));
    }
    // Whoever asks in the moment in which one thread looks and others go on.
    for round in 0..3 {
        (0..DESCRIPTORS).for_each(|n| assert_eq!(place.find(&format!("hot{n}")).unwrap().length, 100_000));
        if round == 0 {
            assert_eq!(place.find("new").unwrap_err(), Refusal::NotFound);
            place.write("new", large(b'n'));
        } else {
            assert_eq!([place.text("new").len(), place.text("new").len()], [100_000; 2]);
        }
        place.pass(SECOND + SECOND / 20);
    }
}

#[test]
fn few_descriptors_are_kept_and_not_for_long() {
    let place = Place::new(DEFAULT_BYTES);
    for n in 0..DESCRIPTORS + 20 {
        place.write(&format!("large{n}"), large(b'x'));
        assert_eq!(place.find(&format!("large{n}")).unwrap().length, 100_000);
    }
    assert_eq!(place.open_files(), DESCRIPTORS);
    // Others may have the room of those that nobody asks for.
    place.pass(2 * SECOND);
    let last = format!("large{}", DESCRIPTORS + 19);
    place.write("small", "s").find("small").unwrap();
    let kept = place.find(&last).unwrap();
    assert!(Arc::ptr_eq(&kept, &place.find(&last).unwrap()) && place.open_files() <= DESCRIPTORS);
    fs::remove_file(place.path(&last)).unwrap();
    drop(kept);
    place.pass(IDLE_AND_MORE);
    place.files.sweep();
    assert_eq!(place.open_files(), 0);
}

/// While files are replaced, whatever is answered is of one version: the tag, the length, and every byte.
#[test]
fn versions_are_never_mixed() {
    const ROUNDS: usize = 3_000;
    for base in [10, 100_000] {
        let place = Place::new(DEFAULT_BYTES);
        // The length tells which byte the file is made of.
        let version = |n: usize| vec![b'a' + (n % 20) as u8; base + n % 20];
        place.write("x", version(0));
        let done = AtomicBool::new(false);
        let faults: Vec<String> = std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    place.replace("x", version(n));
                    place.pass(SECOND / 3);
                }
            });
            let clients =
                [(), ()].map(|()| scope.spawn(|| (0..ROUNDS).filter_map(|n| fault(&place, n, base)).collect()));
            let faults: Vec<Vec<String>> = clients.map(|client| client.join().unwrap()).into();
            done.store(true, Ordering::Relaxed);
            faults.concat()
        });
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// Asks for the file in one of many ways, and says what is wrong with the answer.
fn fault(place: &Place, n: usize, base: usize) -> Option<String> {
    let (method, range, if_range) = match n % 4 {
        0 => (Method::GET, None, false),
        1 => (Method::HEAD, None, false),
        2 => (Method::GET, Some("bytes=2-5"), false),
        _ => (Method::GET, Some("bytes=-3"), true),
    };
    let earlier = place.files.serve(&head(Method::HEAD, "/x", &[]), "x");
    let tag = field(&earlier, &header::ETAG);
    let mut fields: Vec<_> = range.map(|range| ("Range", range)).into_iter().collect();
    fields.extend(if_range.then_some(("If-Range", tag.as_str())));
    let mut response = place.files.serve(&head(method.clone(), "/x", &fields), "x");
    let (status, etag) = (response.status().as_u16(), field(&response, &header::ETAG));
    let total = usize::from_str_radix(etag.trim_matches('"').split('-').next()?, 16).unwrap();
    let mut body = Vec::new();
    let promised = response.body().length();
    if method == Method::GET
        && let Err(error) = response.body_mut().read_to_end(&mut body)
    {
        return Some(format!("{error}"));
    }
    let right_length = match status {
        200 => promised == Some(total as u64),
        206 => field(&response, &header::CONTENT_RANGE).ends_with(&format!("/{total}")) && (!if_range || etag == tag),
        _ => false,
    };
    let byte = b'a' + (total - base) as u8;
    let right_bytes =
        body.iter().all(|b| *b == byte) && (method == Method::HEAD || Some(body.len() as u64) == promised);
    (!right_length || !right_bytes).then(|| format!("{method} {fields:?}: {status} {etag} {promised:?} {}", body.len()))
}

fn field(response: &Response, name: &http::HeaderName) -> String {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
}

#[test]
fn one_thread_looks_again_and_the_others_go_on_unless_it_is_too_late() {
    let slot = Slot::new(b"x", (), 100 * PERIOD);
    let after = |time: u64| 100 * PERIOD + time;
    assert!(is_fresh(&slot, after(0)) && is_fresh(&slot, after(PERIOD - 1)) && is_fresh(&slot, 0));
    assert!(!is_fresh(&slot, after(PERIOD)), "the first one looks");
    assert!(is_fresh(&slot, after(PERIOD)), "the others go on");
    assert!(is_fresh(&slot, after(PERIOD + GRACE - 1)) && !is_fresh(&slot, after(PERIOD + GRACE)), "but not for long");
    assert!(is_fresh(&slot, after(PERIOD + GRACE)), "somebody else looks");
    slot.confirm(after(PERIOD));
    assert!(is_fresh(&slot, after(2 * PERIOD - 1)) && !is_fresh(&slot, after(2 * PERIOD)), "it was still so");
    let late = slot.checked() + PERIOD + GRACE;
    assert!(!is_fresh(&slot, late) && !is_fresh(&slot, late), "everybody looks");
}

#[test]
fn what_cannot_be_kept_is_still_served() {
    let place = Place::new(1);
    place.write("a", "1").write("b", large(b'b'));
    assert_eq!((place.text("a").as_str(), place.text("b").len()), ("1", 100_000));
    assert_eq!((place.files.cache.files.len(), place.open_files()), (0, 0));
}
