//! YAML, and JSON with it, as a tree whose every node knows where it stands.
//!
//! Built from the events of a parser, so that size, depth and what aliases expand to are bounded while reading, and
//! a key that stands twice can be told. Scalars keep their text; what type it is, is asked by whoever reads it, with the
//! rules of kubectl. Knows YAML; must not know Kubernetes.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::place::Place;

/// Levels of lists and maps in each other. Custom resources need some twenty.
const MAX_DEPTH: usize = 100;
/// Nodes of one input, with those that aliases stand for.
const MAX_NODES: usize = 1_000_000;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) data: Data,
}

#[derive(Clone, Debug)]
pub(super) enum Data {
    /// `plain`: without quotes, so that it may be a number, a boolean or nothing.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A map's key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What a scalar means to kubectl, which reads YAML 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Number,
    Text,
}

/// All documents of an input.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// Those that have something in them.
    pub(super) nodes: Vec<Node>,
    /// Keys that stand twice in the same map; the last one counts.
    pub(super) repeated: Vec<Repeated>,
}

/// A key that stands twice.
#[derive(Debug)]
pub(super) struct Repeated {
    pub(super) key: Key,
    pub(super) first: Place,
}

/// Why an input is no YAML, or too much of it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Node {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key and its value.
    pub(super) fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().find(|(own, _)| own.text == key).map(|(key, value)| (key, value))
    }

    /// The value below several keys.
    pub(super) fn path(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The entries of a map; none for anything else.
    pub(super) fn entries(&self) -> &[(Key, Node)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The items of the list at `key`.
    pub(super) fn items_of(&self, key: &str) -> &[Node] {
        self.get(key).map_or(&[], Node::items)
    }

    /// The text of a scalar that is not null.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { text, .. } if self.scalar() != Some(Scalar::Null) => Some(text),
            _ => None,
        }
    }

    /// The text of the scalar at `key`.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    /// The whole number of a scalar, in quotes or not.
    pub(super) fn number(&self) -> Option<i64> {
        self.text()?.trim().parse().ok()
    }

    /// The whole number at `key`.
    pub(super) fn number_of(&self, key: &str) -> Option<i64> {
        self.get(key)?.number()
    }

    /// Whether it is a number in quotes: to the API that is a text.
    pub(super) fn is_quoted_number(&self) -> bool {
        matches!(self.data, Data::Scalar { plain: false, .. }) && self.number().is_some()
    }

    /// The boolean at `key`.
    pub(super) fn boolean_of(&self, key: &str) -> Option<bool> {
        match self.get(key)?.scalar()? {
            Scalar::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// What a scalar means; `None` for lists and maps.
    pub(super) fn scalar(&self) -> Option<Scalar> {
        match &self.data {
            Data::Scalar { text, plain: true } => Some(meaning(text)),
            Data::Scalar { plain: false, .. } => Some(Scalar::Text),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_null(&self) -> bool {
        self.scalar() == Some(Scalar::Null)
    }

    fn count(&self) -> usize {
        1 + match &self.data {
            Data::Scalar { .. } => 0,
            Data::List(items) => items.iter().map(Node::count).sum(),
            Data::Map(entries) => entries.iter().map(|(_, value)| value.count()).sum(),
        }
    }
}

fn meaning(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Scalar::Boolean(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Scalar::Boolean(false),
        text if is_number(text) => Scalar::Number,
        _ => Scalar::Text,
    }
}

fn is_number(text: &str) -> bool {
    let text = text.replace('_', "");
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)];
    if let Some((prefix, radix)) = radix.iter().find(|(prefix, _)| digits.starts_with(prefix)) {
        return u64::from_str_radix(&digits[prefix.len()..], *radix).is_ok();
    }
    let starts = digits.strip_prefix('.').unwrap_or(digits).starts_with(|c: char| c.is_ascii_digit());
    starts && digits.parse::<f64>().is_ok()
}

/// Reads all documents of `text`, the input with this index.
///
/// # Errors
///
/// The first place where it is no YAML or goes beyond the bounds.
pub(super) fn parse(input: usize, text: &str) -> Result<Documents, Fault> {
    let mut builder = Builder { input, ..Builder::default() };
    let mut parser = Parser::new(StrInput::new(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| scan_fault(input, &error, text))?;
        builder.take(event, span)?;
    }
    Ok(builder.documents)
}

fn scan_fault(input: usize, error: &ScanError, text: &str) -> Fault {
    let place = Place::at(input, *error.marker());
    // The scanner has a bound of its own for brackets.
    if error.info() == "recursion limit exceeded" {
        return Fault { place, message: format!("more than {MAX_DEPTH} levels deep") };
    }
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    let tab = if indent.contains('\t') { "; the line is indented with a tab: YAML wants spaces" } else { "" };
    Fault { place, message: format!("not valid YAML: {}{tab}", error.info()) }
}

#[derive(Default)]
struct Builder {
    input: usize,
    documents: Documents,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    start: Place,
    anchor: usize,
    data: Data,
    /// Of a map: the key whose value comes next, and where each key stands.
    key: Option<Key>,
    index: HashMap<String, usize>,
    merges: Vec<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let place = Place::new(self.input, span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix == "!str");
                let plain = style == ScalarStyle::Plain && !text_tag;
                let data = Data::Scalar { text: text.into_owned(), plain };
                self.add(Node { place, data }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(place, anchor, Data::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(place, anchor, Data::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(place, anchor),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => Ok(()),
        }
    }

    fn begin(&mut self, start: Place, anchor: usize, data: Data) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(Fault { place: start, message: format!("more than {MAX_DEPTH} levels deep") });
        }
        let (key, index, merges) = (None, HashMap::new(), Vec::new());
        self.open.push(Open { start, anchor, data, key, index, merges });
        Ok(())
    }

    fn end(&mut self, end: Place) -> Result<(), Fault> {
        // The parser sends an end only after its beginning.
        let Some(open) = self.open.pop() else { return Ok(()) };
        let Open { start, anchor, mut data, index, merges, .. } = open;
        if let (Data::Map(entries), false) = (&mut data, merges.is_empty()) {
            merge(entries, &index, merges);
        }
        let last = last_place(&data).unwrap_or(end);
        let flow = end.end_column > end.column;
        let place = start.to(if flow { end } else { last });
        self.add(Node { place, data }, anchor)
    }

    fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Fault { place, message: "an alias stands inside of what it refers to".to_owned() });
        };
        // Counted before it is copied: a few lines of aliases to aliases can stand for billions of nodes.
        self.nodes += node.count();
        self.check_count(place)?;
        let node = Node { place, data: node.data.clone() };
        self.add(node, 0)
    }

    fn check_count(&self, place: Place) -> Result<(), Fault> {
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Fault { place, message: format!("more than {MAX_NODES} values, aliases included") })
    }

    /// Puts a finished node where it belongs: into the map or list around it, or among the documents.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += 1;
        self.check_count(node.place)?;
        if anchor > 0 {
            self.nodes += node.count();
            self.check_count(node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.nodes.push(node);
            }
            return Ok(());
        };
        match &mut open.data {
            Data::List(items) => items.push(node),
            Data::Map(entries) => match open.key.take() {
                None => open.key = Some(key(node)?),
                Some(key) if key.text == "<<" && matches!(node.data, Data::Map(_) | Data::List(_)) => {
                    open.merges.push(node);
                }
                Some(key) => match open.index.get(&key.text) {
                    Some(&position) => {
                        let first = entries[position].0.place;
                        self.documents.repeated.push(Repeated { key: key.clone(), first });
                        entries[position] = (key, node);
                    }
                    None => {
                        open.index.insert(key.text.clone(), entries.len());
                        entries.push((key, node));
                    }
                },
            },
            Data::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn key(node: Node) -> Result<Key, Fault> {
    match node.data {
        Data::Scalar { text, .. } => Ok(Key { text, place: node.place }),
        _ => Err(Fault { place: node.place, message: "a list or map cannot be a key".to_owned() }),
    }
}

/// `<<`: what the map has itself comes first, then the merged maps in their order.
fn merge(entries: &mut Vec<(Key, Node)>, own: &HashMap<String, usize>, merges: Vec<Node>) {
    let mut there: HashSet<String> = own.keys().cloned().collect();
    let maps = merges.into_iter().flat_map(|merged| match merged.data {
        Data::List(items) => items,
        _ => vec![merged],
    });
    for map in maps {
        let Data::Map(more) = map.data else { continue };
        entries.extend(more.into_iter().filter(|(key, _)| there.insert(key.text.clone())));
    }
}

fn last_place(data: &Data) -> Option<Place> {
    match data {
        Data::List(items) => items.last().map(|item| item.place),
        Data::Map(entries) => entries.last().map(|(key, value)| if value.is_null() { key.place } else { value.place }),
        Data::Scalar { .. } => None,
    }
}

#[cfg(test)]
mod tests;
