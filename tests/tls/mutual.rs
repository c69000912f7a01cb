//! Clients that have to show certificates.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::SanType;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use rws::net::tls::clients::Clients;
use rws::net::tls::identity::Part;

use super::client::{Authority, authority, connect_with, usual, wants, wants_as};
use super::process::{Server, Setup, clean, program, run, rws};
use super::support::{get_of, request};
use super::volume::Volume;

const BOTH: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// The binary, which asks for certificates of the authorities in `ca`.
fn asking(ca: &str, settings: &[(&str, &str)]) -> Setup {
    let (_, certificate, key) = authority();
    let own = [
        ("TLS_CERT_FILE", certificate.to_str().unwrap()),
        ("TLS_KEY_FILE", key.to_str().unwrap()),
        ("TLS_CLIENT_CA_FILE", ca),
    ];
    rws(&[&own[..], settings].concat())
}

/// Whether who has this is served, with the kind of handshake; else why not.
fn ask(server: &Server, config: &Arc<ClientConfig>) -> Result<HandshakeKind, String> {
    let mut client = connect_with(server.address(), config.clone());
    let answer = client.try_send(get_of("/demo/plaintext")).and_then(|()| client.try_reply("GET"));
    answer.map_err(|error| error.to_string()).map(|reply| {
        assert_eq!(reply.text(), "Hello, World!");
        client.stream.conn.handshake_kind().unwrap()
    })
}

/// An authority for clients, and a certificate of it.
fn clients(name: &str) -> (Authority, String, String) {
    let authority = Authority::new(name);
    let (certificate, key) = authority.issue(|params| {
        params.distinguished_name.push(rcgen::DnType::CommonName, "cart");
        params.subject_alt_names = vec![SanType::URI("spiffe://shop.example/cart".try_into().unwrap())];
    });
    (authority, certificate, key)
}

