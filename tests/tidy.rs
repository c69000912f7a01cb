//! The rules of the source tree, executed: who may import whom, and what may stand where.
//!
//! Every rule is a function from sources to [`Finding`]s. What a rule must let pass is in [`EXCEPTIONS`], with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "tidy/source.rs"]
mod source;

use std::collections::{HashMap, HashSet};

use source::{Fact, Source, What, read_all};

/// The most lines a file may have outside its tests.
const LONGEST: usize = 450;

/// Rule, file and reason. One that is no longer needed fails the test.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("pure", "src/semantics/date.rs", "formats into an array with `io::Write for &mut [u8]`, which does no I/O"),
    ("length", "src/config/rows.rs", "one table, a row for each variable"),
];

/// What a rule found in a file.
#[derive(Debug)]
struct Finding {
    rule: &'static str,
    path: String,
    line: usize,
    text: String,
}

#[test]
fn the_tree_keeps_its_rules() {
    let src = read_all("src");
    let table = Table::of(&src);
    let mut findings: Vec<Finding> = src.iter().flat_map(|source| check(source, &table)).collect();
    findings.extend(read_all("tests").iter().flat_map(sleeping_tests));

    let mut unused: HashSet<(&str, &str)> = EXCEPTIONS.iter().map(|(rule, path, _)| (*rule, *path)).collect();
    findings.retain(|finding| {
        let excepted = EXCEPTIONS.iter().find(|(rule, path, _)| (*rule, *path) == (finding.rule, &finding.path));
        excepted.is_none_or(|(rule, path, _)| {
            unused.remove(&(*rule, *path));
            false
        })
    });
    let list = findings.iter().map(|found| format!("{}:{}: {}: {}\n", found.path, found.line, found.rule, found.text));
    assert!(findings.is_empty(), "the tree breaks its rules:\n{}", list.collect::<String>());
    assert!(unused.is_empty(), "exceptions that nothing needs: {unused:?}");
}

#[test]
fn every_module_has_a_place_in_the_table_and_every_place_a_module() {
    let src = read_all("src");
    let table = Table::of(&src);
    let layers: HashSet<String> = src.iter().filter_map(|source| source.module().first().cloned()).collect();
    let placed: HashSet<String> = table.rows.keys().filter(|name| *name != "main").cloned().collect();
    assert_eq!(layers, placed);
}

/// Everything that is wrong with a file below src.
fn check(source: &Source, table: &Table) -> Vec<Finding> {
    let mut findings = crossed_arrows(source, table);
    findings.extend(sleeping_tests(source));
    findings.extend(impure_core(source));
    findings.extend(words(source));
    findings.extend(shape(source));
    findings
}

fn finding(rule: &'static str, source: &Source, line: usize, text: String) -> Finding {
    Finding { rule, path: source.path.clone(), line, text }
}

/// Who may import whom: the table in the documentation of src/lib.rs.
struct Table {
    /// `None`: everything.
    rows: HashMap<String, Option<Vec<Import>>>,
}

/// A layer that may be imported, or only some modules of it.
struct Import {
    layer: String,
    only: Vec<String>,
}

impl Table {
    fn of(src: &[Source]) -> Self {
        let root = src.iter().find(|source| source.path == "src/lib.rs").expect("the crate has a root");
        let rows = root.text.lines().filter_map(|line| line.strip_prefix("//! | ")).skip_while(|l| !l.starts_with('0'));
        let mut table = Table { rows: HashMap::new() };
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            for module in quoted(cells[1]) {
                table.rows.insert(module.to_owned(), imports(cells[2]));
            }
        }
        assert!(table.rows.len() > 5, "the table in src/lib.rs cannot be read");
        table
    }

    fn allows(&self, from: &str, path: &[String]) -> bool {
        let Some(imports) = self.rows.get(from).expect("every module is in the table") else { return true };
        imports.iter().any(|import| {
            import.layer == path[0]
                && (import.only.is_empty() || path.get(1).is_some_and(|module| import.only.contains(module)))
        })
    }
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// `everything`, `nothing`, or a list of `layer` and `layer::{module, module}`.
fn imports(cell: &str) -> Option<Vec<Import>> {
    let import = |text: &str| match text.split_once("::") {
        None => Import { layer: text.to_owned(), only: Vec::new() },
        Some((layer, modules)) => Import {
            layer: layer.to_owned(),
            only: modules.trim_matches(['{', '}']).split(',').map(|module| module.trim().to_owned()).collect(),
        },
    };
    (cell != "everything").then(|| quoted(cell).map(import).collect())
}

