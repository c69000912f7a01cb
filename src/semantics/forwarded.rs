//! Who the client is behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, believed only as far as trusted proxies
//! wrote them.
//!
//! Each proxy appends the address of whoever connected to it. So the list is walked from its end: the peer is known; if it
//! is trusted, so is the last entry, which it wrote; if that is a trusted proxy too, so is the entry before; and so on. The
//! first address that is no trusted proxy's is the client's. Whatever stands before it may have been made up by the client.
//!
//! - What is malformed, `unknown` or obfuscated (section 6.3) ends the walk, at the last proxy that is known.
//! - If all entries are trusted proxies, the first one is the client.
//! - Most proxies maintain one of the two fields and pass the other on as the client sent it. So where both are present
//!   and tell different stories, neither is believed: the client is the peer.
//!
//! Knows no sockets, and no configuration: which networks are trusted is the caller's to say.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use smallvec::SmallVec;

use super::head::RequestHead;
use super::token::token_len;

/// The address of the client whose request came from `peer`.
pub fn client_ip(head: &RequestHead, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer) {
        return peer;
    }
    let walk = |nodes: &mut dyn Iterator<Item = Option<IpAddr>>| {
        let mut client = peer;
        while let Some(Some(next)) = nodes.next() {
            client = next;
            if !is_trusted(&client) {
                break;
            }
        }
        client
    };
    let standard = head.field("forwarded").map(|_| walk(&mut forwarded(head)));
    let customary = head.field("x-forwarded-for").map(|_| walk(&mut x_forwarded_for(head)));
    match (standard, customary) {
        (Some(one), Some(other)) if one != other => peer,
        (Some(client), _) | (None, Some(client)) => client,
        (None, None) => peer,
    }
}

/// What of an address tells clients apart: all of an IPv4 address, also in IPv6 clothes; of an IPv6 address the first 64
/// bits, since a single host chooses the others (RFC 4291 section 2.5.1, RFC 8981) and a customer has at least as many
/// (RFC 6177).
pub fn client_network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64))),
        four @ IpAddr::V4(_) => four,
    }
}

/// The nodes of all `X-Forwarded-For` fields, the last one first; `None` for what is no address.
fn x_forwarded_for(head: &RequestHead) -> impl Iterator<Item = Option<IpAddr>> {
    let items = head.values("x-forwarded-for").rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    // Empty items of lists are nothing (RFC 9110 section 5.6.1.2).
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty()).map(node)
}

/// The `for` nodes of all `Forwarded` fields, the last one first; `None` for what is no address.
fn forwarded(head: &RequestHead) -> impl Iterator<Item = Option<IpAddr>> {
    head.values("forwarded").rev().flat_map(|value| elements(value).into_iter().rev())
}

type Nodes = SmallVec<[Option<IpAddr>; 4]>;

/// The elements of one field from left to right, since a quoted string can only be told from that side. A field that does
/// not follow the grammar tells nothing at all: a client may have put half a quoted string before what a proxy appended.
fn elements(mut value: &[u8]) -> Nodes {
    let mut nodes = Nodes::new();
    loop {
        match element(value) {
            Some((node, rest)) => {
                nodes.extend(node);
                match rest.split_first() {
                    Some((_, rest)) => value = rest,
                    None => return nodes,
                }
            }
            None => return Nodes::from_slice(&[None]),
        }
    }
}

/// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ), and what is left from the comma that ends it. The
/// outer `None`: malformed. An empty element has no node; one without `for` has one that is no address.
fn element(mut value: &[u8]) -> Option<(Option<Option<IpAddr>>, &[u8])> {
    let (mut node, mut is_empty) = (None, true);
    loop {
        value = value.trim_ascii_start();
        if !matches!(value.first(), None | Some(b',' | b';')) {
            let (name, text, rest) = pair(value)?;
            is_empty = false;
            if name.eq_ignore_ascii_case(b"for") && node.replace(self::node(&text)).is_some() {
                return None;
            }
            value = rest.trim_ascii_start();
        }
        match value.first() {
            Some(b';') => value = &value[1..],
            None | Some(b',') => return Some(((!is_empty).then(|| node.flatten()), value)),
            Some(_) => return None,
        }
    }
}

