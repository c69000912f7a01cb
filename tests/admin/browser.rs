//! /statusz in a real browser, over the DevTools protocol on a pair of pipes.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Sig, clean, let_pass, program};
use crate::with_admin;

/// A headless Chromium with one page.
struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: String,
    last_id: u64,
    /// What the console and the log said.
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    fn start() -> Option<Self> {
        let chromium = program("chromium")?;
        let profile = tempfile::tempdir().unwrap();
        // It speaks on descriptors 3 and 4.
        let script = r#"exec 3<&0 4>&1; exec "$@" </dev/null >/dev/null 2>&1"#;
        let directory = format!("--user-data-dir={}", profile.path().display());
        let mut command = clean("/bin/sh");
        command.args(["-c", script, "sh", &chromium, "--headless=new", "--no-sandbox", "--disable-gpu"]);
        command.args(["--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking"]);
        command.args(["--remote-debugging-pipe", &directory]).env("HOME", profile.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = unbounded();
        thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let (session, complaints) = (String::new(), Vec::new());
        let mut browser = Browser { child, input, messages, session, last_id: 0, complaints, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Runtime", "Log", "Page"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{method}: {error}"));
            if message["id"] == self.last_id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let event = message["method"].as_str().unwrap_or_default();
        if ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"].contains(&event) {
            self.complaints.push(message["params"].to_string());
        }
    }

    fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait_for("document.readyState === 'complete' && location.protocol === 'http:'");
    }

    fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    fn wait_for(&mut self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.evaluate(expression) != true {
            assert!(Instant::now() < end, "never: {expression}\n{}", self.evaluate("document.body.innerText"));
            let_pass(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every text whose contrast with what is behind it is below 4.5 (WCAG 2.2, 1.4.3).
const TOO_FAINT: &str = r#"(() => {
    const channel = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const color = numbers(getComputedStyle(element).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    const faint = [];
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!text || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
        const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) faint.push(`${element.innerText}: ${contrast.toFixed(2)}`);
    }
    return faint.join("; ");
})()"#;

/// What somebody who cannot see the page would miss.
const NAMELESS: &str = r#"[
    ...[...document.querySelectorAll("table")].filter((t) => !t.getAttribute("aria-labelledby") || !t.querySelector("th[scope=col]")),
    ...[...document.querySelectorAll("svg")].filter((s) => !s.getAttribute("aria-label") && s.getAttribute("aria-hidden") !== "true"),
    ...[...document.querySelectorAll("section")].filter((s) => !s.querySelector("h2")),
].map((element) => element.outerHTML.slice(0, 200)).join("; ")"#;

#[test]
fn statusz_follows_what_happens_and_breaks_no_rule_of_the_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let (mut server, admin) = with_admin(&[("DRAIN_DELAY", "60s")]);
    let says = |id: &str, text: &str| format!("document.getElementById('{id}').textContent.includes('{text}')");
    browser.open(&format!("http://{}/statusz", admin.0));
    browser.wait_for("document.title.startsWith('Ready: rws on ')");
    assert_eq!(browser.evaluate("document.getElementById('pause').hidden"), false, "the script runs");
    browser.evaluate("window.stays = true");

    // It follows without being loaded again.
    for _ in 0..3 {
        server.get("/demo/panic");
    }
    browser.wait_for(&says("errors", "/demo/panic"));
    browser.wait_for(&says("t-errors", "3 in all"));
    assert_eq!(browser.evaluate("window.stays"), true);

    // It is as good in the dark and on a phone.
    for scheme in ["light", "dark"] {
        let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
        assert_eq!(browser.evaluate(TOO_FAINT), "", "{scheme}");
    }
    for width in [320, 390, 768, 1280] {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        browser.call("Emulation.setDeviceMetricsOverride", size);
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= width, "{wide} at {width}");
    }
    assert_eq!(browser.evaluate(NAMELESS), "");

    // Who reads it can stop it.
    browser.evaluate("document.getElementById('pause').click()");
    browser.wait_for("document.getElementById('pause').textContent === 'Go on'");
    assert_eq!(admin.post("/drain", "").status, 202);
    let_pass(Duration::from_millis(2500));
    assert_eq!(browser.evaluate(&says("state", "Ready")), true, "it is paused");
    browser.evaluate("document.getElementById('pause').click()");
    browser.wait_for(&says("state", "Draining"));
    browser.wait_for(&says("life", "draining"));
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);

    // And it says so when there is nobody any more.
    server.signal(Sig::INT);
    assert_eq!(server.wait(PATIENCE), 0);
    browser.wait_for(&says("state", "No answer"));
}

#[test]
fn the_other_pages_break_no_rule_either() {
    let Some(mut browser) = Browser::start() else { return };
    let (mut server, admin) = with_admin(&[]);
    let main = server.address();
    for (url, word) in [
        (format!("http://{}/", admin.0), "/statusz"),
        (format!("http://{}/configz", admin.0), "RWS_CONFIG_PORT"),
        (format!("http://{main}/"), "rws is running"),
    ] {
        browser.open(&url);
        browser.wait_for(&format!("document.body.innerText.includes('{word}')"));
        for scheme in ["light", "dark"] {
            let feature = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
            browser.call("Emulation.setEmulatedMedia", json!({ "features": feature }));
            assert_eq!(browser.evaluate(TOO_FAINT), "", "{url} {scheme}");
        }
    }
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    assert_eq!(server.stop(), 0);
}
