//! A small site as bundlers make them: module scripts, styles, pictures, WebAssembly, views with paths of their own, a film.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chromium::Browser;
use crate::film;
use crate::support::{Server, rws};

const INDEX: &str = r#"<!doctype html><html lang="en"><meta charset="utf-8"><title>app</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/assets/style.5b0c7e1a.css">
<script type="module" src="/assets/app.0e4d2f9b.js"></script>
<img src="/logo.svg" alt="logo"><a href="/orders/7">seven</a><p id="view"></p></html>"#;

const APP: &str = r##"import { two } from "./lib.7c1d9e04.js";
const status = async (path) => (await fetch(path)).status;
const show = () => { document.querySelector("#view").textContent = `view ${location.pathname}`; };
document.querySelector("a").addEventListener("click", (event) => {
  event.preventDefault();
  history.pushState(null, "", event.target.href);
  show();
});
show();
await document.querySelector("img").decode();
const { instance } = await WebAssembly.instantiateStreaming(fetch("/assets/add.wasm"));
window.results = {
  two,
  wasm: Object.keys(instance.exports).length,
  color: getComputedStyle(document.body).color,
  logo: document.querySelector("img").naturalWidth,
  api: (await (await fetch("/api/time")).json()).now,
  noApi: await status("/api/none"),
  noView: await status("/orders/9"),
  noScript: await import("/assets/app.00000000.js").catch((error) => error.name),
};
window.done = true;
"##;

fn site() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("index.html", INDEX.as_bytes());
    write("404.html", b"<!doctype html><title>gone</title><h1>Gone</h1>");
    write("assets/app.0e4d2f9b.js", APP.as_bytes());
    write("assets/lib.7c1d9e04.js", b"export const two = 2;");
    write("assets/style.5b0c7e1a.css", b"body { color: rgb(1, 2, 3); }");
    write("assets/add.wasm", b"\0asm\x01\0\0\0");
    write(
        "logo.svg",
        br##"<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="40" height="30"/></svg>"##,
    );
    write(
        "film.html",
        b"<!doctype html><title>film</title><video src=\"film.webm\" preload=\"metadata\" muted></video>",
    );
    write("film.webm", &film::film());
    dir
}

fn served(site: &Path, settings: &[(&str, &str)]) -> Server {
    let own = [
        ("STATIC_DIR", site.to_str().unwrap()),
        ("SPA_FALLBACK", "index.html"),
        ("ROUTE_TIME", "GET /api/time -> respond 200 application/json {\"now\": 12}"),
    ];
    rws(&[&own, settings].concat()).start()
}

#[test]
fn a_site_in_a_browser_over_plain_http() {
    let Some(mut browser) = Browser::start() else { return };
    let site = site();
    let mut server = served(site.path(), &[]);
    let origin = format!("http://{}", server.address());
    explore(&mut browser, &origin);

    // What has a hash in its name was asked for once, and the page each time.
    let lines = asked(&mut server);
    assert_eq!(statuses(&lines, "/assets/app.0e4d2f9b.js"), [200]);
    assert_eq!(statuses(&lines, "/assets/lib.7c1d9e04.js"), [200]);
    assert_eq!(statuses(&lines, "/orders/7"), [200, 304]);
    film_was_sent_in_parts(&lines);
}

#[test]
fn a_site_in_a_browser_over_tls() {
    let Some(mut browser) = Browser::start() else { return };
    let site = site();
    let pair = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let [cert, key] = ["tls.crt", "tls.key"].map(|name| pair.path().join(name));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = [("TLS_CERT_FILE", cert.to_str().unwrap()), ("TLS_KEY_FILE", key.to_str().unwrap())];
    let mut server = served(site.path(), &tls);
    let origin = format!("https://{}", server.address());
    explore(&mut browser, &origin);
    film_was_sent_in_parts(&asked(&mut server));
}

fn explore(browser: &mut Browser, origin: &str) {
    browser.open(&format!("{origin}/"));
    browser.wait_for("window.done === true");
    let results = browser.evaluate("window.results");
    let expected = json!({
        "two": 2, "wasm": 0, "color": "rgb(1, 2, 3)", "logo": 40, "api": 12, "noApi": 404, "noView": 404,
        "noScript": "TypeError",
    });
    assert_eq!(results, expected);
    browser.complaints.retain(|complaint| !complaint.contains("404 (Not Found)"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // A view that the script made is still there when it is loaded anew, and when somebody comes to it from elsewhere.
    browser.click("a");
    browser.wait_for("document.querySelector('#view').textContent === 'view /orders/7'");
    for _ in 0..2 {
        browser.evaluate("window.done = false");
        browser.call("Page.reload", json!({}));
        browser.wait_for("window.done === true");
        assert_eq!(browser.evaluate("document.querySelector('#view').textContent"), "view /orders/7");
    }
    browser.open(&format!("{origin}/orders/8"));
    browser.wait_for("window.done === true");
    assert_eq!(browser.evaluate("document.querySelector('#view').textContent"), "view /orders/8");

    browser.open(&format!("{origin}/none.txt"));
    assert_eq!(browser.evaluate("document.title"), "gone");
    assert_eq!(browser.evaluate("performance.getEntriesByType('navigation')[0].responseStatus"), 404);

    watch(browser, origin);
}

/// Goes to the end of a film and back, and looks at its pictures.
fn watch(browser: &mut Browser, origin: &str) {
    browser.open(&format!("{origin}/film.html"));
    browser.evaluate("window.film = document.querySelector('video')");
    browser.wait_for("film.readyState >= 1");
    assert_eq!(browser.evaluate("film.duration"), film::LENGTH);
    let color = "(() => { const c = document.createElement('canvas').getContext('2d'); c.drawImage(film, 0, 0); \
                 const [r, , b] = c.getImageData(30, 15, 1, 1).data; return r > b ? 'red' : 'blue'; })()";
    for (second, expected) in [(55.5, "red"), (3.5, "blue"), (40.5, "red")] {
        browser.evaluate(&format!("film.currentTime = {second}"));
        browser.wait_for("!film.seeking && film.readyState >= 2");
        assert_eq!(browser.evaluate("film.currentTime"), second);
        assert_eq!(browser.evaluate(color), expected, "at {second} s");
    }
    assert_eq!(browser.evaluate("film.error"), Value::Null);
    // Else what the player is still asking for would be cut off by the end of the server.
    browser.open(&format!("{origin}/logo.svg"));
}

/// The lines of the access log, once the server has ended.
fn asked(server: &mut Server) -> Vec<Value> {
    assert_eq!(server.stop(), 0);
    server.stdout.all_json()
}

fn statuses(lines: &[Value], path: &str) -> Vec<u64> {
    lines.iter().filter(|line| line["path"] == path).map(|line| line["status"].as_u64().unwrap()).collect()
}

/// A browser may ask whether a part that it has is still right.
fn film_was_sent_in_parts(lines: &[Value]) {
    let statuses = statuses(lines, "/film.webm");
    assert!(statuses.iter().filter(|status| **status == 206).count() >= 2, "{statuses:?}");
    assert!(statuses.iter().all(|status| [206, 304].contains(status)), "{statuses:?}");
}
