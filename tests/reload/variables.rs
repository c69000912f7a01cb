//! Every variable that is marked reloadable has an effect when it is changed in a running server.

use std::fs;
use std::io::Read;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rws::config::{Change, Status, VARIABLES};

use crate::browsers;
use crate::support::{Client, PATIENCE, Server, Sig, json, let_pass, rws};
use crate::volume::Volume;

/// One variable: two values, and what can be seen of each.
struct Case {
    name: &'static str,
    before: (&'static str, &'static str),
    after: (&'static str, &'static str),
    /// Other settings that are needed to see something.
    with: &'static [(&'static str, &'static str)],
    /// Over TLS, where plain requests get no answer.
    tls: bool,
    see: fn(&mut Server, &mut Volume) -> String,
}

const fn case(
    name: &'static str,
    before: (&'static str, &'static str),
    after: (&'static str, &'static str),
    see: fn(&mut Server, &mut Volume) -> String,
) -> Case {
    Case { name, before, after, with: &[], tls: false, see }
}

/// With an origin that is allowed.
const fn of_cors(
    name: &'static str,
    before: (&'static str, &'static str),
    after: (&'static str, &'static str),
    see: fn(&mut Server, &mut Volume) -> String,
) -> Case {
    Case { with: browsers::ALLOWED, ..case(name, before, after, see) }
}

