use super::*;

fn one(text: &str) -> Node {
    let mut documents = parse(0, text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    assert_eq!(documents.nodes.len(), 1, "{text}");
    documents.nodes.remove(0)
}

#[test]
fn scalars_mean_what_kubectl_takes_them_for() {
    for (text, expected) in [
        ("8080", Scalar::Number),
        ("-1", Scalar::Number),
        ("1_000", Scalar::Number),
        ("0x1F", Scalar::Number),
        ("1.5e3", Scalar::Number),
        (".5", Scalar::Number),
        ("yes", Scalar::Boolean(true)),
        ("Off", Scalar::Boolean(false)),
        ("~", Scalar::Null),
        ("5s", Scalar::Text),
        ("100m", Scalar::Text),
        ("0.0.0.0", Scalar::Text),
        ("infinity", Scalar::Text),
        ("\"8080\"", Scalar::Text),
        ("'true'", Scalar::Text),
        ("!!str 8080", Scalar::Text),
    ] {
        let node = one(&format!("a: {text}"));
        assert_eq!(node.get("a").and_then(Node::scalar), Some(expected), "{text}");
    }
}

#[test]
fn every_node_knows_its_place() {
    let node = one("a:\n  b: [x, yz]\n  c:\n  - d: 'é'\n");
    let place = |node: &Node| {
        let Place { line, column, end_line, end_column, .. } = node.place;
        (line, column, end_line, end_column)
    };
    let items = node.path(&["a", "b"]).unwrap();
    assert_eq!(place(&items.items()[1]), (2, 10, 2, 12));
    assert_eq!(place(items), (2, 6, 2, 13));
    let inner = &node.path(&["a", "c"]).unwrap().items()[0];
    assert_eq!(place(inner), (4, 5, 4, 11));
    assert_eq!(place(inner.get("d").unwrap()), (4, 8, 4, 11));
    let (key, _) = node.get("a").unwrap().entry("c").unwrap();
    assert_eq!((key.place.line, key.place.column), (3, 3));
}

#[test]
fn merged_maps_come_after_the_own_keys() {
    let node = one("base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nall: {<<: [*base, *more], a: 0}\n");
    let all = node.get("all").unwrap();
    let found: Vec<_> = all.entries().iter().map(|(key, value)| (key.text.as_str(), value.text().unwrap())).collect();
    assert_eq!(found, [("a", "0"), ("b", "2"), ("c", "4")]);
}

#[test]
fn a_key_that_stands_twice_is_told_with_both_places() {
    let documents = parse(0, "a: 1\nb: 2\na: 3\n").unwrap();
    let repeated = &documents.repeated[0];
    assert_eq!((repeated.key.place.line, repeated.first.line), (3, 1));
    assert_eq!(documents.nodes[0].text_of("a"), Some("3"));
}

#[test]
fn aliases_cannot_refer_to_another_document() {
    assert!(parse(0, "a: &x 1\n---\nb: *x\n").is_err());
}
