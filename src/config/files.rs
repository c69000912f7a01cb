//! Reads the files that hold values: those of RWS_CONFIG_DIR, and those that a `_FILE` variable names.
//!
//! A ConfigMap or Secret that is mounted as a directory looks like this, and is changed by renaming a new `..data` over
//! the old one, after which names that are gone are removed and the old dated directory with them
//! (<https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>):
//!
//! ```text
//! PORT   -> ..data/PORT
//! ..data -> ..2026_01_01_00_00_00.123456789
//! ..2026_01_01_00_00_00.123456789/PORT
//! ```
//!
//! So all files behind `..data` are read from the dated directory itself: half a change is never seen.
//! It knows files and names; whether a name means anything is the caller's to say.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The largest file that is read for a value, in bytes: a ConfigMap or Secret holds no more.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The most files that a directory may have: one with more is no ConfigMap.
const MAX_FILES: usize = 5000;
/// How often a directory is read again because it was changed meanwhile.
const ATTEMPTS: usize = 5;
/// The link that the kubelet renames.
pub(super) const DATA: &str = "..data";

/// One file of the directory.
pub(super) struct ValueFile {
    pub(super) name: String,
    /// Where the operator finds it.
    pub(super) path: PathBuf,
    /// Its text; empty if the name means nothing.
    pub(super) text: io::Result<String>,
}

/// Reads the files of `dir` whose names are `wanted`, and lists the others, in order of their names. Everything that
/// begins with a dot is left alone, and so is a directory, unless its name is wanted: then it is an error.
pub(super) fn read_directory(dir: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<ValueFile>> {
    let mut attempts = 1;
    loop {
        let data = data_directory(dir);
        let files = list(dir, data.as_deref(), &wanted);
        if attempts == ATTEMPTS || data_directory(dir) == data {
            return files;
        }
        attempts += 1;
    }
}

/// What `..data` leads to, if there is one.
fn data_directory(dir: &Path) -> Option<PathBuf> {
    fs::canonicalize(dir.join(DATA)).ok()
}

fn list(dir: &Path, data: Option<&Path>, wanted: &impl Fn(&str) -> bool) -> io::Result<Vec<ValueFile>> {
    let mut found = Vec::new();
    let is_behind_data = |path: &Path| fs::read_link(path).is_ok_and(|target| target.starts_with(DATA));
    for path in entries(dir)? {
        if data.is_none() || !is_behind_data(&path) {
            found.extend(value_file(path, dir, wanted));
        }
    }
    for path in data.map(entries).transpose()?.unwrap_or_default() {
        found.extend(value_file(path, dir, wanted));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths: Vec<_> = fs::read_dir(dir)?.take(MAX_FILES + 1).collect::<io::Result<_>>()?;
    if paths.len() > MAX_FILES {
        return Err(io::Error::other(format!("it has more than {MAX_FILES} files")));
    }
    Ok(paths.into_iter().map(|entry| entry.path()).collect())
}

fn value_file(path: PathBuf, dir: &Path, wanted: &impl Fn(&str) -> bool) -> Option<ValueFile> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let wanted = wanted(&name);
    if name.starts_with('.') || (!wanted && path.is_dir()) {
        return None;
    }
    let text = if wanted { read_value(&path) } else { Ok(String::new()) };
    Some(ValueFile { path: dir.join(&name), name, text })
}

/// The text of a file without the one line break that editors and `kubectl create --from-file` leave at its end.
pub(super) fn read_value(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for whoever writes to it.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    let kind = file.metadata()?.file_type();
    if !kind.is_file() {
        return Err(io::Error::other(if kind.is_dir() { "it is a directory" } else { "it is not a regular file" }));
    }
    let text = read_text(file)?;
    let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    Ok(line.unwrap_or(&text).to_owned())
}

fn read_text(file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8 text"))
}
