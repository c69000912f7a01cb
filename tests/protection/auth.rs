//! AUTH_BASIC, AUTH_BEARER, AUTH_REALM and AUTH_EXEMPT_PREFIXES.

use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Client, PATIENCE, Reply, Server, Sig, run, rws};
use crate::volume::Volume;
use crate::{ask, curl};

const PATH: &str = "/demo/plaintext";
/// What must never be seen again once it was configured or sent.
const PASSWORD: &str = "correct-horse-battery";
const TOKEN: &str = "dG9rZW4tb2YtdGhlLWNp";

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")))
}

fn get(server: &Server, path: &str, fields: &str) -> Reply {
    ask(server, [127, 0, 0, 1], path, fields)
}

/// A line of htpasswd; the cost makes a debug build take some milliseconds.
fn hashed(user: &str, password: &str, cost: u32) -> String {
    format!("{user}:{}\n", bcrypt::hash(password, cost).unwrap())
}

#[test]
fn users_and_tokens_are_let_in_and_probes_ask_nobody() {
    let users = hashed("ada", PASSWORD, 4) + "bob:pass:word with spaces\n";
    let tokens = format!("ci:{TOKEN}");
    let settings = [
        ("AUTH_BASIC", users.as_str()),
        ("AUTH_BEARER", tokens.as_str()),
        ("AUTH_REALM", "My \"shop\""),
        ("AUTH_EXEMPT_PREFIXES", "/demo/json, /public"),
    ];
    let mut server = rws(&settings).start();
    for (fields, expected, user) in [
        (basic("ada", PASSWORD), 200, Some("ada")),
        (basic("bob", "pass:word with spaces"), 200, Some("bob")),
        (format!("Authorization: bearer {TOKEN}\r\n"), 200, Some("ci")),
        (basic("ada", "wrong"), 401, None),
        (basic("eve", PASSWORD), 401, None),
        (format!("Authorization: Bearer {TOKEN}x\r\n"), 401, None),
        (String::new(), 401, None),
    ] {
        let reply = get(&server, PATH, &fields);
        assert_eq!(reply.status, expected, "{fields}");
        let line = server.stdout.wait_for(|line| line.contains(PATH));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["user"].as_str(), user, "{line}");
        if expected == 401 {
            assert_eq!(reply.field("www-authenticate"), Some(r#"Basic realm="My \"shop\"", charset="UTF-8""#));
            assert_eq!(reply.field("cache-control"), Some("no-store"));
        }
    }
    for path in ["/healthz", "/readyz", "/metrics", "/demo/json"] {
        assert_eq!(get(&server, path, "").status, 200, "{path}");
    }
    for path in ["/demo/jsonx", "/public/../demo/plaintext", "/no-such-page"] {
        assert_eq!(get(&server, path, "").status, 401, "{path}");
    }
    let Some(output) = curl(&server, &["-u", "bob:pass:word with spaces"], PATH) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, World!");
    let Some(output) = curl(&server, &["-u", "bob:wrong", "-o", "/dev/null", "-w", "%{http_code}"], PATH) else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401");
}

#[test]
fn a_mounted_secret_is_followed_and_an_empty_one_opens_no_door() {
    let mut volume = Volume::new(&[("users", &hashed("ada", "first password", 4))]);
    let file = volume.path().join("users");
    let mut server = rws(&[("AUTH_BASIC_FILE", file.to_str().unwrap()), ("LOG_LEVEL", "debug")]).start();
    let status = |server: &Server, password| get(server, PATH, &basic("ada", password)).status;
    assert_eq!([status(&server, "first password"), status(&server, "second password")], [200, 401]);
    volume.set("users", &hashed("ada", "second password", 4));
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    assert_eq!([status(&server, "first password"), status(&server, "second password")], [401, 200]);
    for (wrong, reason) in [
        ("# nobody\n", "must name a user"),
        ("ada:$apr1$abc$defg-secret", "line 1 has a hash that is not bcrypt"),
        ("ada-secret-without-colon", "line 1 has no colon"),
    ] {
        volume.set("users", wrong);
        let line = server.stderr.wait_for(|line| line.contains("\"variable\"") && line.contains("\"error\""));
        assert!(line.contains("RWS_CONFIG_AUTH_BASIC") && line.contains(reason), "{line}");
        assert_eq!([status(&server, "second password"), get(&server, PATH, "").status], [200, 401], "{wrong:?}");
    }
    volume.set("users", "ada:third password");
    server.stderr.wait_for(|line| line.contains("configuration reloaded"));
    assert_eq!([status(&server, "second password"), status(&server, "third password")], [401, 200]);
    server.stop();
    let logs = [server.stdout.all(), server.stderr.all()].concat().join("\n");
    for secret in ["password\"", "second", "third", "$2b$", "$apr1$", "secret-without"] {
        assert!(!logs.contains(secret), "{secret} is in {logs}");
    }
}

#[test]
fn no_secret_is_shown_anywhere() {
    let users = format!("ada:{PASSWORD}\nbob:{PASSWORD}");
    let tokens = format!("ci:{TOKEN}");
    let environment = [("RWS_CONFIG_AUTH_BASIC", users.as_str()), ("RWS_CONFIG_AUTH_BEARER", tokens.as_str())];
    let mut shown = String::new();
    let mut note = |text: &[u8]| shown += &String::from_utf8_lossy(text);
    for arguments in [&["config"][..], &["config", "--json"], &["check"], &["manifest"], &["routes"]] {
        let output = run(arguments, &environment);
        note(&output.stdout);
        note(&output.stderr);
    }
    for wrong in [format!("ada:{PASSWORD}\n{PASSWORD}"), format!("a:{PASSWORD}\na:{PASSWORD}")] {
        let output = run(&[], &[("RWS_CONFIG_AUTH_BASIC", &wrong)]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        note(&output.stderr);
    }
    let settings =
        [("AUTH_BASIC", users.as_str()), ("AUTH_BEARER", tokens.as_str()), ("ADMIN_PORT", "0"), ("LOG_LEVEL", "trace")];
    let mut server = rws(&settings).start();
    let admin = server.stderr.so_far().into_iter().find(|line| line.contains("admin port:")).unwrap();
    let address = admin.split("\"address\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    for path in ["/configz", "/configz?format=json", "/statusz", "/"] {
        let reply = Client::new(address).unwrap().get(path).unwrap();
        note(&reply.body);
    }
    for fields in [basic("ada", PASSWORD), basic("ada", "wrong"), format!("Authorization: Bearer {TOKEN}\r\n")] {
        get(&server, PATH, &fields);
        get(&server, "/demo/panic", &fields);
    }
    server.signal(Sig::HUP);
    server.stderr.wait_for(|line| line.contains("nothing changed"));
    server.stop();
    note([server.stdout.all(), server.stderr.all()].concat().join("\n").as_bytes());
    assert!(shown.contains("AUTH_BASIC") && shown.contains("redacted"), "it is there, but cannot be read");
    let encoded = basic("ada", PASSWORD);
    for secret in [PASSWORD, TOKEN, encoded.trim().rsplit(' ').next().unwrap()] {
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
}

#[test]
fn passwords_that_are_easily_guessed_are_worth_a_warning() {
    let settings =
        [("AUTH_BASIC", "ada:changeme\nbob:short\neve:long enough"), ("AUTH_BEARER", "short, aaaabbbbccccdddd")];
    let mut server = rws(&settings).start();
    let lines = server.stderr.so_far().join("\n");
    for (text, expected) in
        [("that of ada", true), ("that of bob", true), ("that of eve", false), ("number 1", true), ("number 2", false)]
    {
        assert_eq!(lines.contains(&format!("easily guessed, {text}")), expected, "{text}");
    }
}

/// Guessing takes processor time, of which there is only so much; it takes no threads from those who are in already.
#[test]
fn a_flood_of_guesses_keeps_nobody_out_who_is_in() {
    let users = hashed("ada", PASSWORD, 8);
    let server = rws(&[("AUTH_BASIC", &users), ("THREAD_COUNT", "8"), ("QUEUE_DEPTH", "50")]).start();
    assert_eq!(get(&server, PATH, &basic("ada", PASSWORD)).status, 200);
    let flood = thread::scope(|scope| {
        let guess = |number: usize| {
            let server = &server;
            scope.spawn(move || {
                let statuses =
                    (0..3).map(|round| get(server, PATH, &basic("ada", &format!("guess{number}-{round}"))).status);
                statuses.collect::<Vec<_>>()
            })
        };
        let guesses: Vec<_> = (0..24).map(guess).collect();
        let start = Instant::now();
        let mut rounds = 0;
        while guesses.iter().any(|guess| !guess.is_finished()) || rounds == 0 {
            assert_eq!(get(&server, PATH, &basic("ada", PASSWORD)).status, 200);
            assert_eq!(get(&server, "/healthz", "").status, 200);
            rounds += 1;
            assert!(start.elapsed() < PATIENCE, "the flood does not end");
        }
        guesses.into_iter().flat_map(|guess| guess.join().unwrap()).collect::<Vec<u16>>()
    });
    assert!(flood.iter().all(|status| matches!(status, 401 | 503)), "{flood:?}");
    assert!(flood.contains(&401) && flood.contains(&503), "{flood:?}");
}
