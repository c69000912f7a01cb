//! What the configuration protects a server from: clients that ask too much, that connect too often, and that may not come
//! in. The real binary, and many clients' addresses, of which loopback has millions.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[cfg(feature = "auth")]
#[path = "protection/auth.rs"]
mod auth;
#[path = "protection/connections.rs"]
mod connections;
#[path = "protection/rate.rs"]
mod rate;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;
#[path = "reload/volume.rs"]
#[allow(dead_code, reason = "shared with reload.rs")]
mod volume;

use std::process::{Command, Output};

use support::{Client, Reply, Server, Sig};

/// One GET of a client with this address and these fields, on a connection of its own.
fn ask(server: &Server, client: [u8; 4], path: &str, fields: &str) -> Reply {
    let mut connection = Client::from(client.into(), server.address()).unwrap();
    connection.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n")).unwrap()
}

/// Waits until a change is in force. It is told before: by the time that the next question is answered, it is through.
fn reloaded(server: &mut Server) {
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    server.signal(Sig::HUP);
    server.stderr.wait_for(|line| line.contains("nothing changed"));
}

/// What curl says, if there is a curl.
fn curl(server: &Server, arguments: &[&str], path: &str) -> Option<Output> {
    let url = format!("http://127.0.0.1:{}{path}", server.port);
    match Command::new("curl").args(["-sS", "--noproxy", "*", "-m", "30"]).args(arguments).arg(url).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: curl cannot be run: {error}");
            None
        }
    }
}
