//! The certificate of the main port: read at start, shown in the metrics.

use std::sync::Arc;
use std::time::SystemTime;

use prometheus::{IntGaugeVec, Opts, Registry};

use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::net::tls::Acceptor;
use crate::net::tls::identity::{Identity, Part};

/// The label of the certificate that every client gets who asks for no other.
const DEFAULT: &str = "default";

/// What secures the main port, if anything does. A certificate that cannot be used is an error; one that clients will
/// refuse for its dates is logged.
pub(super) fn acceptor(config: &Config, registry: &Registry) -> Result<Option<Arc<Acceptor>>, Error> {
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
    show(registry, expiry.not_after()).map_err(ErrorKind::Metrics)?;
    let acceptor = Acceptor::new(identity).map_err(|error| ErrorKind::System(std::io::Error::other(error)))?;
    Ok(Some(Arc::new(acceptor)))
}

fn show(registry: &Registry, not_after: i64) -> prometheus::Result<()> {
    let help = "When a TLS certificate that is in use expires, in seconds since 1970.";
    let gauge = IntGaugeVec::new(Opts::new("rws_tls_cert_not_after_timestamp_seconds", help), &["cert"])?;
    registry.register(Box::new(gauge.clone()))?;
    gauge.with_label_values(&[DEFAULT]).set(not_after);
    Ok(())
}
