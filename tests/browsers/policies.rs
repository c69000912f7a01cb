//! Pages under the policies of the settings, in Chromium.

use std::time::Duration;

use crate::chromium::Browser;
use crate::site;
use crate::support::{let_pass, rws};

pub(crate) fn a_policy_keeps_markup_from_running_scripts(browser: &mut Browser) {
    for (policy, inline) in [(&[][..], true), (&[("CSP", "default-src 'self'")], false)] {
        let (mut site, _files) = site(policy);
        browser.open(&format!("http://{}/", site.address()));
        browser.wait_for("window.beside === true");
        assert_eq!(browser.evaluate("window.inline === true"), inline, "{policy:?}");
        assert_eq!(site.stop(), 0);
    }
    assert!(browser.complaints.iter().any(|said| said.contains("Content Security Policy")), "{:?}", browser.complaints);
}

pub(crate) fn a_policy_that_only_reports_stops_nothing(browser: &mut Browser) {
    let (mut site, _files) = site(&[("CSP_REPORT_ONLY", "default-src 'self'; report-uri /csp-reports")]);
    browser.open(&format!("http://{}/", site.address()));
    browser.wait_for("window.beside === true && window.inline === true");
    site.stdout.wait_for(|line| line.contains("/csp-reports"));
    assert_eq!(site.stop(), 0);
}

pub(crate) fn built_in_pages_keep_their_own_policy(browser: &mut Browser) {
    let mut server = rws(&[("CSP", "default-src 'none'"), ("SECURITY_HEADERS", "true")]).start();
    browser.open(&format!("http://{}/", server.address()));
    browser.wait_for("document.body.innerText.includes('rws is running')");
    // What the browser says of the page before may come late.
    let address = server.address().to_string();
    let complaints: Vec<_> = browser.complaints.iter().filter(|said| said.contains(&address)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let reply = server.get("/");
    assert_eq!(reply.head.to_ascii_lowercase().matches("content-security-policy").count(), 1);
    assert_eq!(server.stop(), 0);
}

pub(crate) fn other_sites_cannot_put_a_page_into_a_frame(browser: &mut Browser) {
    // The same page by another name is another site.
    for (settings, host, framed) in [
        (&[][..], "localhost", true),
        (&[("SECURITY_HEADERS", "true")], "localhost", false),
        (&[("SECURITY_HEADERS", "true")], "127.0.0.1", true),
    ] {
        let (mut site, _files) = site(settings);
        let url = format!("http://{}/", site.address());
        browser.open(&url.replace("127.0.0.1", host));
        browser.evaluate(&format!(
            "addEventListener('message', (event) => {{ window.framed = event.data }}); \
             document.body.append(Object.assign(document.createElement('iframe'), \
             {{ src: '{url}', onload: () => {{ window.loaded = true }} }})); true"
        ));
        browser.wait_for("window.loaded === true");
        if framed {
            browser.wait_for("window.framed === 'framed'");
        } else {
            let_pass(Duration::from_millis(500));
            assert_eq!(browser.evaluate("window.framed === undefined"), true, "{settings:?} {host}");
        }
        assert_eq!(site.stop(), 0);
    }
}
