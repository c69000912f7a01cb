//! What metrics and probes tell of the certificates that are in use.

use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};
use serde_json::{Map, Value};

use crate::net::tls::identity::expiry::Remark;
use crate::net::tls::{Acceptor, Certificate};
use crate::ops::probes::{Check, Probe, Verdict};

/// Adds `rws_tls_cert_not_after_timestamp_seconds`.
pub(in crate::run) fn register(registry: &Registry, acceptor: Arc<Acceptor>) -> prometheus::Result<()> {
    let help = "When a TLS certificate that is in use expires, in seconds since 1970.";
    let gauge = IntGaugeVec::new(Opts::new("rws_tls_cert_not_after_timestamp_seconds", help), &["cert"])?;
    registry.register(Box::new(Expiries { acceptor, gauge }))
}

/// Looks at the certificates that are presented at the moment.
struct Expiries {
    acceptor: Arc<Acceptor>,
    gauge: IntGaugeVec,
}

/// What a certificate is called: after the first name that it is for, unless it is for everybody.
fn label(certificate: &Certificate) -> &str {
    certificate.domains.first().map_or("default", String::as_str)
}

impl Collector for Expiries {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for certificate in &self.acceptor.terms().certificates {
            self.gauge.with_label_values(&[label(certificate)]).set(certificate.identity.expiry().not_after());
        }
        self.gauge.collect()
    }
}

/// Shows in the probes when a certificate's end is near or past. It fails none of them: every pod has the same
/// certificates, so to take pods out of service for it would leave none.
pub(in crate::run) struct CertificateCheck {
    pub(in crate::run) acceptor: Arc<Acceptor>,
}

impl Check for CertificateCheck {
    fn name(&self) -> &str {
        "tls-cert"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    /// The worst of them is told.
    fn verdict(&self, _: Probe) -> Verdict {
        let (terms, now) = (self.acceptor.terms(), SystemTime::now());
        let remarks = terms.certificates.iter().filter_map(|certificate| {
            let remark = certificate.identity.expiry().remark(now)?;
            Some((remark, label(certificate)))
        });
        match remarks.max_by_key(|(remark, _)| badness(*remark)) {
            None => Verdict::Pass,
            Some((remark, _)) if terms.certificates.len() == 1 => Verdict::Degraded(remark.to_string().into()),
            Some((remark, label)) => Verdict::Degraded(format!("{remark} ({label})").into()),
        }
    }

    fn data(&self) -> Map<String, Value> {
        let terms = self.acceptor.terms();
        let not_after = |certificate: &Certificate| certificate.identity.expiry().not_after();
        let first = terms.certificates.iter().map(not_after).min();
        let mut data = Map::from_iter([("not_after_timestamp_seconds".to_owned(), first.into())]);
        if terms.certificates.len() > 1 {
            let each = terms.certificates.iter().map(|one| (label(one).to_owned(), not_after(one).into()));
            data.insert("certificates".to_owned(), Value::Object(each.collect()));
        }
        data
    }

    /// The log has lines of its own about it.
    fn is_logged(&self) -> bool {
        false
    }
}

/// The greater, the worse: one that is refused now, then the one whose end is nearest.
fn badness(remark: Remark) -> (u8, i64) {
    match remark {
        Remark::Expired(ago) => (2, ago),
        Remark::NotYetValid(left) => (1, left),
        Remark::ExpiresSoon(left) => (0, -left),
    }
}
