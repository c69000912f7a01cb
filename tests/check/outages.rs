//! The outages that `rws check` is for. Each must be found before it happens, with its fix in the same line.

use crate::support::{check, found};

/// Asserts that a file has these findings: rule, severity, line, and what the message says.
fn finds(file: &str, expected: &[(&str, &str, usize, &[&str])]) {
    let found = found(&format!("seeds/{file}"));
    for (rule, severity, line, words) in expected {
        let hit = found.iter().find(|found| found.rule == *rule && found.line == *line);
        let hit = hit.unwrap_or_else(|| panic!("{rule} in line {line} is not among {found:#?}"));
        assert_eq!(hit.severity, *severity, "{rule}");
        for word in *words {
            assert!(hit.message.contains(word), "{word:?} is not in {:?}", hit.message);
        }
    }
}

#[test]
fn probes_refused_because_the_server_listens_on_loopback() {
    finds(
        "000-loopback-bind.yaml",
        &[
            ("loopback-bind", "error", 8, &["RWS_CONFIG_IP=\"127.0.0.1\"", "set RWS_CONFIG_IP=0.0.0.0"]),
            ("tcp-probe", "warning", 50, &["readinessProbe.tcpSocket", "use httpGet with path /readyz"]),
        ],
    );
}
