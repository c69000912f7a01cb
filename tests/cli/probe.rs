//! `rws probe` against servers that run, drain, are silent or are not there.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Sig, free_port, let_pass, rws as server};
use crate::{Said, Settings, rws};

/// Asks the server on `port`, with time enough for a loaded machine.
fn ask(port: u16, arguments: &[&str], settings: &[(&str, &str)]) -> Said {
    let port = port.to_string();
    let arguments = [&["probe", "--timeout", "20s"], arguments].concat();
    rws(&arguments, &[&[("IP", "127.0.0.1"), ("PORT", port.as_str())], settings].concat())
}

/// Before it, checks that are degraded are told, which those are that have not run yet.
fn last_line(said: &Said) -> &str {
    said.out.lines().last().unwrap_or_default()
}

#[test]
fn a_server_that_is_well_is_found_by_its_own_settings() {
    const MOVED: &[(&str, &str)] =
        &[("READYZ_PATH", "/health/ready"), ("HEALTHZ_PATH", "/alive"), ("STARTUPZ_PATH", "/up")];
    const SLASHES: &[(&str, &str)] =
        &[("READYZ_PATH", "/ready/"), ("HEALTHZ_PATH", "/alive/"), ("STARTUPZ_PATH", "/up/")];
    for settings in [&[], MOVED, SLASHES] {
        let running = server(settings).start();
        let cases: &[&[&str]] = &[&["readyz"], &["healthz"], &["livez"], &["startupz"], &["readyz", "shutdown"]];
        for arguments in cases {
            let said = ask(running.port, arguments, settings);
            assert_eq!((said.code, last_line(&said)), (0, "ok"), "{arguments:?}: {}", said.err);
        }
        let said = ask(running.port, &["readyz", "--verbose"], settings);
        assert!(said.out.contains("[+]ping ok") && said.out.contains("check passed"), "{}", said.out);
    }
}

