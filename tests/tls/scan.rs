//! The binary under the eyes of those who look for weak spots: sslyze, curl and openssl with everything old.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::client::{authority, connect_with, usual};
use super::process::{Server, clean, program, rws};
use super::support::{get_of, request};

/// The binary with a certificate that lasts for as long as one may that is issued to the public.
fn secured() -> Server {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let (authority, ..) = authority();
    let now = SystemTime::now();
    let (certificate, key) = authority.issue(|params| {
        (params.not_before, params.not_after) = ((now - DAY).into(), (now + 88 * DAY).into());
    });
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (file("tls.crt", certificate), file("tls.key", key));
    rws(&[("TLS_CERT_FILE", &certificate), ("TLS_KEY_FILE", &key), ("REACTOR_COUNT", "1")]).start()
}

/// What sslyze prints, with these options.
fn sslyze(server: &Server, options: &[&str]) -> String {
    let mut command = clean("sslyze");
    let output = command.args(options).arg(server.address().to_string()).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn sslyze_finds_modern_settings_only() {
    if program("sslyze").is_none() {
        return;
    }
    const ALL: [&str; 17] = [
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
        "--compression",
        "--reneg",
        "--early_data",
        "--heartbleed",
        "--openssl_ccs",
        "--robot",
        "--fallback",
        "--ems",
        "--elliptic_curves",
        "--mozilla_config",
        "disable",
    ];
    let server = secured();
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = sslyze(&server, &[&ALL[..], &["--json_out", file.path().to_str().unwrap()]].concat());
    let report: Value = serde_json::from_str(&fs::read_to_string(file.path()).unwrap()).expect(&said);
    let scans = &report["server_scan_results"][0]["scan_result"];
    let found = |scan: &str, field: &str| {
        assert_eq!(scans[scan]["status"], "COMPLETED", "{scan}: {}", scans[scan]);
        scans[scan]["result"][field].clone()
    };

    for old in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        assert_eq!(found(&format!("{old}_cipher_suites"), "is_tls_version_supported"), false, "{old}");
    }
    let suites = |version: &str| -> Vec<String> {
        let accepted = found(&format!("{version}_cipher_suites"), "accepted_cipher_suites");
        let name = |suite: &Value| suite["cipher_suite"]["name"].as_str().unwrap().to_owned();
        let mut names: Vec<_> = accepted.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    };
    let ciphers = ["AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"];
    assert_eq!(suites("tls_1_3"), ciphers.map(|cipher| format!("TLS_{cipher}")));
    assert_eq!(suites("tls_1_2"), ciphers.map(|cipher| format!("TLS_ECDHE_ECDSA_WITH_{cipher}")));
    // Whether tickets resume a session is tested elsewhere: sslyze takes a new ticket for a session that was not resumed.
    let facts = [
        ("tls_compression", "supports_compression", Value::from(false)),
        ("tls_1_3_early_data", "supports_early_data", Value::from(false)),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", Value::from(false)),
        ("heartbleed", "is_vulnerable_to_heartbleed", Value::from(false)),
        ("robot", "robot_result", Value::from("NOT_VULNERABLE_RSA_NOT_SUPPORTED")),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", Value::from(false)),
        ("session_renegotiation", "client_renegotiations_success_count", Value::from(0)),
        ("session_renegotiation", "supports_secure_renegotiation", Value::from(true)),
        ("tls_fallback_scsv", "supports_fallback_scsv", Value::from(true)),
        ("tls_extended_master_secret", "supports_ems_extension", Value::from(true)),
    ];
    for (scan, field, expected) in facts {
        assert_eq!(found(scan, field), expected, "{scan}: {}", scans[scan]);
    }
    let curves = found("elliptic_curves", "supported_curves");
    let curves: Vec<&str> = curves.as_array().unwrap().iter().map(|curve| curve["name"].as_str().unwrap()).collect();
    assert_eq!(curves, ["X25519", "secp256r1", "secp384r1"]);
}

/// <https://ssl-config.mozilla.org>: what is "intermediate" there, and "modern" but for TLS 1.2, which is spoken too.
/// That nobody in Mozilla's store has issued the certificate of a test is the one complaint left.
#[test]
fn sslyze_finds_what_mozilla_recommends() {
    if program("sslyze").is_none() {
        return;
    }
    let server = secured();
    for (level, may_complain_of) in [
        ("intermediate", &["certificate_path_validation"][..]),
        (
            "modern",
            &[
                "certificate_path_validation",
                "tls_versions: TLS versions {'TLSv1.2'}",
                "ciphers: Cipher suites {'TLS_ECDHE",
            ],
        ),
    ] {
        let said = sslyze(&server, &["--mozilla_config", level]);
        let (_, verdict) = said.split_once("COMPLIANCE AGAINST TLS CONFIGURATION").expect(&said);
        let complaints: Vec<&str> = verdict.lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
        assert!(verdict.contains(&format!("Mozilla's \"{level}\"")), "{verdict}");
        for complaint in &complaints {
            assert!(may_complain_of.iter().any(|may| complaint.starts_with(may)), "{level}: {complaint}");
        }
        assert_eq!(complaints.len(), may_complain_of.len(), "{level}: {verdict}");
    }
}

