//! The whole server, in this process, over real sockets.

#[path = "wire/exchanges.rs"]
mod exchanges;
#[path = "wire/refusals.rs"]
mod refusals;
#[path = "wire/support.rs"]
mod support;
