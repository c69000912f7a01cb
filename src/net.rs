//! Sockets and the operating system, layer 1. Knows no HTTP.

pub mod descriptors;
pub mod listener;
pub mod signals;
pub mod stream;
pub mod tls;