fn crossed_arrows(source: &Source, table: &Table) -> Vec<Finding> {
    let own = source.module();
    let Some(layer) = own.first() else { return Vec::new() };
    let crosses = |fact: &&Fact| match absolute(&own, fact) {
        Some(path) => path.first().is_some_and(|other| other != layer) && !table.allows(layer, &path),
        None => false,
    };
    let text =
        |fact: &Fact| format!("{layer} must not import {:?}", absolute(&own, fact).unwrap_or_default().join("::"));
    source.product().filter(crosses).map(|fact| finding("imports", source, fact.line, text(fact))).collect()
}

/// A path inside the crate, from its root.
fn absolute(own: &[String], fact: &Fact) -> Option<Vec<String>> {
    let What::Path(path) = &fact.what else { return None };
    match path[0].as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => {
            let up = path.iter().take_while(|part| *part == "super").count();
            let above = &own[..own.len().saturating_sub(up)];
            Some([above, &path[up..]].concat())
        }
        _ => None,
    }
}

/// Tests wait for what they wait for, never for time to pass.
fn sleeping_tests(source: &Source) -> Vec<Finding> {
    let is_test = |fact: &&Fact| fact.in_test || source.is_test();
    let sleeps = |fact: &&Fact| has(fact, &["thread", "sleep"]);
    let found = source.facts.iter().filter(is_test).filter(sleeps);
    found.map(|fact| finding("sleep", source, fact.line, "a test that sleeps".into())).collect()
}

/// Protocol and semantics take bytes and times, and do nothing themselves.
fn impure_core(source: &Source) -> Vec<Finding> {
    const FORBIDDEN: &[&[&str]] = &[
        &["std", "net"],
        &["std", "io"],
        &["std", "fs"],
        &["std", "thread"],
        &["Instant", "now"],
        &["SystemTime", "now"],
        &["rustix"],
        &["mio"],
        &["socket2"],
    ];
    if !["src/proto", "src/semantics"].iter().any(|layer| source.path.starts_with(layer)) {
        return Vec::new();
    }
    let impure = |fact: &&Fact| FORBIDDEN.iter().any(|path| has(fact, path));
    source.product().filter(impure).map(|fact| finding("pure", source, fact.line, format!("{:?}", fact.what))).collect()
}

/// Whether a fact is a path with these segments in a row.
fn has(fact: &Fact, segments: &[&str]) -> bool {
    matches!(&fact.what, What::Path(path) if path.windows(segments.len()).any(|window| window == segments))
}

/// Words that must not be said here.
fn words(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for fact in &source.facts {
        let outside = |path: &str| !source.path.starts_with(path);
        let rule = match &fact.what {
            What::Path(_) if has(fact, &["unsafe"]) && outside("src/server/handoff.rs") => "unsafe",
            What::Path(_) if has(fact, &["std", "env"]) && outside("src/config") => "env",
            What::Macro(name) if name == "todo" || name == "unimplemented" => "unfinished",
            _ if fact.in_test => continue,
            What::Method(name) if name == "unwrap" => "unwrap",
            What::Macro(name) if matches!(name.as_str(), "print" | "println" | "eprint" | "eprintln" | "dbg") => {
                "print"
            }
            // Which request a thread is at, only the thread can know.
            What::Macro(name) if name == "thread_local" && outside("src/ops/current.rs") => "global",
            _ => continue,
        };
        findings.push(finding(rule, source, fact.line, format!("{:?}", fact.what)));
    }
    findings
}

/// Where modules are, how they open and how long they are.
fn shape(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.path.ends_with("/mod.rs") {
        findings.push(finding("mod.rs", source, 1, "a module x is in x.rs and x/".into()));
    }
    if !source.is_test() && !source.text.starts_with("//! ") {
        findings.push(finding("opening", source, 1, "a module opens with what it is".into()));
    }
    let lines = source.product_lines();
    if lines > LONGEST {
        findings.push(finding("length", source, 1, format!("{lines} lines outside tests: is this one thing?")));
    }
    findings
}

/// Each rule's proof that it can fail.
#[cfg(test)]
mod the_rules {
    use super::*;

