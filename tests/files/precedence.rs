//! RFC 9110 sections 13 and 14 read once more, without looking at the code: the order of the preconditions as a model
//! of fifteen lines over all combinations, and the examples and sentences of the text as rows of a table.

use super::support::{Client, Reply, Tree, numbered};

const SAME: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

/// Whether a precondition is there, and what it comes to.
type Given = Option<bool>;

const GIVEN: [Given; 3] = [None, Some(true), Some(false)];

/// The preconditions and the range of a request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    is_get: bool,
    if_match: Given,
    if_unmodified_since: Given,
    if_none_match: Given,
    if_modified_since: Given,
    if_range: Given,
    /// Whether it can be satisfied.
    range: Given,
}

/// Section 13.2.2, step by step.
fn status(asked: Asked) -> u16 {
    // 1. and 2.
    if asked.if_match.or(asked.if_unmodified_since) == Some(false) {
        return 412;
    }
    // 3. and 4.
    if asked.if_none_match.or(asked.if_modified_since) == Some(false) {
        return 304;
    }
    // 5. and 6.
    match asked.range {
        Some(satisfiable) if asked.is_get && asked.if_range != Some(false) => {
            if satisfiable {
                206
            } else {
                416
            }
        }
        _ => 200,
    }
}

fn fields(asked: Asked, tag: &str) -> Vec<(&'static str, String)> {
    let choose = |given: Given, yes: &str, no: &str| given.map(|is| if is { yes } else { no }.to_owned());
    // Each by one of its ways, so that tags and dates take turns in If-Range.
    let validator = if asked.if_none_match.is_some() { [tag, "\"other\""] } else { [SAME, BEFORE] };
    [
        ("Range", choose(asked.range, "bytes=10-19", "bytes=10000-")),
        ("If-Range", choose(asked.if_range, validator[0], validator[1])),
        ("If-Modified-Since", choose(asked.if_modified_since, BEFORE, SAME)),
        ("If-None-Match", choose(asked.if_none_match, "\"other\", W/\"more\"", &format!("\"other\", {tag}"))),
        ("If-Unmodified-Since", choose(asked.if_unmodified_since, SAME, BEFORE)),
        ("If-Match", choose(asked.if_match, &format!("\"other\", {tag}"), "\"other\"")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

#[test]
fn all_combinations_are_evaluated_in_the_order_of_section_13_2_2() {
    let tree = Tree::new();
    tree.write("file", numbered(10_000));
    let server = tree.served(&[]).start();
    let mut client = Client::new(server.address());
    let tag = client.get("/file").unwrap().field("etag").unwrap().to_owned();
    let mut count = 0;
    for number in 0..3_usize.pow(6) * 2 {
        let given = |place: u32| GIVEN[number / 3_usize.pow(place) % 3];
        let asked = Asked {
            is_get: number < 3_usize.pow(6),
            if_match: given(0),
            if_unmodified_since: given(1),
            if_none_match: given(2),
            if_modified_since: given(3),
            if_range: given(4),
            range: given(5),
        };
        let fields = fields(asked, &tag);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = client.ask(if asked.is_get { "GET" } else { "HEAD" }, "/file", &fields).unwrap();
        assert_eq!(reply.status, status(asked), "{asked:?}");
        check_shape(&reply, asked.is_get, &tag);
        count += 1;
    }
    assert_eq!(count, 1_458);
}

/// What each status brings along (sections 15.3.1, 15.3.7, 15.4.5, 15.5.17).
fn check_shape(reply: &Reply, is_get: bool, tag: &str) {
    let content = numbered(10_000);
    match reply.status {
        200 => assert_eq!((reply.length(), reply.field("content-range")), (Some(10_000), None)),
        206 => {
            assert_eq!((reply.length(), reply.field("content-range")), (Some(10), Some("bytes 10-19/10000")));
            assert_eq!(reply.body, content[10..20]);
        }
        304 => assert_eq!((reply.field("content-type"), reply.field("content-range")), (None, None)),
        412 => assert_eq!(reply.field("content-range"), None),
        416 => assert_eq!(reply.field("content-range"), Some("bytes */10000")),
        other => panic!("{other}"),
    }
    assert!(reply.status != 200 || !is_get || reply.body == content);
    if matches!(reply.status, 200 | 206 | 304) {
        assert_eq!((reply.field("etag"), reply.field("last-modified")), (Some(tag), Some(SAME)));
    }
}

/// What a row expects: a status and, of a range, its first and last byte.
type Expected = (u16, &'static [(usize, usize)]);

const WHOLE: Expected = (200, &[]);
const NOT_MODIFIED: Expected = (304, &[]);
const FAILED: Expected = (412, &[]);
const UNSATISFIABLE: Expected = (416, &[]);

/// Section, fields, answer.
type Sentence = (&'static str, &'static [(&'static str, &'static str)], Expected);

/// `{tag}` is the entity tag of the file, which has 10000 bytes as in the text's examples.
const SENTENCES: &[Sentence] = &[
    ("8.8.3.2, If-Match compares strongly", &[("If-Match", "W/{tag}")], FAILED),
    ("8.8.3.2, If-None-Match compares weakly", &[("If-None-Match", "W/{tag}")], NOT_MODIFIED),
    ("5.6.7, IMF-fixdate", &[("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT")], NOT_MODIFIED),
    ("5.6.7, obsolete: RFC 850", &[("If-Modified-Since", "Tuesday, 14-Nov-23 22:13:20 GMT")], NOT_MODIFIED),
    ("5.6.7, obsolete: asctime", &[("If-Modified-Since", "Tue Nov 14 22:13:20 2023")], NOT_MODIFIED),
    ("5.6.7, asctime pads with a space", &[("If-Modified-Since", "Wed Nov  1 22:13:20 2023")], WHOLE),
    (
        "5.6.7, RFC 850 before 1970 is in this century",
        &[("If-Modified-Since", "Friday, 14-Nov-36 22:13:20 GMT")],
        NOT_MODIFIED,
    ),
    ("13.1.1, * for what exists", &[("If-Match", "*")], WHOLE),
    ("13.1.1, any of the list", &[("If-Match", "\"a\", {tag}, \"b\"")], WHOLE),
    ("13.1.1, none of the list", &[("If-Match", "\"a\", \"b\"")], FAILED),
    ("13.1.2, * for what exists", &[("If-None-Match", "*")], NOT_MODIFIED),
    ("13.1.2, any of the list", &[("If-None-Match", "W/\"a\", {tag}")], NOT_MODIFIED),
    ("13.1.2, none of the list", &[("If-None-Match", "\"a\", W/\"b\"")], WHOLE),
    ("13.1.2, a comma within a tag", &[("If-None-Match", "\"a, {tag}")], WHOLE),
    ("13.1.3, earlier", &[("If-Modified-Since", BEFORE)], WHOLE),
    ("13.1.3, the same", &[("If-Modified-Since", SAME)], NOT_MODIFIED),
    ("13.1.3, later", &[("If-Modified-Since", AFTER)], NOT_MODIFIED),
    ("13.1.3, not a date", &[("If-Modified-Since", "2023-11-14")], WHOLE),
    (
        "13.1.3, more than one",
        &[("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT, Tue, 14 Nov 2023 22:13:20 GMT")],
        WHOLE,
    ),
    ("13.1.3, ignored beside If-None-Match", &[("If-None-Match", "\"a\""), ("If-Modified-Since", SAME)], WHOLE),
    ("13.1.4, earlier", &[("If-Unmodified-Since", BEFORE)], FAILED),
    ("13.1.4, the same", &[("If-Unmodified-Since", SAME)], WHOLE),
    ("13.1.4, later", &[("If-Unmodified-Since", AFTER)], WHOLE),
    ("13.1.4, not a date", &[("If-Unmodified-Since", "long ago")], WHOLE),
    ("13.1.4, ignored beside If-Match", &[("If-Match", "{tag}"), ("If-Unmodified-Since", BEFORE)], WHOLE),
    ("13.1.5, a strong tag", &[("If-Range", "{tag}"), ("Range", "bytes=0-9")], (206, &[(0, 9)])),
    ("13.1.5, a weak tag", &[("If-Range", "W/{tag}"), ("Range", "bytes=0-9")], WHOLE),
    ("13.1.5, another tag", &[("If-Range", "\"a\""), ("Range", "bytes=0-9")], WHOLE),
    ("13.1.5, not a list", &[("If-Range", "\"a\", {tag}"), ("Range", "bytes=0-9")], WHOLE),
    ("13.1.5, exactly the date", &[("If-Range", SAME), ("Range", "bytes=0-9")], (206, &[(0, 9)])),
    ("13.1.5, an earlier date", &[("If-Range", BEFORE), ("Range", "bytes=0-9")], WHOLE),
    ("13.1.5, a later date", &[("If-Range", AFTER), ("Range", "bytes=0-9")], WHOLE),
    ("13.1.5, without a range", &[("If-Range", "\"a\"")], WHOLE),
    ("13.1.5, decides before 416", &[("If-Range", "\"a\""), ("Range", "bytes=10000-")], WHOLE),
    ("13.2.1, a range that is not modified", &[("If-None-Match", "{tag}"), ("Range", "bytes=0-9")], NOT_MODIFIED),
    ("13.2.1, fails before 416", &[("If-Match", "\"a\""), ("Range", "bytes=10000-")], FAILED),
    ("14.1.2, the first 500 bytes", &[("Range", "bytes=0-499")], (206, &[(0, 499)])),
    ("14.1.2, the second 500 bytes", &[("Range", "bytes=500-999")], (206, &[(500, 999)])),
    ("14.1.2, the final 500 bytes", &[("Range", "bytes=-500")], (206, &[(9_500, 9_999)])),
    ("14.1.2, the same, open", &[("Range", "bytes=9500-")], (206, &[(9_500, 9_999)])),
    ("14.1.2, the first and the last byte", &[("Range", "bytes=0-0,-1")], (206, &[(0, 0), (9_999, 9_999)])),
    (
        "14.1.2, the first, middle and last 1000",
        &[("Range", "bytes= 0-999, 4500-5499, -1000")],
        (206, &[(0, 999), (4_500, 5_499), (9_000, 9_999)]),
    ),
    ("14.1.2, legal but not canonical", &[("Range", "bytes=500-600,601-999")], (206, &[(500, 999)])),
    ("14.1.2, the same, overlapping", &[("Range", "bytes=500-700,601-999")], (206, &[(500, 999)])),
    ("14.1.2, longer than the file", &[("Range", "bytes=-10001")], (206, &[(0, 9_999)])),
    ("14.1.2, a last position beyond the end", &[("Range", "bytes=9990-20000")], (206, &[(9_990, 9_999)])),
    ("14.1.2, a first position beyond the end", &[("Range", "bytes=10000-")], UNSATISFIABLE),
    ("14.1.2, a suffix of nothing", &[("Range", "bytes=-0")], UNSATISFIABLE),
    ("14.1.2, one of several", &[("Range", "bytes=10000-,0-0")], (206, &[(0, 0)])),
    ("14.1.2, none of several", &[("Range", "bytes=10000-,-0")], UNSATISFIABLE),
    ("14.1.1, last before first", &[("Range", "bytes=5-4")], WHOLE),
    ("14.1.1, one that is invalid makes all so", &[("Range", "bytes=0-0,5-4")], WHOLE),
    ("14.1, units in any case", &[("Range", "BYTES=0-0")], (206, &[(0, 0)])),
    ("14.2, a unit that is not understood", &[("Range", "pages=1-2")], WHOLE),
    ("14.2, a unit that is not understood", &[("Range", "none=0-0")], WHOLE),
    ("15.3.7.2, in the order asked for", &[("Range", "bytes=9000-9099,0-99")], (206, &[(9_000, 9_099), (0, 99)])),
];

#[test]
fn what_sections_13_and_14_say() {
    let tree = Tree::new();
    tree.write("file", numbered(10_000));
    let server = tree.served(&[]).start();
    let mut client = Client::new(server.address());
    let tag = client.get("/file").unwrap().field("etag").unwrap().to_owned();
    let content = numbered(10_000);
    for (section, fields, (status, ranges)) in SENTENCES {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.replace("{tag}", &tag))).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = client.ask("GET", "/file", &fields).unwrap();
        assert_eq!(reply.status, *status, "{section}: {fields:?}");
        check_ranges(section, &reply, ranges, &content);
    }
}

fn check_ranges(section: &str, reply: &Reply, ranges: &[(usize, usize)], content: &[u8]) {
    let expected: Vec<(String, &[u8])> = ranges
        .iter()
        .map(|&(first, last)| (format!("bytes {first}-{last}/{}", content.len()), &content[first..=last]))
        .collect();
    let found = match (&expected[..], reply.field("content-range")) {
        ([], None) => vec![],
        ([], Some(range)) => return assert_eq!((reply.status, range), (416, "bytes */10000"), "{section}"),
        ([_], range) => vec![(range.unwrap().to_owned(), reply.body.clone())],
        (_, range) => {
            assert_eq!(range, None, "{section}");
            super::support::parts(reply.field("content-type").unwrap(), &reply.body)
        }
    };
    let found: Vec<(String, &[u8])> = found.iter().map(|(range, bytes)| (range.clone(), bytes.as_slice())).collect();
    assert!(found == expected, "{section}");
}
