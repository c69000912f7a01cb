//! What the `rws` binary's files are in a browser: a small site, over plain HTTP and over TLS, and the listing of a directory.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

#[path = "process/chromium.rs"]
mod chromium;
#[path = "pages/film.rs"]
mod film;
#[path = "pages/listing.rs"]
mod listing;
#[path = "pages/settings.rs"]
mod settings;
#[path = "pages/site.rs"]
mod site;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;
