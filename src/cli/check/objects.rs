//! The Kubernetes objects of the input: what kind they are, what they are called, what refers to what.
//!
//! Knows how objects name and select each other; of what is inside a pod it knows nothing.

use super::input::Input;
use super::place::Place;
use super::yaml::Node;

/// One object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    pub(super) node: &'a Node,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
}

/// All objects of the input, in its order.
#[derive(Debug, Default)]
pub(super) struct Objects<'a> {
    pub(super) list: Vec<Object<'a>>,
    /// Documents that are no Kubernetes objects.
    pub(super) foreign: Vec<Place>,
}

impl<'a> Object<'a> {
    fn of(node: &'a Node) -> Option<Self> {
        node.text_of("apiVersion")?;
        let kind = node.text_of("kind")?;
        let metadata = node.get("metadata");
        let text = |key| metadata.and_then(|metadata| metadata.text_of(key));
        Some(Object { node, kind, name: text("name").unwrap_or_default(), namespace: text("namespace") })
    }

    /// `Deployment web`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }

    /// Where its name stands.
    pub(super) fn place(&self) -> Place {
        self.node.path(&["metadata", "name"]).map_or(self.node.place, |name| name.place)
    }

    pub(super) fn spec(&self, keys: &[&str]) -> Option<&'a Node> {
        self.node.get("spec")?.path(keys)
    }

    /// Whether both can see each other. An object without a namespace goes wherever it is applied.
    pub(super) fn is_beside(&self, other: &Object<'_>) -> bool {
        match (self.namespace, other.namespace) {
            (Some(own), Some(other)) => own == other,
            _ => true,
        }
    }

    /// How far apart the files are. They are in the order of their paths, so those of a directory are together.
    fn distance(&self, other: &Object<'_>) -> usize {
        self.node.place.input.abs_diff(other.node.place.input)
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.node.path(&["metadata", "annotations"])?.text_of(key)
    }
}

impl<'a> Objects<'a> {
    pub(super) fn of(inputs: &'a [Input]) -> Self {
        let mut objects = Objects::default();
        for node in inputs.iter().flat_map(|input| &input.documents.nodes) {
            objects.add(node);
        }
        objects
    }

    /// `kind: List`, and lists of one kind such as a ConfigMapList, count as what is in them.
    fn add(&mut self, node: &'a Node) {
        match Object::of(node) {
            Some(object) if object.kind.ends_with("List") && node.get("items").is_some() => {
                node.items_of("items").iter().for_each(|item| self.add(item));
            }
            Some(object) => self.list.push(object),
            None if node.items().iter().any(|item| Object::of(item).is_some()) => {
                node.items().iter().for_each(|item| self.add(item));
            }
            None => self.foreign.push(node.place),
        }
    }

    pub(super) fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &Object<'a>> {
        self.list.iter().filter(move |object| object.kind == kind)
    }

    /// The object of this kind and name that `from` means: of several, the one in the nearest file.
    pub(super) fn find(&self, kind: &'static str, name: &str, from: &Object<'_>) -> Option<&Object<'a>> {
        let named = self.of_kind(kind).filter(|object| object.name == name && object.is_beside(from));
        named.min_by_key(|object| object.distance(from))
    }

    /// Whether both belong together: they can see each other, and neither has a twin in a nearer file. Directories with
    /// the same objects for several environments are checked in one go like that.
    pub(super) fn beside(&self, one: &Object<'_>, other: &Object<'_>) -> bool {
        let has_nearer_twin = |object: &Object<'_>, from: &Object<'_>| {
            self.list.iter().any(|twin| {
                (twin.kind, twin.name) == (object.kind, object.name)
                    && twin.is_beside(from)
                    && twin.distance(from) < object.distance(from)
            })
        };
        one.is_beside(other) && !has_nearer_twin(one, other) && !has_nearer_twin(other, one)
    }
}

/// Whether a map of labels has everything that a selector wants. One that wants nothing selects nothing here.
pub(super) fn selects(selector: Option<&Node>, labels: Option<&Node>) -> bool {
    let wanted = selector.map_or(&[][..], Node::entries);
    let has = |key: &str, value: Option<&str>| labels.and_then(|labels| labels.text_of(key)) == value;
    !wanted.is_empty() && wanted.iter().all(|(key, value)| has(&key.text, value.text()))
}

/// `{ matchLabels, matchExpressions }` of the newer kinds: an empty one selects everything, none at all nothing. `None`:
/// an operator that the API does not have.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#resources-that-support-set-based-requirements>
pub(super) fn label_selector_selects(selector: &Node, labels: Option<&Node>) -> Option<bool> {
    let wanted = selector.get("matchLabels");
    let has_all = wanted.is_none_or(|wanted| wanted.entries().is_empty()) || selects(wanted, labels);
    let met = selector.items_of("matchExpressions").iter().map(|expression| is_met(expression, labels));
    let met = met.collect::<Option<Vec<bool>>>()?;
    Some(!selector.is_null() && has_all && met.into_iter().all(|met| met))
}

fn is_met(expression: &Node, labels: Option<&Node>) -> Option<bool> {
    let label = labels.and_then(|labels| labels.text_of(expression.text_of("key")?));
    let listed = || label.is_some() && expression.items_of("values").iter().any(|value| value.text() == label);
    match expression.text_of("operator")? {
        "In" => Some(listed()),
        "NotIn" => Some(!listed()),
        "Exists" => Some(label.is_some()),
        "DoesNotExist" => Some(label.is_none()),
        _ => None,
    }
}

/// `app=web, tier=front`.
pub(super) fn shown_labels(labels: Option<&Node>) -> String {
    let entries = labels.map_or(&[][..], Node::entries);
    let shown: Vec<String> =
        entries.iter().map(|(key, value)| format!("{}={}", key.text, value.text().unwrap_or_default())).collect();
    if shown.is_empty() { "no labels".to_owned() } else { shown.join(", ") }
}