    fn rules_broken(path: &str, text: &str) -> Vec<&'static str> {
        let root = "//! | 0 | [`semantics`] | nothing |
//! | 1 | [`proto`] | `semantics` |
//! | 1 | [`net`], [`config`] | nothing |
//! | 2 | [`app`] | `semantics` |
//! | 3 | `server` | `app::{body, request}`, `net` |
//! | 5 | `run` | everything |
";
        let table = Table::of(&[Source::parse("src/lib.rs".into(), root.into())]);
        let source = Source::parse(path.into(), format!("//! A module.\n{text}"));
        let mut rules: Vec<_> = check(&source, &table).iter().map(|finding| finding.rule).collect();
        rules.dedup();
        rules
    }

    #[test]
    fn find_arrows_that_are_crossed_however_they_are_written() {
        for (path, text) in [
            ("src/app/body.rs", "use crate::server::Server;"),
            ("src/app/body.rs", "use {std::fmt, crate::{semantics::head, net::stream::Stream}};"),
            ("src/app/body.rs", "fn f() -> crate::config::Config { x }"),
            ("src/app/body.rs", "use super::super::server;"),
            ("src/app.rs", "use super::net;"),
            ("src/server/reactor.rs", "use crate::app::router::Router;"),
            ("src/server/reactor.rs", "use crate::app;"),
            ("src/server/reactor.rs", "use crate::app::{body::Body, App};"),
            ("src/proto.rs", "macro_rules! m { () => { $crate::app::App } }"),
        ] {
            assert_eq!(rules_broken(path, text), ["imports"], "{path}: {text}");
        }
    }

    #[test]
    fn let_arrows_pass_that_go_the_right_way() {
        for (path, text) in [
            ("src/app/body.rs", "use crate::semantics::head; use super::request; pub(in crate::app) fn f() {}"),
            ("src/server/reactor.rs", "use crate::{app::{body::Body, request}, net::stream}; use super::super::net;"),
            ("src/run.rs", "use crate::server::Server;"),
            ("src/proto/head.rs", "/// See [`crate::app::App`].\nfn f() -> &'static str { \"crate::app\" }"),
            ("src/proto/head.rs", "#[cfg(test)]\nmod tests { use crate::app::App; }"),
        ] {
            assert_eq!(rules_broken(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn find_words_in_the_wrong_place() {
        for (path, text, rule) in [
            ("src/app/body.rs", "fn f() { unsafe { g() } }", "unsafe"),
            ("src/app/body.rs", "fn f() { x.unwrap() }", "unwrap"),
            ("src/app/body.rs", "fn f() { println!(\"{x}\") }", "print"),
            ("src/app/body.rs", "fn f() { std::env::var(\"X\") }", "env"),
            ("src/app/body.rs", "use std::{env, fmt};", "env"),
            ("src/app/body.rs", "fn f() { todo!() }", "unfinished"),
            ("src/app/body.rs", "thread_local! { static X: u8 = 0; }", "global"),
            ("src/app/body.rs", "#[cfg(test)] mod tests { use std::thread; fn f() { thread::sleep(x) } }", "sleep"),
            ("src/app/body.rs", "#[cfg(test)] mod tests { use std::thread::{self, sleep}; }", "sleep"),
            ("src/proto/head.rs", "use std::io::{self, Read};", "pure"),
            ("src/proto/head.rs", "use std::time::Instant; fn f() { Instant::now() }", "pure"),
            ("src/app/body/mod.rs", "", "mod.rs"),
        ] {
            assert_eq!(rules_broken(path, text), [rule], "{path}: {text}");
        }
        let long = "fn f() {}\n".repeat(LONGEST);
        assert_eq!(rules_broken("src/app/body.rs", &long), ["length"]);
        assert_eq!(rules_broken("src/app/body.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}")), [""; 0]);
        let table = Table { rows: HashMap::from([("app".to_owned(), None)]) };
        let unopened = Source::parse("src/app/body.rs".into(), "// Not what it is.\nfn f() {}".into());
        assert_eq!(check(&unopened, &table)[0].rule, "opening");
    }

    #[test]
    fn let_words_pass_where_they_belong() {
        for (path, text) in [
            ("src/server/handoff.rs", "fn f() { unsafe { g() } }"),
            ("src/config/source.rs", "fn f() { std::env::vars_os() }"),
            ("src/app/body.rs", "// x.unwrap() and println!\nfn f() { x.unwrap_or_default(); y(\"todo!()\", 'a') }"),
            ("src/app/body.rs", "#[cfg(test)] mod tests { fn f() { x.unwrap(); println!() } }"),
            ("src/run/demo.rs", "fn f() { std::thread::sleep(x) }"),
        ] {
            assert_eq!(rules_broken(path, text), [""; 0], "{path}: {text}");
        }
    }
}
