//! The `Date` of responses, formatted once a second.

use std::time::SystemTime;

use super::Reactor;
use crate::semantics::date;

/// The `Date` of a response (RFC 9110 section 5.6.7).
pub(in crate::server) type Date = [u8; date::LENGTH];

impl Reactor {
    /// Follows the wall clock.
    pub(super) fn refresh_date(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.date_second {
            self.date_second = second;
            self.date = date::format(now);
        }
    }
}

/// The `Date` of now, for who has no reactor at hand.
pub(in crate::server) fn current_date() -> Date {
    date::format(SystemTime::now())
}
