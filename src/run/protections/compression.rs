//! RWS_CONFIG_COMPRESSION, for everything that goes through middleware.

use std::sync::Arc;

use crate::app::middleware::{Compression, Middleware};
use crate::config::Config;

/// What counts the streams that are being compressed, whatever the configuration says of codings meanwhile.
#[derive(Default)]
pub(super) struct Compressor(Compression);

impl Compressor {
    /// The middleware, unless there are no codings.
    pub(super) fn wanted(&self, config: &Config) -> Option<Arc<dyn Middleware>> {
        let compression = self.0.clone().only(&config.compression);
        (!config.compression.is_empty()).then(|| Arc::new(compression) as _)
    }
}
