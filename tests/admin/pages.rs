//! What the pages show, and what they never do.

use std::fs;

use serde_json::Value;

use crate::support::{Sig, json};
use crate::with_admin;

fn variable<'a>(configz: &'a Value, name: &str) -> &'a Value {
    let variables = configz["variables"].as_array().unwrap();
    variables.iter().find(|variable| variable["name"] == format!("RWS_CONFIG_{name}")).unwrap()
}

#[test]
fn configz_tells_every_setting_and_its_source_and_follows_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("MAX_HEADERS");
    fs::write(&file, "42").unwrap();
    let secret = dir.path().join(".secret");
    fs::write(&secret, "hunter2-in-a-secret").unwrap();
    let (mut server, admin) =
        with_admin(&[("DIR", dir.path().to_str().unwrap()), ("LOG_REDACT_QUERY_FILE", secret.to_str().unwrap())]);
    let configz = admin.json("/configz");
    let headers = variable(&configz, "MAX_HEADERS");
    assert_eq!(
        (&headers["value"], &headers["source"], &headers["reloadable"]),
        (&"42".into(), &"file".into(), &true.into())
    );
    assert!(headers["file"].as_str().unwrap().ends_with("/MAX_HEADERS"), "{headers}");
    let port = variable(&configz, "ADMIN_PORT");
    assert_eq!((&port["source"], &port["reloadable"]), (&"environment".into(), &false.into()));
    assert_eq!(variable(&configz, "QUEUE_DEPTH")["source"], "default");
    assert_eq!(variable(&configz, "LOG_REDACT_QUERY")["value"], "<redacted>");

    let text = admin.get("/configz?format=text").text();
    assert!(text.lines().any(|line| line.starts_with("RWS_CONFIG_MAX_HEADERS ") && line.contains(" 42 ")), "{text}");
    let request = "GET /configz HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*;q=0.8\r\n\r\n";
    let page = admin.connect().ask(request).unwrap();
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.field("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(page.text().contains("RWS_CONFIG_MAX_HEADERS"));
    for shown in [configz.to_string(), text, page.text()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    fs::write(&file, "43").unwrap();
    server.signal(Sig::HUP);
    admin.wait_for("/configz", |reply| variable(&json(&reply.body), "MAX_HEADERS")["value"] == "43");
    // What is wrong with a change is told, and what is in force stays.
    fs::write(&file, "many").unwrap();
    server.signal(Sig::HUP);
    let refused = admin.wait_for("/configz", |reply| !json(&reply.body)["refused"].as_array().unwrap().is_empty());
    let refused = json(&refused.body);
    assert!(refused["refused"][0].as_str().unwrap().contains("RWS_CONFIG_MAX_HEADERS"), "{refused}");
    assert_eq!(variable(&refused, "MAX_HEADERS")["value"], "43");
    assert!(admin.get("/configz?format=html").text().contains("The latest change was refused"));
    assert_eq!(server.stop(), 0);
}

#[test]
fn statusz_tells_what_happened_and_nothing_that_clients_sent() {
    let (mut server, admin) = with_admin(&[]);
    for _ in 0..20 {
        server.get("/demo/json?token=hunter2");
    }
    server.get("/demo/missing?token=hunter2");
    let panic = "GET /demo/panic?token=hunter2 HTTP/1.1\r\nHost: hunter2.example\r\nX-Request-Id: the-one\r\n\
                 Cookie: hunter2\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    assert_eq!(server.connect().ask(panic).unwrap().status, 500);
    assert_eq!(server.get("/demo/status/502").status, 502);
    let status = admin.json("/statusz?format=json");
    assert_eq!((&status["state"], &status["ready"]), (&"ready".into(), &true.into()), "{status}");
    assert_eq!(status["requests"]["by_class"], serde_json::json!([0, 20, 0, 1, 2]), "{status}");
    let states: Vec<_> = status["timeline"].as_array().unwrap().iter().map(|entered| &entered["state"]).collect();
    assert_eq!(states, ["starting", "ready"]);
    let errors = status["errors"].as_array().unwrap();
    assert_eq!((&errors[0]["route"], &errors[0]["status"]), (&"/demo/status/{code}".into(), &502.into()), "{status}");
    let panic = &errors[1];
    assert_eq!((&panic["outcome"], &panic["request_id"]), (&"panic".into(), &"the-one".into()), "{panic}");
    assert_eq!(panic["trace_id"], "0af7651916cd43dd8448eb211c80319c", "{panic}");
    assert!(status["latency_ms"]["since_start"]["p99"].as_f64().unwrap() > 0.0, "{status}");
    assert!(status["checks"].as_array().unwrap().iter().any(|check| check["name"] == "main-listener"), "{status}");

    let page = admin.get("/statusz");
    assert_eq!((page.status, page.field("cache-control")), (200, Some("no-store")));
    assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
    let html = page.text();
    for part in ["<strong>Ready</strong>", "GET /demo/panic", "the-one", "<title>Ready: rws on "] {
        assert!(html.contains(part), "{part} in {html}");
    }
    for shown in [status.to_string(), html.clone(), admin.get("/").text(), admin.get("/statusz?part=live").text()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert!(!html.contains("//") || !html.contains("src="), "nothing comes from elsewhere");
    assert!(!html.contains(" style=") && !html.contains(" onclick="), "the policy allows neither");
    let part = admin.get("/statusz?part=live").text();
    assert!(part.contains("id=errors") && !part.contains("<script>") && !part.contains("<style>"), "{part}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let (mut server, admin) = with_admin(&[]);
    for path in ["/", "/statusz", "/configz"] {
        let reply = admin.post(path, "");
        assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD, OPTIONS")), "{path}");
    }
    let get = admin.get("/drain");
    assert_eq!((get.status, get.field("allow")), (405, Some("POST")));
    assert!(get.text().contains("preStop"), "{}", get.text());
    assert_eq!(admin.get("/nothing").status, 404);
    assert_eq!(server.get("/healthz").status, 200, "nothing of this has stopped it");
    assert_eq!(server.stop(), 0);
}
