//! Wall-clock time for log lines: formatted to the second once a second, and read no more often than that.
//!
//! Knows the calendar, not the logs. The wall clock may jump in either direction at any time; nothing here minds.

use std::time::{Duration, Instant, SystemTime};

use super::text::{three_digits, two_digits};

/// How long a reading of the wall clock is extrapolated by the monotonic clock.
const TRUST: Duration = Duration::from_secs(1);

/// Reads both clocks, one right after the other.
pub(super) type TimeSource = fn() -> (Instant, SystemTime);

/// The machine's clocks.
pub(super) fn system_time() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

/// Turns the `Instant`s a reactor has anyway into dates, without reading a clock for each.
#[derive(Debug)]
pub(super) struct Clock<S = TimeSource> {
    source: S,
    /// The last reading: the same moment on both clocks, the wall clock as time since 1970.
    anchor: Instant,
    anchor_wall: Duration,
    /// The second that `text` and `apache` spell.
    second: u64,
    text: [u8; 20],
    apache: [u8; 28],
}

impl<S: Fn() -> (Instant, SystemTime)> Clock<S> {
    pub(super) fn new(source: S) -> Self {
        let (anchor, wall) = source();
        let anchor_wall = since_epoch(wall);
        let second = anchor_wall.as_secs();
        let date = Date::at(second);
        Clock { source, anchor, anchor_wall, second, text: date.rfc3339(), apache: date.apache() }
    }

    /// `now` as RFC 3339 with microseconds in UTC: `2026-01-02T03:04:05.000006Z`, in two parts.
    pub(super) fn rfc3339(&mut self, now: Instant) -> (&[u8; 20], [u8; 7]) {
        let micros = self.go_to(now);
        let ([a, b, c], [d, e, f]) = (three_digits(micros / 1000), three_digits(micros % 1000));
        (&self.text, [a, b, c, d, e, f, b'Z'])
    }

    /// `now` as Apache's logs write it: `[02/Jan/2026:03:04:05 +0000]`.
    pub(super) fn apache(&mut self, now: Instant) -> &[u8; 28] {
        self.go_to(now);
        &self.apache
    }

    /// Spells the second of `now` if it is not spelled already; returns the microseconds within it.
    fn go_to(&mut self, now: Instant) -> u32 {
        // A `now` from before the last reading counts as that reading: late by the length of a batch of events.
        let mut since = now.saturating_duration_since(self.anchor);
        if since >= TRUST {
            let (anchor, wall) = (self.source)();
            (self.anchor, self.anchor_wall) = (anchor, since_epoch(wall));
            since = now.saturating_duration_since(anchor);
        }
        let time = self.anchor_wall.saturating_add(since);
        if time.as_secs() != self.second {
            self.second = time.as_secs();
            let date = Date::at(self.second);
            (self.text, self.apache) = (date.rfc3339(), date.apache());
        }
        time.subsec_micros()
    }
}

/// Time since 1970; a clock set to before that counts as 1970.
pub(super) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// `time` as RFC 3339 with microseconds, for the few lines that have no reactor's clock.
pub(super) fn rfc3339(time: SystemTime) -> [u8; 27] {
    let since = since_epoch(time);
    let micros = since.subsec_micros();
    let mut text = [b'Z'; 27];
    text[..20].copy_from_slice(&Date::at(since.as_secs()).rfc3339());
    text[20..23].copy_from_slice(&three_digits(micros / 1000));
    text[23..26].copy_from_slice(&three_digits(micros % 1000));
    text
}

/// `time` as RFC 3339 to the second: `2026-01-02T03:04:05Z`.
pub(super) fn rfc3339_seconds(time: SystemTime) -> String {
    let text = Date::at(since_epoch(time).as_secs()).rfc3339();
    let mut text = String::from_utf8_lossy(&text[..19]).into_owned();
    text.push('Z');
    text
}

/// A date and time of day in UTC, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: u32,
    /// 1 to 12.
    month: u32,
    /// 1 to 31.
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
}

/// The end of the year 9999, the last RFC 3339 can write.
const LAST_SECOND: u64 = 253_402_300_799;
const DAYS_IN_400_YEARS: u64 = 146_097;
const DAYS_IN_100_YEARS: u64 = 36_524;
const DAYS_IN_4_YEARS: u64 = 1_461;
/// From 1 March of year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

impl Date {
    /// The date `seconds` after the beginning of 1970.
    fn at(seconds: u64) -> Self {
        let seconds = seconds.min(LAST_SECOND);
        let time = (seconds % 86_400) as u32;
        // Years that begin in March have their leap day at the end, where it disturbs no other month.
        let days = seconds / 86_400 + EPOCH;
        let (cycle, day_of_cycle) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
        let century = (day_of_cycle / DAYS_IN_100_YEARS).min(3);
        let day_of_century = day_of_cycle - century * DAYS_IN_100_YEARS;
        let (leap, day_of_leap) = (day_of_century / DAYS_IN_4_YEARS, day_of_century % DAYS_IN_4_YEARS);
        let year_of_leap = (day_of_leap / 365).min(3);
        let day_of_year = day_of_leap - year_of_leap * 365;
        // From March on, five months have 153 days, again and again.
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let year = 400 * cycle + 100 * century + 4 * leap + year_of_leap + u64::from(month >= 10);
        Date {
            year: year as u32,
            month: (if month < 10 { month + 3 } else { month - 9 }) as u32,
            day: day as u32,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
        }
    }

