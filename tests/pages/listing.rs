//! The listing of a directory, as people see it, who may have no script, no sight or the light off.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tempfile::TempDir;

use crate::chromium::{Browser, TOO_FAINT};
use crate::support::{Server, rws};

fn served() -> (TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    let docs = dir.path().join("docs");
    fs::create_dir_all(docs.join("pictures")).unwrap();
    for (name, size, days) in [
        ("annual report (final) & more.pdf", 4_400_000, 400),
        ("b.txt", 12, 300),
        ("c.tar.gz", 90_000, 500),
        ("שלום עולם.txt", 1, 100),
        ("<img src=x onerror=document.title='evil'>.html", 1, 50),
        ("a-name-that-is-as-long-as-names-get-when-nobody-stops-them-and-has-no-place-to-break.bin", 1 << 20, 20),
    ] {
        let path = docs.join(name);
        fs::write(&path, vec![0; size]).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + days * 86_400);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    let server = rws(&[("STATIC_DIR", dir.path().to_str().unwrap()), ("DIRECTORY_LISTING", "true")]).start();
    (dir, server)
}

/// The names in the table, as they are shown.
const NAMES: &str = "[...document.querySelectorAll('tbody bdi')].map((e) => e.textContent[0]).join('')";
/// The columns that are sorted, and how.
const SORTED: &str = "[...document.querySelectorAll('thead th')].map((th) => th.ariaSort[0]).join('')";

#[test]
fn a_listing_is_sorted_by_clicks_with_and_without_script() {
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, server) = served();
    for no_script in [false, true] {
        browser.call("Emulation.setScriptExecutionDisabled", json!({ "value": no_script }));
        browser.open(&format!("http://{}/docs/", server.address()));
        assert_eq!((browser.evaluate(NAMES), browser.evaluate(SORTED)), (json!("p<aabcש"), json!("ann")));
        for (column, names, sorted) in [
            (1, "pשcbaa<", "dnn"),
            (2, "p<שbcaa", "nan"),
            (2, "paacbש<", "ndn"),
            (3, "pa<שbac", "nna"),
            (3, "pcabש<a", "nnd"),
            (1, "p<aabcש", "ann"),
        ] {
            browser.click(&format!("thead th:nth-child({column}) a"));
            browser.wait_for(&format!("document.readyState === 'complete' && {SORTED} === '{sorted}'"));
            assert_eq!(browser.evaluate(NAMES), names, "{column} {sorted} {no_script}");
        }
        browser.click("nav li:first-child a");
        browser.wait_for("document.title === 'Index of /'");
        browser.click("tbody a");
        browser.wait_for("document.title === 'Index of /docs/'");
        browser.click("a[rel=up]");
        browser.wait_for("document.title === 'Index of /'");
    }
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}

#[test]
fn a_listing_is_for_everybody() {
    /// What somebody who cannot see the page, or has no mouse, would miss.
    const MISSING: &str = r#"[
        document.documentElement.lang !== "en" && "a language",
        document.querySelectorAll("h1").length !== 1 && "one heading",
        !document.querySelector("main table caption")?.textContent && "a caption",
        document.querySelectorAll("thead th[scope=col][aria-sort]").length !== 3 && "heads of columns",
        [...document.querySelectorAll("tbody tr")].some((tr) => !tr.querySelector("th[scope=row]")) && "heads of rows",
        [...document.querySelectorAll("a")].some((a) => !a.innerText.trim() || a.tabIndex < 0) && "links with names",
        [...document.querySelectorAll("svg")].some((svg) => svg.getAttribute("aria-hidden") !== "true") && "hidden icons",
        !document.querySelector("nav[aria-label] [aria-current=page]") && "the way here",
        [...document.querySelectorAll("tbody time")].some((t) => isNaN(Date.parse(t.dateTime))) && "times",
    ].filter(Boolean).join(", ")"#;
    let Some(mut browser) = Browser::start() else { return };
    let (_dir, server) = served();
    browser.open(&format!("http://{}/docs/", server.address()));
    assert_eq!(browser.evaluate(MISSING), "");
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        assert_eq!(browser.evaluate(TOO_FAINT), "", "{scheme}");
    }
    for width in [320, 390, 768, 1280] {
        browser.resize(width);
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= width, "{wide} at {width}");
    }
    // The focus of the keyboard can be seen.
    let tab = json!({ "type": "keyDown", "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9 });
    browser.call("Input.dispatchKeyEvent", tab);
    let outline =
        "document.activeElement.matches('a:focus-visible') && getComputedStyle(document.activeElement).outlineWidth";
    assert_eq!(browser.evaluate(outline), "2px");
    assert_eq!(browser.evaluate("document.title"), "Index of /docs/", "names are no markup");
    assert!(browser.complaints.is_empty(), "{:#?}", browser.complaints);
}
