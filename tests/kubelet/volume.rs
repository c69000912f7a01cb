//! ConfigMaps and Secrets as directories, written and replaced as the kubelet's AtomicWriter does: the files stand in a
//! directory named after the time, `..data` is a symbolic link to it, each file a link through `..data`, and a change
//! is one rename of that link.
//!
//! <https://pkg.go.dev/k8s.io/kubernetes/pkg/volume/util#AtomicWriter.Write>

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Makes `files` the content of the volume at `volume`.
pub(crate) fn write(volume: &Path, files: &BTreeMap<String, String>) {
    let version = (1..).map(|n| format!("..2026_01_01_00_00_00.{n:09}")).find(|name| !volume.join(name).exists());
    let version = version.unwrap();
    fs::create_dir_all(volume.join(&version)).unwrap();
    for (name, text) in files {
        let file = volume.join(&version).join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let old = fs::read_link(volume.join("..data")).ok();
    symlink(&version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    link_names(volume, files);
    if let Some(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

/// A link for each name that has none, and none for names that have gone.
fn link_names(volume: &Path, files: &BTreeMap<String, String>) {
    let tops: Vec<&str> = files.keys().filter_map(|name| name.split('/').next()).collect();
    for name in &tops {
        let link = volume.join(name);
        if link.symlink_metadata().is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    for entry in fs::read_dir(volume).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = entry.to_str().unwrap();
        if !name.starts_with("..") && !tops.contains(&name) {
            fs::remove_file(volume.join(name)).unwrap();
        }
    }
}
