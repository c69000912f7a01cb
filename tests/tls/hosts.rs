//! Certificates for several names (SNI).

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::SanType;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::certificates::Gullible;
use super::client::{authority, over};
use super::process::{Server, clean, json_lines, program, run, rws};
use super::support::{Client, get_of, request};
use super::volume::Volume;

/// A certificate for these names and its key.
fn issued(names: &[&str]) -> (String, String) {
    authority().0.issue(|params| {
        params.subject_alt_names = names.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
    })
}

/// A client that takes any certificate.
fn anybody() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible::new()))
        .with_no_client_auth()
}

/// What a client that asks for `name` is presented, and whether it resumed a session. An address is no name.
fn seen(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> (CertificateDer<'static>, HandshakeKind) {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(config.clone(), name).unwrap();
    let mut client = over(session, Client::<TcpStream>::connect(address).stream);
    client.send(get_of("/demo/plaintext"));
    assert_eq!(client.reply().text(), "Hello, World!");
    let session = &client.stream.conn;
    (session.peer_certificates().unwrap()[0].clone().into_owned(), session.handshake_kind().unwrap())
}

fn presented(server: &Server, name: &str) -> CertificateDer<'static> {
    seen(server.address(), &Arc::new(anybody()), name).0
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The files of some certificates, as a mounted Secret has them.
fn volume(pairs: &[(&str, &(String, String))]) -> Volume {
    let keys: Vec<(String, &str)> = pairs
        .iter()
        .flat_map(|(name, (certificate, key))| {
            [(format!("{name}.crt"), certificate.as_str()), (format!("{name}.key"), key.as_str())]
        })
        .collect();
    Volume::new(&keys.iter().map(|(name, text)| (name.as_str(), *text)).collect::<Vec<_>>())
}

fn path(volume: &Volume, name: &str) -> String {
    format!("{}/{name}", volume.text())
}

#[test]
fn each_name_gets_its_certificate_and_every_other_one_the_first() {
    let (default, exact, wild) = (issued(&["localhost"]), issued(&["a.test"]), issued(&["*.a.test", "b.test"]));
    let files = volume(&[("default", &default), ("exact", &exact), ("wild", &wild)]);
    let file = |name: &str| path(&files, name);
    let hosts = [
        ("VIRTUAL_HOST_10_DOMAIN", "A.test., x.a.test".to_owned()),
        ("VIRTUAL_HOST_10_CERT_FILE", file("exact.crt")),
        ("VIRTUAL_HOST_10_KEY_FILE", file("exact.key")),
        ("VIRTUAL_HOST_2_KEY_FILE", file("wild.key")),
        ("VIRTUAL_HOST_2_DOMAIN", "*.A.test, b.test".to_owned()),
        ("VIRTUAL_HOST_2_CERT_FILE", file("wild.crt")),
    ];
    let pair = [("TLS_CERT_FILE", file("default.crt")), ("TLS_KEY_FILE", file("default.key"))];
    for with_default in [true, false] {
        let settings: Vec<(&str, &str)> = hosts
            .iter()
            .chain(pair.iter().filter(|_| with_default))
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut server = rws(&settings).start();
        // Without a certificate for everybody it is the one of the lowest number.
        let other = if with_default { &default } else { &wild };
        let cases = [
            ("a.test", &exact),
            ("A.TEST", &exact),
            ("x.a.test", &exact),
            ("y.a.test", &wild),
            ("b.test", &wild),
            ("z.y.a.test", other),
            ("c.test", other),
            ("test", other),
            ("127.0.0.1", other),
        ];
        for (name, expected) in cases {
            assert_eq!(presented(&server, name), der(&expected.0), "{name}, default {with_default}");
        }
        assert_eq!(server.stop(), 0);
        let lines = server.stderr.all_json();
        // The certificate for a.test is not for x.a.test, which only the clients can mind.
        let doubts: Vec<_> = lines.iter().filter(|line| line["level"] == "warn").collect();
        assert!(doubts.len() == 1 && doubts[0]["domain"] == "x.a.test", "{doubts:?}");
    }
}

#[test]
fn a_session_is_resumed_under_its_own_name_only() {
    let (first, second) = (issued(&["a.test"]), issued(&["b.test"]));
    let files = volume(&[("a", &first), ("b", &second)]);
    let [a, a_key, b, b_key] = ["a.crt", "a.key", "b.crt", "b.key"].map(|name| path(&files, name));
    let server = rws(&[
        ("VIRTUAL_HOST_1_DOMAIN", "a.test"),
        ("VIRTUAL_HOST_1_CERT_FILE", &a),
        ("VIRTUAL_HOST_1_KEY_FILE", &a_key),
        ("VIRTUAL_HOST_2_DOMAIN", "b.test"),
        ("VIRTUAL_HOST_2_CERT_FILE", &b),
        ("VIRTUAL_HOST_2_KEY_FILE", &b_key),
    ])
    .start();
    let client = Arc::new(anybody());
    let ask = |name: &str| seen(server.address(), &client, name);
    assert_eq!(ask("a.test"), (der(&first.0), HandshakeKind::Full));
    assert_eq!(ask("a.test"), (der(&first.0), HandshakeKind::Resumed));
    assert_eq!(ask("b.test"), (der(&second.0), HandshakeKind::Full));
}

fn metric(server: &Server, cert: &str) -> Option<f64> {
    let session = ClientConnection::new(Arc::new(anybody()), "localhost".try_into().unwrap()).unwrap();
    let mut client = over(session, Client::<TcpStream>::connect(server.address()).stream);
    client.send(request("GET", "/metrics", "Connection: close\r\n"));
    let reply = client.reply();
    let line = format!("rws_tls_cert_not_after_timestamp_seconds{{cert=\"{cert}\"}} ");
    reply.text().lines().find_map(|found| found.strip_prefix(&line)?.parse().ok())
}

#[test]
fn each_pair_is_renewed_by_itself_and_shown_by_itself() {
    let (first, second, renewed) = (issued(&["a.test"]), issued(&["b.test"]), issued(&["a.test"]));
    let mut files = volume(&[("a", &first), ("b", &second)]);
    let [a, a_key, b, b_key] = ["a.crt", "a.key", "b.crt", "b.key"].map(|name| path(&files, name));
    let mut server = rws(&[
        ("VIRTUAL_HOST_1_DOMAIN", "a.test"),
        ("VIRTUAL_HOST_1_CERT_FILE", &a),
        ("VIRTUAL_HOST_1_KEY_FILE", &a_key),
        ("VIRTUAL_HOST_2_DOMAIN", "b.test"),
        ("VIRTUAL_HOST_2_CERT_FILE", &b),
        ("VIRTUAL_HOST_2_KEY_FILE", &b_key),
    ])
    .start();
    assert!(metric(&server, "a.test").is_some() && metric(&server, "b.test").is_some());
    assert!(metric(&server, "default").is_none());

    // One is renewed, and the other one spoilt, in the same moment.
    files.write(&[("a.crt", &renewed.0), ("a.key", &renewed.1), ("b.crt", "nonsense"), ("b.key", &second.1)]);
    let (mut replaced, mut refused) = (false, false);
    while !(replaced && refused) {
        let line = server.stderr.wait_for(|line| line.contains("TLS certificate "));
        replaced |= line.contains("TLS certificate replaced");
        refused |= line.contains("not replaced") && line.contains("RWS_CONFIG_VIRTUAL_HOST_2_CERT_FILE: ");
    }
    assert_eq!(presented(&server, "a.test"), der(&renewed.0));
    assert_eq!(presented(&server, "b.test"), der(&second.0));
    assert_eq!(server.stop(), 0);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let settings = [
        ("RWS_CONFIG_PORT", "0".to_owned()),
        ("RWS_CONFIG_TLS_CERT_FILE", text(&empty)),
        ("RWS_CONFIG_TLS_KEY_FILE", "/no/such/key".to_owned()),
        ("RWS_CONFIG_VIRTUAL_HOST_3_DOMAIN", "a.test".to_owned()),
        ("RWS_CONFIG_VIRTUAL_HOST_3_CERT_FILE", "/no/such/crt".to_owned()),
        ("RWS_CONFIG_VIRTUAL_HOST_3_KEY_FILE", text(&empty)),
        ("RWS_CONFIG_TLS_CLIENT_CA_FILE", text(dir.path())),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected = [
        "RWS_CONFIG_TLS_CERT_FILE: ",
        "RWS_CONFIG_TLS_KEY_FILE: /no/such/key does not exist",
        "RWS_CONFIG_VIRTUAL_HOST_3_CERT_FILE: /no/such/crt does not exist",
        "RWS_CONFIG_VIRTUAL_HOST_3_KEY_FILE: ",
        "RWS_CONFIG_TLS_CLIENT_CA_FILE: ",
    ];
    let output = run(&[], &settings);
    assert_eq!(output.status.code(), Some(2));
    let lines = json_lines(&output.stderr);
    let errors: Vec<&str> =
        lines.iter().filter(|line| line["level"] == "error").filter_map(|line| line["msg"].as_str()).collect();
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, expected) in errors.iter().zip(expected) {
        assert!(error.starts_with(expected), "{error}");
    }
    // And by the command that checks before.
    let output = run(&["check"], &settings);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(expected.iter().all(|expected| said.contains(expected)), "{said}");
}

#[test]
fn openssl_is_presented_the_certificate_for_its_name() {
    if program("openssl").is_none() {
        return;
    }
    let (default, other) = (issued(&["localhost"]), issued(&["a.test"]));
    let files = volume(&[("default", &default), ("other", &other)]);
    let [cert, key, a, a_key] = ["default.crt", "default.key", "other.crt", "other.key"].map(|name| path(&files, name));
    let server = rws(&[
        ("TLS_CERT_FILE", &cert),
        ("TLS_KEY_FILE", &key),
        ("VIRTUAL_HOST_1_DOMAIN", "a.test"),
        ("VIRTUAL_HOST_1_CERT_FILE", &a),
        ("VIRTUAL_HOST_1_KEY_FILE", &a_key),
        ("TLS_MIN_VERSION", "1.3"),
    ])
    .start();
    let said = |arguments: &[&str]| {
        let mut command = clean("openssl");
        command.args(["s_client", "-connect", &server.address().to_string()]).args(arguments);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let line = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
    let cases = [(&["-servername", "a.test"][..], &other), (&["-noservername"], &default)];
    for (arguments, expected) in cases {
        let said = said(arguments);
        assert!(said.contains(&line(&expected.0)) && said.contains("TLSv1.3"), "{arguments:?}: {said}");
    }
    let old = said(&["-tls1_2"]);
    assert!(old.contains("alert protocol version"), "{old}");
}
