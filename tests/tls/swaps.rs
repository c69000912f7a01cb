//! A certificate that is exchanged again and again while clients come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::HandshakeKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::client::{TlsClient, authority, connect_with, usual};
use super::process::{PATIENCE, rws};
use super::support::{get_of, until};
use super::volume::Volume;

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    over: AtomicBool,
    requests: AtomicUsize,
    resumed: AtomicUsize,
}

/// Asks on `client`, and returns what went wrong.
fn ask(client: &mut TlsClient, seen: &Seen) -> Option<String> {
    let answer = client.try_send(get_of("/demo/plaintext")).and_then(|()| client.try_reply("GET"));
    seen.requests.fetch_add(1, Ordering::SeqCst);
    match answer {
        Ok(reply) if reply.text() == "Hello, World!" => None,
        Ok(reply) => Some(format!("{reply:?}")),
        Err(error) => Some(error.to_string()),
    }
}

/// H2: a swap under load drops nothing. The Secret is written as the kubelet does it.
#[test]
fn twenty_swaps_under_load_fail_no_request() {
    const SWAPS: usize = 20;
    let pairs: Vec<_> = (0..2).map(|_| authority().0.issue(|_| {})).collect();
    let mut secret = Volume::new(&[("tls.crt", &pairs[0].0), ("tls.key", &pairs[0].1)]);
    let path = |name: &str| format!("{}/{name}", secret.text());
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let mut server = rws(&[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &key), ("REACTOR_COUNT", "2")]).start();
    let (address, seen) = (server.address(), Arc::<Seen>::default());
    let clients: Vec<_> = (0..6)
        .map(|i| {
            let seen = seen.clone();
            // The first two stay, the others come anew for every request, with the ticket that they have.
            let (stays, wanted) = (i < 2, usual());
            thread::spawn(move || -> Vec<String> {
                let mut failed = Vec::new();
                let mut client = connect_with(address, wanted.clone());
                while !seen.over.load(Ordering::SeqCst) {
                    if !stays {
                        client = connect_with(address, wanted.clone());
                    }
                    failed.extend(ask(&mut client, &seen));
                    let resumed = client.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
                    seen.resumed.fetch_add(usize::from(resumed && !stays), Ordering::SeqCst);
                }
                failed
            })
        })
        .collect();

    let mut late = Vec::new();
    for swap in 1..=SWAPS {
        let before = seen.requests.load(Ordering::SeqCst);
        until("there is load", || seen.requests.load(Ordering::SeqCst) > before + 20);
        let (new, new_key) = &pairs[swap % 2];
        secret.write(&[("tls.crt", new), ("tls.key", new_key)]);
        server.stderr.wait_for(|line| line.contains("TLS certificate replaced"));
        let wanted = CertificateDer::from_pem_slice(new.as_bytes()).unwrap();
        let mut client = connect_with(address, usual());
        late.extend(ask(&mut client, &seen));
        let shown = client.stream.conn.peer_certificates().unwrap()[0].clone();
        late.extend((shown != wanted).then(|| format!("swap {swap}: a new connection is shown the old certificate")));
    }
    seen.over.store(true, Ordering::SeqCst);
    late.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    assert_eq!(late, Vec::<String>::new(), "of {} requests", seen.requests.load(Ordering::SeqCst));
    assert!(seen.resumed.load(Ordering::SeqCst) > 0, "no session was resumed");
    server.signal(super::process::Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 0);
}
