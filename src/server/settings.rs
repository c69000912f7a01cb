//! The part of the configuration that the engine itself acts on, and how a reactor follows its changes.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use crate::config::{Config, IpNet};
use crate::net::descriptors;
use crate::proto::head::Limits;
use crate::server::role;

/// Limits and deadlines, in the engine's own types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    /// `u64::MAX`: unlimited.
    pub(super) max_body_bytes: u64,
    /// `u64::MAX`: unlimited.
    pub(super) max_requests_per_connection: u64,
    /// As configured; the limit of open files may allow fewer.
    pub(super) wanted_connections: usize,
    pub(super) max_connections: usize,
    /// 0: unlimited.
    pub(super) max_connections_per_ip: usize,
    pub(super) thread_count: usize,
    pub(super) queue_depth: usize,
    pub(super) head_timeout: Duration,
    pub(super) body_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) tls_handshake_timeout: Duration,
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
            wanted_connections: config.max_connections,
            max_connections: config.max_connections,
            max_connections_per_ip: config.max_connections_per_ip,
            thread_count: config.thread_count,
            queue_depth: config.queue_depth,
            head_timeout: config.head_timeout,
            body_timeout: config.body_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
            tls_handshake_timeout: config.tls_handshake_timeout,
            handler_timeout: config.handler_timeout,
            drain_delay: config.drain_delay,
            drain_timeout: config.drain_timeout,
            trusted_proxies: config.trusted_proxies.clone().into(),
        }
    }
}

impl Settings {
    /// The settings of `config`, with as many connections as the limit of open files allows. `before` are those that
    /// were in force, so that a shortage is told once.
    pub(super) fn within_limits(config: &Config, before: Option<&Settings>) -> Self {
        let mut settings = Settings::from(config);
        settings.max_connections = match before.filter(|before| before.wanted_connections == config.max_connections) {
            Some(before) => before.max_connections,
            None => {
                let others = config.admin_port.map_or(0, |_| role::ADMIN_CONNECTIONS)
                    + config.http_redirect_port.map_or(0, |_| role::REDIRECT_CONNECTIONS);
                descriptors::cap_connections(config.max_connections, others)
            }
        };
        settings
    }
}

/// The settings as one thread sees them, until it looks again.
pub(super) struct CurrentSettings {
    latest: Cache<Arc<ArcSwap<Settings>>, Arc<Settings>>,
    current: Arc<Settings>,
}

impl CurrentSettings {
    pub(super) fn new(shared: &Arc<ArcSwap<Settings>>) -> Self {
        CurrentSettings { latest: Cache::new(shared.clone()), current: shared.load_full() }
    }

    /// Takes over what has changed. Costs a load and a comparison when nothing has.
    pub(super) fn refresh(&mut self) {
        let latest = self.latest.load();
        if !Arc::ptr_eq(latest, &self.current) {
            self.current = latest.clone();
        }
    }
}

impl Deref for CurrentSettings {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.current
    }
}

/// In the settings 0 stands for no limit.
fn or_unlimited(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}
