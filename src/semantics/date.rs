//! Dates in header fields (RFC 9110 section 5.6.7). Knows no clock: times come in and go out.

use std::io::Write;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;

/// Length in bytes of a date as [`format()`] writes it.
pub const LENGTH: usize = 29;

/// The last second that has a four-digit year.
const END: Duration = Duration::from_secs(253_402_300_799);

/// `time` as an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`. Fractions of a second are cut off; times outside
/// the years 1970 to 9999 become the nearest time inside.
pub fn format(time: SystemTime) -> [u8; LENGTH] {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(END);
    let mut text = [0; LENGTH];
    write!(&mut text[..], "{}", HttpDate::from(SystemTime::UNIX_EPOCH + since_epoch))
        .expect("an IMF-fixdate has exactly 29 bytes");
    text
}

/// Parses a date in any of the three formats: IMF-fixdate, and the obsolete ones of RFC 850 and asctime.
/// `None` for anything else, for a day of the week that is not the date's, and for years before 1970.
///
/// A two-digit year from 70 on is taken for the 20th century, any other for the 21st: the "50 years" rule of the RFC
/// without a clock, and the same as that rule for every date a server of today can have given out.
pub fn parse(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?;
    let is_date = match text.split_once(',') {
        Some((_, rest)) => looks_like(rest, " 00 Aaa 0000 00:00:00 GMT") || looks_like(rest, " 00-Aaa-00 00:00:00 GMT"),
        None => looks_like(text, "Aaa Aaa _0 00:00:00 0000"),
    };
    let date: HttpDate = text.parse().ok().filter(|_| is_date)?;
    Some(date.into())
}

/// Whether `text` has digits, letters and signs where `pattern` has them; httpdate does not look at all of them. `_` is
/// a digit or a space.
fn looks_like(text: &str, pattern: &str) -> bool {
    let is_like = |(byte, pattern): (u8, u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || byte == b' ',
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        sign => byte == sign,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(is_like)
}

/// `time` without its fraction of a second, the precision a date in a field has.
pub fn to_seconds(time: SystemTime) -> SystemTime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_) => time,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

    /// A day that was found by turning the pages of a calendar.
    struct Calendar {
        weekday: &'static str,
        year: u64,
        month: usize,
        day: u64,
        time: String,
    }

    impl Calendar {
        fn of(days_since_1970: u64, second: u64) -> Calendar {
            let (mut year, mut month, mut day) = (1970, 0, days_since_1970);
            loop {
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let length = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
                if day < length {
                    break;
                }
                day -= length;
                month += 1;
                (year, month) = (year + month as u64 / 12, month % 12);
            }
            let time = std::format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
            Calendar { weekday: DAYS[days_since_1970 as usize % 7], year, month, day: day + 1, time }
        }

        fn imf(&self) -> String {
            let Calendar { weekday, year, month, day, time } = self;
            std::format!("{}, {day:02} {} {year} {time} GMT", &weekday[..3], MONTHS[*month])
        }

        fn rfc850(&self) -> String {
            let Calendar { weekday, year, month, day, time } = self;
            std::format!("{weekday}, {day:02}-{}-{:02} {time} GMT", MONTHS[*month], year % 100)
        }

        fn asctime(&self) -> String {
            let Calendar { weekday, year, month, day, time } = self;
            std::format!("{} {} {day:2} {time} {year}", &weekday[..3], MONTHS[*month])
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_three_formats_and_what_is_none() {
        let cases: &[(&str, Option<u64>)] = &[
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Friday, 31-Dec-99 23:59:59 GMT", Some(946_684_799)),
            ("Saturday, 01-Jan-00 00:00:00 GMT", Some(946_684_800)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Mon, 06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 UTC", None),
            ("Sun, 06 Nov 1994 08:49:37 +0000", None),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("sun, 06 nov 1994 08:49:37 gmt", None),
            ("Sun, 6 Nov 1994 08:49:37 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Wed, 30 Feb 2022 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("1994-11-06T08:49:37Z", None),
            ("784111777", None),
            ("0", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), expected.map(at), "{text:?}");
        }
        assert_eq!(parse(b"Sun, 06 Nov 1994 08:49:37 GM\xff"), None);
    }

    #[test]
    fn formatting_clamps_and_truncates() {
        assert_eq!(&format(at(784_111_777) + Duration::from_millis(999)), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&format(at(0) - Duration::from_secs(1)), b"Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(&format(at(u64::from(u32::MAX) * 1000)), b"Fri, 31 Dec 9999 23:59:59 GMT");
    }

    proptest! {
        #[test]
        fn what_is_formatted_parses_back(seconds in 0u64..=253_402_300_799, nanos in 0u32..1_000_000_000) {
            let time = at(seconds) + Duration::from_nanos(nanos.into());
            prop_assert_eq!(parse(&format(time)), Some(at(seconds)));
            prop_assert_eq!(to_seconds(time), at(seconds));
        }

        /// Day by day from 1970 on, as one would with a calendar on the wall.
        #[test]
        fn all_three_formats_are_what_a_calendar_says(day in 0u64..40_000, second in 0u64..86_400, strange in 0usize..60) {
            let calendar = Calendar::of(day, second);
            let formatted = format(at(day * 86_400 + second));
            prop_assert_eq!(std::str::from_utf8(&formatted).unwrap(), calendar.imf());
            for text in [calendar.imf(), calendar.asctime()] {
                prop_assert_eq!(parse(text.as_bytes()), Some(at(day * 86_400 + second)), "{}", text);
            }
            if (1970..2070).contains(&calendar.year) {
                let text = calendar.rfc850();
                prop_assert_eq!(parse(text.as_bytes()), Some(at(day * 86_400 + second)), "{}", text);
            }
            // One character that belongs nowhere makes all of it no date.
            for mut text in [calendar.imf(), calendar.rfc850(), calendar.asctime()] {
                let place = strange % text.len();
                text.replace_range(place..=place, "#");
                prop_assert_eq!(parse(text.as_bytes()), None, "{}", text);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            parse(&value);
        }

        #[test]
        fn no_almost_date_makes_it_panic(
            value in "(Mon|Sunday|Wednesday)[, ]{1,2}[0-9]{1,2}[ -](Jan|Nov)[ -][0-9]{2,4} [0-9:]{5,9}( GMT)?"
        ) {
            parse(value.as_bytes());
        }
    }
}
