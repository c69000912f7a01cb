//! The check of the TLS certificate in use: how long it is still valid.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::{Check, Probe, Verdict};

const DAY: i64 = 24 * 60 * 60;
/// From how many days before the end on readiness is degraded; the log warns from then on as well.
const SOON: i64 = 14;

/// When the certificate in use ends. Shared between whoever loads certificates and the check; clones are the same.
#[derive(Clone, Debug)]
pub struct CertificateEnd(Arc<AtomicI64>);

impl Default for CertificateEnd {
    /// Not known.
    fn default() -> Self {
        CertificateEnd(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl CertificateEnd {
    /// Takes note of the end of a certificate that is now in use, in seconds since 1970.
    pub fn set(&self, not_after: i64) {
        self.0.store(not_after, Ordering::Relaxed);
    }
}

/// `tls-cert`: degrades readiness 14 days before the certificate ends, fails it afterwards, and never fails liveness,
/// since a restart renews nothing.
pub struct CertificateCheck {
    end: CertificateEnd,
    /// The wall clock: certificates know no other.
    now: fn() -> SystemTime,
}

impl CertificateCheck {
    /// A check of the certificate that ends then.
    pub fn new(end: CertificateEnd) -> Self {
        CertificateCheck { end, now: SystemTime::now }
    }

    /// How many seconds are left; `None`: that is not known.
    fn left(&self) -> Option<i64> {
        let end = Some(self.end.0.load(Ordering::Relaxed)).filter(|&end| end < i64::MAX)?;
        let now = (self.now)().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(end - now.as_secs() as i64)
    }
}

impl Check for CertificateCheck {
    fn name(&self) -> &str {
        "tls-cert"
    }

    fn concerns(&self, probe: Probe) -> bool {
        probe == Probe::Readyz
    }

    fn verdict(&self, _: Probe) -> Verdict {
        match self.left() {
            Some(left) if left < 0 => Verdict::Fail("the TLS certificate has expired, clients refuse it".into()),
            Some(left) if left < SOON * DAY => {
                Verdict::Degraded(format!("the TLS certificate expires in {} days", left / DAY).into())
            }
            _ => Verdict::Pass,
        }
    }

    fn data(&self) -> Map<String, Value> {
        self.left().map(|left| ("expires_in_s".to_owned(), left.into())).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_end_is_announced_and_then_takes_the_pod_out() {
        const NOW: i64 = 1_800_000_000;
        let end = CertificateEnd::default();
        let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64);
        let check = CertificateCheck { end: end.clone(), now };
        assert_eq!(check.verdict(Probe::Readyz), Verdict::Pass, "nothing is known yet");
        assert!(check.concerns(Probe::Readyz) && !check.concerns(Probe::Healthz) && !check.concerns(Probe::Startupz));
        for (left, expected) in [
            (90 * DAY, Verdict::Pass),
            (14 * DAY, Verdict::Pass),
            (14 * DAY - 1, Verdict::Degraded("the TLS certificate expires in 13 days".to_owned().into())),
            (0, Verdict::Degraded("the TLS certificate expires in 0 days".to_owned().into())),
            (-1, Verdict::Fail("the TLS certificate has expired, clients refuse it".into())),
            // Another one is in use.
            (30 * DAY, Verdict::Pass),
        ] {
            end.set(NOW + left);
            assert_eq!(check.verdict(Probe::Readyz), expected, "{left}");
            assert_eq!(check.data()["expires_in_s"], left);
        }
    }
}
