//! How many file descriptors the process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for everything that is not a connection: pollers, log, listeners, and the files being served, of which
/// the cache keeps 64 open.
const RESERVE: u64 = 96;

/// Raises the soft limit as far as `connections` need and `others` beside them, and returns how many connections it
/// then allows.
pub fn cap_connections(connections: usize, others: usize) -> usize {
    let reserve = RESERVE.saturating_add(others as u64);
    let wanted = (connections as u64).saturating_add(reserve);
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current.unwrap_or(u64::MAX);
    if soft >= wanted {
        return connections;
    }
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let soft = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(_) => soft,
    };
    // With very few, half are for connections.
    let most = soft.saturating_sub(reserve).max(soft / 2).min(connections as u64) as usize;
    if most < connections {
        tracing::warn!(
            limit = soft,
            connections = most,
            "the limit of open files (ulimit -n) allows fewer connections than RWS_CONFIG_MAX_CONNECTIONS"
        );
    }
    most
}
