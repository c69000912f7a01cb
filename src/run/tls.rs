//! The certificates of the main port and the authorities of its clients: read at start and whenever their files change,
//! each by itself, so that one bad file keeps none of the others from being renewed.

mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub(super) use self::show::{CertificateCheck, register};
use super::reload::Follower;
use crate::config::{Config, TlsVersion};
use crate::error::{Error, ErrorKind};
use crate::net::tls::clients::Clients;
use crate::net::tls::identity::{Identity, IdentityError, Part};
use crate::net::tls::{Acceptor, Certificate, Terms};

/// Whatever else follows its files.
type Followers = Vec<Box<dyn Follower>>;

/// What secures the main port, if anything does, and what keeps it up to date with its files. Files that cannot be used
/// are errors, all of them together; what clients will refuse is logged.
pub(super) fn open(config: &Config) -> Result<(Option<Arc<Acceptor>>, Followers), Error> {
    if !config.speaks_tls() {
        return Ok((None, Vec::new()));
    }
    let terms = read(config).map_err(ErrorKind::Tls)?;
    let pairs = Pair::all(config);
    for (pair, certificate) in pairs.iter().zip(&terms.certificates) {
        pair.tell(&certificate.identity, "HTTPS");
    }
    if let Some(clients) = &terms.clients {
        tell(clients, "client certificates");
    }
    let acceptor = Acceptor::new(terms).map_err(|error| ErrorKind::System(std::io::Error::other(error)))?;
    let acceptor = Arc::new(acceptor);
    let mut followers: Followers = Vec::new();
    for (index, pair) in pairs.into_iter().enumerate() {
        followers.push(Box::new(PairFollower { acceptor: acceptor.clone(), index, pair, refused: None }));
    }
    if let Some(file) = config.tls_client_ca_file.clone() {
        let is_required = config.requires_client_certificates();
        followers.push(Box::new(ClientsFollower { acceptor: acceptor.clone(), file, is_required, refused: None }));
    }
    Ok((Some(acceptor), followers))
}

/// The terms that all files together make.
///
/// # Errors
/// What is wrong with each of them, by variable.
pub(super) fn read(config: &Config) -> Result<Terms, Vec<(String, IdentityError)>> {
    let mut errors = Vec::new();
    let mut certificates = Vec::new();
    for pair in Pair::all(config) {
        match pair.load() {
            Ok(identity) => {
                certificates.push(Certificate { domains: pair.domains.clone(), identity: Arc::new(identity) });
            }
            Err(wrong) => errors.extend(wrong),
        }
    }
    let is_required = config.requires_client_certificates();
    let clients = config.tls_client_ca_file.as_deref().map(|file| load_clients(file, is_required));
    let clients = clients.and_then(|loaded| loaded.map_err(|wrong| errors.push(wrong)).ok());
    match errors.is_empty() {
        true => {
            let allows_tls12 = config.tls_min_version == TlsVersion::Tls12;
            Ok(Terms { certificates, clients: clients.map(Arc::new), allows_tls12 })
        }
        false => Err(errors),
    }
}

fn load_clients(file: &Path, is_required: bool) -> Result<Clients, (String, IdentityError)> {
    Clients::load(file, is_required).map_err(|error| ("TLS_CLIENT_CA_FILE".to_owned(), error))
}

fn tell(clients: &Clients, message: &str) {
    let (authorities, required) = (clients.subjects().join("; "), clients.is_required());
    tracing::info!(authorities, required, "{message}");
}

/// A certificate's file and its key's, and where the configuration names them.
#[derive(Clone, Debug)]
struct Pair {
    /// What the variables' names begin with: `TLS` or `VIRTUAL_HOST_1`.
    variables: String,
    domains: Vec<String>,
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    /// All of them, the one for everybody first. A valid configuration has both files of each.
    fn all(config: &Config) -> Vec<Pair> {
        let default = config.tls_cert_file.clone().zip(config.tls_key_file.clone());
        let default = default.map(|(certificate, key)| Pair {
            variables: "TLS".to_owned(),
            domains: Vec::new(),
            certificate,
            key,
        });
        let hosts = config.virtual_hosts.iter().filter_map(|host| {
            let (certificate, key) = host.cert_file.clone().zip(host.key_file.clone())?;
            let variables = format!("VIRTUAL_HOST_{}", host.number);
            Some(Pair { variables, domains: host.domains.clone(), certificate, key })
        });
        default.into_iter().chain(hosts).collect()
    }

