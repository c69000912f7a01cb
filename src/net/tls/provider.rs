//! Whose cryptography TLS runs on: ring's. No other file names it; docs/DESIGN.md has the reasons and the figures.

pub(crate) use rustls::crypto::ring::sign::any_supported_type;
pub(crate) use rustls::crypto::ring::{Ticketer, default_provider};
