//! The files that a container's volumes bring, as far as the input tells.
//!
//! Knows how ConfigMaps, Secrets and projections become files
//! (<https://kubernetes.io/docs/concepts/storage/volumes/>); must not know rws.

use super::data::{Datum, data_of};
use super::objects::{Object, Objects};
use super::place::Place;
use super::workload::{Container, Workload};
use super::yaml::Node;

/// One volumeMount.
#[derive(Debug)]
pub(super) struct Mount<'a> {
    /// Without a slash at the end.
    pub(super) path: &'a str,
    pub(super) place: Place,
    pub(super) volume: &'a str,
    /// Whether the pod has a volume of that name.
    pub(super) known_volume: bool,
    /// Where `subPath` stands: such a mount is never updated.
    pub(super) sub_path: Option<Place>,
    /// `None`: what it holds is not in the input.
    pub(super) files: Option<Vec<MountedFile<'a>>>,
    /// What it comes from: `Secret web-tls`.
    pub(super) source: String,
}

/// A file at an absolute path.
#[derive(Clone, Debug)]
pub(super) struct MountedFile<'a> {
    pub(super) path: String,
    pub(super) datum: Datum<'a>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum FileAt<'m, 'a> {
    Known(&'m MountedFile<'a>),
    /// In a volume whose content is not in the input.
    Unknown,
    /// In a volume whose content is in the input, and which does not have it.
    Missing(&'m Mount<'a>),
    /// In no volume.
    NotMounted,
}

/// All mounts of a container.
#[derive(Debug, Default)]
pub(super) struct Mounts<'a> {
    pub(super) list: Vec<Mount<'a>>,
}

impl<'a> Mounts<'a> {
    pub(super) fn of(objects: &Objects<'a>, workload: &Workload<'a>, container: &Container<'a>) -> Self {
        let mount = |node: &'a Node| {
            let path = node.get("mountPath")?;
            let volume = node.text_of("name").unwrap_or_default();
            let sub_path = node.get("subPath").filter(|sub_path| sub_path.text().is_some_and(|text| !text.is_empty()));
            let found = workload.volume(volume);
            let content = found.map_or_else(Content::default, |volume| content_of(objects, &workload.object, volume));
            let prefix = path.text()?.trim_end_matches('/');
            let below = sub_path.and_then(Node::text);
            let files = content.files.map(|files| mounted(files, prefix, below));
            let (place, sub_path) = (path.place, sub_path.map(|node| node.place));
            let source = content.source;
            Some(Mount { path: prefix, place, volume, known_volume: found.is_some(), sub_path, files, source })
        };
        Mounts { list: container.node.items_of("volumeMounts").iter().filter_map(mount).collect() }
    }

    pub(super) fn file_at(&self, path: &str) -> FileAt<'_, 'a> {
        let mut files = self.list.iter().flat_map(|mount| mount.files.iter().flatten());
        if let Some(file) = files.find(|file| file.path == path) {
            return FileAt::Known(file);
        }
        match self.mount_of(path) {
            Some(mount) if mount.files.is_some() => FileAt::Missing(mount),
            Some(_) => FileAt::Unknown,
            None => FileAt::NotMounted,
        }
    }

    /// The mount that `path` lies in: the deepest one.
    pub(super) fn mount_of(&self, path: &str) -> Option<&Mount<'a>> {
        let around = self.list.iter().filter(|mount| is_below(path, mount.path));
        around.max_by_key(|mount| mount.path.len())
    }

    /// The mounts that make up the directory `path`.
    pub(super) fn in_directory(&self, path: &str) -> impl Iterator<Item = &Mount<'a>> {
        self.list.iter().filter(move |mount| is_below(path, mount.path) || is_below(mount.path, path))
    }

    /// The files right in the directory `path`.
    pub(super) fn files_in(&self, path: &str) -> impl Iterator<Item = &MountedFile<'a>> {
        let files = self.list.iter().flat_map(|mount| mount.files.iter().flatten());
        files.filter(move |file| file.path.rsplit_once('/').is_some_and(|(parent, _)| parent == path))
    }
}

/// Whether `path` is `directory` or lies in it.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[derive(Default)]
struct Content<'a> {
    files: Option<Vec<(String, Datum<'a>)>>,
    source: String,
}

/// The files of a volume, by their paths in it.
fn content_of<'a>(objects: &Objects<'a>, user: &Object<'a>, volume: &'a Node) -> Content<'a> {
    if let Some(source) = volume.get("configMap") {
        return from_object(objects, user, "ConfigMap", source, "name");
    }
    if let Some(source) = volume.get("secret") {
        return from_object(objects, user, "Secret", source, "secretName");
    }
    let sources = volume.get("projected").map_or(&[][..], |projected| projected.items_of("sources"));
    let mut content = Content { files: (!sources.is_empty()).then(Vec::new), source: "a projected volume".into() };
    for source in sources {
        let map = source.get("configMap").map(|map| from_object(objects, user, "ConfigMap", map, "name"));
        let secret = || source.get("secret").map(|secret| from_object(objects, user, "Secret", secret, "name"));
        let part = map.or_else(secret).and_then(|part| part.files);
        content.files = content.files.zip(part).map(|(mut all, part)| {
            all.extend(part);
            all
        });
    }
    content
}

fn from_object<'a>(
    objects: &Objects<'a>,
    user: &Object<'a>,
    kind: &'static str,
    reference: &'a Node,
    field: &str,
) -> Content<'a> {
    let name = reference.text_of(field).unwrap_or_default();
    let source = format!("{kind} {name}");
    let Some(object) = objects.find(kind, name, user) else { return Content { files: None, source } };
    let data = data_of(object);
    let items = reference.items_of("items");
    let files = if items.is_empty() {
        data.into_iter().map(|datum| (datum.key.to_owned(), datum)).collect()
    } else {
        let chosen = items.iter().filter_map(|item| {
            let datum = data.iter().find(|datum| Some(datum.key) == item.text_of("key"))?;
            Some((item.text_of("path")?.to_owned(), datum.clone()))
        });
        chosen.collect()
    };
    Content { files: Some(files), source }
}

fn mounted<'a>(files: Vec<(String, Datum<'a>)>, prefix: &str, below: Option<&str>) -> Vec<MountedFile<'a>> {
    let place = |path: &str| match below {
        None => Some(format!("{prefix}/{path}")),
        Some(below) => {
            let rest = path.strip_prefix(below.trim_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{prefix}{rest}"))
        }
    };
    let files = files.into_iter().filter_map(|(path, datum)| Some((place(&path)?, datum)));
    files.map(|(path, datum)| MountedFile { path, datum }).collect()
}
