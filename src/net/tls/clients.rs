//! Who may be a client: the authorities whose certificates are asked for (mutual TLS).
//!
//! A certificate is verified as webpki does it: a chain to one of the authorities, dates, name constraints, usable for
//! client authentication. A client that resumes a session is not verified again; so tickets die with the authorities
//! that they were made under.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::X509Version;

use super::identity::{IdentityError, Part, parse, read};
use super::provider;

/// The authorities, and what becomes of clients that come without a certificate.
#[derive(Debug)]
pub struct Clients {
    certificates: Vec<CertificateDer<'static>>,
    subjects: Vec<String>,
    is_required: bool,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Clients {
    /// Reads a bundle of certificates (PEM). With `is_required`, who has no certificate is refused.
    ///
    /// # Errors
    /// When the file cannot be read, or one of its certificates is not that of an authority.
    pub fn load(path: &Path, is_required: bool) -> Result<Self, IdentityError> {
        let read = read::certificates(path, "ca.crt").and_then(|certificates| Self::of(certificates, is_required));
        read.map_err(|reason| IdentityError { part: Part::ClientAuthorities, path: path.to_owned(), reason })
    }

    fn of(certificates: Vec<CertificateDer<'static>>, is_required: bool) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut subjects = Vec::new();
        for (n, (parsed, der)) in parse(&certificates)?.iter().zip(&certificates).enumerate() {
            let subject = parsed.subject().to_string();
            let who = format!("certificate number {} ({subject})", n + 1);
            if !is_authority(parsed) {
                return Err(format!(
                    "holds a certificate that is not that of an authority (CA:TRUE is missing): {who}; clients are verified \
                     against who issued their certificates, not against these"
                ));
            }
            roots.add(der.clone()).map_err(|error| format!("has a {who} that cannot be used ({error})"))?;
            subjects.push(subject);
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider::default_provider()));
        let builder = if is_required { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|error| format!("cannot be used ({error})"))?;
        Ok(Clients { certificates, subjects, is_required, verifier })
    }

    /// The names of the authorities.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// Whether who has no certificate is refused.
    pub fn is_required(&self) -> bool {
        self.is_required
    }

    /// Whether clients would see no difference.
    pub fn asks_the_same_as(&self, other: &Clients) -> bool {
        self.certificates == other.certificates && self.is_required == other.is_required
    }

    pub(super) fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }
}

/// Version 1 has no way to say so, and only roots have it.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1 || certificate.is_ca()
}

/// Why a handshake failed, if the client's certificate is to blame.
pub fn refused_client(error: &io::Error) -> Option<String> {
    let reason = match error.get_ref()?.downcast_ref()? {
        Error::NoCertificatesPresented => "it presented none".to_owned(),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "none of the authorities issued what it presented, or the chain to them is incomplete".to_owned()
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => "it does not have the key".to_owned(),
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.to_string().as_str() {
            "UnsupportedCertVersion" => {
                "it is of X.509 version 1 or 2: have it issued with extensions, as version 3".into()
            }
            reason => reason.to_owned(),
        },
        Error::InvalidCertificate(error) => error.to_string(),
        _ => return None,
    };
    Some(reason)
}
