//! HTTP semantics (RFC 9110), layer 0. Knows no sockets, no files, no clock and no wire format.
//!
//! `Method`, `StatusCode`, `HeaderName`, `HeaderValue` and `Version` come from the `http` crate.

pub mod head;
pub mod trace_context;
