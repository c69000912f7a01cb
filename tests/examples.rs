//! Every example, run as its own process: started, asked, told to stop with SIGTERM, and gone with exit code 0.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may panic, and says what it skips")]

#[path = "process/chromium.rs"]
#[allow(dead_code, reason = "shared with pages.rs")]
mod chromium;
#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// The tests of an example that shows how to write them: here too, so that they run with all others.
#[allow(dead_code, reason = "its main runs in a process of its own")]
#[path = "../examples/testing.rs"]
mod shown;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn hello() {
    let example = Example::start("hello", &[]);
    let answer = example.ask("GET", "/hello/w%C3%B6rld", "");
    assert_eq!((answer.status, &*answer.body), (200, "Hello, wörld!\n"));
    example.wait_until_ok();
    assert!(example.ask("GET", "/metrics", "").body.contains(r#"http_route="/hello/{name}""#));
    example.stop();
}

#[test]
fn json_api() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("items.db");
    let settings = [("ITEMS_DB", file.to_str().unwrap())];
    let example = Example::start("json_api", &settings);
    for (id, name) in [(1, "cup"), (2, "plate"), (3, "cupboard")] {
        let created = example.ask("POST", "/items", &json!({ "name": name }).to_string());
        assert_eq!((created.status, created.json()), (201, json!({ "id": id, "name": name })));
    }
    assert_eq!(example.ask("GET", "/items/2", "").json()["name"], "plate");
    assert_eq!(example.ask("GET", "/items", "").json().as_array().unwrap().len(), 3);
    assert_eq!(example.ask("GET", "/items?name=cup", "").json().as_array().unwrap().len(), 2);
    assert_eq!(example.ask("GET", "/items?name=cup&limit=1", "").json().as_array().unwrap().len(), 1);
    assert_eq!(example.ask("DELETE", "/items/2", "").status, 204);

    for (method, target, body, status, detail) in [
        ("GET", "/items/2", "", 404, "there is no item 2"),
        ("DELETE", "/items/9", "", 404, "there is no item 9"),
        ("GET", "/items/x", "", 400, "id"),
        ("GET", "/items?limit=many", "", 400, "limit"),
        ("POST", "/items", r#"{"name":""}"#, 422, "#/name"),
        ("POST", "/items", r#"{"name":1}"#, 422, "#/name"),
        ("POST", "/items", "{", 400, "JSON"),
    ] {
        let answer = example.ask(method, target, body);
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {target}");
        assert!(answer.body.contains(detail), "{method} {target}: {}", answer.body);
    }
    example.wait_until_ok();
    assert_eq!(example.ask("GET", "/readyz/database", "").status, 200);
    example.stop();

    let example = Example::start("json_api", &settings);
    assert_eq!(example.ask("GET", "/items/3", "").json()["name"], "cupboard", "it is in the file");
    // What the database says is for the log.
    rusqlite::Connection::open(&file).unwrap().execute_batch("DROP TABLE items").unwrap();
    let answer = example.ask("GET", "/items/3", "");
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/problem+json")));
    assert!(!answer.body.contains("no such table"), "{}", answer.body);
    let said = example.stop();
    assert!(said.contains("no such table"), "{said}");
}

#[test]
fn testing() {
    let example = Example::start("testing", &[]);
    assert_eq!(example.ask("GET", "/hello/you", "").body, "Hello, you!\n");
    for sum in [3, 6] {
        assert_eq!(example.ask("POST", "/deposits", r#"{"amount":3}"#).json(), json!({ "amount": sum }));
    }
    example.stop();
}

#[test]
fn embedding() {
    let example = Example::start("embedding", &[]);
    let end = Instant::now() + PATIENCE;
    while example.ask("GET", "/jobs", "").body.starts_with("0 ") {
        assert!(Instant::now() < end, "the program does nothing else");
        thread::park_timeout(Duration::from_millis(10));
    }
    example.wait_until_ok();
    assert!(example.ask("GET", "/metrics", "").body.contains(r#"http_route="/jobs""#));
    let said = example.stop();
    assert!(said.contains("the program ends"), "{said}");
}

#[test]
#[cfg(feature = "auth")]
fn middleware() {
    let example = Example::start("middleware", &[]);
    let long = "x".repeat(65);
    for (method, target, field, body, status, expected) in [
        ("GET", "/", "", "", 200, "Hello!\n"),
        ("GET", "/none", "", "", 404, "Not Found"),
        ("GET", "/admin", "", "", 401, ""),
        ("GET", "/admin", "Authorization: Basic YWRhOmxvdmVsYWNl\r\n", "", 200, "Hello, ada!\n"),
        ("GET", "/count/3", "", "", 200, "counted to 3\n"),
        ("GET", "/count/1000000000000", "", "", 503, "could not be answered in time"),
        ("POST", "/orders", "", "two cups", 201, "ordered: two cups\n"),
        ("POST", "/orders", "", &long, 413, "too large"),
        ("POST", "/orders", "", "a plate", 201, "ordered: a plate\n"),
        ("POST", "/orders", "", "a cupboard", 429, "too many requests"),
    ] {
        let answer = Answer::read(&mut example.send_with(method, target, field, body));
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
        assert!(answer.body.contains(expected), "{method} {target}: {}", answer.body);
        let timing = answer.header("server-timing").unwrap_or_else(|| panic!("{method} {target} has no timing"));
        assert!(timing.strip_prefix("app;dur=").is_some_and(|time| time.parse::<f64>().is_ok()), "{timing}");
    }
    example.stop();
}

#[test]
fn cookies() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    fs::write(&file, [7; 32]).unwrap();
    let settings = [("COOKIE_KEY_FILE", file.to_str().unwrap())];
    let example = Example::start("cookies", &settings);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let post = |target: &str, fields: &str, body: &str| {
        let mut stream = TcpStream::connect(example.address).unwrap();
        let length = body.len();
        write!(stream, "POST {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
            .unwrap();
        Answer::read(&mut stream)
    };
    assert_eq!(post("/sign-in", form, "name=ada&password=love").status, 403);
    let signed_in = post("/sign-in", form, "name=ada&password=lovelace");
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    let set = signed_in.header("set-cookie").unwrap();
    assert!(set.ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{set}");
    assert!(!set.contains("ada"), "{set}");
    let cookie = format!("Cookie: {}\r\n", set.split(';').next().unwrap());
    assert!(Answer::read(&mut example.send_with("GET", "/", &cookie, "")).body.starts_with("Hello, ada!"));
    for fields in ["", "Cookie: session=ada\r\n"] {
        let answer = Answer::read(&mut example.send_with("GET", "/", fields, ""));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/sign-in")), "{fields}");
    }
    let signed_out = post("/sign-out", &cookie, "");
    assert!(signed_out.header("set-cookie").unwrap().starts_with("session=; "), "{}", signed_out.head);
    example.stop();

    // Any replica that has the key knows the session.
    for (settings, status) in [(&settings[..], 200), (&[], 303)] {
        let example = Example::start("cookies", settings);
        assert_eq!(Answer::read(&mut example.send_with("GET", "/", &cookie, "")).status, status);
        example.stop();
    }
}

#[test]
fn error_handling() {
    let example = Example::start("error_handling", &[]);
    let order = |from: u8, to: u8, cents: u32| json!({ "from": from, "to": to, "cents": cents }).to_string();
    let problem = Some("application/problem+json");
    for (method, target, body, status, content_type, expected) in [
        ("GET", "/accounts/1", "", 200, Some("application/json"), "1000"),
        ("POST", "/transfers", &*order(1, 2, 300), 204, None, ""),
        ("GET", "/accounts/1", "", 200, Some("application/json"), "700"),
        ("GET", "/accounts/2", "", 200, Some("application/json"), "350"),
        ("POST", "/transfers", &order(2, 1, 400), 409, problem, r#""missing_cents":50"#),
        ("POST", "/transfers", &order(1, 9, 1), 404, problem, "there is no account 9"),
        ("GET", "/accounts/1", "", 200, Some("application/json"), "700"),
        ("GET", "/accounts/x", "", 400, problem, "id"),
        ("POST", "/transfers", r#"{"from":1,"to":2}"#, 422, problem, "cents"),
        ("GET", "/accounts/3", "", 500, problem, "Internal Server Error"),
    ] {
        let answer = example.ask(method, target, body);
        assert_eq!((answer.status, answer.header("content-type")), (status, content_type), "{target}: {}", answer.body);
        assert!(answer.body.contains(expected), "{method} {target}: {}", answer.body);
        assert!(!answer.body.contains("invalid digit"), "the cause is not the client's business: {}", answer.body);
    }
    let said = example.stop();
    assert!(said.contains("invalid digit"), "the cause is in the log:\n{said}");
}

#[test]
fn static_site() {
    let example = Example::start("static_site", &[("RWS_CONFIG_STATIC_DIR", "examples/site")]);
    let page = example.ask("GET", "/", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.body, fs::read_to_string(Path::new(ROOT).join("examples/site/index.html")).unwrap());
    assert_eq!(example.ask("GET", "/style.css", "").header("content-type"), Some("text/css; charset=utf-8"));
    assert!(example.ask("GET", "/age", "").body.contains("has been running for"));
    assert_eq!(example.ask("GET", "/home", "").header("location"), Some("/"));
    assert_eq!(example.ask("GET", "/none", "").status, 404);
    example.stop();
}

#[test]
fn spa() {
    let example = Example::start("spa", &[]);
    let page = fs::read_to_string(Path::new(ROOT).join("examples/spa/index.html")).unwrap();
    for target in ["/", "/index.html", "/orders/2", "/orders/2/", "/orders/none"] {
        let answer = example.ask("GET", target, "");
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-cache")), "{target}");
        assert_eq!(answer.body, page, "{target}");
    }
    for path in page.split('"').filter(|text| text.starts_with("/assets/")) {
        let asset = example.ask("GET", path, "");
        assert_eq!((asset.status, asset.header("cache-control")), (200, Some("max-age=31536000, immutable")), "{path}");
    }
    for target in ["/assets/app.0e4d2f9c.js", "/api/none", "/healthcheck"] {
        assert_eq!(example.ask("GET", target, "").status, 404, "{target}");
    }
    assert!(example.ask("GET", "/app.js", "").body.contains("There is no such file"));
    assert_eq!(example.ask("GET", "/api/orders/2", "").json(), json!({ "id": 2, "text": "two plates" }));
    assert_eq!(example.ask("GET", "/api/orders/9", "").header("content-type"), Some("application/problem+json"));
    example.wait_until_ok();
    assert!(example.ask("GET", "/metrics", "").body.contains(r#"http_route="_static""#));
    example.stop();
}

#[test]
fn graceful_drain() {
    let example = Example::start("graceful_drain", &[]);
    assert_eq!(example.ask("GET", "/slow/60001", "").status, 400);
    let mut slow = example.send("GET", "/slow/300", "");
    // By now the first one has arrived as well; if not, it must be served all the same.
    assert_eq!(example.ask("GET", "/fast", "").body, "fast\n");
    example.stop();
    let answer = Answer::read(&mut slow);
    assert_eq!((answer.status, &*answer.body), (200, "done, and nobody cut me short\n"));
}

#[test]
fn sse() {
    let example = Example::start("sse", &[]);
    assert!(example.ask("GET", "/", "").body.contains(r#"<script src="/page.js">"#));
    assert!(example.ask("GET", "/page.js", "").body.contains(r#"new EventSource("/events")"#));
    let mut events = example.send("GET", "/events", "");
    let mut head = [0; 12];
    events.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert_eq!(example.ask("POST", "/events", "It rains").status, 204);
    example.stop();
    let mut rest = String::new();
    events.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("data: It rains\nid: "), "{rest}");
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "the stream does not end cleanly: {rest}");
}

#[test]
fn a_browser_that_is_interrupted_misses_no_event() {
    let Some(mut browser) = chromium::Browser::start() else { return };
    let example = Example::start("sse", &[]);
    let publish = |text: &str| assert_eq!(example.ask("POST", "/events", text).status, 204);
    browser.open(&format!("http://{}/", example.address));
    browser.wait_for("state.textContent === 'connected'");
    browser.evaluate("window.opened = 0; events.addEventListener('open', () => opened++); true");
    let mut expected = Vec::new();
    // The first time it has not heard anything yet.
    for round in 1..=3 {
        browser.evaluate("find('[type=button]').click(); true");
        browser.wait_for("state.textContent === 'interrupted'");
        for text in ["héllo <b>", "second\nline"] {
            publish(&format!("{round} {text}"));
            expected.insert(0, format!("{round} {text}"));
        }
        browser.wait_for(&format!("opened === {round}"));
        publish(&format!("{round} back"));
        expected.insert(0, format!("{round} back"));
        browser.wait_for(&format!("list.firstChild?.textContent === '{round} back'"));
        let heard = browser.evaluate("[...list.children].map(line => line.textContent)");
        assert_eq!(heard, json!(expected), "all, once each, in order");
    }
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    example.stop();
    browser.wait_for("state.textContent === 'interrupted'");
}

#[test]
fn readiness() {
    let dir = tempfile::tempdir().unwrap();
    let [file, elsewhere] = ["visits.db", "elsewhere.db"].map(|name| dir.path().join(name));
    let settings = [("VISITS_DB", file.to_str().unwrap()), ("RWS_CONFIG_HEALTH_DETAILS", "full")];
    let example = Example::start("readiness", &settings);
    assert_eq!(example.ask("GET", "/visits", "").body, "1 visits\n");
    example.wait_until_ok();

    fs::rename(&file, &elsewhere).unwrap();
    let gone = example.ask_until("/readyz", 503);
    assert!(gone.body.contains("[-]database failed: unable to open database file"), "{}", gone.body);
    assert_eq!(example.ask("GET", "/visits", "").status, 503);
    assert_eq!(example.ask("GET", "/healthz", "").status, 200, "a restart would not help");
    fs::rename(&elsewhere, &file).unwrap();
    example.ask_until("/readyz", 200);
    assert_eq!(example.ask("GET", "/visits", "").body, "2 visits\n");

    // A lock that somebody else keeps is waited for, and then as good as no database.
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let locked = example.ask_until("/readyz/database", 503);
    assert!(locked.body.contains("database is locked"), "{}", locked.body);
    let metrics = example.ask("GET", "/metrics", "").body;
    assert!(metrics.contains("rws_health_check_up{check=\"database\"} 0"), "{metrics}");
    other.execute_batch("ROLLBACK").unwrap();
    example.ask_until("/readyz/database", 200);
    let said = example.stop();
    for line in
        ["a health check fails", "not ready", "a health check passes again", "ready again", "the database may go"]
    {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
}

#[cfg(feature = "websocket")]
#[test]
fn a_chat_in_a_browser() {
    let Some(mut browser) = chromium::Browser::start() else { return };
    let example = Example::start("chat", &[]);
    browser.open(&format!("http://{}/", example.address));
    browser.wait_for("document.querySelector('#status').textContent === 'Connected.'");
    browser.evaluate("text.value = 'héllo <b>'; form.requestSubmit(); true");
    browser.wait_for("[...document.querySelectorAll('#log li')].some(line => line.textContent === 'héllo <b>')");
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // It connects anew within a second or so, and says so: what was said before must be kept.
    let keep =
        "window.said = []; new MutationObserver(() => said.push(state.textContent)).observe(state, {childList: true})";
    browser.evaluate(&format!("{keep}; true"));
    example.stop();
    browser.wait_for("said.length > 0");
    assert!(browser.evaluate("said[0]").as_str().unwrap().starts_with("Disconnected (1001"));
}

#[cfg(feature = "websocket")]
#[test]
fn chat() {
    use tungstenite::protocol::{Role, WebSocket};

    let example = Example::start("chat", &[("CHAT_LIMIT", "2")]);
    let page = example.ask("GET", "/", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.body, fs::read_to_string(Path::new(ROOT).join("examples/chat/index.html")).unwrap());
    assert_eq!(example.ask("GET", "/chat", "").status, 426);

    let connect = || {
        let stream = TcpStream::connect(example.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        tungstenite::client(format!("ws://{}/chat", example.address), stream).map_err(Box::new)
    };
    let hear = |socket: &mut WebSocket<TcpStream>| socket.read().unwrap().into_text().unwrap().to_string();
    let (mut one, _) = connect().unwrap();
    assert_eq!(hear(&mut one), "someone has come: 1 here");
    let (mut two, _) = connect().unwrap();
    for socket in [&mut one, &mut two] {
        assert_eq!(hear(socket), "someone has come: 2 here");
    }
    let third = connect().map_err(|error| *error);
    let Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(refused))) = third else {
        panic!("a third one is let in")
    };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"5"[..]));
    assert!(example.ask("GET", "/metrics", "").body.contains("chat_connections 2"));
    example.wait_until_ok();

    one.send("hello".into()).unwrap();
    assert_eq!((hear(&mut one), hear(&mut two)), ("hello".to_owned(), "hello".to_owned()));
    two.send(tungstenite::Message::Binary(vec![1].into())).unwrap();
    let tungstenite::Message::Close(Some(frame)) = two.read().unwrap() else { panic!("binary is not for chats") };
    assert_eq!(u16::from(frame.code), 1003);
    two.flush().ok();
    assert_eq!(hear(&mut one), "someone has gone: 1 here");
    assert!(WebSocket::from_raw_socket(two.into_inner(), Role::Client, None).read().is_err());

    let reader = thread::spawn(move || one.read());
    let said = example.stop();
    assert!(said.contains("someone has come") && said.contains(r#""active":2"#), "{said}");
    let Ok(tungstenite::Message::Close(Some(frame))) = reader.join().unwrap() else { panic!("no goodbye") };
    assert_eq!(u16::from(frame.code), 1001);
}

/// More of it is in tests/upload.rs.
#[cfg(feature = "multipart")]
#[test]
fn upload() {
    let dir = tempfile::tempdir().unwrap();
    let example = Example::start("upload", &[("UPLOAD_DIR", dir.path().to_str().unwrap())]);
    assert!(example.ask("GET", "/", "").body.contains("multipart/form-data"));
    assert_eq!(example.ask("PUT", "/raw/cup.txt", "a cup").body, "cup.txt: 5 bytes\n");
    assert_eq!(fs::read(dir.path().join("cup.txt")).unwrap(), b"a cup");
    for (method, target, status) in
        [("PUT", "/raw/cup.txt", 409), ("PUT", "/raw/..%2Fcup", 422), ("PUT", "/raw/.profile", 422), ("POST", "/", 415)]
    {
        assert_eq!(example.ask(method, target, "x").status, status, "{method} {target}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    example.stop();
}

#[cfg(feature = "tls")]
#[test]
fn tls() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let authority = tls::Authority::new(dir.path());
    authority.issue("tls", "localhost", None);
    let cart = authority.issue("cart", "cart", Some("spiffe://shop.example/cart"));
    let till = authority.issue("till", "till", None);
    let [certificate, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map(path);
    let settings = [
        ("RWS_CONFIG_TLS_CERT_FILE", certificate.as_str()),
        ("RWS_CONFIG_TLS_KEY_FILE", &key),
        ("RWS_CONFIG_TLS_CLIENT_CA_FILE", &ca),
        ("RWS_CONFIG_TLS_CLIENT_AUTH", "optional"),
    ];
    let example = Example::start("tls", &settings);
    let ask = |who: Option<&tls::Pair>, target| authority.ask(example.address, who, target);
    let cases = [
        (None, "/", 200, "Hello, stranger! We talk in private."),
        (Some(&cart), "/", 200, "Hello, CN=cart!"),
        (None, "/account", 403, "none was presented"),
        (Some(&till), "/account", 200, "The account of CN=till, certificate "),
        (Some(&till), "/orders", 403, "orders are for the cart"),
        (Some(&cart), "/orders", 200, "no orders yet"),
    ];
    for (who, target, status, expected) in cases {
        let answer = ask(who, target);
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert!(answer.body.contains(expected), "{target}: {}", answer.body);
    }
    example.stop();
}

/// An authority for the example, and clients that trust it.
#[cfg(feature = "tls")]
mod tls {
    use std::io::Write;
    use std::net::{SocketAddr, TcpStream};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::{Answer, PATIENCE};

    pub(crate) struct Authority {
        dir: PathBuf,
        issuer: Issuer<'static, KeyPair>,
        roots: Arc<RootCertStore>,
    }

    /// A certificate and its key.
    pub(crate) type Pair = (rcgen::Certificate, KeyPair);

    impl Authority {
        pub(crate) fn new(dir: &Path) -> Self {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "the authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap();
            std::fs::write(dir.join("ca.crt"), certificate.pem()).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(certificate.der().clone()).unwrap();
            Authority { dir: dir.to_owned(), issuer: Issuer::new(params, key), roots: Arc::new(roots) }
        }

        /// Issues a certificate, and writes it and its key into files.
        pub(crate) fn issue(&self, file: &str, name: &str, uri: Option<&str>) -> Pair {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            std::fs::write(self.dir.join(file).with_extension("crt"), certificate.pem()).unwrap();
            std::fs::write(self.dir.join(file).with_extension("key"), key.serialize_pem()).unwrap();
            (certificate, key)
        }

        /// Asks with or without a certificate.
        pub(crate) fn ask(&self, address: SocketAddr, who: Option<&Pair>, target: &str) -> Answer {
            let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(self.roots.clone());
            let config = match who {
                Some((certificate, key)) => {
                    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
                    builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
                }
                None => builder.with_no_client_auth(),
            };
            let session = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
            let tcp = TcpStream::connect(address).unwrap();
            tcp.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = StreamOwned::new(session, tcp);
            write!(stream, "GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
            Answer::read(&mut stream)
        }
    }
}

#[test]
fn each_example_is_short_says_how_to_run_it_and_is_tested_here() {
    let here = fs::read_to_string(Path::new(ROOT).join("tests/examples.rs")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".rs")) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! Run with `"), "{name} does not begin with how to run it");
        assert!(text.contains(&format!("cargo run --example {name}")), "{name} is run otherwise");
        assert!(text.lines().count() < 100, "{name} is too long");
        assert!(here.contains(&format!("Example::start(\"{name}\"")), "{name} is not tested");
        count += 1;
    }
    assert!(count >= 5);
}

/// A running example.
struct Example {
    process: Child,
    address: SocketAddr,
    diagnostics: Receiver<String>,
}

impl Example {
    /// Starts the binary that cargo built beside this test, and waits until it is ready.
    fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let test = std::env::current_exe().expect("a test knows where it is");
        let target = test.parent().and_then(Path::parent).expect("it is in target/…/deps");
        let mut process = Command::new(target.join("examples").join(name))
            .current_dir(ROOT)
            .env_clear()
            .envs([("RWS_CONFIG_IP", "127.0.0.1"), ("RWS_CONFIG_PORT", "0")])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started ({error}): cargo test builds the examples"));
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, diagnostics) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));

        let address = loop {
            let line = diagnostics.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{name}: {error}"));
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            if event["state"] == "ready" {
                break event["address"].as_str().and_then(|text| text.parse().ok()).expect("it says where it listens");
            }
        };
        Example { process, address, diagnostics }
    }

    /// Sends one request; JSON, if there is a body.
    fn send(&self, method: &str, target: &str, body: &str) -> TcpStream {
        self.send_with(method, target, "", body)
    }

    /// The same with more header fields, each with the end of its line.
    fn send_with(&self, method: &str, target: &str, fields: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let json = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}{json}Content-Length: {length}\r\n\r\n{body}"
        )
        .expect("it takes a request");
        stream
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        Answer::read(&mut self.send(method, target, body))
    }

    /// Asks again and again until the answer has this status.
    fn ask_until(&self, target: &str, status: u16) -> Answer {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("GET", target, "");
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < end, "{target} stays {}: {}", answer.status, answer.body);
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Checks that are not critical may not have run yet when the server is ready, and it says so.
    fn wait_until_ok(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask_until("/readyz", 200);
            if answer.body == "ok" {
                return;
            }
            assert!(Instant::now() < end, "/readyz stays {}", answer.body);
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Sends SIGTERM and waits for the end, which must be a good one. Returns what it had to say since it was ready.
    fn stop(mut self) -> String {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        kill_process(id, Signal::TERM).expect("it is still there");
        let mut said = String::new();
        loop {
            match self.diagnostics.recv_timeout(PATIENCE) {
                Ok(line) => said = said + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end:\n{said}"),
            }
        }
        let status = self.process.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains(r#""verdict":"drained""#), "{said}");
        said
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // Only a test that has failed leaves it running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A response.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(stream: &mut impl Read) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer comes");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}
