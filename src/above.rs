//! The layers above the framework as a crate of their own, which sees of the others what users see: whatever
//! they use of the framework, users can use too, or this does not compile. Not a part of the library.
//!
//! What `run` gives to [`App`](rws::App) as methods cannot be in another crate; tests/public_api.rs looks at it.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "it is compiled, not used")]

use rws::{Error, app, config, error, net, prometheus, proto, run, semantics, server};

#[cfg(feature = "cli")]
mod cli;
mod files;
mod ops;

fn main() {}