    fn load(&self) -> Result<Identity, Vec<(String, IdentityError)>> {
        Identity::load(&self.certificate, &self.key).map_err(|errors| {
            let ending = |part| if part == Part::Key { "KEY_FILE" } else { "CERT_FILE" };
            errors.into_iter().map(|error| (format!("{}_{}", self.variables, ending(error.part())), error)).collect()
        })
    }

    /// Writes to the log what is presented to whom, and what clients may not like about it.
    fn tell(&self, identity: &Identity, message: &str) {
        let (names, not_after) = (identity.names().join(", "), identity.expiry().until());
        let certificate = self.certificate.display();
        let domains = (!self.domains.is_empty()).then(|| self.domains.join(", "));
        tracing::info!(%certificate, domains, names, not_after, "{message}");
        identity.expiry().remind(SystemTime::now());
        for remark in identity.remarks() {
            tracing::warn!(%certificate, "the TLS certificate {certificate} {remark}");
        }
        for domain in self.domains.iter().filter(|domain| !identity.covers(domain)) {
            tracing::warn!(
                %certificate,
                domain,
                "the TLS certificate {certificate} is not for {domain}, so clients of that will refuse it: issue one with \
                 this name, or correct RWS_CONFIG_{}_DOMAIN",
                self.variables
            );
        }
    }
}

/// The two files of a mounted Secret, which cert-manager renews.
struct PairFollower {
    acceptor: Arc<Acceptor>,
    /// Which of the certificates it is.
    index: usize,
    pair: Pair,
    /// Why they cannot be used, if that has been said.
    refused: Option<String>,
}

impl Follower for PairFollower {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.pair.certificate.clone(), self.pair.key.clone()]
    }

    /// Connections that there are keep what they have agreed on.
    fn look(&mut self) -> Option<bool> {
        // Twice, for the files may be swapped between the reading of one and the other.
        let read = self.pair.load().or_else(|_| self.pair.load());
        let replaced = read.map_err(|errors| in_one_line(&errors)).and_then(|identity| {
            let mut terms = Terms::clone(&self.acceptor.terms());
            let current = &mut terms.certificates[self.index].identity;
            if identity.presents_the_same_as(current) {
                return Ok(false);
            }
            *current = Arc::new(identity);
            let identity = current.clone();
            self.acceptor.replace(terms).map_err(|error| error.to_string())?;
            self.pair.tell(&identity, "TLS certificate replaced");
            Ok(true)
        });
        outcome(replaced, &mut self.refused, "TLS certificate not replaced: the one in use stays in use")
    }
}

/// The file with the authorities of clients.
struct ClientsFollower {
    acceptor: Arc<Acceptor>,
    file: PathBuf,
    is_required: bool,
    refused: Option<String>,
}

impl Follower for ClientsFollower {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.file.clone()]
    }

    fn look(&mut self) -> Option<bool> {
        let read = load_clients(&self.file, self.is_required).map_err(|error| in_one_line(&[error]));
        let replaced = read.and_then(|clients| {
            let mut terms = Terms::clone(&self.acceptor.terms());
            if terms.clients.as_ref().is_some_and(|current| current.asks_the_same_as(&clients)) {
                return Ok(false);
            }
            let clients = Arc::new(clients);
            terms.clients = Some(clients.clone());
            self.acceptor.replace(terms).map_err(|error| error.to_string())?;
            tell(&clients, "authorities of client certificates replaced");
            Ok(true)
        });
        outcome(
            replaced,
            &mut self.refused,
            "authorities of client certificates not replaced: those in use stay in use",
        )
    }
}

fn in_one_line(errors: &[(String, IdentityError)]) -> String {
    let lines = errors.iter().map(|(variable, error)| format!("RWS_CONFIG_{variable}: {error}"));
    lines.collect::<Vec<_>>().join("; ")
}

/// What a follower says of its look: nothing of what it has said before.
fn outcome(replaced: Result<bool, String>, refused: &mut Option<String>, message: &str) -> Option<bool> {
    match replaced {
        Ok(replaced) => {
            *refused = None;
            replaced.then_some(true)
        }
        Err(error) if refused.as_ref() == Some(&error) => None,
        Err(error) => {
            tracing::error!("{message}: {error}");
            *refused = Some(error);
            Some(false)
        }
    }
}
