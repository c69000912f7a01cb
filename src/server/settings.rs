//! The part of the configuration that the engine itself acts on.

use std::time::Duration;

use crate::config::{Config, IpNet};
use crate::proto::head::Limits;

/// Limits and deadlines, in the engine's own types.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    /// `u64::MAX`: unlimited.
    pub(super) max_body_bytes: u64,
    /// `u64::MAX`: unlimited.
    pub(super) max_requests_per_connection: u64,
    pub(super) max_connections: usize,
    pub(super) thread_count: usize,
    pub(super) queue_depth: usize,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Zero: handlers are not reported however long they take.
    pub(super) handler_timeout: Duration,
    pub(super) drain_delay: Duration,
    pub(super) drain_timeout: Duration,
    /// Empty: nobody's forwarding fields are looked at.
    pub(super) trusted_proxies: Box<[IpNet]>,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Settings {
            limits: Limits {
                max_head_bytes: config.max_head_bytes,
                max_headers: config.max_headers,
                max_uri_bytes: config.max_uri_bytes,
            },
            max_body_bytes: or_unlimited(config.max_body_size_in_bytes),
            max_requests_per_connection: or_unlimited(config.max_requests_per_connection),
            max_connections: config.max_connections,
            thread_count: config.thread_count,
            queue_depth: config.queue_depth,
            head_timeout: config.head_timeout,
            body_timeout: config.body_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            handler_timeout: config.handler_timeout,
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            trusted_proxies: config.trusted_proxies.clone().into(),
        }
    }
}

/// In the settings 0 stands for no limit.
fn or_unlimited(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}
