//! What the `rws` binary tells browsers, and what a browser makes of it: CORS between two servers, policies on pages.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

#[path = "process/chromium.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod chromium;
#[path = "browsers/cors.rs"]
mod cors;
#[path = "browsers/policies.rs"]
mod policies;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::fs;

use tempfile::TempDir;

use support::{Server, rws};

/// A page with a script in it and one beside it, which tell that they ran, also whoever frames it.
const PAGE: &str = "<!doctype html><title>page</title><p id=text>text</p>\
    <script>window.inline = true</script><script src=/beside.js></script>";

/// A server of that page, with these settings besides.
fn site(settings: &[(&str, &str)]) -> (Server, TempDir) {
    let files = tempfile::tempdir().unwrap();
    fs::write(files.path().join("index.html"), PAGE).unwrap();
    fs::write(
        files.path().join("beside.js"),
        "window.beside = true; if (parent !== window) parent.postMessage('framed', '*');",
    )
    .unwrap();
    let mut all = vec![("STATIC_DIR", files.path().to_str().unwrap())];
    all.extend(settings);
    let server = rws(&all).start();
    (server, files)
}
