//! HTTPS, over real sockets: in this process with a clock that is moved by hand, and the binary with curl and openssl.

#![cfg(all(feature = "cli", feature = "tls"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]

#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/endings.rs"]
mod endings;
#[path = "tls/exchanges.rs"]
mod exchanges;
#[path = "tls/handshakes.rs"]
mod handshakes;
#[path = "tls/hostile.rs"]
mod hostile;
#[path = "tls/hosts.rs"]
mod hosts;
#[path = "tls/mutual.rs"]
mod mutual;
#[allow(dead_code, reason = "shared with process.rs, which uses all of it")]
#[path = "process/support.rs"]
mod process;
#[path = "tls/redirect.rs"]
mod redirect;
#[path = "tls/renewal.rs"]
mod renewal;
#[path = "tls/scan.rs"]
mod scan;
#[path = "wire/support.rs"]
mod support;
#[path = "tls/swaps.rs"]
mod swaps;
#[path = "tls/tools.rs"]
mod tools;
#[allow(dead_code, reason = "shared with reload.rs, which uses all of it")]
#[path = "reload/volume.rs"]
mod volume;