const CASES: &[Case] = &[
    case("THREAD_COUNT", ("1", "some wait"), ("20", "all run"), |server, _| {
        let _clients = slow_requests(server);
        let_pass(A_WHILE);
        if server.metric("rws_queue_depth") > 0.0 { "some wait" } else { "all run" }.to_owned()
    }),
    Case {
        name: "QUEUE_DEPTH",
        before: ("1000", "waits"),
        after: ("0", "503"),
        with: &[("THREAD_COUNT", "1")],
        tls: false,
        see: |server, _| {
            let mut clients = slow_requests(server);
            let answers: Vec<String> = clients.iter_mut().map(answer).collect();
            answers.into_iter().find(|answer| answer != "waits").unwrap_or_else(|| "waits".to_owned())
        },
    },
    case("MAX_CONNECTIONS", ("1", "waits"), ("2", "200"), |server, _| {
        let _first = server.connect();
        let mut second = server.connect();
        second.send("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        answer(&mut second)
    }),
    case("MAX_CONNECTIONS_PER_IP", ("0", "200"), ("1", "429"), |server, _| {
        // The connection that asked for metrics may not be gone yet.
        let _first = std::iter::repeat_with(|| server.connect())
            .find_map(|mut client| (client.get("/demo/plaintext").ok()?.status == 200).then_some(client));
        asked(server, "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n\r\n")
    }),
    case("MAX_REQUESTS_PER_CONNECTION", ("0", "keep-alive"), ("1", "close"), |server, _| {
        let closes = server.connect().get("/demo/plaintext").unwrap().closes();
        if closes { "close" } else { "keep-alive" }.to_owned()
    }),
    case("REQUEST_ALLOCATION_SIZE_IN_BYTES", ("16KiB", "200"), ("1KiB", "431"), large_field),
    case("MAX_HEAD_BYTES", ("16KiB", "200"), ("1KiB", "431"), large_field),
    case("MAX_HEADERS", ("100", "200"), ("4", "431"), |server, _| {
        asked(server, "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n")
    }),
    case("MAX_URI_BYTES", ("8KiB", "200"), ("20", "414"), |server, _| {
        asked(server, "GET /demo/plaintext?a=abcdefghijklmn HTTP/1.1\r\nHost: x\r\n\r\n")
    }),
    case("MAX_BODY_SIZE_IN_BYTES", ("2MiB", "200"), ("4", "413"), |server, _| {
        asked(server, "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde")
    }),
    case("RATE_LIMIT_MAX_REQUESTS", ("0", "200"), ("1", "429"), |server, _| {
        server.get("/demo/plaintext");
        server.get("/demo/plaintext").status.to_string()
    }),
    Case {
        name: "RATE_LIMIT_WINDOW_SECS",
        before: ("3600", "3600"),
        after: ("7200", "7200"),
        with: &[("RATE_LIMIT_MAX_REQUESTS", "1")],
        tls: false,
        see: |server, _| {
            server.get("/demo/plaintext");
            let refused = server.get("/demo/plaintext");
            refused.field("ratelimit-policy").and_then(|policy| policy.split("w=").nth(1)).unwrap_or("none").to_owned()
        },
    },
    case("AUTH_BASIC", ("ada:another one", "401"), ("ada:open sesame", "200"), |server, _| {
        let ada = "Authorization: Basic YWRhOm9wZW4gc2VzYW1l";
        asked(server, &format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n{ada}\r\n\r\n"))
    }),
    case("AUTH_BEARER", ("anotherTokenOfMine", "401"), ("abcdefghijklmnop", "200"), |server, _| {
        let ci = "Authorization: Bearer abcdefghijklmnop";
        asked(server, &format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n{ci}\r\n\r\n"))
    }),
    Case {
        name: "AUTH_REALM",
        before: ("One", "Basic realm=\"One\", charset=\"UTF-8\""),
        after: ("Two", "Basic realm=\"Two\", charset=\"UTF-8\""),
        with: &[("AUTH_BASIC", "ada:open sesame")],
        tls: false,
        see: |server, _| server.get("/demo/plaintext").field("www-authenticate").unwrap_or("none").to_owned(),
    },
    Case {
        name: "AUTH_EXEMPT_PREFIXES",
        before: ("/x", "401"),
        after: ("/demo", "200"),
        with: &[("AUTH_BASIC", "ada:open sesame")],
        tls: false,
        see: |server, _| server.get("/demo/plaintext").status.to_string(),
    },
    case("HEAD_TIMEOUT", ("1m", "waits"), ("100ms", "408"), |server, _| {
        asked(server, "GET /demo/plaintext HTTP/1.1\r\nHost:")
    }),
    case("BODY_TIMEOUT", ("1m", "waits"), ("100ms", "408"), |server, _| {
        asked(server, "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    }),
    Case {
        name: "TLS_HANDSHAKE_TIMEOUT",
        before: ("1m", "waits"),
        after: ("100ms", "closed"),
        with: &[],
        tls: true,
        see: |server, _| answer(&mut server.connect()),
    },
    case("IDLE_TIMEOUT", ("1m", "waits"), ("100ms", "closed"), |server, _| {
        let mut client = server.connect();
        client.get("/demo/plaintext").unwrap();
        answer(&mut client)
    }),
    case("WRITE_TIMEOUT", ("1m", "0"), ("100ms", "1"), |server, _| {
        let client = server.connect();
        client.send("GET /demo/bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let_pass(A_WHILE);
        server.metric("rws_connection_errors_total{kind=\"write_timeout\"}").to_string()
    }),
    case("HANDLER_TIMEOUT", ("0", "silent"), ("50ms", "told"), |server, _| {
        assert_eq!(server.get("/demo/delay/400").status, 200);
        let told = server.stderr.so_far().iter().any(|line| line.contains("RWS_CONFIG_HANDLER_TIMEOUT; it goes on"));
        if told { "told" } else { "silent" }.to_owned()
    }),
    case("HEALTH_DETAILS", ("names", "listed"), ("none", "bare"), |server, _| {
        let listed = server.get("/healthz?verbose").text().contains("[+]ping ok");
        if listed { "listed" } else { "bare" }.to_owned()
    }),
    case("LIVENESS_STALL", ("1m", "watched"), ("0", "not watched"), |server, _| {
        let watched = server.get("/healthz?format=json").text().contains("silent_ms");
        if watched { "watched" } else { "not watched" }.to_owned()
    }),
    case("DRAIN_DELAY", ("1m", "runs"), ("0", "0"), stopped),
    case("DRAIN_TIMEOUT", ("1m", "runs"), ("100ms", "4"), |server, volume| {
        let client = server.connect();
        client.send("GET /demo/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        server.wait_for_metric("http_server_active_requests", 1.0);
        stopped(server, volume)
    }),
    Case {
        name: "DRAIN_READY_STATUS",
        before: ("503", "503"),
        after: ("429", "429"),
        with: &[("DRAIN_DELAY", "1m")],
        tls: false,
        see: |server, _| {
            server.signal(Sig::TERM);
            server.stderr.wait_for(|line| line.contains("draining"));
            server.get("/readyz").status.to_string()
        },
    },
    case("LOG_FORMAT", ("json", "{"), ("combined", "1"), |server, _| {
        logged(server, "/demo/plaintext?log")[..1].to_owned()
    }),
    case("LOG_LEVEL", ("info", "told"), ("error", "silent"), |server, _| {
        server.signal(Sig::HUP);
        server.wait_for_metric(SUCCESSES, server.metric(SUCCESSES).max(1.0));
        let mut lines = std::iter::from_fn(|| server.stderr.next(A_WHILE).ok());
        let told = lines.any(|line| line.contains("nothing changed"));
        if told { "told" } else { "silent" }.to_owned()
    }),
    Case {
        name: "LOG_PROBES",
        before: ("failures", "no"),
        after: ("all", "yes"),
        // So that lines are in order.
        with: &[("REACTOR_COUNT", "1")],
        tls: false,
        see: |server, _| {
            assert_eq!(server.get("/healthz").status, 200);
            logged(server, "/demo/plaintext?log");
            let probes = server.stdout.so_far().iter().any(|line| line.contains("/healthz"));
            if probes { "yes" } else { "no" }.to_owned()
        },
    },
    case("LOG_REDACT_QUERY", ("token", "shown"), ("zip", "redacted"), |server, _| {
        let line = logged(server, "/demo/plaintext?zip=12345");
        if line.contains("12345") { "shown" } else { "redacted" }.to_owned()
    }),
    Case {
        name: "LOG_GCP_PROJECT",
        before: ("mine", "mine"),
        after: ("yours", "yours"),
        with: &[("LOG_FORMAT", "gcp")],
        tls: false,
        see: |server, _| {
            let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            asked(server, &format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\n{trace}\r\n\r\n"));
            let line = server.stdout.wait_for(|line| line.contains("/demo/plaintext"));
            line.split("projects/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(&line).to_owned()
        },
    },
    case("TRUSTED_PROXIES", ("10.0.0.0/8", "127.0.0.1"), ("127.0.0.0/8", "192.0.2.7"), |server, _| {
        asked(server, "GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
        let line = server.stdout.wait_for(|line| line.contains("/demo/plaintext"));
        json(line.as_bytes())["client_ip"].as_str().unwrap().to_owned()
    }),
    case("STATIC_CACHE_CONTROL", ("no-cache", "no-cache"), ("max-age=60", "max-age=60"), |server, _| {
        server.get("/Cargo.toml").field("cache-control").unwrap_or("none").to_owned()
    }),
    case("CORS_ALLOW_ALL", ("false", "none"), ("true", "*"), browsers::origin),
    case(
        "CORS_ALLOW_ORIGINS",
        ("https://b.example", "none"),
        ("https://*.example, https://a.example", "https://a.example"),
        browsers::origin,
    ),
    of_cors("CORS_ALLOW_METHODS", ("GET", "GET"), ("PUT, DELETE", "PUT, DELETE"), browsers::methods),
    of_cors("CORS_ALLOW_HEADERS", ("X-A", "x-a"), ("X-B", "x-b"), browsers::headers),
    of_cors("CORS_ALLOW_CREDENTIALS", ("false", "none"), ("true", "true"), browsers::credentials),
    of_cors("CORS_EXPOSE_HEADERS", ("", "none"), ("ETag", "etag"), browsers::exposed),
    of_cors("CORS_MAX_AGE", ("10m", "600"), ("1h", "3600"), browsers::max_age),
    case("SECURITY_HEADERS", ("false", "none"), ("true", "strict-origin-when-cross-origin"), browsers::referrer_policy),
    case("CSP", ("", "none"), ("default-src 'self'", "default-src 'self'"), browsers::csp),
    case(
        "CSP_REPORT_ONLY",
        ("", "none"),
        ("img-src *; report-to x", "img-src *; report-to x"),
        browsers::csp_report_only,
    ),
    Case {
        name: "HSTS",
        before: ("max-age=1", "max-age=1"),
        after: ("1h", "max-age=3600"),
        with: browsers::BEHIND_PROXY,
        tls: false,
        see: browsers::hsts,
    },
    case("STATIC_IMMUTABLE", ("auto", "max-age=31536000, immutable"), ("off", "no-cache"), |server, _| {
        server.get("/examples/spa/assets/app.0e4d2f9b.js").field("cache-control").unwrap_or("none").to_owned()
    }),
    case("STATIC_IMMUTABLE_PREFIXES", ("", "no-cache"), ("/src/", "max-age=31536000, immutable"), |server, _| {
        server.get("/src/lib.rs").field("cache-control").unwrap_or("none").to_owned()
    }),
    case("SPA_FALLBACK", ("false", "404"), ("examples/spa/index.html", "200"), |server, _| {
        server.get("/orders/2").status.to_string()
    }),
    Case {
        name: "SPA_FALLBACK_EXCLUDE_PREFIXES",
        before: ("/api", "200"),
        after: ("/api,/orders", "404"),
        with: &[("SPA_FALLBACK", "examples/spa/index.html")],
        tls: false,
        see: |server, _| server.get("/orders/2").status.to_string(),
    },
    case("DIRECTORY_LISTING", ("false", "404"), ("true", "200"), |server, _| server.get("/src/").status.to_string()),
    Case {
        name: "STATIC_CACHE_BYTES",
        before: ("16MiB", "some are kept"),
        after: ("0", "none are kept"),
        with: &[("STATIC_DIR", env!("CARGO_TARGET_TMPDIR"))],
        tls: false,
        see: |server, _| {
            let name = format!("cached-{}", std::process::id());
            let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
            // A second may pass between two requests, but not every time.
            let kept = (0..20).any(|n| {
                let content = format!("version {n}");
                fs::write(&path, &content).unwrap();
                server.get(&format!("/{name}")).text() != content
            });
            fs::remove_file(&path).unwrap();
            if kept { "some are kept" } else { "none are kept" }.to_owned()
        },
    },
    case("COMPRESSION", ("on", "gzip"), ("off", "none"), |server, _| {
        let asked =
            server.connect().ask("GET /Cargo.toml HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").unwrap();
        asked.field("content-encoding").unwrap_or("none").to_owned()
    }),
    case("STRICT", ("true", "refused"), ("false", "accepted"), |server, volume| {
        let (refused, accepted) = (server.metric(FAILURES), server.metric(SUCCESSES));
        volume.set("NO_SUCH_THING", "1");
        loop {
            if server.metric(FAILURES) > refused {
                return "refused".to_owned();
            }
            if server.metric(SUCCESSES) > accepted {
                return "accepted".to_owned();
            }
        }
    }),
];

/// How long to look for something that should not happen.
const A_WHILE: Duration = Duration::from_millis(700);
const SUCCESSES: &str = "rws_config_reloads_total{result=\"success\"}";
const FAILURES: &str = "rws_config_reloads_total{result=\"failure\"}";

#[test]
#[cfg(feature = "auth")] // others have fewer
fn every_reloadable_variable_is_here_and_no_other() {
    let reloadable = VARIABLES.iter().filter(|variable| {
        variable.change == Change::Reload && !matches!(variable.status, Status::Refused(_) | Status::NoEffect(_))
    });
    let mut expected: Vec<_> = reloadable.map(|variable| variable.name).collect();
    let mut here: Vec<_> = CASES.iter().map(|case| case.name).collect();
    expected.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, expected);
}

#[test]
fn every_reloadable_variable_has_an_effect_in_a_running_server() {
    let cases = Mutex::new(CASES.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = { cases.lock().unwrap().next() } {
                    let (unchanged, changed) = (case.run(false), case.run(true));
                    if (unchanged.as_str(), changed.as_str()) != (case.before.1, case.after.1) {
                        failures.lock().unwrap().push(format!("{}: {unchanged}, then {changed}", case.name));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

impl Case {
    /// What is seen of a server that started with the first value, and perhaps was given the second.
    fn run(&self, change: bool) -> String {
        let mut volume = Volume::new(&[(self.name, self.before.0)]);
        let mut settings = vec![("DIR", volume.text()), ("STATIC_DIR", env!("CARGO_MANIFEST_DIR"))];
        settings.extend(self.with);
        let pair = tempfile::tempdir().unwrap();
        let (cert, key) = (pair.path().join("tls.crt"), pair.path().join("tls.key"));
        if self.tls {
            let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
            fs::write(&cert, made.cert.pem()).unwrap();
            fs::write(&key, made.signing_key.serialize_pem()).unwrap();
            settings.push(("TLS_CERT_FILE", cert.to_str().unwrap()));
            settings.push(("TLS_KEY_FILE", key.to_str().unwrap()));
        }
        let mut server = rws(&settings).start();
        if change {
            volume.set(self.name, self.after.0);
            if self.tls {
                server.stderr.wait_for(|line| line.contains("configuration reloaded"));
                // One is through before the next begins.
                server.signal(Sig::HUP);
                server.stderr.wait_for(|line| line.contains("nothing changed"));
            } else {
                server.wait_for_metric(SUCCESSES, 1.0);
            }
        }
        (self.see)(&mut server, &mut volume)
    }
}

fn asked(server: &Server, request: &str) -> String {
    let mut client = server.connect();
    client.send(request).unwrap();
    answer(&mut client)
}

/// The status that comes within a while, or that nothing does.
fn answer(client: &mut Client) -> String {
    client.socket.get_ref().set_read_timeout(Some(A_WHILE)).unwrap();
    let mut start = [0; 12];
    match client.socket.read(&mut start) {
        Ok(0) => "closed".to_owned(),
        Ok(_) => String::from_utf8_lossy(&start[9..]).into_owned(),
        Err(_) => "waits".to_owned(),
    }
}

/// More requests that take long than there are CPUs, and a while for them to arrive.
fn slow_requests(server: &Server) -> Vec<Client> {
    let clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for client in &clients {
        client.send("GET /demo/delay/60000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    clients
}

fn large_field(server: &mut Server, _: &mut Volume) -> String {
    asked(server, &format!("GET /demo/plaintext HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "a".repeat(2000)))
}

/// SIGTERM: the exit code, or that it goes on.
fn stopped(server: &mut Server, _: &mut Volume) -> String {
    server.signal(Sig::TERM);
    if server.runs_after(A_WHILE) { "runs".to_owned() } else { server.wait(PATIENCE).to_string() }
}

/// The line of a request in the access log.
fn logged(server: &mut Server, path: &str) -> String {
    assert_eq!(server.get(path).status, 200);
    server.stdout.wait_for(|line| line.contains("/demo/plaintext"))
}
