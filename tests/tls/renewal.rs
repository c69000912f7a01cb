//! A Secret that cert-manager renews, mounted as the kubelet does it.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::client::{TlsClient, authority, connect_with, usual};
use super::process::{Server, rws};
use super::support::{get_of, request};
use super::volume::Volume;

/// A connection on which one request was answered.
fn connected(server: &Server) -> TlsClient {
    let mut client = connect_with(server.address(), usual());
    assert!(is_served(&mut client));
    client
}

fn is_served(client: &mut TlsClient) -> bool {
    client.send(get_of("/demo/plaintext"));
    client.reply().text() == "Hello, World!"
}

/// Whether a new connection is presented this certificate.
fn presents(server: &Server, certificate: &str) -> bool {
    let client = connected(server);
    let wanted = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    client.stream.conn.peer_certificates().unwrap()[0] == wanted
}

fn reloads(server: &Server, result: &str) -> String {
    let mut client = connect_with(server.address(), usual());
    client.send(request("GET", "/metrics", "Connection: close\r\n"));
    let text = client.reply().text().to_owned();
    let start = format!("rws_config_reloads_total{{result=\"{result}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

#[test]
fn a_renewed_certificate_is_presented_without_dropping_a_connection_and_a_bad_one_is_not() {
    let issue = || authority().0.issue(|_| {});
    let ((first, first_key), (second, second_key)) = (issue(), issue());
    let mut secret = Volume::new(&[("tls.crt", &first), ("tls.key", &first_key)]);
    let path = |name: &str| format!("{}/{name}", secret.text());
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let mut server = rws(&[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &key)]).start();
    let mut before = connected(&server);
    assert!(presents(&server, &first));

    secret.write(&[("tls.crt", &second), ("tls.key", &second_key)]);
    let line = server.stderr.wait_for(|line| line.contains("TLS certificate replaced"));
    assert!(line.contains("localhost, 127.0.0.1"), "{line}");
    assert!(presents(&server, &second));
    assert!(is_served(&mut before), "a connection from before goes on");

    // A key that belongs to another certificate.
    secret.write(&[("tls.crt", &first), ("tls.key", &second_key)]);
    let line = server.stderr.wait_for(|line| line.contains("TLS certificate not replaced"));
    assert!(
        line.contains("RWS_CONFIG_TLS_KEY_FILE: ") && line.contains("does not belong to the certificate"),
        "{line}"
    );
    assert!(presents(&server, &second));
    assert!(is_served(&mut before));
    assert_eq!((&*reloads(&server, "success"), &*reloads(&server, "failure")), ("1", "1"));

    // Mended, by going back.
    secret.write(&[("tls.crt", &first), ("tls.key", &first_key)]);
    server.stderr.wait_for(|line| line.contains("TLS certificate replaced"));
    assert!(presents(&server, &first));
    assert_eq!(server.stop(), 0);
}
