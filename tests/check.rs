//! `rws check` as a user runs it: every rule on a manifest that breaks it and one that keeps it, the outages that it is
//! for, its output, its exit codes, and input that is not what it should be.

#![cfg(feature = "cli")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "check/document.rs"]
mod document;
#[path = "check/inputs.rs"]
mod inputs;
#[path = "check/outages.rs"]
mod outages;
#[path = "check/output.rs"]
mod output;
#[path = "check/pairs.rs"]
mod pairs;
#[path = "check/shapes.rs"]
mod shapes;
#[path = "check/support.rs"]
mod support;
#[path = "check/variants.rs"]
mod variants;
