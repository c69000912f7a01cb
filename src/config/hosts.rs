//! Virtual hosts: certificates for names of their own, as `VIRTUAL_HOST_<N>_*` says.
//!
//! Knows what a name is (RFC 1035, RFC 5890) and what a wildcard stands for (RFC 9525 section 6.3). Must not know
//! certificates.

use std::path::PathBuf;

/// A certificate for names of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualHost {
    /// What the operator wrote for `<N>`.
    pub number: String,
    /// In lower case, without a dot at the end; `*.` stands for one label. At least one in a valid configuration, as with
    /// both files.
    pub domains: Vec<String>,
    /// Certificate and chain.
    pub cert_file: Option<PathBuf>,
    /// The key.
    pub key_file: Option<PathBuf>,
}

impl VirtualHost {
    /// The host called `number` in `hosts`, which are kept in numeric order.
    pub(super) fn of<'a>(hosts: &'a mut Vec<VirtualHost>, number: &str) -> &'a mut VirtualHost {
        let order = |number: &str| {
            let digits = number.trim_start_matches('0');
            (digits.len(), digits.to_owned(), number.len())
        };
        let place = hosts.binary_search_by_key(&order(number), |host| order(&host.number));
        let place = place.unwrap_or_else(|place| {
            hosts.insert(place, VirtualHost { number: number.to_owned(), ..VirtualHost::default() });
            place
        });
        &mut hosts[place]
    }
}

/// The names in a list separated by commas or spaces, each once. The error says which is none, and why.
pub(super) fn domains(text: &str) -> Result<Vec<String>, String> {
    let mut domains = Vec::new();
    for word in text.split([',', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
        let domain = domain(word).map_err(|why| format!("\"{word}\" {why}"))?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

/// The name as it is compared.
fn domain(text: &str) -> Result<String, String> {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.contains(['/', ':', '@']) {
        return Err("must be a name without scheme, port and path".into());
    }
    if !bare.is_ascii() {
        return Err(format!("must be written as certificates have it: {}", to_ascii(bare)));
    }
    if bare.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("is an address, and clients that go to one name no host: they get the first certificate".into());
    }
    let name = bare.strip_prefix("*.").unwrap_or(bare);
    if name.contains('*') {
        return Err("has a * that is not the whole first label, as in *.example.com".into());
    }
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > LONGEST || !name.split('.').all(is_label) {
        return Err("is no domain name: labels of up to 63 letters, digits and hyphens, separated by dots".into());
    }
    Ok(bare.to_ascii_lowercase())
}

/// The form of an international name that DNS and certificates have (RFC 5890 section 2.3.2.1), for a message: letters are
/// put in lower case and otherwise taken as they were typed.
fn to_ascii(name: &str) -> String {
    let label = |label: &str| {
        let lower = label.to_lowercase();
        if lower.is_ascii() { lower } else { punycode(&lower).map_or(lower, |code| format!("xn--{code}")) }
    };
    // The full stops of other scripts (RFC 3490 section 3.1).
    name.split(['.', '。', '．', '｡']).map(label).collect::<Vec<_>>().join(".")
}

/// RFC 3492 section 6.3, with its names. `None`: too long for a label.
fn punycode(label: &str) -> Option<String> {
    const MOST: usize = 63;
    let points: Vec<u32> = label.chars().map(u32::from).collect();
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = output.len() as u32;
    if points.len() > MOST {
        return None;
    }
    if basic > 0 {
        output.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128, 0, 72, basic);
    while (handled as usize) < points.len() {
        let next = points.iter().copied().filter(|point| *point >= n).min()?;
        delta += (next - n) * (handled + 1);
        n = next;
        for &point in &points {
            if point < n {
                delta += 1;
            } else if point == n {
                push_integer(&mut output, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                (delta, handled) = (0, handled + 1);
            }
        }
        (delta, n) = (delta + 1, n + 1);
    }
    Some(output)
}

/// A variable-length integer (section 3.3).
fn push_integer(output: &mut String, mut value: u32, bias: u32) {
    let digit = |value: u32| char::from(if value < 26 { b'a' + value as u8 } else { b'0' + (value - 26) as u8 });
    for k in (36..).step_by(36) {
        let threshold = u32::saturating_sub(k, bias).clamp(1, 26);
        if value < threshold {
            break;
        }
        output.push(digit(threshold + (value - threshold) % (36 - threshold)));
        value = (value - threshold) / (36 - threshold);
    }
    output.push(digit(value));
}

/// Section 6.1.
fn adapt(delta: u32, points: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        let cases = [
            ("example.com", Ok(vec!["example.com"])),
            ("Example.COM.", Ok(vec!["example.com"])),
            ("*.Example.com", Ok(vec!["*.example.com"])),
            ("a.test, B.test,a.TEST *.c.test\n", Ok(vec!["a.test", "b.test", "*.c.test"])),
            ("localhost", Ok(vec!["localhost"])),
            ("xn--mnchen-3ya.de", Ok(vec!["xn--mnchen-3ya.de"])),
            ("_sip.example.com", Ok(vec!["_sip.example.com"])),
            ("", Ok(vec![])),
            ("münchen.de", Err("xn--mnchen-3ya.de")),
            ("*.Bücher.example", Err("*.xn--bcher-kva.example")),
            ("例え。テスト", Err("xn--r8jz45g.xn--zckzah")),
            ("правда.рф", Err("xn--80aafi6cg.xn--p1ai")),
            ("https://example.com", Err("without scheme, port and path")),
            ("example.com:443", Err("without scheme, port and path")),
            ("192.0.2.7", Err("is an address")),
            ("*", Err("not the whole first label")),
            ("a.*.com", Err("not the whole first label")),
            ("w*.example.com", Err("not the whole first label")),
            ("*.*.example.com", Err("not the whole first label")),
            ("a..b", Err("is no domain name")),
            (".", Err("is no domain name")),
            ("-a.test", Err("is no domain name")),
            ("a-.test", Err("is no domain name")),
            ("a;b", Err("is no domain name")),
        ];
        for (text, expected) in cases {
            match (domains(text), expected) {
                (Ok(names), Ok(expected)) => assert_eq!(names, expected, "{text}"),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
                (result, _) => panic!("{text}: {result:?}"),
            }
        }
        assert!(domains(&"a".repeat(64)).is_err());
        assert!(domains(&["a"; 127].join(".")).is_ok());
        assert!(domains(&["a"; 128].join(".")).is_err());
    }

    #[test]
    fn hosts_are_in_the_order_of_their_numbers() {
        let mut hosts = Vec::new();
        for number in ["10", "2", "01", "1", "0", "2"] {
            VirtualHost::of(&mut hosts, number).domains.push(number.to_owned());
        }
        let shown: Vec<String> =
            hosts.iter().map(|host| format!("{}={}", host.number, host.domains.join("+"))).collect();
        assert_eq!(shown, ["0=0", "1=1", "01=01", "2=2+2", "10=10"]);
    }
}
