//! Whose cryptography TLS runs on: ring's. No other file names it; docs/DESIGN.md has the reasons and the figures.

pub(crate) use rustls::crypto::ring::Ticketer;
/// For programs that speak TLS as clients too, so that there is one cryptography in them.
pub use rustls::crypto::ring::default_provider;
pub(crate) use rustls::crypto::ring::sign::any_supported_type;
