//! The options of static files, out of the configuration, and what is wrong with them that only the files tell.

use std::sync::Arc;

use crate::config::{Config, PREFIX};
use crate::files::{Files, Options, Spa};
use crate::ops::is_health_check;

/// Has `files` do what `config` says.
pub(super) fn choose(files: &Arc<Files>, config: &Config) {
    files.set_cache_bytes(usize::try_from(config.static_cache_bytes).unwrap_or(usize::MAX));
    files.set_compression(&config.compression);
    files.set_options(Options {
        cache_control: config.static_cache_control.clone(),
        immutable: config.static_immutable,
        immutable_below: config.static_immutable_prefixes.clone(),
        spa: config.spa_fallback.as_deref().and_then(|page| spa(page, config)),
        listing: config.directory_listing,
    });
    if let Some(page) = files.missing_page() {
        tracing::warn!(
            page,
            "{PREFIX}SPA_FALLBACK names a file that is not there, so unknown paths get 404 until it is"
        );
    }
}

/// A health check that asks for the wrong path gets 404 and an explanation in the log, and no page that says 200.
fn spa(page: &str, config: &Config) -> Option<Spa> {
    match Spa::new(page) {
        Ok(spa) => Some(spa.except(&config.spa_fallback_exclude_prefixes).unless(is_health_check)),
        Err(error) => {
            tracing::warn!(%error, "{PREFIX}SPA_FALLBACK has no effect");
            None
        }
    }
}

/// Tells what has no effect, since there are no files.
pub(super) fn tell_of_nothing(config: &Config) {
    let settings = [("SPA_FALLBACK", config.spa_fallback.is_some()), ("DIRECTORY_LISTING", config.directory_listing)];
    for (name, _) in settings.iter().filter(|(_, is_set)| *is_set) {
        tracing::warn!("{PREFIX}{name} has no effect: there are no static files; set {PREFIX}STATIC_DIR");
    }
}