#[test]
fn curl_speaks_only_the_two_versions_there_are() {
    if program("curl").is_none() {
        return;
    }
    let server = secured();
    let ca = authority().0.path();
    let url = format!("https://localhost:{}/demo/plaintext", server.port);
    // From which version, up to which version, and which one it is then (empty: none).
    let cases = [
        ("--tlsv1.0", "1.0", ""),
        ("--tlsv1.0", "1.1", ""),
        ("--tlsv1.1", "1.1", ""),
        ("--tlsv1.0", "1.2", "TLSv1.2"),
        ("--tlsv1.2", "1.2", "TLSv1.2"),
        ("--tlsv1.2", "1.3", "TLSv1.3"),
        ("--tlsv1.0", "1.3", "TLSv1.3"),
        ("--tlsv1.3", "1.3", "TLSv1.3"),
    ];
    for (least, most, expected) in cases {
        let mut command = clean("curl");
        command.args(["--silent", "--verbose", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(&ca);
        // A library that no longer speaks the old versions by itself is told to.
        command.args([least, "--tls-max", most, "--ciphers", "DEFAULT@SECLEVEL=0", &url]);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), !expected.is_empty(), "{least} to {most}: {said}");
        assert!(said.contains(&format!("SSL connection using {expected}")) || expected.is_empty(), "{said}");
        assert_eq!(output.stdout == b"Hello, World!", !expected.is_empty());
    }
}

/// What `openssl s_client` says, to both outputs. Each line of input is sent once the text before it has been said as
/// often as it says, since openssl takes a letter for a command only where a read begins.
fn s_client(server: &Server, arguments: &[&str], input: &[(&str, usize, &str)]) -> String {
    let mut command = clean("/bin/sh");
    command.args(["-c", r#"exec openssl s_client "$@" 2>&1"#, "sh", "-connect", &server.address().to_string()]);
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    for &(text, times, line) in input {
        let mut piece = [0; 4096];
        while String::from_utf8_lossy(&said).matches(text).count() < times {
            match stdout.read(&mut piece).unwrap() {
                0 => panic!("{text:?} was not said: {}", String::from_utf8_lossy(&said)),
                n => said.extend_from_slice(&piece[..n]),
            }
        }
        stdin.write_all(line.as_bytes()).unwrap();
    }
    // With nothing to send, the end of the input ends it; else the server does.
    let stdin = (!input.is_empty()).then_some(stdin);
    stdout.read_to_end(&mut said).unwrap();
    drop(stdin);
    child.wait().unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn openssl_agrees_on_nothing_weak() {
    if program("openssl").is_none() {
        return;
    }
    let server = secured();
    // Arguments, what must be said, and what must not.
    let cases: [(&[&str], &str, &str); 16] = [
        (&["-brief", "-tls1_3"], "Ciphersuite: TLS_AES_256_GCM_SHA384", "Verification: OK"),
        (
            &["-brief", "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
            "Ciphersuite: TLS_AES_128_GCM_SHA256",
            "alert",
        ),
        (
            &["-brief", "-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            "TLS_CHACHA20_POLY1305_SHA256",
            "alert",
        ),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"], "alert handshake failure", "Cipher is TLS"),
        (&["-brief", "-tls1_2", "-cipher", "ECDHE+AESGCM"], "ECDHE-ECDSA-AES", "alert"),
        (
            &["-tls1_2", "-cipher", "ECDHE+SHA384:ECDHE+SHA256:!AESGCM:!CHACHA20"],
            "alert handshake failure",
            "Cipher is ECDHE",
        ),
        (&["-tls1_2", "-cipher", "kRSA:@SECLEVEL=0"], "alert handshake failure", "Cipher is AES"),
        (&["-tls1_2", "-cipher", "DHE:!ECDHE:@SECLEVEL=0"], "alert handshake failure", "Cipher is DHE"),
        (&["-tls1_2", "-cipher", "NULL:eNULL:aNULL:@SECLEVEL=0"], "alert handshake failure", "Cipher is A"),
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], "alert handshake failure", "Cipher is ECDHE"),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "alert handshake failure", "Cipher is ECDHE"),
        (&["-tls1_3", "-groups", "P-521"], "alert", "Cipher is TLS"),
        (&["-tls1_2", "-groups", "P-521:P-256"], "Server Temp Key: ECDH, prime256v1", "alert"),
        (&["-tls1_2", "-no_ticket"], "New, TLSv1.2", "session ticket:"),
        (&["-tls1_2", "-reconnect"], "Reused, TLSv1.2", "alert"),
        (&["-alpn", "spdy/3"], "no application protocol", "ALPN protocol: "),
    ];
    for (arguments, expected, not_expected) in cases {
        let said = s_client(&server, arguments, &[]);
        assert!(said.contains(expected) && !said.contains(not_expected), "{arguments:?}: {said}");
        assert!(!said.contains("Compression: zlib") && !said.contains("Max Early Data: 1"), "{said}");
    }
    let mut client = connect_with(server.address(), usual());
    client.send(get_of("/demo/plaintext"));
    assert_eq!(client.reply().text(), "Hello, World!");
}

/// Keys may be changed at any time in 1.3; in 1.2, whoever asks to begin anew gets nowhere.
#[test]
fn openssl_changes_keys_and_does_not_renegotiate() {
    if program("openssl").is_none() {
        return;
    }
    let server = secured();
    let get = request("GET", "/demo/plaintext", "Connection: close\r\n");
    let ready = "SSL handshake has read";
    let said = s_client(
        &server,
        &["-tls1_3"],
        &[(ready, 1, "k\n"), ("KEYUPDATE", 1, "K\n"), ("KEYUPDATE", 2, "K\n"), ("KEYUPDATE", 3, &get)],
    );
    assert!(said.contains("Hello, World!") && !said.contains("alert"), "{said}");
    let said = s_client(&server, &["-tls1_2"], &[("---\nCertificate chain", 1, "R\n")]);
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
}
