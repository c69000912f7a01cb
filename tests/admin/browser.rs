//! /statusz in a real browser.

use std::time::Duration;

use crate::chromium::{Browser, TOO_FAINT};
use crate::support::{PATIENCE, Sig, let_pass};
use crate::with_admin;

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
        browser.prefer(scheme);
        assert_eq!(browser.evaluate(TOO_FAINT), "", "{scheme}");
    }
    for width in [320, 390, 768, 1280] {
        browser.resize(width);
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
            browser.prefer(scheme);
            assert_eq!(browser.evaluate(TOO_FAINT), "", "{url} {scheme}");
        }
    }
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
    assert_eq!(server.stop(), 0);
}
