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

use chromium::Browser;
use support::{Server, rws};

/// One browser for all cases, since it is what takes the time.
#[test]
fn a_browser_makes_of_the_settings_what_they_are_for() {
    let Some(mut browser) = Browser::start() else { return };
    let cases: [fn(&mut Browser); 6] = [
        cors::a_page_sees_what_its_origin_is_allowed,
        cors::where_all_origins_are_allowed_any_page_sees_the_answers_but_not_with_cookies,
        policies::a_policy_keeps_markup_from_running_scripts,
        policies::a_policy_that_only_reports_stops_nothing,
        policies::built_in_pages_keep_their_own_policy,
        policies::other_sites_cannot_put_a_page_into_a_frame,
    ];
    for case in cases {
        browser.complaints.clear();
        case(&mut browser);
    }
}

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