/// A value without its quotes.
type Text = SmallVec<[u8; 48]>;

/// forwarded-pair = token "=" ( token / quoted-string ): name, value, and the rest.
fn pair(value: &[u8]) -> Option<(&[u8], Text, &[u8])> {
    let (name, rest) = value.split_at(token_len(value));
    let rest = rest.strip_prefix(b"=").filter(|_| !name.is_empty())?;
    if let Some(quoted) = rest.strip_prefix(b"\"") {
        let (text, rest) = quoted_string(quoted)?;
        return Some((name, text, rest));
    }
    let (text, rest) = rest.split_at(token_len(rest));
    (!text.is_empty()).then(|| (name, SmallVec::from_slice(text), rest))
}

/// What stands behind an opening quote, up to the closing one (RFC 9110 section 5.6.4), and the rest.
fn quoted_string(bytes: &[u8]) -> Option<(Text, &[u8])> {
    let mut text = Text::new();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((text, &bytes[at + 1..])),
            b'\\' => {
                at += 1;
                text.push(*bytes.get(at)?);
            }
            byte => text.push(byte),
        }
        at += 1;
    }
}

/// An address with or without a port; IPv6 in brackets if it has one (RFC 7239 section 6). An IPv4 address in IPv6 clothes
/// is an IPv4 address.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let address: Ipv6Addr = address.parse().ok()?;
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
            .then(|| IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = text.split_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(IpAddr::V4(address))
}

