//! The metric of the health checks: `rws_health_check_up{check}`.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::ops::probes::Probes;

struct HealthCollector {
    up: IntGaugeVec,
    probes: Arc<Probes>,
}

/// Shows the checks of `probes` in `registry`.
///
/// # Errors
/// When the registry already has a metric of this name.
pub(crate) fn register(registry: &Registry, probes: Arc<Probes>) -> prometheus::Result<()> {
    let help = "1 if the health check passes, 0 if it fails or is degraded, critical or not.";
    let up = IntGaugeVec::new(Opts::new("rws_health_check_up", help), &["check"])?;
    registry.register(Box::new(HealthCollector { up, probes }))
}

impl Collector for HealthCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.up.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.probes.look();
        for (check, passes) in self.probes.states() {
            self.up.with_label_values(&[check]).set(i64::from(passes));
        }
        self.up.collect()
    }
}