#[test]
fn only_clients_of_the_authorities_are_served_and_the_log_names_them() {
    let (ours, certificate, key) = clients("ours");
    let (_, strange, strange_key) = clients("somebody else's");
    // One of several, as a bundle.
    let (also, also_certificate, also_key) = clients("ours as well");
    let bundle = ours.write("bundle.crt", format!("{}{}", also.certificate, ours.certificate));
    let mut server = asking(bundle.to_str().unwrap(), &[]).start();
    for versions in BOTH {
        let config = wants_as(&certificate, &key, versions);
        assert_eq!(ask(&server, &config), Ok(HandshakeKind::Full));
        // Nobody shows a certificate again to go on with a session.
        assert_eq!(ask(&server, &config), Ok(HandshakeKind::Resumed));
        assert!(ask(&server, &wants_as(&also_certificate, &also_key, versions)).is_ok());
        assert!(ask(&server, &wants(versions, &[])).is_err(), "without a certificate");
        assert!(ask(&server, &wants_as(&strange, &strange_key, versions)).is_err(), "with a stranger's");
    }
    let me = wants_as(&certificate, &key, &[&TLS13]);
    let mut client = connect_with(server.address(), me);
    client.send(request("GET", "/metrics", "Connection: close\r\n"));
    let metrics = client.reply().text().to_owned();
    assert!(metrics.contains(r#"rws_connection_errors_total{kind="tls_handshake"} 4"#), "{metrics}");
    assert_eq!(server.stop(), 0);
    let lines = server.stderr.all_json();
    let warned: Vec<_> = lines.iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(warned.len(), 1, "once a minute: {warned:?}");
    let (msg, last) = (warned[0]["msg"].as_str().unwrap(), warned[0]["last"].as_str().unwrap());
    assert!(msg.contains("clients were refused for their certificates") && last == "it presented none", "{warned:?}");
    let requests = server.stdout.all_json();
    let named =
        |line: &serde_json::Value| line["tls_client_subject"].as_str().is_some_and(|who| who.contains("CN=cart"));
    assert!(requests.len() >= 6 && requests.iter().all(named), "{requests:?}");
}

#[test]
fn where_it_is_optional_only_those_who_have_one_must_have_a_good_one() {
    let (ours, certificate, key) = clients("ours");
    let (_, strange, strange_key) = clients("somebody else's");
    let mut server = asking(ours.path().to_str().unwrap(), &[("TLS_CLIENT_AUTH", "optional")]).start();
    for versions in BOTH {
        assert!(ask(&server, &wants(versions, &[])).is_ok());
        assert!(ask(&server, &wants_as(&certificate, &key, versions)).is_ok());
        assert!(ask(&server, &wants_as(&strange, &strange_key, versions)).is_err());
    }
    assert_eq!(server.stop(), 0);
    let requests = server.stdout.all_json();
    let named = requests.iter().filter(|line| line.get("tls_client_subject").is_some()).count();
    assert_eq!((named, requests.len()), (2, 4));
}

#[test]
fn authorities_are_replaced_with_their_file_and_tickets_of_before_do_not_count() {
    let (old, old_certificate, old_key) = clients("the old one");
    let (new, new_certificate, new_key) = clients("the new one");
    let mut volume = Volume::new(&[("ca.crt", &old.certificate)]);
    let mut server = asking(&format!("{}/ca.crt", volume.text()), &[]).start();
    let (before, after) =
        (wants_as(&old_certificate, &old_key, &[&TLS13]), wants_as(&new_certificate, &new_key, &[&TLS13]));
    assert_eq!(ask(&server, &before), Ok(HandshakeKind::Full));
    assert_eq!(ask(&server, &before), Ok(HandshakeKind::Resumed));
    assert!(ask(&server, &after).is_err());
    let mut kept = connect_with(server.address(), before.clone());
    kept.send(get_of("/demo/plaintext"));
    assert_eq!(kept.reply().status, 200);

    // A certificate that issued nothing.
    volume.set("ca.crt", &new_certificate);
    let line = server.stderr.wait_for(|line| line.contains("authorities of client certificates not replaced"));
    assert!(line.contains("RWS_CONFIG_TLS_CLIENT_CA_FILE: ") && line.contains("CA:TRUE is missing"), "{line}");
    assert_eq!(ask(&server, &before), Ok(HandshakeKind::Resumed));

    volume.set("ca.crt", &new.certificate);
    server.stderr.wait_for(|line| line.contains("authorities of client certificates replaced"));
    assert!(ask(&server, &before).is_err(), "whose authority is gone is not resumed");
    assert!(ask(&server, &after).is_ok());
    kept.send(get_of("/demo/plaintext"));
    assert_eq!(kept.reply().status, 200, "a connection from before goes on");
    assert_eq!(server.stop(), 0);
}

#[test]
fn files_that_hold_no_authorities_are_refused_with_a_reason() {
    let (ours, certificate, key) = clients("ours");
    let cases = [
        ("empty", String::new(), "is empty"),
        ("key", key, "holds a private key and no certificate"),
        ("leaf", certificate.clone(), "holds a certificate that is not that of an authority (CA:TRUE is missing)"),
        ("mixed", format!("{}{certificate}", ours.certificate), "certificate number 2 (CN=cart)"),
    ];
    for (name, text, expected) in cases {
        let error = Clients::load(&ours.write(name, text), true).expect_err(name);
        assert_eq!(error.part(), Part::ClientAuthorities);
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(Clients::load(&ours.path(), true).unwrap().subjects(), ["CN=ours"]);
}

/// Inside a cluster, kubelet probes of such a port fail, which is said at the start; `rws probe` knows as well.
#[test]
fn the_admin_port_is_for_probes() {
    let (ours, ..) = clients("ours");
    let ca = ours.path();
    let inside = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");
    let (_, certificate, key) = authority();
    let settings = [
        inside,
        ("RWS_CONFIG_TLS_CERT_FILE", certificate.to_str().unwrap()),
        ("RWS_CONFIG_TLS_KEY_FILE", key.to_str().unwrap()),
        ("RWS_CONFIG_TLS_CLIENT_CA_FILE", ca.to_str().unwrap()),
    ];
    let said = |arguments: &[&str], more: &[(&str, &str)]| {
        let output = run(arguments, &[&settings[..], more].concat());
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text)
    };
    let (_, text) = said(&["check"], &[]);
    assert!(text.contains("refuses the kubelet's httpGet probes"), "{text}");
    for fine in [("RWS_CONFIG_ADMIN_PORT", "9090"), ("RWS_CONFIG_TLS_CLIENT_AUTH", "optional")] {
        let (_, text) = said(&["check"], &[fine]);
        assert!(!text.contains("kubelet"), "{text}");
    }
    let (code, text) = said(&["probe", "readyz"], &[]);
    assert!(code == Some(2) && text.contains("set RWS_CONFIG_ADMIN_PORT"), "{text}");
}

#[test]
fn curl_with_a_certificate_is_served() {
    if program("curl").is_none() {
        return;
    }
    let (ours, certificate, key) = clients("ours");
    let (certificate, key) = (ours.write("client.crt", certificate), ours.write("client.key", key));
    let server = asking(ours.path().to_str().unwrap(), &[]).start();
    let (trusted, ..) = authority();
    let ca = trusted.path();
    let url = format!("https://localhost:{}/demo/plaintext", server.port);
    let curl = |arguments: &[&str]| {
        let mut command = clean("curl");
        command.args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert", ca.to_str().unwrap(), &url]);
        command.args(arguments).output().unwrap().stdout
    };
    for version in ["--tlsv1.3", "--tls-max"] {
        let version: &[&str] = if version == "--tls-max" { &[version, "1.2"] } else { &[version] };
        let own = ["--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
        assert_eq!(curl(&[version, &own].concat()), b"Hello, World!");
        assert_eq!(curl(version), b"");
    }
    // Who asks for a connection and nothing else costs nothing either.
    drop(TcpStream::connect(server.address()).unwrap());
    assert!(ask(&server, &usual()).is_err());
}
