//! PEM files: what is in them, or why that is not what it should be. Errors are the end of a sentence that begins with
//! the file's path.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use memchr::memmem;
use rustls::pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The largest file that is read: a Secret holds no more.
const MOST: u64 = 1 << 20;
/// What DER begins with: the tag of a SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// The certificates of a file, in its order; at least one. `usual` is what such a file is called in a Secret.
pub(in crate::net::tls) fn certificates(path: &Path, usual: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let file = PemFile::read(path, usual)?;
    let certificates: Vec<_> = file.of_kind(&[SectionKind::Certificate]).map(CertificateDer::from).collect();
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(if file.of_kind(KEYS).next().is_some() || file.mentions("PRIVATE KEY-----") {
        "holds a private key and no certificate: that belongs into the other variable".into()
    } else if file.mentions("CERTIFICATE REQUEST-----") {
        "holds a certificate request, which its issuer has yet to make a certificate of".into()
    } else if file.is_der() {
        let path = path.display();
        format!(
            "is not PEM but binary (DER?): convert it, for example openssl x509 -inform der -in {path} -out tls.crt"
        )
    } else {
        "holds no certificate: there must be a line -----BEGIN CERTIFICATE-----".into()
    })
}

/// The first private key of a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let file = PemFile::read(path, "tls.key")?;
    let key = file.sections.iter().find_map(|(kind, der)| PrivateKeyDer::from_pem(*kind, der.clone()));
    let shown = path.display();
    key.ok_or_else(|| {
        if file.mentions("ENCRYPTED") {
            format!("holds an encrypted private key, and there is nobody to ask for the password: decrypt it with openssl pkey -in {shown} -out tls.key")
        } else if file.of_kind(&[SectionKind::Certificate]).next().is_some() {
            "holds a certificate and no private key: that belongs into the other variable".into()
        } else if file.of_kind(&[SectionKind::PublicKey]).next().is_some() {
            "holds a public key where the private one should be".into()
        } else if file.is_der() {
            format!("is not PEM but binary (DER?): convert it, for example openssl pkey -inform der -in {shown} -out tls.key")
        } else {
            "holds no private key: there must be a line -----BEGIN PRIVATE KEY-----".into()
        }
    })
}

const KEYS: &[SectionKind] = &[SectionKind::PrivateKey, SectionKind::RsaPrivateKey, SectionKind::EcPrivateKey];

/// A file and its sections.
struct PemFile {
    bytes: Vec<u8>,
    sections: Vec<(SectionKind, Vec<u8>)>,
}

impl PemFile {
    fn read(path: &Path, usual: &str) -> Result<Self, String> {
        let bytes = read(path).map_err(|error| unreadable(path, usual, &error))?;
        if bytes.is_empty() {
            return Err("is empty".into());
        }
        if memmem::find(&bytes, b"Proc-Type: 4,ENCRYPTED").is_some() {
            // The old kind of encryption, whose fields are no Base64.
            return Ok(PemFile { bytes, sections: Vec::new() });
        }
        let sections: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes).collect();
        let sections = sections.map_err(|error| broken(&error))?;
        Ok(PemFile { bytes, sections })
    }

    fn of_kind<'a>(&'a self, kinds: &'a [SectionKind]) -> impl Iterator<Item = Vec<u8>> + 'a {
        self.sections.iter().filter(|(kind, _)| kinds.contains(kind)).map(|(_, der)| der.clone())
    }

    fn mentions(&self, text: &str) -> bool {
        memmem::find(&self.bytes, text.as_bytes()).is_some()
    }

    fn is_der(&self) -> bool {
        self.sections.is_empty() && self.bytes[0] == SEQUENCE
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let kind = path.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // To open a named pipe would be to wait until somebody writes to it.
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, usual: &str, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => "does not exist: mount the Secret that holds it, or correct the path".into(),
        ErrorKind::PermissionDenied => format!(
            "cannot be read ({error}): the server's user must be allowed to, for example by fsGroup in the pod's \
             securityContext and defaultMode: 0440 of the Secret's volume"
        ),
        ErrorKind::IsADirectory => format!("is a directory: name the file in it, for example {shown}/{usual}"),
        _ => format!("cannot be read ({error})"),
    }
}

fn broken(error: &PemError) -> String {
    let reason = match error {
        PemError::MissingSectionEnd { end_marker } => {
            format!("the line -----END {}----- is missing", String::from_utf8_lossy(end_marker))
        }
        PemError::Base64Decode(reason) => reason.clone(),
        error => error.to_string(),
    };
    format!("is not valid PEM ({reason}): was it copied as a whole?")
}
