//! Who may come in as the configuration says, and how what was verified outlives changes of other settings.

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use crate::app::middleware::{AuthError, BasicAuth, BearerAuth, Middleware, Users};
use crate::app::{Next, Request};
use crate::config::Config;
use crate::semantics::secrets::{Token, User};

/// The middleware in force. Passwords that were verified are forgotten only when one of these settings changes.
#[derive(Default)]
pub(super) struct Auth {
    current: Mutex<Option<(Policy, Arc<dyn Middleware>)>>,
}

/// All settings that it depends on.
#[derive(Clone, PartialEq, Eq)]
struct Policy {
    users: Vec<User>,
    tokens: Vec<Token>,
    realm: String,
    open: Vec<String>,
}

impl Auth {
    /// What this configuration asks for.
    pub(super) fn wanted(&self, config: &Config) -> Option<Arc<dyn Middleware>> {
        let policy = Policy {
            users: config.auth_basic.clone(),
            tokens: config.auth_bearer.clone(),
            realm: config.auth_realm.clone(),
            open: config.auth_exempt_prefixes.clone(),
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if policy.users.is_empty() && policy.tokens.is_empty() {
            *current = None;
        } else if current.as_ref().is_none_or(|(before, _)| *before != policy) {
            // Values have been checked. If they are wrong all the same, nobody comes in.
            let middleware = policy.middleware(config.thread_count).unwrap_or_else(closed);
            *current = Some((policy, middleware));
        }
        current.as_ref().map(|(_, middleware)| middleware.clone())
    }
}

impl Policy {
    fn middleware(&self, threads: usize) -> Result<Arc<dyn Middleware>, AuthError> {
        // So that most threads are left to those who are in already.
        let waiting = (threads / 4).clamp(1, 16);
        let basic = || BasicAuth::new(&self.realm, Users::new(&self.users)?.with_waiting(waiting));
        let bearer = || BearerAuth::of(&self.realm, &self.tokens);
        Ok(match (self.users.is_empty(), self.tokens.is_empty()) {
            (false, false) => Arc::new(basic()?.or(bearer()?).except(&self.open)?),
            (false, true) => Arc::new(basic()?.except(&self.open)?),
            (true, _) => Arc::new(bearer()?.except(&self.open)?),
        })
    }
}

fn closed(error: AuthError) -> Arc<dyn Middleware> {
    tracing::error!(%error, "nobody can be authenticated, so every request is answered 503");
    Arc::new(|_: Request, _: Next<'_>| StatusCode::SERVICE_UNAVAILABLE)
}
