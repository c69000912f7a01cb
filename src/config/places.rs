//! Where the files are that values were read from: what to watch so that no change goes unnoticed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::files::DATA;

/// Directories, and in each of them the names that matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    directories: BTreeMap<PathBuf, Names>,
}

/// Which entries of a directory matter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    All,
    These(BTreeSet<OsString>),
}

impl Places {
    /// Whether no file was read.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Each directory, as an absolute path.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(PathBuf::as_path)
    }

    /// Whether a change of `path` may change a value: one of the directories itself, a file that was read, or the link
    /// that leads to all the files of a mounted ConfigMap or Secret.
    pub fn concerns(&self, path: &Path) -> bool {
        let entry = || {
            let (parent, name) = (path.parent()?, path.file_name()?);
            Some(match self.directories.get(parent)? {
                Names::All => true,
                Names::These(names) => name == DATA || names.contains(name),
            })
        };
        self.directories.contains_key(path) || entry() == Some(true)
    }

    /// Adds RWS_CONFIG_DIR, in which every file matters. An empty path is none.
    pub(super) fn add_directory(&mut self, dir: &str) {
        if let Ok(dir) = std::path::absolute(dir) {
            self.directories.insert(dir, Names::All);
        }
    }

    /// Adds one file.
    pub fn add_file(&mut self, file: &Path) {
        let Ok(file) = std::path::absolute(file) else { return };
        let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { return };
        let names = self.directories.entry(parent.to_owned()).or_insert_with(|| Names::These(BTreeSet::new()));
        if let Names::These(names) = names {
            names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_a_value_is_told_from_what_does_not() {
        let mut places = Places::default();
        places.add_directory("/etc/rws");
        places.add_directory("");
        places.add_file(Path::new("/run/secrets/a/token"));
        places.add_file(Path::new("/run/secrets/a/key"));
        places.add_file(Path::new("/etc/rws/PORT"));
        places.add_file(Path::new("/"));
        assert_eq!(places.directories().collect::<Vec<_>>(), [Path::new("/etc/rws"), Path::new("/run/secrets/a")]);
        for (path, expected) in [
            ("/etc/rws", true),
            ("/etc/rws/anything", true),
            ("/etc/rws/..data", true),
            ("/etc/rws/sub/deep", false),
            ("/etc", false),
            ("/run/secrets/a/token", true),
            ("/run/secrets/a/key", true),
            ("/run/secrets/a/..data", true),
            ("/run/secrets/a", true),
            ("/run/secrets/a/other", false),
            ("/run/secrets/token", false),
            ("/", false),
        ] {
            assert_eq!(places.concerns(Path::new(path)), expected, "{path}");
        }
    }
}
