//! What the settings do together with the rest of the server: probes, prefixes, and what is missing.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::{Reply, Server, json, rws};

fn site() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("docs")).unwrap();
    fs::write(dir.path().join("index.html"), "<title>app</title>").unwrap();
    fs::write(dir.path().join("docs/a.txt"), "a").unwrap();
    dir
}

fn served(dir: &Path, settings: &[(&str, &str)]) -> Server {
    rws(&[&[("STATIC_DIR", dir.to_str().unwrap())], settings].concat()).start()
}

fn ask(server: &Server, path: &str, fields: &str) -> Reply {
    server.connect().ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).unwrap()
}

const BROWSER: &str = "Accept: text/html,*/*;q=0.8\r\n";

#[test]
fn a_probe_of_a_wrong_path_is_not_answered_with_the_page() {
    let dir = site();
    let mut server = served(dir.path(), &[("SPA_FALLBACK", "true")]);
    assert_eq!(ask(&server, "/orders/7", BROWSER).status, 200);
    for agent in ["kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Envoy/HC", "Consul Health Check"] {
        for accept in ["", "Accept: */*\r\n", BROWSER] {
            let reply = ask(&server, "/v2/alive-and-well", &format!("User-Agent: {agent}\r\n{accept}"));
            assert_eq!(reply.status, 404, "{agent} {accept}");
        }
    }
    let warning = server.stderr.wait_for(|line| line.contains("kubelet probes GET /v2/alive-and-well: 404"));
    assert_eq!(json(warning.as_bytes())["reason"], "not_found");
    // What names nobody may be a probe that runs curl.
    assert_eq!(ask(&server, "/healthcheck", "User-Agent: curl/8.5.0\r\nAccept: */*\r\n").status, 404);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn below_a_prefix_it_is_the_same() {
    let dir = site();
    fs::write(dir.path().join("404.html"), "<title>gone</title>").unwrap();
    let settings = [
        ("STATIC_PREFIX", "/shop"),
        ("SPA_FALLBACK", "index.html"),
        ("SPA_FALLBACK_EXCLUDE_PREFIXES", "/shop/api"),
        ("DIRECTORY_LISTING", "true"),
    ];
    let server = served(dir.path(), &settings);
    for (path, status, text) in [
        ("/shop", 301, ""),
        ("/shop/", 200, "<title>app</title>"),
        ("/shop/orders/7", 200, "<title>app</title>"),
        ("/shop/api/orders", 404, "<title>gone</title>"),
        ("/shop/none.js", 404, "<title>gone</title>"),
        ("/shop/docs/", 200, "<a href=\"../\"><bdi>shop</bdi></a>"),
        ("/shopping", 404, ""),
        ("/", 404, ""),
    ] {
        let reply = ask(&server, path, BROWSER);
        assert_eq!((reply.status, reply.text().contains(text)), (status, true), "{path}: {}", reply.text());
        assert_eq!(reply.text().contains("<title>"), !text.is_empty(), "{path}");
    }
    let listed = ask(&server, "/shop/docs/", "Accept: application/json\r\n");
    assert_eq!(json(&[b"{\"list\":", &*listed.body, b"}"].concat())["list"][0]["href"], "./a.txt");
}

#[test]
fn what_has_no_effect_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = served(dir.path(), &[("SPA_FALLBACK", "app.html")]);
    assert_eq!(ask(&server, "/orders/7", BROWSER).status, 404);
    let said = server.stderr.so_far().concat();
    assert!(said.contains("SPA_FALLBACK names a file that is not there") && said.contains("app.html"), "{said}");

    let mut server = rws(&[("SPA_FALLBACK", "true"), ("DIRECTORY_LISTING", "true")]).start();
    let said = server.stderr.so_far().concat();
    for name in ["SPA_FALLBACK", "DIRECTORY_LISTING"] {
        assert!(said.contains(&format!("{name} has no effect")), "{said}");
    }
}
