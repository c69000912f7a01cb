//! The middleware that the configuration asks for, around everything that is not a probe, metrics or a page for
//! operators, and around the middleware of the application. While the configuration asks for none it costs a load.

mod browsers;

use std::sync::Arc;

use crate::app::App;
use crate::app::middleware::{Middleware, Stack};
use crate::config::{Config, Live};

/// Puts the middleware around `app`, and has it follow changes of the configuration.
pub(super) fn surround(app: App, live: &Live) -> App {
    let stack = Stack::default();
    let followed = stack.clone();
    live.follow(move |config| followed.set(wanted(config)));
    app.layer_around(stack)
}

/// What this configuration asks for, the outermost first.
fn wanted(config: &Config) -> Vec<Arc<dyn Middleware>> {
    [browsers::security_headers(config), browsers::cors(config)].into_iter().flatten().collect()
}
