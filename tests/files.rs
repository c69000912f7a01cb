//! Static files as clients see them: held against RFC 9110, beside a real nginx, under attack, and while they change.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

#[path = "files/attacks.rs"]
mod attacks;
#[path = "files/beside_nginx.rs"]
mod beside_nginx;
#[path = "files/failing.rs"]
mod failing;
#[path = "files/media_types.rs"]
mod media_types;
#[path = "files/nginx.rs"]
mod nginx;
#[path = "files/precedence.rs"]
mod precedence;
#[allow(dead_code, reason = "shared with process.rs, which uses all of it")]
#[path = "process/support.rs"]
mod process;
#[path = "files/ranges.rs"]
mod ranges;
#[path = "files/replaced.rs"]
mod replaced;
#[path = "files/rules.rs"]
mod rules;
#[path = "files/support.rs"]
mod support;
#[path = "files/swapped.rs"]
mod swapped;
#[path = "files/walked.rs"]
mod walked;
