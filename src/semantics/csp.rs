//! Content-Security-Policy (CSP Level 3, W3C): the slips that make a browser ignore a part of a policy without telling
//! anybody but its console. Not a validator: what it does not know it lets pass.

use super::token::is_value_byte;

/// Keywords that count only in single quotes (CSP section 2.3.1, keyword-source).
const KEYWORDS: [&str; 10] = [
    "self",
    "none",
    "unsafe-inline",
    "unsafe-eval",
    "unsafe-hashes",
    "strict-dynamic",
    "report-sample",
    "wasm-unsafe-eval",
    "trusted-types-eval",
    "inline-speculation-rules",
];

/// What sources in quotes may begin with besides (nonce-source and hash-source).
const QUOTED: [&str; 4] = ["nonce-", "sha256-", "sha384-", "sha512-"];

/// Directives whose value is a list of sources (CSP sections 6.1 to 6.4).
const SOURCE_LISTS: [&str; 19] = [
    "default-src",
    "script-src",
    "script-src-elem",
    "script-src-attr",
    "style-src",
    "style-src-elem",
    "style-src-attr",
    "img-src",
    "font-src",
    "connect-src",
    "media-src",
    "object-src",
    "frame-src",
    "child-src",
    "worker-src",
    "manifest-src",
    "base-uri",
    "form-action",
    "frame-ancestors",
];

/// The other directives, also of neighbouring specifications.
const OTHERS: [&str; 12] = [
    "sandbox",
    "report-uri",
    "report-to",
    "upgrade-insecure-requests",
    "block-all-mixed-content",
    "require-trusted-types-for",
    "trusted-types",
    "webrtc",
    "fenced-frame-src",
    "prefetch-src",
    "navigate-to",
    "plugin-types",
];

/// Directives that a browser ignores in a policy that only reports (CSP sections 6.3.2 and others).
const NOT_REPORTED: [&str; 2] = ["sandbox", "upgrade-insecure-requests"];

/// Whether `text` may be the value of a field.
pub fn is_field_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii() && is_value_byte(byte))
}

/// The likely slips in a policy, each in half a sentence; empty if it looks right. `report_only`: it is for
/// `Content-Security-Policy-Report-Only`.
///
/// ```
/// use rws::semantics::csp;
///
/// assert!(csp::slips("default-src 'self'; img-src * data:", false).is_empty());
/// assert_eq!(
///     csp::slips("default-src self", false),
///     ["self in default-src is a host of that name: the keyword is 'self', with single quotes"]
/// );
/// ```
pub fn slips(policy: &str, report_only: bool) -> Vec<String> {
    let mut slips = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    // Several policies may stand in one field, with commas between them.
    for directive in policy.split([';', ',']).map(str::trim).filter(|directive| !directive.is_empty()) {
        let (name, value) = directive.split_once([' ', '\t']).unwrap_or((directive, ""));
        let name = name.to_ascii_lowercase();
        if seen.contains(&name) && !policy.contains(',') {
            slips.push(format!("{name} stands there twice, and only the first counts"));
        }
        slips.extend(slips_of(&name, value, report_only));
        seen.push(name);
    }
    let reports = seen.iter().any(|name| name.starts_with("report-"));
    if report_only && !reports {
        slips.push("there is neither report-to nor report-uri, so only the console of each browser tells".to_owned());
    }
    slips
}

fn slips_of(name: &str, value: &str, report_only: bool) -> Vec<String> {
    if report_only && NOT_REPORTED.contains(&name) {
        return vec![format!("{name} has no effect in a policy that only reports")];
    }
    if SOURCE_LISTS.contains(&name) {
        return slips_in_sources(name, value);
    }
    if OTHERS.contains(&name) {
        return Vec::new();
    }
    vec![match name.strip_suffix(':') {
        Some(bare) => format!("{name} is no directive: there is no colon behind {bare}"),
        None => format!("{name} is no directive that browsers know"),
    }]
}

fn slips_in_sources(name: &str, value: &str) -> Vec<String> {
    let sources: Vec<&str> = value.split_ascii_whitespace().collect();
    let mut slips: Vec<String> = sources.iter().filter_map(|source| slip_in_source(name, source)).collect();
    if sources.len() > 1 && sources.iter().any(|source| source.eq_ignore_ascii_case("'none'")) {
        slips.push(format!("'none' in {name} counts only if it stands alone"));
    }
    slips
}

