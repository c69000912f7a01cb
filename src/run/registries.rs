//! The metrics of the application beside the server's own: gives [`App`] its `metrics()`.

use std::sync::Arc;

use prometheus::Registry;

use crate::app::App;
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::Metrics;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;

/// The registries of [`App::metrics`].
#[derive(Debug, Default)]
struct Registries(Vec<Registry>);

impl App {
    /// Exposes the metrics of `registry` at /metrics, along with the server's own. May be called more than once; each
    /// registry is gathered by itself, so that a collector that panics takes away no metrics but those of its registry.
    ///
    /// Collectors are called on a reactor at every scrape: they report what they know, and must not wait for anything. A
    /// name that the server uses is an error at the start, and one that is registered later is refused.
    ///
    /// ```
    /// use rws::app::{App, State, get};
    /// use rws::prometheus::{IntCounter, Registry};
    ///
    /// fn order(State(orders): State<IntCounter>) -> &'static str {
    ///     orders.inc();
    ///     "thank you"
    /// }
    ///
    /// let registry = Registry::new();
    /// let orders = IntCounter::new("shop_orders_total", "Orders taken.")?;
    /// registry.register(Box::new(orders.clone()))?;
    /// let app = App::new().route("/order", get(order)).state(orders).metrics(registry);
    /// // app.run()
    /// # rws::app::TestClient::new(app).unwrap();
    /// # Ok::<(), rws::prometheus::Error>(())
    /// ```
    pub fn metrics(mut self, registry: Registry) -> Self {
        self.part::<Registries>().0.push(registry);
        self
    }
}

/// The server's metrics, and those of the application, whose registries are taken out of it.
///
/// # Errors
/// When one of them has a metric of one of the server's names.
pub(super) fn metrics(
    app: &mut App,
    stats: &Arc<Stats>,
    lifecycle: &Lifecycle,
    logs: &[LogHandle],
) -> prometheus::Result<Metrics> {
    let metrics = Metrics::new(Registry::new(), stats.clone(), lifecycle.clone(), logs.to_vec())?;
    app.take_part::<Registries>().0.into_iter().try_fold(metrics, Metrics::with_registry)
}
