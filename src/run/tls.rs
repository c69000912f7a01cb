//! The certificate of the main port: read at start, shown in metrics and probes.

use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};
use serde_json::{Map, Value};

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::net::tls::Acceptor;
use crate::net::tls::identity::{Identity, Part};
use crate::ops::probes::{Check, Probe, Verdict};

/// The label of the certificate that every client gets who asks for no other.
const DEFAULT: &str = "default";

/// What secures the main port, if anything does. A certificate that cannot be used is an error; one that clients will
/// refuse for its dates is logged.
pub(super) fn acceptor(config: &Config) -> Result<Option<Arc<Acceptor>>, Error> {
    let (Some(certificate), Some(key)) = (&config.tls_cert_file, &config.tls_key_file) else { return Ok(None) };
    let identity = Identity::load(certificate, key).map_err(|error| {
        let variable = match error.part() {
            Part::Certificate => "TLS_CERT_FILE",
            Part::Key => "TLS_KEY_FILE",
        };
        ErrorKind::Identity(variable, error)
    })?;
    let expiry = identity.expiry();
    tracing::info!(
        certificate = %certificate.display(),
        names = identity.names().join(", "),
        not_after = expiry.until(),
        "HTTPS"
    );
    expiry.remind(SystemTime::now());
    let acceptor = Acceptor::new(identity).map_err(|error| ErrorKind::System(std::io::Error::other(error)))?;
    Ok(Some(Arc::new(acceptor)))
}

/// Adds `rws_tls_cert_not_after_timestamp_seconds`.
pub(super) fn register(registry: &Registry, acceptor: Arc<Acceptor>) -> prometheus::Result<()> {
    let help = "When a TLS certificate that is in use expires, in seconds since 1970.";
    let gauge = IntGaugeVec::new(Opts::new("rws_tls_cert_not_after_timestamp_seconds", help), &["cert"])?;
    registry.register(Box::new(Expiries { acceptor, gauge }))
}

/// Looks at the certificate that is presented at the moment.
struct Expiries {
    acceptor: Arc<Acceptor>,
    gauge: IntGaugeVec,
}

impl Collector for Expiries {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.with_label_values(&[DEFAULT]).set(self.acceptor.identity().expiry().not_after());
        self.gauge.collect()
    }
}

/// Shows in the probes when the certificate's end is near or past. It fails none of them: every pod has the same
/// certificate, so to take pods out of service for it would leave none.
pub(super) struct CertificateCheck {
    pub(super) acceptor: Arc<Acceptor>,
}

impl Check for CertificateCheck {
    fn name(&self) -> &str {
        "tls-cert"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        match self.acceptor.identity().expiry().remark(SystemTime::now()) {
            None => Verdict::Pass,
            Some(remark) => Verdict::Degraded(remark.to_string().into()),
        }
    }

    fn data(&self) -> Map<String, Value> {
        let not_after = self.acceptor.identity().expiry().not_after();
        Map::from_iter([("not_after_timestamp_seconds".to_owned(), not_after.into())])
    }

    /// The log has lines of its own about it.
    fn is_logged(&self) -> bool {
        false
    }
}
