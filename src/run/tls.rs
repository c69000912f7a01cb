//! The certificate of the main port: read at start and whenever its files change, shown in metrics and probes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};
use serde_json::{Map, Value};

use super::reload::Follower;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::net::tls::Acceptor;
use crate::net::tls::identity::{Identity, Part};
use crate::ops::probes::{Check, Probe, Verdict};

/// The label of the certificate that every client gets who asks for no other.
const DEFAULT: &str = "default";

/// What secures the main port, if anything does, and what keeps it up to date with its files. A certificate that cannot
/// be used is an error; one that clients will refuse for its dates is logged.
#[expect(clippy::type_complexity, reason = "two halves of one thing, for two owners")]
pub(super) fn open(config: &Config) -> Result<(Option<Arc<Acceptor>>, Option<Box<dyn Follower>>), Error> {
    let (Some(certificate), Some(key)) = (&config.tls_cert_file, &config.tls_key_file) else {
        return Ok((None, None));
    };
    let identity = load(certificate, key)?;
    tell(&identity, certificate, "HTTPS");
    let acceptor = Acceptor::new(identity).map_err(|error| ErrorKind::System(std::io::Error::other(error)))?;
    let acceptor = Arc::new(acceptor);
    let files = Files { acceptor: acceptor.clone(), certificate: certificate.clone(), key: key.clone(), refused: None };
    Ok((Some(acceptor), Some(Box::new(files))))
}

fn load(certificate: &Path, key: &Path) -> Result<Identity, Error> {
    Identity::load(certificate, key).map_err(|error| {
        let variable = match error.part() {
            Part::Certificate => "TLS_CERT_FILE",
            Part::Key => "TLS_KEY_FILE",
        };
        ErrorKind::Identity(variable, error).into()
    })
}

fn tell(identity: &Identity, certificate: &Path, message: &str) {
    let (names, not_after) = (identity.names().join(", "), identity.expiry().until());
    tracing::info!(certificate = %certificate.display(), names, not_after, "{message}");
    identity.expiry().remind(SystemTime::now());
}

/// The files of a mounted Secret, which cert-manager renews.
struct Files {
    acceptor: Arc<Acceptor>,
    certificate: PathBuf,
    key: PathBuf,
    /// Why they cannot be used, if that has been said.
    refused: Option<String>,
}

impl Follower for Files {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.certificate.clone(), self.key.clone()]
    }

    /// Connections that there are keep what they have agreed on.
    fn look(&mut self) -> Option<bool> {
        // Twice, for the files may be swapped between the reading of one and the other.
        let read = || load(&self.certificate, &self.key);
        let replaced = read().or_else(|_| read()).map_err(|error| error.to_string()).and_then(|identity| {
            if identity.presents_the_same_as(&self.acceptor.identity()) {
                return Ok(false);
            }
            self.acceptor.replace(identity).map_err(|error| error.to_string())?;
            tell(&self.acceptor.identity(), &self.certificate, "TLS certificate replaced");
            Ok(true)
        });
        match replaced {
            Ok(replaced) => {
                self.refused = None;
                replaced.then_some(true)
            }
            Err(error) if self.refused.as_ref() == Some(&error) => None,
            Err(error) => {
                tracing::error!("TLS certificate not replaced: the one in use stays in use: {error}");
                self.refused = Some(error);
                Some(false)
            }
        }
    }
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
