//! Reads everything the server counts when Prometheus asks for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily};

use super::cells::Folded;
use super::process::ProcessFacts;
use super::{AllCells, families as f, locked};
use crate::app::service::EndpointKind;
use crate::ops::diagnosis::{Misrouted, Reason};
use crate::ops::log_writer::LogHandle;
use crate::server::lifecycle::{Lifecycle, State};
use crate::server::stats::{ErrorKind, RejectReason, Stats};

/// The one collector of the server's own metrics.
pub(super) struct ServerCollector {
    descs: Vec<Desc>,
    cells: Arc<AllCells>,
    misrouted: Arc<Misrouted>,
    stats: Arc<Stats>,
    lifecycle: Lifecycle,
    logs: Vec<LogHandle>,
    process: ProcessFacts,
}

impl ServerCollector {
    pub(super) fn new(
        cells: Arc<AllCells>,
        misrouted: Arc<Misrouted>,
        stats: Arc<Stats>,
        lifecycle: Lifecycle,
        logs: Vec<LogHandle>,
    ) -> prometheus::Result<Self> {
        let descs = f::descs()?;
        Ok(ServerCollector { descs, cells, misrouted, stats, lifecycle, logs, process: ProcessFacts::new() })
    }
}

/// Takes one of the server's names in a registry of the user's, so that a clash shows when the user registers and not at
/// the next scrape. Collects nothing. It has a label of its own, by which several servers can take a name in one registry,
/// and nobody else.
pub(super) struct Reserved(Desc);

impl Reserved {
    /// One for each name, for this server.
    pub(super) fn all(server: usize) -> prometheus::Result<impl Iterator<Item = Self>> {
        let own = |desc: Desc| {
            let label = HashMap::from([("rws_server".to_owned(), server.to_string())]);
            Desc::new(desc.fq_name, desc.help, desc.variable_labels, label).map(Reserved)
        };
        let all: prometheus::Result<Vec<_>> = f::descs()?.into_iter().map(own).collect();
        all.map(Vec::into_iter)
    }

    pub(super) fn name(&self) -> &str {
        &self.0.fq_name
    }
}

impl Collector for Reserved {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        Vec::new()
    }
}

impl Collector for ServerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::with_capacity(f::ALL.len());
        self.requests(&mut families);
        self.totals(&mut families);
        self.server(&mut families);
        self.process.collect(&mut families);
        families
    }
}

impl ServerCollector {
    /// Requests by route and probe. Two endpoints of one template (GET and POST, say) share their series.
    fn requests(&self, families: &mut Vec<MetricFamily>) {
        let cells = locked(&self.cells.requests).clone();
        let (mut routes, mut probes) = (BTreeMap::<_, Folded>::new(), BTreeMap::<_, Folded>::new());
        for cell in &cells {
            let series = &cell.series;
            let folded = match series.kind {
                EndpointKind::Probe => probes.entry((&*series.route, series.status.as_u16())).or_default(),
                EndpointKind::Admin => continue,
                EndpointKind::Route | EndpointKind::Metrics => {
                    routes.entry((&*series.route, series.method, series.status.as_u16())).or_default()
                }
            };
            folded.add(&cell.durations);
        }
        let routes = routes.iter().map(|((route, method, status), folded)| {
            f::REQUEST_DURATION.histogram(&[method.name(), route, &status.to_string()], folded)
        });
        let probes = probes.iter().map(|((template, status), folded)| {
            f::PROBE_REQUESTS.sample(&[template.trim_start_matches('/'), &status.to_string()], folded.count())
        });
        families.push(f::REQUEST_DURATION.with(routes.collect()));
        families.push(f::PROBE_REQUESTS.with(probes.collect()));
    }

    fn totals(&self, families: &mut Vec<MetricFamily>) {
        let (mut bytes_in, mut bytes_out, mut queued) = (0_u64, 0_u64, Folded::default());
        for totals in locked(&self.cells.totals).iter() {
            bytes_in = bytes_in.wrapping_add(totals.bytes_in.value());
            bytes_out = bytes_out.wrapping_add(totals.bytes_out.value());
            queued.add(&totals.queued);
        }
        families.push(f::REQUEST_BYTES.single(bytes_in));
        families.push(f::RESPONSE_BYTES.single(bytes_out));
        families.push(f::QUEUE_WAIT.with(vec![f::QUEUE_WAIT.histogram(&[], &queued)]));
    }

    fn server(&self, families: &mut Vec<MetricFamily>) {
        let stats = &self.stats;
        let state = self.lifecycle.state();
        families.extend([
            f::ACTIVE_REQUESTS.single(stats.requests_active.load(Relaxed)),
            f::CONNECTIONS_ACTIVE.single(stats.connections_active.load(Relaxed)),
            f::WEBSOCKETS_ACTIVE.single(stats.websocket_connections_active.load(Relaxed)),
            f::CONNECTIONS_ACCEPTED.single(stats.connections_accepted.load(Relaxed)),
            f::REJECTED.with(each(RejectReason::ALL, |reason| {
                f::REJECTED.sample(&[reason.name()], stats.rejected[reason as usize].load(Relaxed))
            })),
            f::CONNECTION_ERRORS.with(each(ErrorKind::ALL, |kind| {
                f::CONNECTION_ERRORS.sample(&[kind.name()], stats.connection_errors[kind as usize].load(Relaxed))
            })),
            f::WORKER_THREADS.single(stats.worker_threads.load(Relaxed)),
            f::WORKERS_BUSY.single(stats.workers_busy.load(Relaxed)),
            f::QUEUE_DEPTH.single(stats.queue_depth.load(Relaxed)),
            f::HANDOFFS.single(stats.handoffs.load(Relaxed)),
            f::HANDLER_PANICS.single(stats.handler_panics.load(Relaxed)),
            f::LIFECYCLE_STATE
                .with(each(State::ALL, |each| f::LIFECYCLE_STATE.sample(&[each.name()], u64::from(each == state)))),
            f::PROBE_MISROUTED.with(each(Reason::ALL, |reason| {
                f::PROBE_MISROUTED.sample(&[reason.name()], self.misrouted.count(reason))
            })),
            f::LOG_DROPPED.single(self.logs.iter().map(LogHandle::dropped).sum::<u64>()),
            build_info(),
        ]);
    }
}

fn each<T>(all: impl IntoIterator<Item = T>, sample: impl Fn(T) -> Metric) -> Vec<Metric> {
    all.into_iter().map(sample).collect()
}

fn build_info() -> MetricFamily {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    f::BUILD_INFO.with(vec![f::BUILD_INFO.sample(&[env!("CARGO_PKG_VERSION"), profile], 1_u64)])
}
