//! Files that are replaced by renaming while they are served, over plain TCP and TLS: status, length, tag and every
//! byte of an answer are of one and the same version.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::process::Server;
use super::support::{Client, Reply, Tree, connected, parts};

const LONG: Duration = Duration::from_millis(1_500);

/// A small file, which is read at once, and one that is sent by sendfile(2).
const FILES: [(&str, usize); 2] = [("small", 1_000), ("large", 150_000)];

/// The content of a version of a file: no two versions have a byte or the length in common.
fn version(number: usize, shortest: usize) -> Vec<u8> {
    let line = format!("{number:07}\n");
    line.repeat(shortest / line.len() + number).into_bytes()
}

/// Which version `bytes` at `offset` are of. Panics when they are of several.
fn version_of(bytes: &[u8], offset: usize) -> usize {
    // The first whole line.
    let start = offset.div_ceil(8) * 8 - offset;
    let line = &bytes[start..start + 8];
    let number = std::str::from_utf8(line).unwrap().trim_end().parse().unwrap();
    assert!(bytes[start..].chunks(8).all(|chunk| line.starts_with(chunk)), "versions are mixed");
    assert!(line.ends_with(&bytes[..start]), "versions are mixed");
    number
}

#[test]
fn an_answer_is_of_one_version_over_plain_tcp() {
    let tree = Tree::new();
    replace_while(&tree, |tree| tree.served(&[]).start(), |server| Client::new(server.address()));
}

#[test]
fn an_answer_is_of_one_version_over_tls() {
    let tree = Tree::new();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate_file, key_file] = ["tls.crt", "tls.key"].map(|name| tree.outside().join(name));
    fs::write(&certificate_file, key.cert.pem()).unwrap();
    fs::write(&key_file, key.signing_key.serialize_pem()).unwrap();
    let start = |tree: &Tree| {
        let [certificate, key] = [&certificate_file, &key_file].map(|path| path.to_str().unwrap());
        tree.served(&[("TLS_CERT_FILE", certificate), ("TLS_KEY_FILE", key)]).start()
    };
    replace_while(&tree, start, |server| secured(server, &certificate_file));
}

fn secured(server: &Server, certificate: &Path) -> Client<StreamOwned<ClientConnection, TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let session = ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
    Client::over(StreamOwned::new(session, connected(server.address()).unwrap()))
}

fn replace_while<S: Read + Write>(
    tree: &Tree,
    start: impl Fn(&Tree) -> Server,
    connect: impl Fn(&Server) -> Client<S> + Sync,
) {
    for (name, shortest) in FILES {
        tree.write(name, version(0, shortest));
    }
    let server = start(tree);
    let (done, seen) = (AtomicBool::new(false), Seen::default());
    std::thread::scope(|scope| {
        scope.spawn(|| replace(tree, &done));
        let askers: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(connect(&server), &seen))).collect();
        let outcomes: Vec<_> = askers.into_iter().map(|asker| asker.join()).collect();
        done.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
    });
    // A cache may look at a file no more than once a second, hence two.
    let versions = seen.tags.into_inner().unwrap();
    assert!(versions.len() >= 2 * FILES.len(), "only {} versions were seen", versions.len());
    let counts = seen.counts.into_inner().unwrap();
    for status in [200, 206, 304] {
        assert!(counts.contains_key(&status), "{counts:?}");
    }
}

/// New versions of both files, as fast as the other threads let it.
fn replace(tree: &Tree, done: &AtomicBool) {
    for number in 1.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        for (name, shortest) in FILES {
            let new = tree.outside().join("new");
            fs::write(&new, version(number % 5_000, shortest)).unwrap();
            fs::rename(new, tree.root().join(name)).unwrap();
        }
    }
}

/// What all threads have learnt: which version a tag stands for, and which statuses there were.
#[derive(Default)]
struct Seen {
    tags: Mutex<HashMap<(&'static str, String), usize>>,
    counts: Mutex<HashMap<u16, usize>>,
}

impl Seen {
    /// A tag stands for one version and no other.
    fn note(&self, file: &'static str, reply: &Reply, number: usize) -> String {
        let tag = reply.field("etag").unwrap().to_owned();
        let known = *self.tags.lock().unwrap().entry((file, tag.clone())).or_insert(number);
        assert_eq!(known, number, "{file} {tag}");
        tag
    }
}

fn ask<S: Read + Write>(mut client: Client<S>, seen: &Seen) {
    let end = Instant::now() + LONG;
    while Instant::now() < end {
        for (file, shortest) in FILES {
            let target = format!("/{file}");
            let mut get = |fields: &[(&str, &str)]| {
                let reply = client.ask("GET", &target, fields).unwrap();
                *seen.counts.lock().unwrap().entry(reply.status).or_default() += 1;
                reply
            };
            let tag = check(&get(&[]), file, shortest, seen);
            check(&get(&[("Range", "bytes=100-299")]), file, shortest, seen);
            check(&get(&[("Range", "bytes=-500")]), file, shortest, seen);
            check(&get(&[("Range", "bytes=8-71,400-"), ("Connection", "keep-alive")]), file, shortest, seen);
            // The rest of a version, as after an interrupted download, or else a new one from the start.
            let resumed = get(&[("Range", "bytes=500-"), ("If-Range", &tag)]);
            let now = check(&resumed, file, shortest, seen);
            assert_eq!(resumed.status == 206, now == tag, "{tag} {now}");
            let again = get(&[("If-None-Match", &tag)]);
            if again.status == 304 {
                assert_eq!(again.field("etag"), Some(tag.as_str()));
            } else {
                assert_ne!(check(&again, file, shortest, seen), tag);
            }
            let wanted = get(&[("If-Match", &tag)]);
            if wanted.status != 412 {
                assert_eq!(check(&wanted, file, shortest, seen), tag);
            }
        }
    }
}

/// Whether an answer agrees with itself. Returns its tag.
fn check(reply: &Reply, file: &'static str, shortest: usize, seen: &Seen) -> String {
    let content_type = reply.field("content-type").unwrap();
    let pieces = match (reply.status, reply.field("content-range")) {
        (200, None) => vec![(format!("bytes 0-{0}/{1}", reply.body.len() - 1, reply.body.len()), reply.body.clone())],
        (206, Some(range)) => vec![(range.to_owned(), reply.body.clone())],
        (206, None) => parts(content_type, &reply.body),
        other => panic!("{other:?}"),
    };
    let numbers: Vec<usize> = pieces.iter().map(|(range, bytes)| piece(range, bytes, shortest)).collect();
    assert!(numbers.iter().all(|number| *number == numbers[0]), "versions are mixed");
    seen.note(file, reply, numbers[0])
}

/// Of which version a piece is, which must be of the length that Content-Range says.
fn piece(content_range: &str, bytes: &[u8], shortest: usize) -> usize {
    let (range, length) = content_range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
    let (first, last) = range.split_once('-').unwrap();
    let [first, last, length] = [first, last, length].map(|text| text.parse::<usize>().unwrap());
    assert_eq!(bytes.len(), last - first + 1);
    let number = version_of(bytes, first);
    assert_eq!(length, version(number, shortest).len(), "the length of another version");
    number
}
