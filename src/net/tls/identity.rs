//! A certificate with its chain and its private key, read from PEM files and checked: everything that would make
//! handshakes fail later is said when it is read, with what to do about it.
//!
//! Expiry is no error. A server that refuses to start with an expired certificate turns the failure of those clients
//! that look at dates into one for all of them, and restarts do not help: only a new certificate does.

pub mod expiry;
mod read;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use self::expiry::Expiry;
use super::provider::any_supported_type;

/// A certificate that can be presented.
#[derive(Debug)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    expiry: Expiry,
}

/// Which file is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one with the certificate and its chain.
    Certificate,
    /// The one with the private key.
    Key,
}

/// Why two files are no identity: one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError {
    part: Part,
    path: PathBuf,
    reason: String,
}

impl IdentityError {
    /// Which file is at fault.
    pub fn part(&self) -> Part {
        self.part
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for IdentityError {}

impl Identity {
    /// Reads and checks a certificate (PEM; its chain may follow, each certificate behind one that it issued) and its
    /// private key (PEM; PKCS#8, PKCS#1 or SEC1; RSA, ECDSA or Ed25519).
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be, or when they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let blame = |part, path: &Path| {
            let path = path.to_owned();
            move |reason| IdentityError { part, path, reason }
        };
        let chain = read::certificates(certificate).map_err(blame(Part::Certificate, certificate))?;
        let key_der = read::private_key(key).map_err(blame(Part::Key, key))?;
        let signing_key = any_supported_type(&key_der).map_err(|_| {
            blame(Part::Key, key)(
                "holds a private key that cannot be used: RSA with 2048 to 8192 bits, ECDSA on P-256 or P-384, and \
                 Ed25519 can"
                    .into(),
            )
        })?;
        let parsed = parse(&chain).map_err(blame(Part::Certificate, certificate))?;
        match owner(&parsed, &*signing_key) {
            Some(0) => {}
            Some(n) => {
                let reason = format!(
                    "has its certificates in the wrong order: number {} belongs to the key and must come first, each \
                     of the others behind one that it issued",
                    n + 1
                );
                return Err(blame(Part::Certificate, certificate)(reason));
            }
            None => {
                let reason = format!(
                    "does not belong to the certificate in {}: use two files of the same Secret",
                    certificate.display()
                );
                return Err(blame(Part::Key, key)(reason));
            }
        }
        check_order(&parsed).map_err(blame(Part::Certificate, certificate))?;
        let names = names(&parsed[0]);
        let expiry = Expiry::of(parsed[0].validity(), certificate);
        Ok(Identity { key: Arc::new(CertifiedKey::new(chain, signing_key)), names, expiry })
    }

    /// The DNS names and addresses that the certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When the certificate expires.
    pub fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// Whether clients would see no difference.
    pub fn presents_the_same_as(&self, other: &Identity) -> bool {
        self.key.cert == other.key.cert
    }

    pub(super) fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }
}

fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, String> {
    let parse = |(n, der): (usize, &'a CertificateDer<'_>)| match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(format!("holds something else as certificate number {} ({error})", n + 1)),
    };
    chain.iter().enumerate().map(parse).collect()
}

/// Which of the certificates the key belongs to.
fn owner(chain: &[X509Certificate<'_>], key: &dyn SigningKey) -> Option<usize> {
    let public = key.public_key()?;
    chain.iter().position(|certificate| certificate.public_key().raw == public.as_ref())
}

/// Each certificate after the first must have issued one before it (RFC 5246 section 7.4.2; since RFC 8446 section
/// 4.4.2 clients should cope without, but not all do).
fn check_order(chain: &[X509Certificate<'_>]) -> Result<(), String> {
    for (n, certificate) in chain.iter().enumerate().skip(1) {
        let issued = |earlier: &X509Certificate<'_>| earlier.issuer().as_raw() == certificate.subject().as_raw();
        if !chain[..n].iter().any(issued) {
            return Err(format!(
                "has its certificates in the wrong order: number {} ({}) issued none of those before it",
                n + 1,
                certificate.subject()
            ));
        }
    }
    Ok(())
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}
