//! Operations, layer 4: metrics, the access log and its writer, diagnostics, and the health probes.
//!
//! Ordinary users of the application's public API, plus what the server tells its [`Observer`]
//! and its read-only handles ([`Stats`], [`Lifecycle`]). Knows neither connections nor routes.
//!
//! [`Observer`]: crate::server::observe::Observer
//! [`Stats`]: crate::server::stats::Stats
//! [`Lifecycle`]: crate::server::lifecycle::Lifecycle

mod access_log;
pub mod admin;
pub mod current;
mod diagnosis;
pub mod diagnostics;
pub mod health;
pub mod log_writer;
pub mod metrics;
pub mod probes;
pub mod telemetry;
mod text;
mod throttle;
mod timestamp;

pub(crate) use self::diagnosis::is_health_check;