/// A number, or an obfuscated port.
fn is_port(text: &str) -> bool {
    let hidden = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match text.strip_prefix('_') {
        Some(rest) => !rest.is_empty() && hidden(rest),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::head::{Field, Span};
    use super::*;

    fn head(fields: &[(&str, &[u8])]) -> RequestHead {
        let mut head = RequestHead::default();
        for (name, value) in fields {
            let mut span = |bytes: &[u8]| {
                let start = head.raw.len();
                head.raw.extend_from_slice(bytes);
                Span::new(start, head.raw.len())
            };
            let (name, value) = (span(name.as_bytes()), span(value));
            head.fields.push(Field { name, value });
        }
        head
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn networks() -> Vec<IpNet> {
        ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network")).to_vec()
    }

    fn client(peer: &str, fields: &[(&str, &str)]) -> String {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        client_ip(&head(&fields), ip(peer), &networks()).to_string()
    }

    #[test]
    fn x_forwarded_for_is_walked_from_its_end() {
        let cases = [
            ("192.0.2.9", "1.1.1.1", "192.0.2.9"),
            ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
            ("10.0.0.1", "6.6.6.6, 192.0.2.7", "192.0.2.7"),
            ("10.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
            ("10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", " 192.0.2.7 ,, 10.0.0.2 ,", "192.0.2.7"),
            ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]:4711, fd00::7", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"),
            // What cannot be read ends the walk at the last proxy that is known.
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
            ("10.0.0.1", "192.0.2.7, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "192.0.2.7, 10.0.0.2:99999", "10.0.0.1"),
            ("10.0.0.1", "192.0.2.256", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1]x", "10.0.0.1"),
            ("10.0.0.1", "[192.0.2.7]", "10.0.0.1"),
            ("10.0.0.1", "fe80::1%eth0", "10.0.0.1"),
        ];
        for (peer, value, expected) in cases {
            assert_eq!(client(peer, &[("X-Forwarded-For", value)]), expected, "{peer} {value}");
        }
    }

    #[test]
    fn what_tells_clients_apart() {
        let cases = [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("::1", "::"),
        ];
        for (address, expected) in cases {
            assert_eq!(client_network(ip(address)), ip(expected), "{address}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let fields = [("x-forwarded-for", "6.6.6.6, 192.0.2.7"), ("accept", "*/*"), ("X-Forwarded-For", "10.0.0.2")];
        assert_eq!(client("10.0.0.1", &fields), "192.0.2.7");
        let fields = [("forwarded", "for=6.6.6.6"), ("forwarded", "for=192.0.2.7"), ("Forwarded", "for=10.0.0.2")];
        assert_eq!(client("10.0.0.1", &fields), "192.0.2.7");
    }

    #[test]
    fn forwarded_is_read_as_its_grammar_says() {
        let cases = [
            ("for=192.0.2.7", "192.0.2.7"),
            ("For=192.0.2.7;proto=https;by=203.0.113.43", "192.0.2.7"),
            ("proto=http; host=\"a,b;c\\\"\" ; FOR=\"192.0.2.7:80\"", "192.0.2.7"),
            ("for=6.6.6.6, for=192.0.2.7, for=\"10.0.0.2\"", "192.0.2.7"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"[2001:db8:cafe::17]:_port\"", "2001:db8:cafe::17"),
            ("for=\"19\\2.0.2.7\"", "192.0.2.7"),
            (", for=192.0.2.7 ,", "192.0.2.7"),
            // No address.
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2"),
            ("for=192.0.2.7, proto=https", "10.0.0.1"),
            ("for=_SEVKISEK", "10.0.0.1"),
            // Against the grammar.
            ("for=192.0.2.7:80", "10.0.0.1"),
            ("for=[2001:db8::1]", "10.0.0.1"),
            ("for = 192.0.2.7", "10.0.0.1"),
            ("192.0.2.7", "10.0.0.1"),
            ("for=", "10.0.0.1"),
            ("=192.0.2.7", "10.0.0.1"),
            ("for=\"192.0.2.7", "10.0.0.1"),
            ("for=\"192.0.2.7\\", "10.0.0.1"),
            ("for=\"192.0.2.7\"x", "10.0.0.1"),
            ("for=192.0.2.7;for=6.6.6.6", "10.0.0.1"),
        ];
        for (value, expected) in cases {
            assert_eq!(client("10.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn two_stories_are_none() {
        let both =
            |forwarded, customary| client("10.0.0.1", &[("forwarded", forwarded), ("x-forwarded-for", customary)]);
        assert_eq!(both("for=192.0.2.7", "192.0.2.7"), "192.0.2.7");
        assert_eq!(both("for=192.0.2.7;proto=https", "6.6.6.6, 192.0.2.7, 10.0.0.2"), "192.0.2.7");
        assert_eq!(both("for=6.6.6.6", "192.0.2.7"), "10.0.0.1");
        assert_eq!(both("nonsense", "192.0.2.7"), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn nobody_is_believed_who_is_not_trusted(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 2),
        ) {
            let head = head(&[("forwarded", &values[0]), ("x-forwarded-for", &values[1])]);
            prop_assert_eq!(client_ip(&head, ip("192.0.2.9"), &networks()), ip("192.0.2.9"));
            prop_assert_eq!(client_ip(&head, ip("10.0.0.1"), &[]), ip("10.0.0.1"));
        }

        #[test]
        fn what_a_client_sends_never_replaces_what_the_proxy_appends(
            sent in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..60),
                "[fF]or=\"?[0-9.:a-f\\[\\]\\\\, ;=\"]{0,30}".prop_map(String::into_bytes),
            ],
            port in proptest::option::of(any::<u16>()),
            six in any::<bool>(),
        ) {
            let (peer, real) = (ip("10.0.0.1"), ip(if six { "2001:db8::7" } else { "192.0.2.7" }));
            let address = if six { "[2001:db8::7]".to_owned() } else { real.to_string() };
            let node = port.map_or(address.clone(), |port| format!("{address}:{port}"));
            let appended = |by: &str| [&sent, by.as_bytes()].concat();
            let customary = appended(&format!(", {node}"));
            prop_assert_eq!(client_ip(&head(&[("x-forwarded-for", &customary)]), peer, &networks()), real);
            // In the same field the client can make it all unreadable, but not readable as something else.
            let element = format!("for=\"{node}\";proto=https;by=\"[fd00::1]\"");
            let standard = appended(&format!(", {element}"));
            let client = client_ip(&head(&[("forwarded", &standard)]), peer, &networks());
            prop_assert!(client == real || client == peer, "{client}");
            let own_field = head(&[("forwarded", &sent), ("forwarded", element.as_bytes())]);
            prop_assert_eq!(client_ip(&own_field, peer, &networks()), real);
        }
    }
}
