//! The same requests to nginx and to us, over the same files: conditional requests and ranges in several hundred
//! combinations. Where the answers differ, one of the [`RULES`] must say why, and docs/FILES.md tells the rules to users.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use rws::semantics::date;

use super::nginx::Nginx;
use super::rules::RULES;
use super::support::{Client, Reply, Tree, numbered, parts};

/// When the files were last modified, in the three formats of RFC 9110 section 5.6.7.
pub(crate) const SAME: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
pub(crate) const SAME_RFC850: &str = "Tuesday, 14-Nov-23 22:13:20 GMT";
pub(crate) const SAME_ASCTIME: &str = "Tue Nov 14 22:13:20 2023";
pub(crate) const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
pub(crate) const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";
pub(crate) const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";

/// One request. `{tag}` in a field stands for the entity tag that the server gives the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    pub(crate) method: &'static str,
    pub(crate) file: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Case {
    fn new(method: &'static str, file: &'static str, fields: &[(&'static str, &str)]) -> Case {
        Case { method, file, fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that is there once.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    pub(crate) fn without(&self, name: &str) -> Case {
        let mut case = self.clone();
        case.fields.retain(|(n, _)| *n != name);
        case
    }

    /// The same with one value for a field.
    pub(crate) fn with(&self, name: &'static str, value: String) -> Case {
        let mut case = self.without(name);
        case.fields.push((name, value));
        case
    }
}

/// What is compared of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Of a whole or a single part; of several, [`parts`] has held it against the bytes.
    pub(crate) length: Option<u64>,
    pub(crate) content_range: Option<String>,
    pub(crate) accept_ranges: Option<String>,
    pub(crate) last_modified: Option<String>,
    pub(crate) has_tag: bool,
    pub(crate) content: Content,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Content {
    None,
    Bytes(Vec<u8>),
    Parts(Vec<(String, Vec<u8>)>),
}

/// A difference that is meant, and the row of docs/FILES.md that tells of it.
pub(crate) struct Rule {
    pub(crate) request: &'static str,
    pub(crate) nginx: &'static str,
    pub(crate) rws: &'static str,
    pub(crate) why: &'static str,
    pub(crate) how: How,
}

/// How a rule accounts for a difference.
pub(crate) enum How {
    /// We say something else about the same content: makes what nginx says ours, if that is so.
    Says(fn(&Case, &mut Answer, &Answer) -> bool),
    /// We read the request as this one, which nginx reads as we do. `None` where the rule has nothing to say.
    Reads(fn(&Case) -> Option<Case>),
}

#[test]
fn every_difference_from_nginx_is_explained_and_every_explanation_is_needed() {
    let tree = tree();
    let Some(nginx) = Nginx::start(&tree.root()) else { return };
    let rws = tree.served(&[]).start();
    let mut pair = Pair { nginx: Side::new(nginx.address), rws: Side::new(rws.address()), used: HashSet::new() };
    let cases = cases();
    let unexplained: Vec<String> = cases.iter().filter_map(|case| pair.unexplained(case)).collect();
    assert!(unexplained.is_empty(), "{} differences without a reason:\n{}", unexplained.len(), unexplained.join("\n"));
    let needless: Vec<_> = RULES.iter().map(|rule| rule.request).filter(|name| !pair.used.contains(name)).collect();
    assert!(needless.is_empty(), "rules that nothing needs: {needless:#?}");
    assert!(cases.len() > 1_000, "{} cases", cases.len());
}

/// `RWS_UPDATE_DOCS=1 cargo test --test files document` writes the table anew.
#[test]
fn the_document_has_exactly_these_rules() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FILES.md");
    let text = fs::read_to_string(path).unwrap();
    let (before, section) = text.split_once("\n## Beside nginx\n").expect("docs/FILES.md has such a section");
    let (section, after) = section.split_once("\n## ").map_or((section, None), |(own, after)| (own, Some(after)));
    let lines: Vec<&str> = section.lines().collect();
    let first = lines.iter().position(|line| line.starts_with('|')).expect("the section has a table");
    let last = lines.iter().rposition(|line| line.starts_with('|')).expect("the section has a table");
    let rows = RULES.iter().map(|rule| format!("| {} | {} | {} | {} |", rule.request, rule.nginx, rule.rws, rule.why));
    let table: Vec<String> =
        ["| request | nginx | rws | why |", "|---|---|---|---|"].map(str::to_owned).into_iter().chain(rows).collect();
    if lines[first..=last] == table {
        return;
    }
    assert!(std::env::var_os("RWS_UPDATE_DOCS").is_some(), "docs/FILES.md differs; RWS_UPDATE_DOCS=1 writes it anew");
    let section = [lines[..first].join("\n"), table.join("\n"), lines[last + 1..].join("\n")].join("\n");
    let after = after.map_or(String::new(), |after| format!("\n## {after}"));
    fs::write(path, format!("{before}\n## Beside nginx\n{}\n{after}", section.trim_end())).unwrap();
}

/// Both servers, and the rules that had something to explain.
struct Pair {
    nginx: Side,
    rws: Side,
    used: HashSet<&'static str>,
}

impl Pair {
    /// What cannot be explained about the answers to a case.
    fn unexplained(&mut self, case: &Case) -> Option<String> {
        let (mut nginx, rws) = (self.nginx.answer(case), self.rws.answer(case));
        for rule in RULES {
            if nginx == rws {
                return None;
            }
            match rule.how {
                How::Says(says) if says(case, &mut nginx, &rws) => _ = self.used.insert(rule.request),
                How::Says(_) => {}
                How::Reads(reads) => {
                    let Some(simpler) = reads(case) else { continue };
                    assert_ne!(simpler, *case, "{}", rule.request);
                    self.used.insert(rule.request);
                    let read = self.rws.answer(&simpler);
                    if read != rws {
                        return Some(format!("{case:?}\n  rws {rws:?}\n  but {read:?}\n  to {simpler:?}"));
                    }
                    return self.unexplained(&simpler);
                }
            }
        }
        (nginx != rws).then(|| format!("{case:?}\n  nginx {nginx:?}\n  rws   {rws:?}"))
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::None => formatter.write_str("nothing"),
            Content::Bytes(bytes) => write!(formatter, "{} bytes", bytes.len()),
            Content::Parts(parts) => {
                let ranges: Vec<_> = parts.iter().map(|(range, bytes)| format!("{range} ({})", bytes.len())).collect();
                write!(formatter, "{} parts: {:.200}", parts.len(), ranges.join(", "))
            }
        }
    }
}

/// One of the two servers.
struct Side {
    address: SocketAddr,
    client: Client,
    tags: HashMap<&'static str, String>,
}

impl Side {
    fn new(address: SocketAddr) -> Side {
        Side { address, client: Client::new(address), tags: HashMap::new() }
    }

    /// One exchange, after which the connection is good for another.
    fn ask(&mut self, method: &str, file: &str, fields: &[(&str, &str)]) -> Reply {
        let reply = self
            .client
            .ask(method, file, fields)
            .unwrap_or_else(|error| panic!("{} {fields:?}: {error}", self.address));
        // nginx closes after a 412 without saying so.
        if reply.field("connection") == Some("close") || reply.status >= 400 {
            self.client = Client::new(self.address);
        }
        reply
    }

    fn answer(&mut self, case: &Case) -> Answer {
        let tag = self.tag(case.file);
        let fields: Vec<(&str, String)> =
            case.fields.iter().map(|(name, value)| (*name, value.replace("{tag}", &tag))).collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut answer = Answer::of(self.ask(case.method, case.file, &fields));
        if case.file == "/future.txt" {
            // The time goes on between two answers, so only which side of it they are on can be compared.
            let later = |text: String| date::parse(text.as_bytes()).unwrap() > SystemTime::now();
            let sides = |later: bool| if later { "later than now" } else { "not later than now" }.to_owned();
            answer.last_modified = answer.last_modified.map(later).map(sides);
        }
        answer
    }

    fn tag(&mut self, file: &'static str) -> String {
        if !self.tags.contains_key(file) {
            let tag = self.ask("GET", file, &[]).field("etag").unwrap().to_owned();
            self.tags.insert(file, tag);
        }
        self.tags[file].clone()
    }
}

impl Answer {
    fn of(reply: Reply) -> Answer {
        let text = |name| reply.field(name).map(str::to_owned);
        let is_content = matches!(reply.status, 200 | 206);
        let content_type = reply.field("content-type").unwrap_or_default();
        let is_multipart = content_type.starts_with("multipart/");
        let content = if !is_content || reply.body.is_empty() {
            Content::None
        } else if is_multipart {
            Content::Parts(parts(content_type, &reply.body))
        } else {
            Content::Bytes(reply.body.clone())
        };
        Answer {
            status: reply.status,
            length: reply.length().filter(|_| is_content && !is_multipart),
            content_range: text("content-range"),
            accept_ranges: text("accept-ranges"),
            last_modified: text("last-modified"),
            has_tag: reply.field("etag").is_some(),
            content,
        }
    }
}

fn tree() -> Tree {
    let tree = Tree::new();
    tree.write("empty.txt", "").write("one.txt", "1").write("page.txt", numbered(1_000));
    tree.write("large.txt", numbered(200_000)).write_at("epoch.txt", "0123456789", 0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    tree.write_at("future.txt", "0123456789", (now + Duration::from_secs(1_000_000)).as_secs());
    tree
}

fn cases() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(ranges());
    cases.extend(conditions());
    cases.extend(precedence());
    cases.extend(if_ranges());
    cases
}

fn plain() -> Vec<Case> {
    let files = ["/empty.txt", "/one.txt", "/page.txt", "/large.txt", "/epoch.txt", "/future.txt"];
    files.iter().flat_map(|file| ["GET", "HEAD"].map(|method| Case::new(method, file, &[]))).collect()
}

fn ranges() -> Vec<Case> {
    const RANGES: &[&str] = &[
        // One range.
        "bytes=0-0",
        "bytes=0-1",
        "bytes=0-9",
        "bytes=1-1",
        "bytes=500-599",
        "bytes=0-",
        "bytes=1-",
        "bytes=999-",
        "bytes=-1",
        "bytes=-10",
        "bytes=-1000",
        "bytes=-1001",
        "bytes=-0",
        "bytes=-00",
        "bytes=0-998",
        "bytes=0-999",
        "bytes=0-1000",
        "bytes=0-199999",
        "bytes=999-999",
        "bytes=999-1000",
        "bytes=1000-",
        "bytes=1000-1000",
        "bytes=1000-2000",
        "bytes=200000-",
        "bytes=100000-199999",
        "bytes=65535-131072",
        "bytes=00-09",
        "bytes=000000000000000000000000000000-9",
        "bytes=0-9223372036854775806",
        "bytes=0-9223372036854775807",
        "bytes=0-9223372036854775808",
        "bytes=0-18446744073709551615",
        "bytes=0-18446744073709551616",
        "bytes=0-99999999999999999999999999999999",
        "bytes=9223372036854775806-9223372036854775807",
        "bytes=9223372036854775808-",
        "bytes=99999999999999999999999999999999-",
        "bytes=-9223372036854775807",
        "bytes=-9223372036854775808",
        "bytes=-99999999999999999999999999999999",
        // Several.
        "bytes=0-0,-1",
        "bytes=0-0,500-500",
        "bytes=500-500,0-0",
        "bytes=0-99,200-299,400-499",
        "bytes=400-499,200-299,0-99",
        "bytes=0-99,100-199",
        "bytes=0-99,99-199",
        "bytes=0-99,50-149",
        "bytes=0-99,0-99",
        "bytes=0-99,10-20",
        "bytes=10-20,0-99",
        "bytes=0-9,80-99",
        "bytes=0-9,91-99",
        "bytes=0-9,191-199",
        "bytes=0-,0-",
        "bytes=0-,-1",
        "bytes=0-499,0-499,0-499",
        "bytes=-1,-1",
        "bytes=0-99,1000000-",
        "bytes=1000000-,0-99",
        "bytes=1000000-,2000000-",
        "bytes=-0,0-0",
        "bytes=-0,-0",
        "bytes=0-99999,150000-199999",
        "bytes=150000-199999,0-99999",
        "bytes=0-65535,100000-165535",
        "bytes=0-0,200-200,400-400,600-600,800-800",
        // White space and empty elements.
        "bytes=0-0, 500-500",
        "bytes=0-0 ,500-500",
        "bytes=0-0,\t500-500",
        "bytes=0-0,,500-500",
        "bytes=,0-0",
        "bytes=0-0,",
        "bytes= 0-0",
        "bytes=0 - 0",
        "bytes=0- 0",
        "bytes=- 1",
        "bytes =0-0",
        " bytes=0-0 ",
        // The unit.
        "Bytes=0-0",
        "BYTES=0-0",
        "byte=0-0",
        "bytes0-0",
        "bytes",
        "bytes:0-0",
        "items=0-0",
        "none",
        "seconds=1-2",
        "x=y",
        // No range.
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=1",
        "bytes=a-b",
        "bytes=0-b",
        "bytes=0x0-0x1",
        "bytes=1-0",
        "bytes=500-499",
        "bytes=0-0,5-4",
        "bytes=0-0,x",
        "bytes=x,0-0",
        "bytes=0-0;1-1",
        "bytes=0-0-0",
        "bytes=+0-+1",
        "bytes=0.0-1.0",
        "bytes=\"0-0\"",
        "bytes=0-0 junk",
        "*",
        "",
    ];
    let mut cases = Vec::new();
    for range in RANGES {
        for file in ["/empty.txt", "/one.txt", "/page.txt", "/large.txt"] {
            cases.push(Case::new("GET", file, &[("Range", range)]));
        }
        cases.push(Case::new("HEAD", "/page.txt", &[("Range", range)]));
    }
    for count in [31, 32, 33, 100] {
        let apart: Vec<_> = (0..count).map(|n| format!("{0}-{0}", n * 200)).collect();
        let near: Vec<_> = (0..count).map(|n| format!("{0}-{0}", n * 2)).collect();
        let same = vec!["0-0".to_owned(); count];
        for set in [apart, near, same] {
            cases.push(Case::new("GET", "/large.txt", &[("Range", &format!("bytes={}", set.join(",")))]));
        }
    }
    cases.push(Case::new("GET", "/page.txt", &[("Range", "bytes=0-0"), ("Range", "bytes=1-1")]));
    cases.push(Case::new("GET", "/page.txt", &[("Range", "bytes=0-0"), ("Range", "bytes=0-0")]));
    cases
}

/// Each conditional field by itself.
fn conditions() -> Vec<Case> {
    const TAGS: &[&str] = &[
        "{tag}",
        "W/{tag}",
        "w/{tag}",
        "\"other\"",
        "W/\"other\"",
        "\"other\", {tag}",
        "{tag}, \"other\"",
        "\"other\",{tag}",
        "\"a\" , \"b\" ,\t{tag}",
        "\"a\", \"b\", \"c\"",
        ", {tag}",
        "{tag},",
        ",,{tag},,",
        "W/\"a\", W/{tag}",
        "\"other\" {tag}",
        "{tag} \"other\"",
        "{tag}x",
        "x{tag}",
        "other, {tag}",
        "\"other, {tag}",
        "\"a,b\", {tag}",
        "\"\"",
        "\"",
        "other",
        "*",
        "*, {tag}",
        "{tag}, *",
        "\"*\"",
        "**",
        "",
        ",",
    ];
    const DATES: &[&str] = &[
        SAME,
        SAME_RFC850,
        SAME_ASCTIME,
        BEFORE,
        "Tuesday, 14-Nov-23 22:13:19 GMT",
        "Tue Nov 14 22:13:19 2023",
        AFTER,
        FUTURE,
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Wed, 31 Dec 1969 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sat, 01 Jan 0000 00:00:00 GMT",
        // The wrong day, an impossible time, other zones, other spellings.
        "Mon, 14 Nov 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 24:13:20 GMT",
        "Tue, 14 Nov 2023 22:60:20 GMT",
        "Tue, 14 Nov 2023 22:13:60 GMT",
        "Thu, 30 Feb 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 22:13:20",
        "Tue, 14 Nov 2023 22:13:20 UTC",
        "Tue, 14 Nov 2023 22:13:20 +0000",
        "Tue, 14 Nov 2023 23:13:20 CET",
        "tue, 14 nov 2023 22:13:20 gmt",
        "14 Nov 2023 22:13:20 GMT",
        "Tue, 14-Nov-2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 22:13:20 GMT; length=1000",
        "2023-11-14T22:13:20Z",
        "1700000000",
        "yesterday",
        "\"x\"",
        "*",
        "0",
        "",
    ];
    let mut cases = Vec::new();
    for method in ["GET", "HEAD"] {
        for tag in TAGS {
            cases.push(Case::new(method, "/page.txt", &[("If-Match", tag)]));
            cases.push(Case::new(method, "/page.txt", &[("If-None-Match", tag)]));
        }
        for date in DATES {
            cases.push(Case::new(method, "/page.txt", &[("If-Modified-Since", date)]));
            cases.push(Case::new(method, "/page.txt", &[("If-Unmodified-Since", date)]));
        }
    }
    for file in ["/empty.txt", "/one.txt", "/epoch.txt", "/future.txt"] {
        for tag in ["{tag}", "W/{tag}", "\"other\"", "*"] {
            cases.push(Case::new("GET", file, &[("If-Match", tag)]));
            cases.push(Case::new("GET", file, &[("If-None-Match", tag)]));
        }
        for date in [BEFORE, SAME, AFTER, FUTURE, "Thu, 01 Jan 1970 00:00:00 GMT"] {
            cases.push(Case::new("GET", file, &[("If-Modified-Since", date)]));
            cases.push(Case::new("GET", file, &[("If-Unmodified-Since", date)]));
        }
    }
    for name in ["If-Match", "If-None-Match"] {
        cases.push(Case::new("GET", "/page.txt", &[(name, "\"other\""), (name, "{tag}")]));
        cases.push(Case::new("GET", "/page.txt", &[(name, "{tag}"), (name, "\"other\"")]));
    }
    for name in ["If-Modified-Since", "If-Unmodified-Since"] {
        cases.push(Case::new("GET", "/page.txt", &[(name, BEFORE), (name, SAME)]));
        cases.push(Case::new("GET", "/page.txt", &[(name, SAME), (name, BEFORE)]));
    }
    cases
}

/// All four together, each missing, true and false, with and without a range.
fn precedence() -> Vec<Case> {
    let tags = [None, Some("{tag}"), Some("\"other\"")];
    let dates = [None, Some(SAME), Some(BEFORE)];
    let ranges = [None, Some("bytes=0-9"), Some("bytes=5000-")];
    let mut cases = Vec::new();
    for if_match in tags {
        for if_unmodified_since in dates {
            for if_none_match in tags {
                for if_modified_since in dates {
                    for range in ranges {
                        let fields = [
                            ("If-Match", if_match),
                            ("If-Unmodified-Since", if_unmodified_since),
                            ("If-None-Match", if_none_match),
                            ("If-Modified-Since", if_modified_since),
                            ("Range", range),
                        ];
                        let fields: Vec<_> =
                            fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                        cases.push(Case::new("GET", "/page.txt", &fields));
                    }
                }
            }
        }
    }
    cases
}

fn if_ranges() -> Vec<Case> {
    let validators = [
        "{tag}",
        "W/{tag}",
        "\"other\"",
        "{tag}, \"other\"",
        "{tag}x",
        "\"",
        "*",
        "",
        "x",
        "W/",
        SAME,
        SAME_RFC850,
        SAME_ASCTIME,
        BEFORE,
        AFTER,
        FUTURE,
        "Mon, 14 Nov 2023 22:13:20 GMT",
        "1700000000",
    ];
    let ranges = ["bytes=0-9", "bytes=-1", "bytes=5000-", "bytes=0-9,500-509", "bytes=x", ""];
    let mut cases = Vec::new();
    for validator in validators {
        for range in ranges {
            cases.push(Case::new("GET", "/page.txt", &[("Range", range), ("If-Range", validator)]));
        }
        cases.push(Case::new("GET", "/page.txt", &[("If-Range", validator)]));
        cases.push(Case::new("HEAD", "/page.txt", &[("Range", "bytes=0-9"), ("If-Range", validator)]));
        for file in ["/epoch.txt", "/future.txt", "/empty.txt", "/one.txt"] {
            cases.push(Case::new("GET", file, &[("Range", "bytes=0-0"), ("If-Range", validator)]));
        }
    }
    cases.push(Case::new("GET", "/page.txt", &[("Range", "bytes=0-9"), ("If-Range", "{tag}"), ("If-Range", "{tag}")]));
    cases
}
