//! The environment of a container as the kubelet would make it from the objects of the input.
//!
//! envFrom in order, then env, each with `$(NAME)` expanded from what came before. What comes from elsewhere is not
//! known, which is no fault. Knows Kubernetes; must not know rws.
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>

use std::collections::BTreeMap;

use super::data::data_of;
use super::objects::{Object, Objects};
use super::place::Place;
use super::workload::{Container, Workload};
use super::yaml::Node;

/// One variable.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// `None`: it comes from something that is not in the input.
    pub(super) text: Option<String>,
    /// Where the value is written.
    pub(super) place: Place,
    /// Where the name is written.
    pub(super) name_place: Place,
    pub(super) secret: bool,
    /// The ConfigMap or Secret whose every key becomes a variable.
    pub(super) env_from: Option<String>,
}

/// Something that a container refers to and the input does not have.
#[derive(Clone, Debug)]
pub(super) struct Absent {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// The key that the object, which is there, does not have.
    pub(super) key: Option<String>,
    pub(super) place: Place,
}

/// All variables of a container.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    pub(super) values: BTreeMap<String, Value>,
    /// Whether a source that is not in the input may set further variables, and those that were set before it.
    pub(super) open: bool,
    /// Whether there is a Secret among the sources that are not in the input. It is not taken to set what is set elsewhere.
    pub(super) secret_absent: bool,
    /// Missing objects, and missing keys without which the container cannot start.
    pub(super) absent: Vec<Absent>,
    /// Names that stand twice in `env`: place of the later one.
    pub(super) repeated: Vec<(String, Place)>,
}

impl Environment {
    pub(super) fn of(objects: &Objects<'_>, workload: &Workload<'_>, container: &Container<'_>) -> Self {
        let mut environment = Environment::default();
        for source in container.node.items_of("envFrom") {
            environment.add_source(objects, &workload.object, source);
        }
        let mut own = Vec::new();
        for variable in container.node.items_of("env") {
            let Some(name) = variable.get("name").filter(|name| name.text().is_some()) else { continue };
            let text = name.text().unwrap_or_default().to_owned();
            if own.contains(&text) {
                environment.repeated.push((text.clone(), name.place));
            }
            own.push(text.clone());
            environment.add_variable(objects, &workload.object, &text, name.place, variable);
        }
        environment
    }

    /// A ConfigMap's keys as if a container took them all.
    pub(super) fn of_object(object: &Object<'_>) -> Self {
        let mut environment = Environment::default();
        environment.add_all(object, "");
        environment
    }

    /// `$(NAME)` replaced by that variable's value, `$$` by `$`; a name that is not set stays as it is. `None` if it
    /// depends on what is not known.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                expanded.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
                match self.values.get(name) {
                    Some(value) => expanded.push_str(value.text.as_deref()?),
                    None if self.open || self.secret_absent => return None,
                    None => expanded.push_str(&format!("$({name})")),
                }
                rest = after;
            } else {
                expanded.push('$');
            }
        }
        expanded.push_str(rest);
        Some(expanded)
    }

    fn add_source(&mut self, objects: &Objects<'_>, user: &Object<'_>, source: &Node) {
        let prefix = source.text_of("prefix").unwrap_or_default();
        for (field, kind) in [("configMapRef", "ConfigMap"), ("secretRef", "Secret")] {
            let Some(reference) = source.get(field) else { continue };
            let name = reference.text_of("name").unwrap_or_default();
            match objects.find(kind, name, user) {
                Some(object) => self.add_all(object, prefix),
                None => {
                    let place = reference.get("name").map_or(reference.place, |name| name.place);
                    self.absent.push(Absent { kind, name: name.to_owned(), key: None, place });
                    if kind == "Secret" && prefix.is_empty() {
                        self.secret_absent = true;
                        continue;
                    }
                    self.open = true;
                    self.values.values_mut().for_each(|value| value.text = None);
                }
            }
        }
    }

    fn add_all(&mut self, object: &Object<'_>, prefix: &str) {
        for datum in data_of(object).into_iter().filter(|datum| datum.for_env) {
            let name = format!("{prefix}{}", datum.key);
            let env_from = Some(object.title());
            let (place, name_place, secret) = (datum.place, datum.key_place, datum.secret);
            self.values.insert(name, Value { text: datum.text, place, name_place, secret, env_from });
        }
    }

    fn add_variable(
        &mut self,
        objects: &Objects<'_>,
        user: &Object<'_>,
        name: &str,
        name_place: Place,
        variable: &Node,
    ) {
        let value = variable.get("value").filter(|value| value.text().is_some_and(|text| !text.is_empty()));
        let from = variable.get("valueFrom").filter(|from| !from.is_null());
        let plain = |text, place| Some(Value { text, place, name_place, secret: false, env_from: None });
        let value = match (value, from) {
            (Some(value), _) => plain(self.expand(value.text().unwrap_or_default()), value.place),
            (None, Some(from)) => self.referred(objects, user, name_place, from),
            (None, None) => plain(Some(String::new()), variable.get("value").map_or(name_place, |value| value.place)),
        };
        if let Some(value) = value {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// What `valueFrom` gives; `None`: nothing, because an optional key is not there.
    fn referred(&mut self, objects: &Objects<'_>, user: &Object<'_>, name_place: Place, from: &Node) -> Option<Value> {
        let value = |text, place, secret| Some(Value { text, place, name_place, secret, env_from: None });
        for (field, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
            let Some(reference) = from.get(field) else { continue };
            let name = reference.text_of("name").unwrap_or_default();
            let key = reference.text_of("key").unwrap_or_default();
            let secret = kind == "Secret";
            let Some(object) = objects.find(kind, name, user) else {
                self.absent.push(Absent { kind, name: name.to_owned(), key: None, place: reference.place });
                return value(None, reference.place, secret);
            };
            if let Some(datum) = data_of(object).into_iter().find(|datum| datum.for_env && datum.key == key) {
                return value(datum.text, datum.place, secret);
            }
            if reference.boolean_of("optional") != Some(true) {
                let place = reference.get("key").map_or(reference.place, |key| key.place);
                self.absent.push(Absent { kind, name: name.to_owned(), key: Some(key.to_owned()), place });
            }
            return None;
        }
        value(None, from.place, false)
    }
}
