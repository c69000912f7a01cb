//! The whole server, in this process, over real sockets.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

#[path = "wire/bodies.rs"]
mod bodies;
#[path = "wire/coded.rs"]
mod coded;
#[path = "wire/deadlines.rs"]
mod deadlines;
#[path = "wire/drain.rs"]
mod drain;
#[path = "wire/duplex.rs"]
mod duplex;
#[path = "wire/events.rs"]
mod events;
#[path = "wire/exchanges.rs"]
mod exchanges;
#[path = "wire/feeds.rs"]
mod feeds;
#[path = "wire/named_files.rs"]
mod named_files;
#[path = "wire/refusals.rs"]
mod refusals;
#[path = "wire/streams.rs"]
mod streams;
#[path = "wire/support.rs"]
mod support;
#[path = "wire/vitals.rs"]
mod vitals;
#[path = "wire/workers.rs"]
mod workers;
