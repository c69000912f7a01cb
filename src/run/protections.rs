//! The middleware that the configuration asks for, around everything that is not a probe, metrics or a page for
//! operators, and around the middleware of the application. While the configuration asks for none it costs a load.

#[cfg(feature = "auth")]
mod auth;
mod browsers;
mod compression;
mod rate_limit;

use std::sync::Arc;

use prometheus::Registry;

#[cfg(feature = "auth")]
use self::auth::Auth;
use self::compression::Compressor;
use self::rate_limit::Limit;
use crate::app::App;
use crate::app::middleware::{Middleware, Stack};
use crate::config::{Config, Live};

/// Puts the middleware around `app`, and has it follow changes of the configuration.
///
/// # Errors
/// When the registry has metrics of the same names.
pub(super) fn surround(app: App, live: &Live, registry: &Registry) -> prometheus::Result<App> {
    let stack = Stack::default();
    let followed = stack.clone();
    let kept = Kept {
        limit: Limit::new(registry)?,
        #[cfg(feature = "auth")]
        auth: Auth::default(),
        compression: Compressor::default(),
    };
    live.follow(move |config| followed.set(wanted(config, &kept)));
    Ok(app.layer_outermost(stack))
}

/// What remembers something of requests, and so must outlive changes of other settings.
struct Kept {
    limit: Limit,
    #[cfg(feature = "auth")]
    auth: Auth,
    compression: Compressor,
}

/// What this configuration asks for, the outermost first.
fn wanted(config: &Config, kept: &Kept) -> Vec<Arc<dyn Middleware>> {
    let mut layers: Vec<Arc<dyn Middleware>> = Vec::new();
    layers.extend(browsers::security_headers(config));
    layers.extend(browsers::cors(config));
    layers.extend(kept.limit.wanted(config));
    #[cfg(feature = "auth")]
    layers.extend(kept.auth.wanted(config));
    layers.extend(kept.compression.wanted(config));
    layers
}
