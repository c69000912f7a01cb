//! HTTP/1.1 on the wire (RFC 9112), layer 1, sans-I/O: bytes in, events out.
//! No `std::net`, `std::io`, `std::thread`, no clock.
//!
//! | module | knows |
//! |---|---|
//! | [`head`] | the request line and the field lines |
//! | [`framing`] | where the body ends: every rule against request smuggling, and nothing else |
//! | [`chunked`], [`body`] | taking a body apart |
//! | [`encode`] | writing a response's head |
//! | [`cycle`] | the order of things on one connection, and why it closes |
//! | [`goodbye`] | telling an HTTP/2 client to go |
//! | [`error`] | what is refused, with which status, by which section |
//!
//! docs/HTTP.md lists what is accepted, refused and ignored.

pub mod body;
pub mod chunked;
pub mod cycle;
pub mod encode;
pub mod error;
pub mod framing;
pub mod goodbye;
pub mod head;

#[cfg(test)]
mod three_ways;
