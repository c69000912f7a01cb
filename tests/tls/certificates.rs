//! What is wrong with certificates and keys is said when they are read, in one line that tells what to do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, HandshakeKind, SignatureScheme};
use rws::net::tls::identity::expiry::Remark;
use rws::net::tls::identity::{Identity, Part};
use rws::server::clock::Clock;

use super::client::{Authority, TlsClient, acceptor, authority, connect_with, usual};
use super::support::{Site, config, get_of};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/fixtures").join(name)
}

/// Believes every certificate, but not every signature.
#[derive(Debug)]
pub(crate) struct Gullible(WebPkiSupportedAlgorithms);

impl Gullible {
    pub(crate) fn new() -> Self {
        Gullible(ring::default_provider().signature_verification_algorithms)
    }
}

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[test]
fn keys_of_every_kind_and_form_serve() {
    let pairs = [
        ("rsa.crt", "rsa.pkcs8.key"),
        ("rsa.crt", "rsa.pkcs1.key"),
        ("ec.crt", "ec.sec1.key"),
        ("ec.crt", "ec.pkcs8.key"),
        ("p384.crt", "p384.key"),
        ("ed25519.crt", "ed25519.key"),
    ];
    for (certificate, key) in pairs {
        let acceptor = acceptor(&fixture(certificate), &fixture(key));
        let site = Site::of(config(), Clock::manual(), |server| server.with_tls(Some(acceptor)));
        for version in [&TLS12, &TLS13] {
            let wanted = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Gullible::new()))
                .with_no_client_auth();
            let mut client = connect_with(site.address, Arc::new(wanted));
            client.send(get_of("/text"));
            assert_eq!(client.reply().text(), "Hello", "{key}");
        }
    }
}

