//! **rws** is an HTTP/1.1 application server for Kubernetes: plain blocking handlers at event-loop speed,
//! with probes, metrics, access logs, limits, deadlines and a lossless drain on by default.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use rws::{App, Path, get};
//!
//! fn hello(Path(name): Path<String>) -> String {
//!     format!("Hello, {name}!\n")
//! }
//!
//! fn main() -> ExitCode {
//!     App::new().route("/hello/{name}", get(hello)).run()
//! }
//! ```
//!
//! An application needs what is re-exported here, and the modules of [`app`]: [`middleware`](app::middleware),
//! [`cookies`](app::cookies), [`multipart`](app::multipart), [`sse`](app::sse), [`websocket`](app::websocket),
//! [`testing`](app::testing) … docs/FRAMEWORK.md is the guide to them. A program that has a server inside needs
//! [`App::serve`] and [`config`] as well. The other modules are for those who assemble a server of their own: the
//! layers above use no more of those below than is public.
//!
//! # Layers
//!
//! | layer | modules | may import |
//! |---|---|---|
//! | 0 | [`semantics`] | nothing |
//! | 1 | [`proto`] | `semantics` |
//! | 1 | [`net`] | nothing |
//! | 1 | [`config`] | `semantics` |
//! | 2 | [`app`] | `semantics` |
//! | 3 | [`error`] | `app`, `net`, `config` |
//! | 3 | [`server`] | `semantics`, `proto`, `net`, `config`, `app::{service, request, response, body, feed, upgrade, request_id}` |
//! | 4 | [`ops`] | `semantics`, `app`, `config`, `server::{clock, lifecycle, observe, stats, vitals}` |
//! | 4 | [`files`] | `semantics`, `app`, `config` |
//! | 5 | [`run`], `cli`, `main` | everything |
//!
//! `tests/tidy.rs` reads this table and fails when an arrow is crossed.

pub mod app;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod net;
pub mod ops;
pub mod proto;
pub mod run;
pub mod semantics;
pub mod server;

pub use app::{
    App, Body, Context, Extension, Form, FromRequest, FromRequestParts, Handler, Html, IntoResponse, Json,
    MethodRouter, Middleware, Next, Path, Problem, Query, Redirect, Request, Response, Router, State, TestClient, any,
    delete, get, on, patch, post, put,
};
pub use error::Error;
#[cfg(feature = "typed-header")]
pub use headers;
pub use http::{self, StatusCode};
pub use prometheus;
pub use run::{ServerHandle, TestServer};
pub use server::Server;

/// The program in the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The programs in the guide to the framework, compiled and run where there is all that they show.
#[cfg(all(doctest, feature = "cookies", feature = "multipart", feature = "websocket"))]
#[doc = include_str!("../docs/FRAMEWORK.md")]
struct Framework;
