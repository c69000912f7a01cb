//! What the compiler says of the commonest mistakes: each program in tests/compile does not compile, and the file beside it
//! has the messages. rustc is given the library that this test was built with, so that nothing is compiled twice.
//!
//! To write the messages anew: `RWS_WRITE_MESSAGES=1 cargo test --test compile`, and read what has changed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Deserializer, Value};

/// The compiler that the messages were written with. Others word them differently.
const WRITTEN_WITH: &str = "rustc 1.95.";

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compile");

#[test]
fn mistakes_are_explained() {
    let version = String::from_utf8(rustc().arg("--version").output().unwrap().stdout).unwrap();
    if !version.starts_with(WRITTEN_WITH) {
        println!("SKIPPED: the messages are those of {WRITTEN_WITH}x, and this is {version}");
        return;
    }
    let libraries = libraries();
    let wrong: Vec<_> = programs().iter().filter_map(|program| difference(program, &libraries)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that rustc is told of by `--extern`.
type Libraries = Vec<(String, PathBuf)>;

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or("rustc".into()))
}

fn programs() -> Vec<PathBuf> {
    let entries = fs::read_dir(PROGRAMS).unwrap().map(|entry| entry.unwrap().path());
    let mut programs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect();
    programs.sort();
    assert!(programs.len() > 8, "{programs:?}");
    programs
}

/// What cargo links this very test with: it is built already, so that cargo only tells where everything is.
fn libraries() -> Libraries {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["test", "--no-run", "--offline", "--locked", "--message-format=json", "--no-default-features"]);
    cargo.args(["--test", "compile", "--features", &features().join(",")]);
    cargo.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    cargo.arg("--target-dir").arg(deps.ancestors().nth(2).unwrap());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = Deserializer::from_slice(&output.stdout).into_iter::<Value>().map(Result::unwrap);
    messages.filter_map(|message| library(&message)).collect()
}

/// The features that this test was built with.
fn features() -> Vec<&'static str> {
    [
        ("auth", cfg!(feature = "auth")),
        ("cli", cfg!(feature = "cli")),
        ("compression", cfg!(feature = "compression")),
        ("cookies", cfg!(feature = "cookies")),
        // Else cargo takes it for another build.
        ("default", cfg!(feature = "default")),
        ("multipart", cfg!(feature = "multipart")),
        ("tls", cfg!(feature = "tls")),
        ("typed-header", cfg!(feature = "typed-header")),
        ("watch", cfg!(feature = "watch")),
        ("websocket", cfg!(feature = "websocket")),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| is_on.then_some(name))
    .collect()
}

/// One that the programs use, if the message tells of it.
fn library(message: &Value) -> Option<(String, PathBuf)> {
    let (target, files) = (&message["target"], message["filenames"].as_array()?);
    let name = target["name"].as_str().filter(|name| ["rws", "serde"].contains(name))?;
    let is_library = target["kind"].as_array()?.iter().any(|kind| kind == "lib");
    let file = files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".rlib"))?;
    is_library.then(|| (name.to_owned(), file.into()))
}

/// What is other than it was written, if anything is.
fn difference(program: &Path, libraries: &Libraries) -> Option<String> {
    let messages = compile(program, libraries);
    let file = program.with_extension("stderr");
    if env::var_os("RWS_WRITE_MESSAGES").is_some() {
        fs::write(&file, &messages).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let name = program.file_name().unwrap().to_string_lossy();
    (messages != written || messages.is_empty()).then(|| format!("--- {name}, written:\n{written}--- now:\n{messages}"))
}

/// The errors of a program.
fn compile(program: &Path, libraries: &Libraries) -> String {
    let mut rustc = rustc();
    rustc.args(["--edition=2024", "--crate-type=bin", "--emit=metadata", "--error-format=json", "-Awarnings"]);
    rustc.arg("-o").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile.rmeta")).arg(program);
    for (name, file) in libraries {
        rustc.arg("--extern").arg(format!("{name}={}", file.display()));
        rustc.arg("-L").arg(format!("dependency={}", file.with_file_name("").display()));
        rustc.arg("-L").arg(format!("dependency={}", file.with_file_name("deps").display()));
    }
    let output = rustc.output().unwrap();
    let diagnostics = Deserializer::from_slice(&output.stderr).into_iter::<Value>().map(Result::unwrap);
    diagnostics.filter(|diagnostic| diagnostic["spans"] != Value::Array(Vec::new())).map(|d| rendered(&d)).collect()
}

/// A diagnostic as rustc shows it, without lines from other files than the program: those change with the library.
fn rendered(diagnostic: &Value) -> String {
    let code = diagnostic["code"]["code"].as_str().unwrap_or_default();
    let mut text = format!("error[{code}]: {}\n", diagnostic["message"].as_str().unwrap());
    for (line, label) in labels(diagnostic) {
        writeln!(text, "  line {line}: {label}").unwrap();
    }
    for child in diagnostic["children"].as_array().unwrap() {
        let message = child["message"].as_str().unwrap();
        // A list that grows with every implementation.
        if message.starts_with("the following other types implement") {
            continue;
        }
        writeln!(text, "  = {}: {message}", child["level"].as_str().unwrap()).unwrap();
        for (line, label) in labels(child).filter(|(_, label)| !label.is_empty()) {
            writeln!(text, "    line {line}: {label}").unwrap();
        }
    }
    text
}

/// What is said of places in the program.
fn labels(diagnostic: &Value) -> impl Iterator<Item = (&Value, &str)> {
    let spans = diagnostic["spans"].as_array().unwrap().iter();
    let own = spans.filter(|span| span["file_name"].as_str().unwrap().starts_with(PROGRAMS));
    own.map(|span| (&span["line_start"], span["label"].as_str().unwrap_or_default()))
}