#[test]
fn what_cannot_serve_is_said_in_one_line() {
    let authority = Authority::new("another authority");
    let (certificate, key) = authority.issue(|_| {});
    let (strange, _) = authority.issue(|_| {});
    let good = authority.write("tls.crt", &certificate);
    let good_key = authority.write("tls.key", &key);
    let file = |name: &str, text: &str| authority.write(name, text);
    let der = |pem: &str| pem::parse(pem).unwrap().into_contents();
    let ca = authority.certificate.as_str();
    let missing = PathBuf::from("/no/such/tls.crt");
    let dir = good.parent().unwrap().to_owned();

    let in_certificate = [
        (missing.clone(), "does not exist: mount the Secret"),
        (dir.clone(), "is a directory: name the file in it"),
        (file("empty", ""), "is empty"),
        (file("text", "Hello"), "holds no certificate: there must be a line -----BEGIN CERTIFICATE-----"),
        (file("key", &key), "holds a private key and no certificate"),
        (fixture("rsa.pkcs1.encrypted.key"), "holds a private key and no certificate"),
        (fixture("request.csr"), "holds a certificate request"),
        (authority.write("der", der(&certificate)), "is not PEM but binary (DER?): convert it"),
        (file("half", &certificate[..certificate.len() - 10]), "is not valid PEM (the line -----END CERTIFICATE-----"),
        (file("broken", &certificate.replace('M', "!")), "is not valid PEM ("),
        (
            file("junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "holds something else as certificate number 1",
        ),
        (file("reversed", &format!("{ca}{certificate}")), "number 2 belongs to the key and must come first"),
        (
            file("stranger", &format!("{certificate}{strange}")),
            "number 2 (CN=localhost) issued none of those before it",
        ),
        (file("large", &"x".repeat((1 << 20) + 1)), "cannot be read (it is larger than 1 MiB)"),
        (PathBuf::from("/dev/null"), "cannot be read (it is no regular file)"),
    ];
    for (path, expected) in &in_certificate {
        expect(path, &good_key, Part::Certificate, path, expected);
    }
    let in_key = [
        (missing, "does not exist: mount the Secret"),
        (dir, "is a directory: name the file in it"),
        (file("empty", ""), "is empty"),
        (file("text", "Hello"), "holds no private key: there must be a line -----BEGIN PRIVATE KEY-----"),
        (good.clone(), "holds a certificate and no private key"),
        (fixture("public.pem"), "holds a public key where the private one should be"),
        (fixture("rsa.pkcs8.encrypted.key"), "holds an encrypted private key"),
        (fixture("rsa.pkcs1.encrypted.key"), "holds an encrypted private key"),
        (authority.write("der", der(&key)), "is not PEM but binary (DER?): convert it"),
        (fixture("ec.sec1.key"), "does not belong to the certificate in"),
        (fixture("rsa.pkcs1.key"), "does not belong to the certificate in"),
        (fixture("p521.key"), "holds a private key that cannot be used"),
        (fixture("short.key"), "holds a private key that cannot be used"),
        (
            file("junk", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            "holds a private key that cannot be used",
        ),
    ];
    for (path, expected) in &in_key {
        expect(&good, path, Part::Key, path, expected);
    }
}

fn expect(certificate: &Path, key: &Path, part: Part, blamed: &Path, expected: &str) {
    let errors = Identity::load(certificate, key).expect_err(expected);
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    let text = error.to_string();
    assert!(text.starts_with(&format!("{} {expected}", blamed.display())) || text.contains(expected), "{text}");
    assert!(text.starts_with(&blamed.display().to_string()) && !text.contains('\n'), "{text}");
    assert_eq!(error.part(), part, "{text}");
}

#[test]
fn whole_chains_and_keys_with_something_around_them_are_fine() {
    let (authority, certificate, key) = authority();
    let leaf = std::fs::read_to_string(certificate).unwrap();
    let key_text = std::fs::read_to_string(key).unwrap();
    let chains = [
        format!("{leaf}{}", authority.certificate),
        format!("# issued for tests\n{leaf}\n\n{}\n", authority.certificate),
        leaf.replace('\n', "\r\n"),
    ];
    for chain in chains {
        let path = authority.write("chain.crt", chain);
        let identity = Identity::load(&path, key).unwrap();
        assert_eq!(identity.names(), ["localhost", "127.0.0.1"]);
    }
    // Some put everything into one file.
    let both = authority.write("both.pem", format!("{key_text}{leaf}"));
    Identity::load(&both, &both).unwrap();
}

#[test]
fn another_certificate_is_for_new_connections_and_disturbs_no_old_one() {
    let (authority, certificate, key) = authority();
    let (other, other_key) = authority.issue(|params| params.serial_number = Some(4711.into()));
    let (other, other_key) = (authority.write("other.crt", other), authority.write("other.key", other_key));
    let acceptor = acceptor(certificate, key);
    let site = Site::of(config(), Clock::manual(), |server| server.with_tls(Some(acceptor.clone())));
    let wanted = usual();
    let seen = |client: &mut TlsClient| {
        client.send(get_of("/text"));
        assert_eq!(client.reply().text(), "Hello");
        let session = &client.stream.conn;
        (session.peer_certificates().unwrap()[0].to_vec(), session.handshake_kind())
    };
    let mut old = connect_with(site.address, wanted.clone());
    let before = seen(&mut old);
    acceptor.replace(Identity::load(&other, &other_key).unwrap()).unwrap();
    assert_eq!(seen(&mut old), before);
    let after = seen(&mut connect_with(site.address, wanted));
    assert_ne!(after.0, before.0);
    assert_eq!(after.1, Some(HandshakeKind::Full));
    assert_eq!(acceptor.identity().names(), ["localhost", "127.0.0.1"]);
}

#[test]
fn dates_are_no_error_but_are_remarked_on() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    let authority = Authority::new("an authority in its time");
    let issue = |from: SystemTime, to: SystemTime| {
        let (certificate, key) = authority.issue(|params| {
            (params.not_before, params.not_after) = (from.into(), to.into());
        });
        let (certificate, key) = (authority.write("tls.crt", certificate), authority.write("tls.key", key));
        Identity::load(&certificate, &key).unwrap().expiry().remark(now)
    };
    assert_eq!(issue(now - DAY, now + 15 * DAY), None);
    assert!(matches!(issue(now - DAY, now + 13 * DAY), Some(Remark::ExpiresSoon(_))));
    assert!(matches!(issue(now - 2 * DAY, now - DAY), Some(Remark::Expired(_))));
    assert!(matches!(issue(now + DAY, now + 2 * DAY), Some(Remark::NotYetValid(_))));
}

#[test]
fn what_clients_will_not_like_is_remarked_on() {
    let authority = Authority::new("an authority with odd customers");
    type Prepare = fn(&mut CertificateParams);
    let cases: [(&str, Prepare, &[&str]); 5] = [
        ("fine", |_| {}, &[]),
        ("ca", |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), &["(CA:TRUE)"]),
        (
            "nameless",
            |params| params.subject_alt_names.clear(),
            &["names no host in subjectAltName (its common name localhost"],
        ),
        (
            "client",
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            &["lacks serverAuth"],
        ),
        (
            "server",
            |params| {
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            },
            &[],
        ),
    ];
    for (name, prepare, expected) in cases {
        let (certificate, key) = authority.issue(prepare);
        let (certificate, key) = (authority.write("odd.crt", certificate), authority.write("odd.key", key));
        let identity = Identity::load(&certificate, &key).unwrap();
        let remarks = identity.remarks();
        assert_eq!(remarks.len(), expected.len(), "{name}: {remarks:?}");
        assert!(
            remarks.iter().zip(expected).all(|(remark, expected)| remark.contains(expected)),
            "{name}: {remarks:?}"
        );
    }
    let old = Identity::load(&fixture("sha1.crt"), &fixture("sha1.key")).unwrap();
    assert!(matches!(old.remarks(), [remark] if remark.contains("SHA-1 or MD5 on certificate number 1")), "{old:?}");
}

#[test]
fn a_certificate_covers_its_names_and_what_its_wildcards_stand_for() {
    let (authority, ..) = authority();
    let (certificate, key) = authority.issue(|params| {
        let names = ["a.test", "*.B.test"].map(|name| SanType::DnsName(name.try_into().unwrap()));
        params.subject_alt_names = names.to_vec();
    });
    let (certificate, key) = (authority.write("covers.crt", certificate), authority.write("covers.key", key));
    let identity = Identity::load(&certificate, &key).unwrap();
    let cases = [
        ("a.test", true),
        ("x.a.test", false),
        ("*.a.test", false),
        ("x.b.test", true),
        ("*.b.test", true),
        ("b.test", false),
        ("y.x.b.test", false),
    ];
    for (domain, expected) in cases {
        assert_eq!(identity.covers(domain), expected, "{domain}");
    }
}
