//! How long a certificate is valid, and when to say so. Handshakes look here, so no thread has to.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use x509_parser::certificate::Validity;

const DAY: i64 = 24 * 60 * 60;
/// From when on a certificate's end is worth a warning. Issuers renew after two thirds of its life, which for 90 days
/// leaves 30: at half of that something is wrong.
const SOON: i64 = 14 * DAY;

/// The time in which a certificate is valid. Times are in seconds since 1970.
#[derive(Debug)]
pub struct Expiry {
    path: PathBuf,
    not_before: i64,
    not_after: i64,
    /// `not_after` as text.
    until: String,
    next_remark: AtomicI64,
}

/// What there is to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It begins only in so many seconds.
    NotYetValid(i64),
    /// It ends in so many seconds, which are few.
    ExpiresSoon(i64),
    /// It ended so many seconds ago.
    Expired(i64),
}

impl Expiry {
    pub(super) fn of(validity: &Validity, path: &Path) -> Self {
        Expiry {
            path: path.to_owned(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            until: validity.not_after.to_string(),
            next_remark: AtomicI64::new(i64::MIN),
        }
    }

    /// When it ends, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// When it ends, as text.
    pub fn until(&self) -> &str {
        &self.until
    }

    /// What there is to say at `now`.
    pub fn remark(&self, now: SystemTime) -> Option<Remark> {
        let now = seconds(now);
        if now < self.not_before {
            Some(Remark::NotYetValid(self.not_before - now))
        } else if now > self.not_after {
            Some(Remark::Expired(now - self.not_after))
        } else {
            let left = self.not_after - now;
            (left <= SOON).then_some(Remark::ExpiresSoon(left))
        }
    }

    /// The same, but once a day at most.
    fn due_remark(&self, now: SystemTime) -> Option<Remark> {
        let at = seconds(now);
        let next = self.next_remark.load(Ordering::Relaxed);
        if at < next {
            return None;
        }
        let remark = self.remark(now);
        let again = if remark.is_some() { at + DAY } else { self.not_after - SOON };
        self.next_remark.compare_exchange(next, again, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        remark
    }

    /// Writes a line to the log if there is something to say, once a day at most.
    pub fn remind(&self, now: SystemTime) {
        let Some(remark) = self.due_remark(now) else { return };
        let (certificate, not_after) = (self.path.display(), &self.until);
        match remark {
            Remark::ExpiresSoon(_) => tracing::warn!(%certificate, not_after, "{remark}: renew it"),
            Remark::Expired(_) => tracing::error!(%certificate, not_after, "{remark}: clients refuse it; renew it"),
            Remark::NotYetValid(_) => {
                tracing::error!(%certificate, "{remark}: until then clients refuse it; is the clock right?");
            }
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = "the TLS certificate";
        match *self {
            Remark::NotYetValid(left) => write!(f, "{what} becomes valid in {}", span(left)),
            Remark::ExpiresSoon(left) => write!(f, "{what} expires in {}", span(left)),
            Remark::Expired(ago) => write!(f, "{what} expired {} ago", span(ago)),
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A time as people say it: days, or hours when there are few.
fn span(seconds: i64) -> String {
    match seconds / DAY {
        0 | 1 => format!("{} hours", seconds / 3600),
        days => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
    }

    fn ninety_days() -> Expiry {
        Expiry {
            path: "tls.crt".into(),
            not_before: DAY,
            not_after: 91 * DAY,
            until: String::new(),
            next_remark: AtomicI64::new(i64::MIN),
        }
    }

    #[test]
    fn remarks_follow_the_time() {
        let cases = [
            (0, Some(Remark::NotYetValid(DAY))),
            (DAY, None),
            (77 * DAY - 1, None),
            (77 * DAY, Some(Remark::ExpiresSoon(14 * DAY))),
            (91 * DAY, Some(Remark::ExpiresSoon(0))),
            (92 * DAY, Some(Remark::Expired(DAY))),
        ];
        for (now, remark) in cases {
            assert_eq!(ninety_days().remark(at(now)), remark, "at {now}");
        }
    }

    #[test]
    fn they_are_made_once_a_day() {
        let expiry = ninety_days();
        let said: Vec<i64> = (0..100 * 24).filter(|hour| expiry.due_remark(at(hour * 3600)).is_some()).collect();
        let days: Vec<i64> = said.iter().map(|hour| hour / 24).collect();
        assert_eq!(days, [0].into_iter().chain(77..100).collect::<Vec<_>>());
    }
}
