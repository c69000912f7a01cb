//! Kubernetes service links: variables that kubelet injects for each Service of the namespace unless the pod says
//! `enableServiceLinks: false`. A Service called `rws-config`, or `rws-config-admin`, injects names that look like
//! ours, and RWS_CONFIG_PORT=tcp://10.0.0.1:7878 among them.
//! <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>
//!
//! A name alone proves nothing, so the value has to fit as well.

use std::net::{IpAddr, SocketAddr};

/// Transport protocols of Service ports.
const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// Whether kubelet injected this variable, its name given without `RWS_CONFIG_`.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let address = || value.parse::<IpAddr>().is_ok();
    let port = || value.parse::<u16>().is_ok();
    // A name can be read in several ways: SERVICE_PORT_PORT is the URL of a Service called rws-config-service-port.
    parts_of_services(name).into_iter().flatten().any(|part| match part {
        Part::Host | Part::Address => address(),
        Part::PortNumber => port(),
        Part::Protocol => PROTOCOLS.contains(&value),
        Part::Url => is_url(value),
    })
}

/// What an injected variable tells of its Service.
enum Part {
    Host,
    PortNumber,
    Url,
    Protocol,
    Address,
}

fn parts_of_services(name: &str) -> [Option<Part>; 4] {
    let (port, detail) = port_and_detail(name);
    let of_port = is_port_and_protocol(port).then_some(match detail {
        "" => Some(Part::Url),
        "PROTO" => Some(Part::Protocol),
        "PORT" => Some(Part::PortNumber),
        "ADDR" => Some(Part::Address),
        _ => None,
    });
    let has_number =
        ends_with_word(name, "SERVICE_PORT") || name.starts_with("SERVICE_PORT_") || name.contains("_SERVICE_PORT_");
    [
        of_port.flatten(),
        ends_with_word(name, "SERVICE_HOST").then_some(Part::Host),
        has_number.then_some(Part::PortNumber),
        ends_with_word(name, "PORT").then_some(Part::Url),
    ]
}

/// Splits `X_PORT_7878_TCP_ADDR` into `X_PORT_7878_TCP` and `ADDR`; the second is empty for `X_PORT_7878_TCP`.
fn port_and_detail(name: &str) -> (&str, &str) {
    let (rest, last) = name.rsplit_once('_').unwrap_or((name, ""));
    let is_protocol = PROTOCOLS.iter().any(|protocol| last.eq_ignore_ascii_case(protocol));
    if is_protocol { (name, "") } else { (rest, last) }
}

/// Whether `name` ends in `PORT_7878_TCP`.
fn is_port_and_protocol(name: &str) -> bool {
    let mut words = name.rsplit('_');
    let protocol = words.next().is_some_and(|word| PROTOCOLS.iter().any(|p| p.to_ascii_uppercase() == word));
    let number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
    protocol && number && words.next() == Some("PORT")
}

/// Whether `name` is `word` or ends in `_` and `word`.
fn ends_with_word(name: &str, word: &str) -> bool {
    name.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
}

fn is_url(value: &str) -> bool {
    let Some((protocol, address)) = value.split_once("://") else { return false };
    // kubelet joins an IPv6 address and its port without or with brackets, depending on its version.
    let authority = || {
        let (host, port) = address.rsplit_once(':')?;
        Some(host.parse::<IpAddr>().is_ok() && port.parse::<u16>().is_ok())
    };
    PROTOCOLS.contains(&protocol) && (address.parse::<SocketAddr>().is_ok() || authority() == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubelet_injects_is_recognised() {
        let cases = [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "7878"),
            ("SERVICE_PORT_HTTP", "7878"),
            ("SERVICE_PORT_HTTP_METRICS", "9090"),
            ("PORT", "tcp://10.0.0.1:7878"),
            ("PORT", "tcp://[fd00::1]:7878"),
            ("PORT", "tcp://fd00::1:7878"),
            ("PORT", "udp://10.0.0.1:53"),
            ("PORT_7878_TCP", "tcp://10.0.0.1:7878"),
            ("PORT_7878_TCP_PROTO", "tcp"),
            ("PORT_7878_TCP_PORT", "7878"),
            ("PORT_7878_TCP_ADDR", "10.0.0.1"),
            ("PORT_53_UDP_ADDR", "fd00::1"),
            ("ADMIN_SERVICE_HOST", "10.0.0.1"),
            ("ADMIN_SERVICE_PORT", "9090"),
            ("ADMIN_PORT", "tcp://10.0.0.1:9090"),
            ("ADMIN_PORT_9090_TCP_ADDR", "10.0.0.1"),
            ("ROUTE_SERVICE_HOST", "10.0.0.1"),
        ];
        for (name, value) in cases {
            assert!(is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_an_operator_writes_is_not() {
        let cases = [
            ("PORT", "7878"),
            ("PORT", "banana"),
            ("PORT", "http://10.0.0.1:7878"),
            ("PORT", "tcp://nowhere:7878"),
            ("PORT", "tcp://10.0.0.1:77777"),
            ("PORT", "tcp://10.0.0.1"),
            ("SERVICE_HOST", "example.com"),
            ("SERVICE_PORT_HTTP", "banana"),
            ("PORT_7878_TCP_ADDR", "banana"),
            ("PORT_7878_TCP_NAME", "tcp"),
            ("PORT_X_TCP", "tcp://10.0.0.1:7878"),
            ("PORT_7878_HTTP", "tcp://10.0.0.1:7878"),
            ("ROUTE_PORT", "/port -> respond 200 text/plain 1"),
            ("IP", "10.0.0.1"),
            ("REPORT", "tcp://10.0.0.1:7878"),
            ("", ""),
            ("_", "_"),
        ];
        for (name, value) in cases {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
