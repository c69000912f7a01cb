//! The rate limit of the configuration, its metric, and how both outlive changes of other settings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{IntCounter, Registry};

use crate::app::middleware::{Middleware, RateLimit};
use crate::config::Config;

/// The limit in force. What clients have used up is forgotten only when the limit itself changes.
pub(super) struct Limit {
    refused: IntCounter,
    current: Mutex<Option<(Policy, Arc<RateLimit>)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Policy {
    max_requests: u32,
    window_secs: u32,
}

impl Limit {
    /// No limit yet, and the metric.
    ///
    /// # Errors
    /// When the registry has a metric of this name.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Requests answered 429 because their client had made as many as RATE_LIMIT_MAX_REQUESTS allows.";
        let refused = IntCounter::new("rws_rate_limited_total", help)?;
        registry.register(Box::new(refused.clone()))?;
        Ok(Limit { refused, current: Mutex::default() })
    }

    /// What this configuration asks for.
    pub(super) fn wanted(&self, config: &Config) -> Option<Arc<dyn Middleware>> {
        let policy =
            Policy { max_requests: config.rate_limit_max_requests, window_secs: config.rate_limit_window_secs };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(before, _)| *before != policy) {
            *current = self.limit(policy).map(|limit| (policy, Arc::new(limit)));
        }
        current.as_ref().map(|(_, limit)| limit.clone() as Arc<dyn Middleware>)
    }

    fn limit(&self, policy: Policy) -> Option<RateLimit> {
        let refused = self.refused.clone();
        let window = Duration::from_secs(policy.window_secs.into());
        // No requests stand for no limit; other values have been checked.
        let limit = RateLimit::new(policy.max_requests, window).ok()?;
        Some(limit.on_refusal(move |_| refused.inc()))
    }
}
