//! The metrics of the application beside the server's own: gives [`App`] its `metric()` and `metrics()`.

use std::collections::HashSet;
use std::panic::Location;
use std::sync::Arc;

use prometheus::Registry;
use prometheus::core::Collector;

use crate::app::{App, BuildError};
use crate::ops::log_writer::LogHandle;
use crate::ops::metrics::Metrics;
use crate::server::lifecycle::Lifecycle;
use crate::server::stats::Stats;

/// What names of the server's begin with, except for those that OpenTelemetry and Prometheus' clients have agreed on.
const OWN: &str = "rws_";

/// The registries of [`App::metrics`], and that of [`App::metric`].
#[derive(Debug, Default)]
struct Registries {
    given: Vec<Registry>,
    own: Option<Registry>,
}

impl App {
    /// Exposes a metric at /metrics, along with the server's own, and hands the application on: for most applications, which
    /// have no registry of their own. A clone of the metric counts.
    ///
    /// A name that is there twice, or that the server uses, is an error at the start.
    ///
    /// ```
    /// use rws::prometheus::IntCounter;
    /// use rws::{App, State, TestClient, post};
    ///
    /// fn order(State(orders): State<IntCounter>) -> &'static str {
    ///     orders.inc();
    ///     "thank you"
    /// }
    ///
    /// let orders = IntCounter::new("shop_orders_total", "Orders taken.")?;
    /// let app = App::new().route("/order", post(order)).metric(orders.clone()).state(orders);
    /// // app.run()
    /// # TestClient::new(app).unwrap();
    /// # let twice = IntCounter::new("shop_orders_total", "Orders taken.")?;
    /// let mistakes = TestClient::new(App::new().metric(twice.clone()).metric(twice)).unwrap_err();
    /// assert!(mistakes.to_string().contains("shop_orders_total"));
    /// # Ok::<(), rws::prometheus::Error>(())
    /// ```
    #[track_caller]
    pub fn metric(mut self, metric: impl Collector + 'static) -> Self {
        let names: Vec<String> = metric.desc().iter().map(|desc| desc.fq_name.clone()).collect();
        let registry = self.part::<Registries>().own.get_or_insert_default();
        if let Err(error) = registry.register(Box::new(metric)) {
            let part = format!("metric {}", names.join(", "));
            let (at, reason) = (Location::caller(), error.to_string());
            self.reject(BuildError::Part { part, at, reason });
        }
        self
    }

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
        self.part::<Registries>().given.push(registry);
        self
    }
}

/// The server's metrics, and those of the application, whose registries are taken out of it.
///
/// # Errors
/// When one of them has a metric of one of the server's names, or two of them have one of the same name.
pub(super) fn metrics(
    app: &mut App,
    stats: &Arc<Stats>,
    lifecycle: &Lifecycle,
    logs: &[LogHandle],
) -> prometheus::Result<Metrics> {
    let metrics = Metrics::new(Registry::new(), stats.clone(), lifecycle.clone(), logs.to_vec())?;
    let Registries { given, own } = app.take_part();
    let all: Vec<Registry> = given.into_iter().chain(own).collect();
    check_names(&all)?;
    all.into_iter().try_fold(metrics, Metrics::with_registry)
}

/// Of two metrics of one name only one can be exposed. What has no samples yet has no name here, and is left out later.
fn check_names(registries: &[Registry]) -> prometheus::Result<()> {
    let mut names = HashSet::new();
    for family in registries.iter().flat_map(Registry::gather) {
        let name = family.name();
        if name.starts_with(OWN) {
            return Err(prometheus::Error::Msg(format!("{name}: names that begin with {OWN} are the server's")));
        }
        if !names.insert(name.to_owned()) {
            return Err(prometheus::Error::Msg(format!("{name} is there twice, in two registries")));
        }
    }
    Ok(())
}
