//! A mounted ConfigMap or Secret, changed in the steps of the kubelet's `AtomicWriter`
//! (<https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go>).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The directory that the container sees.
pub(crate) struct Volume {
    dir: TempDir,
    keys: BTreeMap<String, String>,
    generation: u32,
}

impl Volume {
    /// A volume as it is when the container starts.
    pub(crate) fn new(keys: &[(&str, &str)]) -> Self {
        let mut volume = Volume { dir: tempfile::tempdir().unwrap(), keys: BTreeMap::new(), generation: 0 };
        volume.write(keys);
        volume
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn text(&self) -> &str {
        self.path().to_str().unwrap()
    }

    /// Sets one key and leaves the others as they are.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let mut keys = self.keys.clone();
        keys.insert(key.to_owned(), value.to_owned());
        self.write_all(keys);
    }

    /// Removes one key.
    pub(crate) fn remove(&mut self, key: &str) {
        let mut keys = self.keys.clone();
        keys.remove(key).expect("the key was there");
        self.write_all(keys);
    }

    /// Puts these keys in the place of those there are.
    pub(crate) fn write(&mut self, keys: &[(&str, &str)]) {
        self.write_all(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
    }

    fn write_all(&mut self, keys: BTreeMap<String, String>) {
        let data = self.path().join("..data");
        // 2: which dated directory is the current one.
        let old = fs::read_link(&data).ok();
        // 3: which keys are gone.
        let gone: Vec<PathBuf> =
            self.keys.keys().filter(|key| !keys.contains_key(*key)).map(|key| self.path().join(key)).collect();
        // 4: whether anything is different.
        if old.is_some() && keys == self.keys {
            return;
        }
        // 5: a new dated directory, its mode set whatever the umask is.
        self.generation += 1;
        let name = format!("..2026_01_01_00_00_00.{:09}", self.generation);
        let dated = self.path().join(&name);
        fs::create_dir(&dated).unwrap();
        fs::set_permissions(&dated, fs::Permissions::from_mode(0o755)).unwrap();
        // 6: the files.
        for (key, value) in &keys {
            fs::write(dated.join(key), value).unwrap();
            fs::set_permissions(dated.join(key), fs::Permissions::from_mode(0o644)).unwrap();
        }
        // 7: links for keys that are new.
        for key in keys.keys().filter(|key| fs::symlink_metadata(self.path().join(key)).is_err()) {
            symlink(Path::new("..data").join(key), self.path().join(key)).unwrap();
        }
        // 8 and 9: the one step that changes all files at once.
        symlink(&name, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), &data).unwrap();
        // 10 and 11: what is left of the old state.
        gone.iter().for_each(|path| fs::remove_file(path).unwrap());
        if let Some(old) = old {
            fs::remove_dir_all(self.path().join(old)).unwrap();
        }
        self.keys = keys;
    }
}
