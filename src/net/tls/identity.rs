//! A certificate with its chain and its private key, read from PEM files and checked: everything that would make
//! handshakes fail later is said when it is read, with what to do about it.
//!
//! Expiry is no error. A server that refuses to start with an expired certificate turns the failure of those clients
//! that look at dates into one for all of them, and restarts do not help: only a new certificate does.

pub mod expiry;
pub(super) mod read;
mod remarks;

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
    remarks: Vec<String>,
    expiry: Expiry,
}

/// Which file is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one with the certificate and its chain.
    Certificate,
    /// The one with the private key.
    Key,
    /// The one with the authorities that issue certificates for clients.
    ClientAuthorities,
}

/// What is wrong with a file: one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError {
    pub(super) part: Part,
    pub(super) path: PathBuf,
    pub(super) reason: String,
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
    /// When a file cannot be read or is not what it should be, or when they do not belong together. If both files are
    /// wrong, both are told.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, Vec<IdentityError>> {
        let blame = |part| {
            let path = if part == Part::Key { key } else { certificate };
            move |reason| IdentityError { part, path: path.to_owned(), reason }
        };
        let chain = read::certificates(certificate, "tls.crt").map_err(blame(Part::Certificate));
        let signing_key = signing_key(key).map_err(blame(Part::Key));
        let (chain, signing_key) = match (chain, signing_key) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
        };
        let parsed = parse(&chain).map_err(|reason| vec![blame(Part::Certificate)(reason)])?;
        check(&parsed, &*signing_key, certificate).map_err(|(part, reason)| vec![blame(part)(reason)])?;
        let names = names(&parsed[0]);
        let remarks = remarks::remarks(&parsed, &names);
        let expiry = Expiry::of(parsed[0].validity(), certificate);
        Ok(Identity { key: Arc::new(CertifiedKey::new(chain, signing_key)), names, remarks, expiry })
    }

    /// The DNS names and addresses that the certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it is for `domain`, which is in lower case; for a wildcard, whether it is for all that this stands for.
    pub fn covers(&self, domain: &str) -> bool {
        let stands_for = |rest: &str| domain.split_once('.').is_some_and(|(_, own)| own.eq_ignore_ascii_case(rest));
        self.names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(domain) || name.strip_prefix("*.").is_some_and(stands_for))
    }

    /// Why some clients will refuse it, each to follow the path of the file.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
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

fn signing_key(path: &Path) -> Result<Arc<dyn SigningKey>, String> {
    any_supported_type(&read::private_key(path)?).map_err(|_| {
        "holds a private key that cannot be used: RSA with 2048 to 8192 bits, ECDSA on P-256 or P-384, and Ed25519 can"
            .into()
    })
}

/// Whether the key belongs to the first certificate, and the others follow as they should.
fn check(chain: &[X509Certificate<'_>], key: &dyn SigningKey, certificate: &Path) -> Result<(), (Part, String)> {
    match owner(chain, key) {
        Some(0) => check_order(chain).map_err(|reason| (Part::Certificate, reason)),
        Some(n) => {
            let reason = format!(
                "has its certificates in the wrong order: number {} belongs to the key and must come first, each of the \
                 others behind one that it issued",
                n + 1
            );
            Err((Part::Certificate, reason))
        }
        None => {
            let reason = format!(
                "does not belong to the certificate in {}: use two files of the same Secret",
                certificate.display()
            );
            Err((Part::Key, reason))
        }
    }
}

pub(super) fn parse<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, String> {
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