#[test]
fn it_asks_where_the_server_listens_whichever_address_that_is() {
    // The server on all addresses is asked on loopback.
    for ip in ["0.0.0.0", "127.0.0.1", "::", "::1"] {
        if ip.contains(':') && TcpListener::bind("[::1]:0").is_err() {
            eprintln!("SKIPPED: {ip}: this machine has no IPv6");
            continue;
        }
        let port = free_port().to_string();
        let settings = [("IP", ip), ("PORT", port.as_str())];
        let mut command = crate::support::clean(crate::support::RWS);
        command.args(["--ip", ip, "--port", &port, "--set", "LOG_FORMAT=off"]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut running = command.spawn().unwrap();
        let end = Instant::now() + PATIENCE;
        let said = loop {
            let said = rws(&["probe", "startupz", "--timeout", "20s"], &settings);
            if said.code == 0 || Instant::now() > end {
                break said;
            }
            let_pass(Duration::from_millis(10));
        };
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!((said.code, last_line(&said)), (0, "ok"), "{ip}: {}", said.err);
    }
}

#[test]
fn with_an_admin_port_it_asks_there() {
    let admin = free_port().to_string();
    let mut running = server(&[("ADMIN_PORT", &admin), ("ADMIN_IP", "127.0.0.1"), ("LOG_PROBES", "all")]).start();
    // It looks at the main port from time to time, and does not vouch for it before.
    let end = Instant::now() + PATIENCE;
    let said = loop {
        let said = ask(running.port, &["readyz"], &[("ADMIN_PORT", &admin)]);
        if said.code == 0 || Instant::now() > end {
            break said;
        }
        assert!(said.out.contains("[-]main-listener failed"), "{}", said.out);
    };
    assert_eq!((said.code, last_line(&said)), (0, "ok"), "{}", said.err);
    let verbose = ask(running.port, &["readyz", "--verbose"], &[("ADMIN_PORT", &admin)]);
    assert!(verbose.out.contains("main-listener ok"), "only the admin port has this check: {}", verbose.out);
    running.signal(Sig::TERM);
    assert_eq!(running.wait(PATIENCE), 0);
    let gone = ask(running.port, &["livez"], &[("ADMIN_PORT", &admin)]);
    assert!(gone.code == 1 && gone.err.contains(&format!("127.0.0.1:{admin}/healthz")), "{}", gone.err);
}

#[test]
fn a_server_that_drains_fails_readiness_and_says_why() {
    let mut running = server(&[("DRAIN_DELAY", "1h")]).start();
    running.signal(Sig::TERM);
    running.stderr.wait_for(|line| line.contains("draining"));
    let said = ask(running.port, &["readyz"], &[]);
    let expected =
        format!("[-]shutdown failed: the server is draining\nhttp://127.0.0.1:{}/readyz answered 503\n", running.port);
    assert_eq!((said.code, said.out), (1, expected));
    assert_eq!(ask(running.port, &["readyz", "shutdown"], &[]).code, 1);
    assert_eq!(ask(running.port, &["readyz", "ping"], &[]).code, 0);
    assert_eq!(ask(running.port, &["livez"], &[]).code, 0, "a drain is no reason to restart");
}

#[test]
fn a_setting_that_went_bad_after_the_start_has_nobody_restarted() {
    let running = server(&[]).start();
    let said = ask(running.port, &["livez"], &[("LOG_LEVEL", "loud"), ("ROUTE_A", "nonsense"), ("STRICT", "true")]);
    assert_eq!((said.code, last_line(&said)), (0, "ok"), "{}", said.err);
}

#[test]
#[cfg(feature = "tls")]
fn a_server_with_a_certificate_is_asked_over_tls() {
    let pair = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = path("tls.crt", pair.cert.pem());
    let key = path("tls.key", pair.signing_key.serialize_pem());
    let settings = [("TLS_CERT_FILE", certificate.as_str()), ("TLS_KEY_FILE", key.as_str())];
    let mut running = server(&settings).start();
    for question in ["livez", "readyz", "startupz"] {
        let said = ask(running.port, &[question], &settings);
        assert_eq!((said.code, last_line(&said)), (0, "ok"), "{question}: {}", said.err);
    }
    let plainly = ask(running.port, &["livez"], &[]);
    assert_eq!(plainly.code, 1, "{}{}", plainly.out, plainly.err);
    running.signal(Sig::TERM);
    assert_eq!(running.wait(PATIENCE), 0, "no connection is left open");

    // TLS where there is none.
    let plain = server(&[]).start();
    let said = ask(plain.port, &["livez"], &settings);
    let expected = format!("https://127.0.0.1:{}/healthz: the answer is no TLS", plain.port);
    assert!(said.code == 1 && said.err.contains(&expected), "{}", said.err);
}

#[test]
fn an_unknown_check_and_a_wrong_path_are_told() {
    let running = server(&[]).start();
    let said = ask(running.port, &["readyz", "nosuch"], &[]);
    assert_eq!(said.code, 1);
    assert!(said.out.ends_with(&format!(":{}/readyz/nosuch answered 404\n", running.port)), "{}", said.out);
    let said = ask(running.port, &["livez"], &[("HEALTHZ_PATH", "/elsewhere")]);
    assert!(said.code == 1 && said.out.contains("/elsewhere answered 404"), "{}", said.out);
}

#[test]
fn it_has_a_name_in_the_log() {
    let mut running = server(&[("LOG_PROBES", "all")]).start();
    assert_eq!(ask(running.port, &["readyz"], &[]).code, 0);
    let line = running.stdout.wait_for(|line| line.contains("rws-probe/"));
    assert!(line.contains(r#""path":"/readyz""#), "{line}");
}

#[test]
fn nobody_there_and_nobody_answering_end_with_1_in_time() {
    let said = rws(&["probe", "readyz"], &[("PORT", &free_port().to_string())]);
    assert!(said.code == 1 && said.err.contains("nothing listens there"), "{}", said.err);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let start = Instant::now();
    let said = rws(&["probe", "readyz", "--timeout", "200ms"], &[("PORT", &port)]);
    assert!(said.code == 1 && said.err.contains("no answer within 200ms"), "{}", said.err);
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn wrong_usage_and_configuration_end_with_2() {
    let cases: &[(&[&str], Settings, &str)] = &[
        (&[], &[], "Usage: rws probe"),
        (&["health"], &[], "healthz"),
        (&["readyz", "--timeout", "0"], &[], "must be a duration"),
        (&["readyz", "--timeout", "soon"], &[], "must be a duration"),
        (&["livez", "db"], &[], "readyz only"),
        (&["readyz", "a/b"], &[], "the name of a check"),
        (&["readyz"], &[("PORT", "banana")], "RWS_CONFIG_PORT=\"banana\""),
        (&["readyz"], &[("PORT", "0")], "lets the system choose"),
        (&["readyz", "--port", "x"], &[], "(from the command line)"),
        (&["readyz"], &[("READYZ_PATH", "readyz")], "RWS_CONFIG_READYZ_PATH"),
    ];
    for (arguments, settings, expected) in cases {
        let said = rws(&[&["probe"], *arguments].concat(), settings);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?} {settings:?}");
        assert!(said.err.contains(expected), "{arguments:?} {settings:?}: {}", said.err);
    }
}
