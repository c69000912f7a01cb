//! HTTP semantics (RFC 9110), layer 0. Knows no sockets, no files, no clock and no wire format.
//!
//! `Method`, `StatusCode`, `HeaderName`, `HeaderValue` and `Version` come from the `http` crate.

pub mod accept;
pub mod accept_encoding;
pub mod assemble;
pub mod cache_control;
pub mod client_certificate;
pub mod compressible;
pub mod conditional;
pub mod credentials;
pub mod csp;
pub mod date;
pub mod etag;
pub mod forwarded;
pub mod head;
pub mod hsts;
pub mod media_type;
pub mod origin;
pub mod range;
pub mod secrets;
pub mod target;
pub mod token;
pub mod trace_context;
