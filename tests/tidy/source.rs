//! Rust source as the tidy test sees it: its paths, macros, methods and keywords, each with its line, and which lines
//! are tests. Knows tokens, not types.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file.
pub(crate) struct Source {
    /// Relative to the repository, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// What it says, in order.
    pub(crate) facts: Vec<Fact>,
    /// The files of `#[cfg(test)] mod name;`, as their paths below the file's own module would be.
    test_modules: Vec<String>,
    test_lines: HashSet<usize>,
}

/// One thing a source says.
#[derive(Debug, PartialEq)]
pub(crate) struct Fact {
    pub(crate) line: usize,
    /// Whether it belongs to a test.
    pub(crate) in_test: bool,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    /// A path or identifier, `use` trees taken apart.
    Path(Vec<String>),
    /// `name!`
    Macro(String),
    /// `.name(`
    Method(String),
}

/// Every Rust file below `directory`, which is relative to the repository.
pub(crate) fn read_all(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    list(&root.join(directory), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no source in {directory}");
    let mut sources: Vec<Source> = files.iter().map(|file| Source::read(root, file)).collect();
    let tests: HashSet<String> = sources.iter().flat_map(Source::test_files).collect();
    for source in &mut sources {
        // What a test module's file has below it is for tests as well.
        if tests.iter().any(|stem| source.stem() == stem || source.stem().starts_with(&format!("{stem}/"))) {
            source.is_for_tests();
        }
    }
    sources
}

fn list(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory of the repository can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    fn read(root: &Path, file: &Path) -> Self {
        let text = fs::read_to_string(file).expect("a source can be read");
        let path = file.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
        Source::parse(path, text)
    }

    /// Takes a source apart.
    pub(crate) fn parse(path: String, text: String) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
        let (facts, test_modules, test_lines) = (Vec::new(), Vec::new(), HashSet::new());
        let mut source = Source { path, text, facts, test_modules, test_lines };
        source.walk(tokens, false);
        source
    }

    /// Whether all of it is for tests.
    pub(crate) fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.test_lines.contains(&1)
    }

    /// How many lines are not for tests.
    pub(crate) fn product_lines(&self) -> usize {
        self.text.lines().count() - self.test_lines.len()
    }

    /// What it says outside tests.
    pub(crate) fn product(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| !fact.in_test)
    }

    /// The module that the file is, from the crate's root: `["server", "reactor"]`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.stem().trim_start_matches("src/");
        path.split('/').filter(|part| !matches!(*part, "lib" | "main" | "above")).map(str::to_owned).collect()
    }

    fn stem(&self) -> &str {
        self.path.trim_end_matches(".rs")
    }

    fn test_files(&self) -> Vec<String> {
        self.test_modules.iter().map(|name| format!("{}/{name}", self.stem())).collect()
    }

    fn is_for_tests(&mut self) {
        self.test_lines = (1..=self.text.lines().count()).collect();
        self.facts.iter_mut().for_each(|fact| fact.in_test = true);
    }

    fn walk(&mut self, tokens: TokenStream, in_test: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at..] {
                [TokenTree::Punct(hash), TokenTree::Group(attribute), rest @ ..]
                    if !in_test && hash.as_char() == '#' && is_cfg_test(attribute) =>
                {
                    2 + self.test_item(hash.span().start().line, rest)
                }
                [TokenTree::Group(group), ..] => {
                    self.walk(group.stream(), in_test);
                    1
                }
                [TokenTree::Punct(dot), TokenTree::Ident(name), TokenTree::Group(_), ..] if dot.as_char() == '.' => {
                    self.note(name.span().start().line, in_test, What::Method(name.to_string()));
                    2
                }
                [TokenTree::Ident(_), ..] => self.path(&tokens[at..], &[], in_test),
                _ => 1,
            };
        }
    }

    /// The item behind `#[cfg(test)]`. Returns how many tokens it has.
    fn test_item(&mut self, start: usize, tokens: &[TokenTree]) -> usize {
        let ends = |token: &TokenTree| match token {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            _ => false,
        };
        let length = tokens.iter().position(ends).map_or(tokens.len(), |last| last + 1);
        let item = &tokens[..length];
        if let [.., TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(_)] = item
            && keyword == "mod"
        {
            self.test_modules.push(name.to_string());
        }
        let end = item.last().map_or(start, |token| token.span().end().line);
        self.test_lines.extend(start..=end);
        self.walk(item.iter().cloned().collect(), true);
        length
    }

    /// A path, behind `prefix` if it stands in the braces of one. Returns how many tokens it has.
    fn path(&mut self, tokens: &[TokenTree], prefix: &[String], in_test: bool) -> usize {
        let mut segments = prefix.to_vec();
        let line = tokens[0].span().start().line;
        let mut length = 0;
        while let Some(TokenTree::Ident(name)) = tokens.get(length) {
            segments.push(name.to_string());
            length += 1;
            if !is_double_colon(&tokens[length..]) {
                break;
            }
            if let Some(TokenTree::Group(group)) = tokens.get(length + 2)
                && group.delimiter() == Delimiter::Brace
            {
                self.branches(group, &segments, in_test);
                return length + 3;
            }
            if !matches!(tokens.get(length + 2), Some(TokenTree::Ident(_))) {
                break;
            }
            length += 2;
        }
        let is_macro = matches!(tokens.get(length), Some(TokenTree::Punct(mark)) if mark.as_char() == '!')
            && matches!(tokens.get(length + 1), Some(TokenTree::Group(_)));
        match segments.last() {
            Some(name) if is_macro => self.note(line, in_test, What::Macro(name.clone())),
            _ => self.note(line, in_test, What::Path(segments)),
        }
        length
    }

    /// The branches of a `use` tree.
    fn branches(&mut self, group: &Group, prefix: &[String], in_test: bool) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Ident(_) => self.path(&tokens[at..], prefix, in_test),
                _ => 1,
            };
        }
    }

    fn note(&mut self, line: usize, in_test: bool, what: What) {
        self.facts.push(Fact { line, in_test, what });
    }
}

fn is_double_colon(tokens: &[TokenTree]) -> bool {
    let is_colon = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    tokens.len() > 1 && tokens[..2].iter().all(is_colon)
}

/// Whether an attribute is `cfg(test)` or `cfg(all(test, …))`.
fn is_cfg_test(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}
