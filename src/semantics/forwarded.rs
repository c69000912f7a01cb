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
//! Likewise whether the client's own connection is secured: `proto` of the element that tells its address (section 5.4), or
//! `X-Forwarded-Proto`. That one is customarily a single value, which each trusted proxy passes on or overwrites; only if it
//! has as many values as `X-Forwarded-For` do they belong together, else the last one counts, which the peer wrote.
//!
//! Knows no sockets, and no configuration: which networks are trusted is the caller's to say.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use smallvec::SmallVec;

use super::head::RequestHead;
use super::token::token_len;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address.
    pub ip: IpAddr,
    /// Whether its connection to the first trusted proxy is secured, if that is told.
    pub is_secure: Option<bool>,
}

/// The client whose request came from `peer`.
pub fn client(head: &RequestHead, peer: IpAddr, trusted: &[IpNet]) -> Client {
    let peer = peer.to_canonical();
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer) {
        return Client { ip: peer, is_secure: None };
    }
    let walk = |nodes: &mut dyn Iterator<Item = Node>| {
        let mut end = Walk { client: peer, steps: 0, is_secure: None };
        for node in nodes {
            end.is_secure = node.is_secure;
            let Some(next) = node.ip else { break };
            (end.client, end.steps) = (next, end.steps + 1);
            if !is_trusted(&next) {
                break;
            }
        }
        end
    };
    let standard = head.field("forwarded").map(|_| walk(&mut forwarded(head)));
    let customary = head.field("x-forwarded-for").map(|_| walk(&mut x_forwarded_for(head)));
    let ip = match (standard, customary) {
        (Some(one), Some(other)) if one.client != other.client => peer,
        (Some(end), _) | (None, Some(end)) => end.client,
        (None, None) => peer,
    };
    let steps = customary.map_or(0, |end| end.steps);
    let is_secure = match (standard.and_then(|end| end.is_secure), x_forwarded_proto(head, steps)) {
        (Some(one), Some(other)) if one != other => None,
        (one, other) => one.or(other),
    };
    Client { ip, is_secure }
}

/// Where a walk ended.
#[derive(Clone, Copy)]
struct Walk {
    client: IpAddr,
    /// How many entries were believed.
    steps: usize,
    is_secure: Option<bool>,
}

/// What one proxy says of who connected to it.
#[derive(Clone, Copy)]
struct Node {
    /// `None`: no address.
    ip: Option<IpAddr>,
    /// `None`: it does not say.
    is_secure: Option<bool>,
}

impl Node {
    const UNREADABLE: Node = Node { ip: None, is_secure: None };
}

/// The nodes of all `X-Forwarded-For` fields, the last one first.
fn x_forwarded_for(head: &RequestHead) -> impl Iterator<Item = Node> {
    items(head, "x-forwarded-for").map(|item| Node { ip: node(item), is_secure: None })
}

/// What `X-Forwarded-Proto` says of a client whose address is `steps` entries from the end of `X-Forwarded-For`.
fn x_forwarded_proto(head: &RequestHead, steps: usize) -> Option<bool> {
    let values = || items(head, "x-forwarded-proto");
    let last = values().next()?;
    let belongs = steps > 1 && values().count() == items(head, "x-forwarded-for").count();
    proto(if belongs { values().nth(steps - 1)? } else { last })
}

/// The items of all fields called `name`, the last one first.
fn items<'a>(head: &'a RequestHead, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    let items = head.values(name).rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    // Empty items of lists are nothing (RFC 9110 section 5.6.1.2).
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// Whether a scheme is one of those that go through TLS.
fn proto(text: &[u8]) -> Option<bool> {
    let is = |names: [&[u8]; 2]| names.iter().any(|name| text.eq_ignore_ascii_case(name));
    match (is([b"https", b"wss"]), is([b"http", b"ws"])) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
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

/// The elements of all `Forwarded` fields, the last one first.
fn forwarded(head: &RequestHead) -> impl Iterator<Item = Node> {
    head.values("forwarded").rev().flat_map(|value| elements(value).into_iter().rev())
}

type Nodes = SmallVec<[Node; 4]>;

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
            None => return Nodes::from_slice(&[Node::UNREADABLE]),
        }
    }
}

/// forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ), and what is left from the comma that ends it. The
/// outer `None`: malformed. An empty element has no node; one without `for` has one that is no address.
fn element(mut value: &[u8]) -> Option<(Option<Node>, &[u8])> {
    let (mut node, mut scheme, mut is_empty) = (None, None, true);
    loop {
        value = value.trim_ascii_start();
        if !matches!(value.first(), None | Some(b',' | b';')) {
            let (name, text, rest) = pair(value)?;
            is_empty = false;
            if name.eq_ignore_ascii_case(b"for") && node.replace(self::node(&text)).is_some() {
                return None;
            }
            if name.eq_ignore_ascii_case(b"proto") && scheme.replace(proto(&text)).is_some() {
                return None;
            }
            value = rest.trim_ascii_start();
        }
        match value.first() {
            Some(b';') => value = &value[1..],
            None | Some(b',') => {
                let node = Node { ip: node.flatten(), is_secure: scheme.flatten() };
                return Some(((!is_empty).then_some(node), value));
            }
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

    fn seen(peer: &str, fields: &[(&str, &str)]) -> Client {
        let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        super::client(&head(&fields), ip(peer), &networks())
    }

    fn client(peer: &str, fields: &[(&str, &str)]) -> String {
        seen(peer, fields).ip.to_string()
    }

    fn client_ip(head: &RequestHead, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
        super::client(head, peer, trusted).ip
    }

    #[test]
    fn the_scheme_is_that_of_the_connection_of_the_client() {
        const FOR: &str = "X-Forwarded-For";
        const PROTO: &str = "x-forwarded-proto";
        /// A peer, its fields, and what they tell.
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<bool>);
        let cases: &[Case<'_>] = &[
            ("10.0.0.1", &[], None),
            ("10.0.0.1", &[(PROTO, "https")], Some(true)),
            ("10.0.0.1", &[(PROTO, "HTTP")], Some(false)),
            ("10.0.0.1", &[(PROTO, "wss")], Some(true)),
            ("10.0.0.1", &[(PROTO, "ftp")], None),
            ("192.0.2.9", &[(PROTO, "https")], None),
            ("192.0.2.9", &[("forwarded", "for=192.0.2.7;proto=https")], None),
            // One value, which was passed on.
            ("10.0.0.1", &[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "https")], Some(true)),
            // One for each hop: the client's is the one that belongs to its address.
            ("10.0.0.1", &[(FOR, "192.0.2.7, 10.0.0.2"), (PROTO, "https, http")], Some(true)),
            ("10.0.0.1", &[(FOR, "6.6.6.6, 192.0.2.7"), (PROTO, "https, http")], Some(false)),
            ("10.0.0.1", &[(FOR, "192.0.2.7, 10.0.0.3, 10.0.0.2"), (PROTO, "https, http")], Some(false)),
            ("10.0.0.1", &[("forwarded", "for=192.0.2.7;proto=https")], Some(true)),
            ("10.0.0.1", &[("forwarded", "for=192.0.2.7;proto=https, for=10.0.0.2;proto=http")], Some(true)),
            ("10.0.0.1", &[("forwarded", "for=6.6.6.6;proto=https, for=192.0.2.7;proto=http")], Some(false)),
            ("10.0.0.1", &[("forwarded", "for=_hidden;PROTO=\"https\"")], Some(true)),
            ("10.0.0.1", &[("forwarded", "proto=https;proto=http")], None),
            ("10.0.0.1", &[("forwarded", "for=192.0.2.7"), (PROTO, "https")], Some(true)),
            ("10.0.0.1", &[("forwarded", "for=192.0.2.7;proto=http"), (PROTO, "https")], None),
        ];
        for (peer, fields, expected) in cases {
            assert_eq!(seen(peer, fields).is_secure, *expected, "{peer} {fields:?}");
        }
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
