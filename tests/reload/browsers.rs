//! What the settings for browsers come to, field by field, for the table of reloadable variables.

use crate::support::Server;
use crate::volume::Volume;

/// An origin that is allowed, so that something can be seen of the other settings.
pub(crate) const ALLOWED: &[(&str, &str)] = &[("CORS_ALLOW_ORIGINS", "https://a.example")];
/// Where the test's own `X-Forwarded-Proto` is believed.
pub(crate) const BEHIND_PROXY: &[(&str, &str)] = &[("TRUSTED_PROXIES", "127.0.0.0/8")];

/// A field of the answer to a page of another origin, behind a proxy with TLS.
fn field(server: &Server, request_line: &str, name: &str) -> String {
    let request = format!(
        "{request_line} HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nX-Forwarded-For: 192.0.2.7\r\n\
         X-Forwarded-Proto: https\r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n"
    );
    let reply = server.connect().ask(request).unwrap();
    reply.field(name).unwrap_or("none").to_owned()
}

macro_rules! fields {
    ($($function:ident $request_line:literal $name:literal)*) => {
        $(
            pub(crate) fn $function(server: &mut Server, _: &mut Volume) -> String {
                field(server, $request_line, $name)
            }
        )*
    };
}

fields! {
    origin "GET /demo/plaintext" "access-control-allow-origin"
    credentials "GET /demo/plaintext" "access-control-allow-credentials"
    exposed "GET /demo/plaintext" "access-control-expose-headers"
    methods "OPTIONS /demo/plaintext" "access-control-allow-methods"
    headers "OPTIONS /demo/plaintext" "access-control-allow-headers"
    max_age "OPTIONS /demo/plaintext" "access-control-max-age"
    referrer_policy "GET /demo/plaintext" "referrer-policy"
    csp "GET /demo/plaintext" "content-security-policy"
    csp_report_only "GET /demo/plaintext" "content-security-policy-report-only"
    hsts "GET /demo/plaintext" "strict-transport-security"
}