fn slip_in_source(name: &str, source: &str) -> Option<String> {
    let lower = source.to_ascii_lowercase();
    let is_quotable = |text: &str| KEYWORDS.contains(&text) || QUOTED.iter().any(|start| text.starts_with(start));
    if is_quotable(&lower) {
        return Some(format!(
            "{source} in {name} is a host of that name: the keyword is '{source}', with single quotes"
        ));
    }
    let bare = source.trim_matches(['"', '\'', '‘', '’', '`']);
    let within = source.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    match within {
        Some(inner) if is_quotable(&inner.to_ascii_lowercase()) => None,
        Some(_) if is_host(bare) => {
            Some(format!("{source} in {name} is ignored: hosts and schemes stand without quotes"))
        }
        Some(_) => Some(format!("{source} in {name} is no keyword that browsers know")),
        None if bare != source => Some(format!("{source} in {name} is ignored: it needs a ' on both sides")),
        None => None,
    }
}

/// Whether something looks like a host or a scheme, and not like a keyword.
fn is_host(text: &str) -> bool {
    text.contains(['.', ':', '/', '*'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_policies_have_no_slips() {
        for policy in [
            "default-src 'self'",
            "default-src 'none'; script-src 'self' 'nonce-abc' 'strict-dynamic'; style-src 'unsafe-inline' https:;",
            "DEFAULT-SRC 'SELF'; img-src * data: blob:; frame-ancestors 'none'; base-uri 'self'",
            "script-src 'sha256-6vcTxVIr4IOaPqNiu4iyT6RmbmzOUE7kTJZyLec3jR4=' 'wasm-unsafe-eval' cdn.example:8443/x.js",
            "upgrade-insecure-requests; sandbox allow-scripts; require-trusted-types-for 'script'; report-to csp",
            "default-src 'self', script-src 'none', default-src https:",
        ] {
            assert_eq!(slips(policy, false), [""; 0], "{policy}");
        }
    }

    #[test]
    fn slips_are_told() {
        for (policy, wanted) in [
            (
                "default-src self",
                "self in default-src is a host of that name: the keyword is 'self', with single quotes",
            ),
            ("object-src None", "None in object-src is a host of that name: the keyword is 'None', with single quotes"),
            (
                "script-src unsafe-inline",
                "unsafe-inline in script-src is a host of that name: the keyword is 'unsafe-inline', with single quotes",
            ),
            (
                "script-src nonce-abc",
                "nonce-abc in script-src is a host of that name: the keyword is 'nonce-abc', with single quotes",
            ),
            ("script-src \"self\"", "\"self\" in script-src is ignored: it needs a ' on both sides"),
            ("script-src 'self", "'self in script-src is ignored: it needs a ' on both sides"),
            (
                "script-src 'cdn.example'",
                "'cdn.example' in script-src is ignored: hosts and schemes stand without quotes",
            ),
            ("script-src 'unsafe-inlne'", "'unsafe-inlne' in script-src is no keyword that browsers know"),
            ("script-src 'none' 'self'", "'none' in script-src counts only if it stands alone"),
            ("img-src a; img-src b", "img-src stands there twice, and only the first counts"),
            ("default-src: 'self'", "default-src: is no directive: there is no colon behind default-src"),
            ("script 'self'", "script is no directive that browsers know"),
        ] {
            assert_eq!(slips(policy, false), [wanted], "{policy}");
        }
    }

    #[test]
    fn a_policy_that_reports_needs_somebody_to_report_to() {
        let alone = "there is neither report-to nor report-uri, so only the console of each browser tells";
        assert_eq!(slips("default-src 'self'", true), [alone]);
        assert_eq!(slips("default-src 'self'; report-uri /csp", true), [""; 0]);
        let sandbox = "sandbox has no effect in a policy that only reports";
        assert_eq!(slips("sandbox; report-to x", true), [sandbox]);
    }

    #[test]
    fn values_of_fields_are_ascii_without_controls() {
        for (text, wanted) in [("default-src 'self'", true), ("", false), ("a\nb", false), ("‘self’", false)] {
            assert_eq!(is_field_value(text), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_looked_at(text: String, report_only: bool) {
            let _ = slips(&text, report_only);
        }
    }
}
