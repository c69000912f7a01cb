//! Run with `cargo run --example tls` and these variables, after making an authority, a certificate for the server and one
//! for a client with openssl as docs/TLS.md shows:
//!
//! ```text
//! export RWS_CONFIG_TLS_CERT_FILE=tls.crt RWS_CONFIG_TLS_KEY_FILE=tls.key
//! export RWS_CONFIG_TLS_CLIENT_CA_FILE=ca.crt RWS_CONFIG_TLS_CLIENT_AUTH=optional
//! export RWS_CONFIG_HTTP_REDIRECT_PORT=8080
//! curl --cacert ca.crt https://localhost:7878/
//! curl --cacert ca.crt --cert client.crt --key client.key https://localhost:7878/account
//! curl -i http://localhost:8080/account
//! ```
//!
//! HTTPS needs no code: with a certificate the same program speaks it, takes up renewed files, and redirects plain HTTP.
//! What code can add is who may do what: here some pages are for everybody, and one is for clients with certificates.

use std::process::ExitCode;

use rws::app::ClientCertificate;
use rws::{App, Problem, Request, StatusCode, get};

/// For everybody. Says whether the connection is secured, also if a proxy of RWS_CONFIG_TRUSTED_PROXIES ended TLS.
fn welcome(client: Option<ClientCertificate>, request: Request) -> String {
    let who = client.as_ref().map_or("stranger", ClientCertificate::subject);
    let how = if request.is_secure() { "in private" } else { "in the open" };
    format!("Hello, {who}! We talk {how}.\n")
}

/// For clients with a certificate; others get 403.
fn account(client: ClientCertificate) -> String {
    format!("The account of {}, certificate {}.\n", client.subject(), client.fingerprint())
}

/// For one workload only, by its SPIFFE ID.
fn orders(client: ClientCertificate) -> Result<&'static str, Problem> {
    match client.spiffe_id() {
        Some("spiffe://shop.example/cart") => Ok("no orders yet\n"),
        _ => Err(Problem::new(StatusCode::FORBIDDEN).with_detail("orders are for the cart")),
    }
}

fn main() -> ExitCode {
    App::new().route("/", get(welcome)).route("/account", get(account)).route("/orders", get(orders)).run()
}
