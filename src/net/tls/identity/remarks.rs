//! What is odd about a certificate that can be presented all the same: some clients will refuse it. Remarks go on after the
//! file's path.

use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::der_parser::oid;

/// Signature algorithms that no client trusts any more: MD5 and SHA-1 with RSA (RFC 8017 appendix C), SHA-1 with ECDSA
/// (RFC 3279 section 2.2.3).
const WEAK: [Oid<'static>; 3] = [oid!(1.2.840.113549.1.1.4), oid!(1.2.840.113549.1.1.5), oid!(1.2.840.10045.4.1)];

/// Everything there is to say about the chain, whose first certificate has these names.
pub(super) fn remarks(chain: &[X509Certificate<'_>], names: &[String]) -> Vec<String> {
    let mut remarks = Vec::new();
    let Some(leaf) = chain.first() else { return remarks };
    if leaf.is_ca() {
        remarks.push(
            "is the certificate of an authority (CA:TRUE), which many clients refuse from a server: have it issue one \
             for the server"
                .to_owned(),
        );
    }
    if names.is_empty() {
        let common = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let common = common.map(|name| format!(" (its common name {name} does not count)")).unwrap_or_default();
        remarks.push(format!("names no host in subjectAltName{common}: clients refuse it; issue it with dnsNames"));
    }
    if let Ok(Some(usage)) = leaf.extended_key_usage()
        && !usage.value.server_auth
        && !usage.value.any
    {
        remarks.push("is not for servers (extendedKeyUsage lacks serverAuth): clients refuse it".to_owned());
    }
    for (n, _) in (1..).zip(chain).filter(|(_, certificate)| is_weak(certificate)) {
        remarks.push(format!("has a signature of SHA-1 or MD5 on certificate number {n}: clients refuse it; renew it"));
    }
    remarks
}

/// That of a root does not count: nobody verifies it.
fn is_weak(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject() != certificate.issuer() && WEAK.contains(&certificate.signature_algorithm.algorithm)
}
