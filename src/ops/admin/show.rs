//! Figures as people read them.

/// A whole number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Events per second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        0.01..1.0 => format!("{per_second:.2}"),
        1.0..10.0 => format!("{per_second:.1}"),
        _ => grouped(per_second.round() as u64),
    }
}

/// How long a response took, in milliseconds; a histogram knows no more than 10 s.
pub(super) fn latency(millis: Option<f64>) -> String {
    match millis {
        None => "–".to_owned(),
        Some(millis) if millis >= 10_000.0 => "10 s or more".to_owned(),
        Some(millis) => duration(millis),
    }
}

/// A time in milliseconds, in the unit that fits.
pub(super) fn duration(millis: f64) -> String {
    match millis {
        ..1.0 => format!("{millis:.2} ms"),
        ..10.0 => format!("{millis:.1} ms"),
        ..1_000.0 => format!("{millis:.0} ms"),
        ..60_000.0 => format!("{:.1} s", millis / 1e3),
        _ => age((millis / 1e3) as u64),
    }
}

/// A time in seconds, in the two largest units.
pub(super) fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// An amount of memory.
pub(super) fn bytes(bytes: u64) -> String {
    const MIB: f64 = (1 << 20) as f64;
    let mib = bytes as f64 / MIB;
    if mib < 1024.0 { format!("{mib:.1} MiB") } else { format!("{:.2} GiB", mib / 1024.0) }
}

/// `2026-01-02T03:04:05Z` as people write it; without the date if that is the one of `now`.
pub(super) fn clock(rfc3339: &str, now: &str) -> String {
    let (date, time) = rfc3339.trim_end_matches('Z').split_once('T').unwrap_or((rfc3339, ""));
    if now.starts_with(date) { format!("{time} UTC") } else { format!("{date} {time} UTC") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        numbers.into_iter().for_each(|(number, text)| assert_eq!(grouped(number), text));
        let rates = [(0.0, "0"), (0.04, "0.04"), (3.17, "3.2"), (10.4, "10"), (12_345.6, "12,346")];
        rates.into_iter().for_each(|(number, text)| assert_eq!(rate(number), text));
        let times = [
            (0.123, "0.12 ms"),
            (4.56, "4.6 ms"),
            (123.4, "123 ms"),
            (1_500.0, "1.5 s"),
            (61_000.0, "1 min 1 s"),
            (7_300_000.0, "2 h 1 min"),
        ];
        times.into_iter().for_each(|(millis, text)| assert_eq!(duration(millis), text));
        let latencies = [(None, "–"), (Some(9_999.0), "10.0 s"), (Some(10_000.0), "10 s or more")];
        latencies.into_iter().for_each(|(millis, text)| assert_eq!(latency(millis), text));
        let ages = [(59, "59 s"), (60, "1 min 0 s"), (3_600, "1 h 0 min"), (200_000, "2 d 7 h")];
        ages.into_iter().for_each(|(seconds, text)| assert_eq!(age(seconds), text));
        let times = [("2026-01-02", "03:04:05 UTC"), ("2026-01-03", "2026-01-02 03:04:05 UTC")];
        times.into_iter().for_each(|(now, text)| assert_eq!(clock("2026-01-02T03:04:05Z", now), text));
        let amounts = [(1 << 20, "1.0 MiB"), (3 << 30, "3.00 GiB")];
        amounts.into_iter().for_each(|(amount, text)| assert_eq!(bytes(amount), text));
    }
}
