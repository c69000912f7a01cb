//! Who a client is, as its certificate says (RFC 5280). That the certificate can be believed is for others to find out
//! before.
//!
//! Knows no sockets and no TLS.

#[cfg(feature = "tls")]
mod distinguished_name;

use std::fmt::Write;
use std::sync::Arc;

/// The certificate that a client of this connection has shown to be its own. Clones share it.
///
/// As an argument of a handler: `ClientCertificate` refuses who has none with 403; `Option<ClientCertificate>` takes
/// everybody. Where clients are asked for certificates, they have been verified against
/// `RWS_CONFIG_TLS_CLIENT_CA_FILE` before a request gets here.
///
/// ```
/// # #[cfg(feature = "tls")] {
/// use rws::app::{App, ClientCertificate, TestClient, get};
///
/// fn whoami(client: ClientCertificate) -> String {
///     client.spiffe_id().unwrap_or(client.subject()).to_owned()
/// }
///
/// let client = TestClient::new(App::new().route("/whoami", get(whoami)))?;
/// assert_eq!(client.get("/whoami").send().status(), 403);
///
/// // A test has no certificate at hand: an empty one stands for it.
/// let certificate = ClientCertificate::named("CN=cart").with_uri("spiffe://shop.example/cart");
/// let answer = client.get("/whoami").client_certificate(certificate).send();
/// assert_eq!(answer.text(), "spiffe://shop.example/cart");
/// # }
/// # Ok::<(), rws::app::BuildErrors>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate(Arc<Parts>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Parts {
    der: Vec<u8>,
    subject: String,
    common_name: Option<String>,
    issuer: String,
    serial: String,
    dns_names: Vec<String>,
    uris: Vec<String>,
    emails: Vec<String>,
    not_after: i64,
}

impl ClientCertificate {
    /// One with nothing but a subject, for tests.
    pub fn named(subject: &str) -> Self {
        let common_name = subject.split(", ").find_map(|part| part.strip_prefix("CN=")).map(str::to_owned);
        ClientCertificate(Arc::new(Parts { subject: subject.to_owned(), common_name, ..Parts::default() }))
    }

    /// The same with another URI, for tests.
    #[must_use]
    pub fn with_uri(mut self, uri: &str) -> Self {
        Arc::make_mut(&mut self.0).uris.push(uri.to_owned());
        self
    }

    /// The same with another DNS name, for tests.
    #[must_use]
    pub fn with_dns_name(mut self, name: &str) -> Self {
        Arc::make_mut(&mut self.0).dns_names.push(name.to_owned());
        self
    }

    /// Whom it names: `C=DE, O=Shop, CN=cart`. Characters that have a meaning in this text have a backslash in front where
    /// they are part of a value (RFC 4514 section 2.4).
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The first common name of the subject.
    pub fn common_name(&self) -> Option<&str> {
        self.0.common_name.as_deref()
    }

    /// Who issued it, as [`subject`](Self::subject) is written.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The serial number, which its issuer gives only once: bytes in lower-case hexadecimal, without separators.
    pub fn serial(&self) -> &str {
        &self.0.serial
    }

    /// The DNS names of subjectAltName.
    pub fn dns_names(&self) -> &[String] {
        &self.0.dns_names
    }

    /// The URIs of subjectAltName.
    pub fn uris(&self) -> &[String] {
        &self.0.uris
    }

    /// The email addresses of subjectAltName.
    pub fn emails(&self) -> &[String] {
        &self.0.emails
    }

    /// The SPIFFE ID of a workload: its certificate has one URI, and that one's scheme is `spiffe`
    /// (<https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#2-spiffe-id>).
    pub fn spiffe_id(&self) -> Option<&str> {
        match self.0.uris.as_slice() {
            [uri] if uri.starts_with("spiffe://") => Some(uri),
            _ => None,
        }
    }

    /// When it ends, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.0.not_after
    }

    /// The certificate itself (DER).
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The SHA-256 of [`der`](Self::der) in lower-case hexadecimal, as `openssl x509 -fingerprint -sha256` shows it
    /// without its colons.
    #[cfg(feature = "tls")]
    pub fn fingerprint(&self) -> String {
        hexadecimal(ring::digest::digest(&ring::digest::SHA256, &self.0.der).as_ref())
    }
}

#[cfg(feature = "tls")]
impl ClientCertificate {
    /// The certificate in `der`. Of one that can be verified and yet not be read, only `der` is known.
    pub fn from_der(der: &[u8]) -> Self {
        use x509_parser::extensions::GeneralName;
        use x509_parser::prelude::{FromDer, X509Certificate};

        let mut parts = Parts { der: der.to_owned(), ..Parts::default() };
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            let subject = certificate.subject();
            parts.subject = distinguished_name::shown(subject);
            parts.common_name = subject.iter_common_name().next().and_then(distinguished_name::text);
            parts.issuer = distinguished_name::shown(certificate.issuer());
            parts.serial = hexadecimal(certificate.raw_serial());
            parts.not_after = certificate.validity().not_after.timestamp();
            let names = certificate.subject_alternative_name().ok().flatten();
            for name in names.into_iter().flat_map(|names| &names.value.general_names) {
                match name {
                    GeneralName::DNSName(name) => parts.dns_names.push((*name).to_owned()),
                    GeneralName::URI(uri) => parts.uris.push((*uri).to_owned()),
                    GeneralName::RFC822Name(email) => parts.emails.push((*email).to_owned()),
                    _ => {}
                }
            }
        }
        ClientCertificate(Arc::new(parts))
    }
}

#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there are no certificates"))]
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(all(test, feature = "tls"))]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn what_a_certificate_says() {
        let mut params = CertificateParams::new(["cart.shop.svc".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::OrganizationName, "Shop, \"Inc\"");
        params.distinguished_name.push(DnType::CommonName, "cart");
        params.subject_alt_names.push(SanType::URI("spiffe://shop.example/cart".try_into().expect("a URI")));
        params.subject_alt_names.push(SanType::Rfc822Name("cart@shop.example".try_into().expect("an address")));
        params.serial_number = Some(0x1234_abcd.into());
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let certificate = ClientCertificate::from_der(made.der());
        assert!(certificate.subject().contains("CN=cart"), "{}", certificate.subject());
        assert_eq!(certificate.common_name(), Some("cart"));
        assert_eq!(certificate.issuer(), certificate.subject());
        assert_eq!(certificate.serial(), "1234abcd");
        assert_eq!(certificate.dns_names(), ["cart.shop.svc"]);
        assert_eq!(certificate.emails(), ["cart@shop.example"]);
        assert_eq!(certificate.spiffe_id(), Some("spiffe://shop.example/cart"));
        assert_eq!(certificate.der(), made.der().as_ref());
        assert_eq!(certificate.fingerprint().len(), 64);
        assert_eq!(certificate.clone().with_uri("https://shop.example").spiffe_id(), None);
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_it_is() {
        let certificate = ClientCertificate::from_der(b"abc");
        assert_eq!((certificate.der(), certificate.subject(), certificate.serial()), (&b"abc"[..], "", ""));
        let sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(certificate.fingerprint(), sha256_of_abc);
    }
}