    /// `2026-01-02T03:04:05.`
    fn rfc3339(self) -> [u8; 20] {
        let mut text = *b"0000-00-00T00:00:00.";
        text[..2].copy_from_slice(&two_digits(self.year / 100));
        text[2..4].copy_from_slice(&two_digits(self.year % 100));
        let rest = [self.month, self.day, self.hour, self.minute, self.second];
        for (place, value) in text[5..].chunks_exact_mut(3).zip(rest) {
            place[..2].copy_from_slice(&two_digits(value));
        }
        text
    }

    /// `[02/Jan/2026:03:04:05 +0000]`
    fn apache(self) -> [u8; 28] {
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let mut text = *b"[00/Mon/0000:00:00:00 +0000]";
        let month = 3 * (self.month as usize - 1);
        text[1..3].copy_from_slice(&two_digits(self.day));
        text[4..7].copy_from_slice(&MONTHS[month..month + 3]);
        text[8..10].copy_from_slice(&two_digits(self.year / 100));
        text[10..12].copy_from_slice(&two_digits(self.year % 100));
        for (place, value) in text[13..].chunks_exact_mut(3).zip([self.hour, self.minute, self.second]) {
            place[..2].copy_from_slice(&two_digits(value));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn text(clock: &mut Clock<impl Fn() -> (Instant, SystemTime)>, now: Instant) -> String {
        let (date, micros) = clock.rfc3339(now);
        String::from_utf8([&date[..], &micros].concat()).expect("ASCII")
    }

    fn at(seconds: u64, micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros)
    }

    #[test]
    fn known_dates() {
        let cases: [(u64, &str, &str); 7] = [
            (0, "1970-01-01T00:00:00.", "[01/Jan/1970:00:00:00 +0000]"),
            (951_782_400, "2000-02-29T00:00:00.", "[29/Feb/2000:00:00:00 +0000]"),
            (1_709_251_199, "2024-02-29T23:59:59.", "[29/Feb/2024:23:59:59 +0000]"),
            (1_709_251_200, "2024-03-01T00:00:00.", "[01/Mar/2024:00:00:00 +0000]"),
            (4_107_542_400, "2100-03-01T00:00:00.", "[01/Mar/2100:00:00:00 +0000]"),
            (LAST_SECOND, "9999-12-31T23:59:59.", "[31/Dec/9999:23:59:59 +0000]"),
            (u64::MAX, "9999-12-31T23:59:59.", "[31/Dec/9999:23:59:59 +0000]"),
        ];
        for (seconds, rfc3339, apache) in cases {
            let date = Date::at(seconds);
            assert_eq!(std::str::from_utf8(&date.rfc3339()), Ok(rfc3339));
            assert_eq!(std::str::from_utf8(&date.apache()), Ok(apache));
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_another_implementation(seconds in 0..LAST_SECOND) {
            let date = Date::at(seconds);
            let http = httpdate::fmt_http_date(at(seconds, 0));
            let apache = String::from_utf8(date.apache().to_vec()).expect("ASCII");
            prop_assert_eq!(&http[5..], format!("{} GMT", apache[1..21].replace('/', " ").replacen(':', " ", 1)));
            let rfc3339 = String::from_utf8(date.rfc3339().to_vec()).expect("ASCII");
            prop_assert_eq!(&rfc3339[11..19], &http[17..25]);
            prop_assert_eq!(&rfc3339[..4], &http[12..16]);
        }
    }

    #[test]
    fn time_goes_on_between_readings() {
        let start = Instant::now();
        let mut clock = Clock::new(|| (start, at(1_700_000_000, 999_000)));
        assert_eq!(text(&mut clock, start), "2023-11-14T22:13:20.999000Z");
        assert_eq!(text(&mut clock, start + Duration::from_micros(1_005)), "2023-11-14T22:13:21.000005Z");
        assert_eq!(clock.apache(start), b"[14/Nov/2023:22:13:20 +0000]");
    }

    #[test]
    fn the_wall_clock_is_read_once_a_second() {
        let (start, readings) = (Instant::now(), Cell::new(0));
        let time = Cell::new((start, at(100, 0)));
        let mut clock = Clock::new(|| {
            readings.set(readings.get() + 1);
            time.get()
        });
        for millis in 0..1_000 {
            text(&mut clock, start + Duration::from_millis(millis));
        }
        assert_eq!(readings.get(), 1);
        let now = start + Duration::from_secs(1);
        time.set((now, at(101, 7)));
        assert_eq!(text(&mut clock, now), "1970-01-01T00:01:41.000007Z");
        assert_eq!(readings.get(), 2);
    }

    #[test]
    fn clocks_that_jump_back_do_no_harm() {
        let start = Instant::now();
        let time = Cell::new((start, at(1_000, 0)));
        let mut clock = Clock::new(|| time.get());
        let now = start + Duration::from_secs(2);
        time.set((now, at(500, 0)));
        assert_eq!(text(&mut clock, now), "1970-01-01T00:08:20.000000Z");
        // Noted before the last reading, written after it.
        assert_eq!(text(&mut clock, start), "1970-01-01T00:08:20.000000Z");
        let now = now + Duration::from_secs(2);
        time.set((now, SystemTime::UNIX_EPOCH - Duration::from_secs(5)));
        assert_eq!(text(&mut clock, now), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_single_date_is_written_whole() {
        assert_eq!(&rfc3339(at(1_700_000_000, 42)), b"2023-11-14T22:13:20.000042Z");
    }
}
