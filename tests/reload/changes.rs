//! What the server says and does when its configuration changes.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{PATIENCE, Server, Sig, clean, json, let_pass, program, rws};
use crate::volume::Volume;

const SUCCESSES: &str = "rws_config_reloads_total{result=\"success\"}";
const FAILURES: &str = "rws_config_reloads_total{result=\"failure\"}";
const LAST_SUCCESS: &str = "rws_config_last_reload_success_timestamp_seconds";
const RELOADED: &str = "configuration reloaded";
const REFUSED: &str = "configuration not reloaded";

/// A server that reads this volume, and waits for nothing when it is told to stop.
fn server(volume: &Volume) -> Server {
    rws(&[("DIR", volume.text())]).start()
}

/// The lines up to the one that ends a reload, and that one.
fn reload(server: &mut Server, end: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    loop {
        let line = json(server.stderr.wait_for(|_| true).as_bytes());
        let is_last = line["msg"].as_str().unwrap().starts_with(end);
        lines.push(line);
        if is_last {
            return lines;
        }
    }
}

fn messages(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| format!("{} {}", line["level"].as_str().unwrap(), line["msg"].as_str().unwrap())).collect()
}

#[test]
fn a_change_is_in_force_within_two_seconds_and_told() {
    let mut volume = Volume::new(&[("MAX_REQUESTS_PER_CONNECTION", "0")]);
    let mut server = server(&volume);
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (0.0, 0.0));
    let before = server.metric(LAST_SUCCESS);
    assert!(before > 1.7e9, "the start is the first success: {before}");
    volume.write(&[("MAX_REQUESTS_PER_CONNECTION", "1"), ("RWS_CONFIG_IDLE_TIMEOUT", "2m")]);
    let changed = Instant::now();
    let lines = reload(&mut server, RELOADED);
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());
    let dir = volume.text();
    let expected = [
        format!("info RWS_CONFIG_IDLE_TIMEOUT 1m → 2m (file {dir}/RWS_CONFIG_IDLE_TIMEOUT)"),
        format!("info RWS_CONFIG_MAX_REQUESTS_PER_CONNECTION 0 → 1 (file {dir}/MAX_REQUESTS_PER_CONNECTION)"),
        "info configuration reloaded".to_owned(),
    ];
    let mut told = messages(&lines);
    told.sort_by_key(|line| line.contains("MAX_REQUESTS"));
    told.sort_by_key(|line| line.contains(RELOADED));
    assert_eq!(told, expected);
    let line = lines.iter().find(|line| line["variable"] == "RWS_CONFIG_IDLE_TIMEOUT").unwrap();
    assert_eq!((&line["from"], &line["to"]), (&"1m".into(), &"2m".into()), "{line}");
    server.wait_for_metric(SUCCESSES, 1.0);
    assert!(server.connect().get("/demo/plaintext").unwrap().closes());
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (1.0, 0.0));
    assert!(server.metric(LAST_SUCCESS) > before);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_bad_value_changes_nothing_and_says_why() {
    let mut volume = Volume::new(&[("MAX_REQUESTS_PER_CONNECTION", "0")]);
    let mut server = server(&volume);
    volume.write(&[("MAX_REQUESTS_PER_CONNECTION", "1"), ("IDLE_TIMEOUT", "soon"), ("QUEUE_DEPTH", "-1")]);
    let lines = reload(&mut server, REFUSED);
    let dir = volume.text();
    let expected = [
        format!(
            "error RWS_CONFIG_IDLE_TIMEOUT=\"soon\" (from {dir}/IDLE_TIMEOUT): must be a duration in seconds or with a unit (500ms, 5s, 2m, 1h; no fractions) from 1ms to 24h, for example RWS_CONFIG_IDLE_TIMEOUT=1m"
        ),
        format!(
            "error RWS_CONFIG_QUEUE_DEPTH=\"-1\" (from {dir}/QUEUE_DEPTH): must be a whole number from 0 to 1000000, for example RWS_CONFIG_QUEUE_DEPTH=1000"
        ),
        "error configuration not reloaded: the running one stays in force".to_owned(),
    ];
    assert_eq!(messages(&lines), expected);
    assert_eq!((&lines[0]["value"], &lines[0]["example"]), (&"\"soon\"".into(), &"RWS_CONFIG_IDLE_TIMEOUT=1m".into()));
    assert!(!server.connect().get("/demo/plaintext").unwrap().closes(), "the valid part is not taken either");
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (0.0, 1.0));

    // The same is wrong again: only who asks is told again.
    volume.set("BODY_TIMEOUT", "1m");
    server.signal(Sig::HUP);
    let lines = reload(&mut server, REFUSED);
    assert_eq!(lines.iter().filter(|line| line["variable"] == "RWS_CONFIG_IDLE_TIMEOUT").count(), 1, "{lines:#?}");
    server.wait_for_metric(FAILURES, 2.0);
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (0.0, 2.0));

    volume.write(&[("MAX_REQUESTS_PER_CONNECTION", "0")]);
    let lines = reload(&mut server, RELOADED);
    assert_eq!(messages(&lines).last().unwrap(), "info configuration reloaded", "valid again, and nothing changed");
    server.wait_for_metric(SUCCESSES, 1.0);
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (1.0, 2.0));
    assert_eq!(server.stop(), 0);
}

#[test]
fn sighup_reads_again_and_says_so_when_there_is_nothing_new() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = rws(&[("DIR", dir.path().to_str().unwrap())]).start();
    server.signal(Sig::HUP);
    let lines = reload(&mut server, RELOADED);
    assert_eq!(messages(&lines).last().unwrap(), "info configuration reloaded: nothing changed");
    server.wait_for_metric(SUCCESSES, 1.0);
    assert_eq!(server.stop(), 0);

    let mut server = rws(&[]).start();
    server.signal(Sig::HUP);
    let lines = reload(&mut server, RELOADED);
    assert_eq!(messages(&lines).last().unwrap(), "info configuration reloaded: nothing changed");
    assert_eq!(server.stop(), 0);
}

#[test]
fn what_needs_a_restart_is_told_once_and_left_alone() {
    let mut volume = Volume::new(&[("HEALTHZ_PATH", "/alive")]);
    let mut server = server(&volume);
    volume.write(&[("HEALTHZ_PATH", "/well"), ("IDLE_TIMEOUT", "2m")]);
    let dir = volume.text().to_owned();
    let told = messages(&reload(&mut server, RELOADED));
    let warning =
        format!("warn RWS_CONFIG_HEALTHZ_PATH /alive → /well (file {dir}/HEALTHZ_PATH) takes effect at the next start");
    assert!(told.contains(&warning), "{told:#?}");
    assert_eq!((server.get("/alive").status, server.get("/well").status), (200, 404));

    volume.set("IDLE_TIMEOUT", "3m");
    let told = messages(&reload(&mut server, RELOADED));
    assert_eq!(told.len(), 2, "not again: {told:#?}");

    volume.set("HEALTHZ_PATH", "/alive");
    let told = messages(&reload(&mut server, RELOADED));
    assert_eq!(told[0], "info RWS_CONFIG_HEALTHZ_PATH is /alive again: nothing of it waits for the next start");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_key_that_is_gone_returns_to_its_default() {
    let mut volume = Volume::new(&[("MAX_REQUESTS_PER_CONNECTION", "1"), ("IDLE_TIMEOUT", "2m")]);
    let mut server = server(&volume);
    assert!(server.connect().get("/demo/plaintext").unwrap().closes());
    volume.remove("MAX_REQUESTS_PER_CONNECTION");
    let told = messages(&reload(&mut server, RELOADED));
    assert_eq!(told[0], "info RWS_CONFIG_MAX_REQUESTS_PER_CONNECTION 1 → 0 (default)");
    server.wait_for_metric(SUCCESSES, 1.0);
    assert!(!server.connect().get("/demo/plaintext").unwrap().closes());
    assert_eq!(server.stop(), 0);
}

#[test]
fn many_swaps_in_a_row_are_few_reloads() {
    let mut volume = Volume::new(&[("IDLE_TIMEOUT", "1000s")]);
    let mut server = server(&volume);
    for seconds in 1001..=1200 {
        volume.set("IDLE_TIMEOUT", &format!("{seconds}s"));
    }
    server.stderr.wait_for(|line| line.contains("→ 1200s"));
    server.wait_for_metric(SUCCESSES, 1.0);
    let reloads = server.metric(SUCCESSES);
    assert!((1.0..10.0).contains(&reloads), "{reloads} reloads of 200 changes");
    assert_eq!(server.metric(FAILURES), 0.0, "no half of a change was ever seen: {:#?}", server.stderr.so_far());
    assert_eq!(server.stop(), 0);
}

#[test]
fn contents_that_are_the_same_are_no_news() {
    let volume = Volume::new(&[("IDLE_TIMEOUT", "2m")]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("IDLE_TIMEOUT"), "2m").unwrap();
    // By renaming: between the opening and the writing of `fs::write` the file is empty, which is a change.
    let beside = tempfile::tempdir().unwrap();
    let replace = |text: &str| {
        fs::write(beside.path().join("new"), text).unwrap();
        fs::rename(beside.path().join("new"), dir.path().join("IDLE_TIMEOUT")).unwrap();
    };
    let mut server = rws(&[("DIR", dir.path().to_str().unwrap())]).start();
    // Rewritten, with another spelling of the same, and with a line break.
    for text in ["2m", "120s", "120\n", "2m"] {
        replace(text);
        let_pass(Duration::from_millis(250));
    }
    drop(volume);
    assert_eq!((server.metric(SUCCESSES), server.metric(FAILURES)), (0.0, 0.0));
    replace("3m");
    let told = messages(&reload(&mut server, RELOADED));
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_directory_that_is_away_for_a_while_is_found_again() {
    let volume = Volume::new(&[("IDLE_TIMEOUT", "2m")]);
    let place = tempfile::tempdir().unwrap();
    let (here, away) = (place.path().join("here"), place.path().join("away"));
    fs::rename(volume.path(), &here).unwrap();
    let mut server = rws(&[("DIR", here.to_str().unwrap())]).start();
    fs::rename(&here, &away).unwrap();
    let told = messages(&reload(&mut server, REFUSED));
    assert!(told[0].contains("RWS_CONFIG_DIR") && told[0].contains("No such file"), "{told:#?}");

    // Another one takes its place, which nobody tells: it is looked for.
    fs::create_dir(&here).unwrap();
    fs::write(here.join("IDLE_TIMEOUT"), "5m").unwrap();
    let told = messages(&reload(&mut server, RELOADED));
    assert!(told[0].starts_with("info RWS_CONFIG_IDLE_TIMEOUT 2m → 5m"), "{told:#?}");

    // And it is watched from then on, also when it is made anew at once.
    let changed = Instant::now();
    fs::remove_dir_all(&here).unwrap();
    fs::create_dir(&here).unwrap();
    fs::write(here.join("IDLE_TIMEOUT"), "6m").unwrap();
    server.stderr.wait_for(|line| line.contains("→ 6m"));
    assert!(changed.elapsed() < Duration::from_secs(10), "{:?}", changed.elapsed());
    let changed = Instant::now();
    fs::write(here.join("IDLE_TIMEOUT"), "7m").unwrap();
    server.stderr.wait_for(|line| line.contains("→ 7m"));
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());
    assert_eq!(server.stop(), 0);
    fs::rename(&away, volume.path()).unwrap();
}

#[test]
fn a_secret_that_is_rotated_is_read_again_and_never_shown() {
    let mut secret = Volume::new(&[("names", "token,hunter2"), ("other", "1")]);
    let file = secret.path().join("names");
    let mut server = rws(&[("LOG_REDACT_QUERY_FILE", file.to_str().unwrap())]).start();
    secret.set("other", "2");
    let changed = Instant::now();
    secret.set("names", "token,hunter3");
    let told = messages(&reload(&mut server, RELOADED));
    assert!(changed.elapsed() < Duration::from_secs(2), "{:?}", changed.elapsed());
    let expected = format!("info RWS_CONFIG_LOG_REDACT_QUERY <redacted> → <redacted> (file {})", file.display());
    assert_eq!(told[0], expected);
    assert_eq!(server.stop(), 0);
    assert!(!server.stderr.all().concat().contains("hunter"));
}

#[test]
fn requests_that_wait_for_a_thread_get_the_new_ones() {
    let mut volume = Volume::new(&[("THREAD_COUNT", "1")]);
    let mut server = rws(&[("DIR", volume.text()), ("REACTOR_COUNT", "1")]).start();
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &clients {
        client.send("GET /demo/delay/3000 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    server.wait_for_metric("rws_queue_depth", 6.0);
    let asked = Instant::now();
    volume.set("THREAD_COUNT", "20");
    for client in &mut clients {
        assert_eq!(client.read_reply().unwrap().status, 200);
    }
    assert!(asked.elapsed() < Duration::from_secs(12), "one after the other: {:?}", asked.elapsed());
    assert_eq!(server.stop(), 0);
}

#[test]
fn without_inotify_files_are_looked_at() {
    let Some(unshare) = program("unshare") else { return };
    const NONE: &str = "echo 0 > /proc/sys/user/max_inotify_instances";
    let probe = clean(&unshare).args(["--user", "--map-root-user", "sh", "-c", NONE]).output().unwrap();
    if !probe.status.success() {
        eprintln!("SKIPPED: no user namespaces here: {}", String::from_utf8_lossy(&probe.stderr));
        return;
    }
    let mut volume = Volume::new(&[("IDLE_TIMEOUT", "2m")]);
    let script = format!(r#"exec unshare --user --map-root-user sh -c '{NONE}; exec "$0"' "$RWS""#);
    let mut server = rws(&[("DIR", volume.text())]).shell(&script).start();
    let said = |line: &str| line.contains(r#""warn""#) && line.contains("looked for instead");
    if !server.stderr.so_far().iter().any(|line| said(line)) {
        server.stderr.wait_for(said);
    }
    volume.set("IDLE_TIMEOUT", "3m");
    let told = messages(&reload(&mut server, RELOADED));
    assert!(told[0].starts_with("info RWS_CONFIG_IDLE_TIMEOUT 2m → 3m"), "told once, then silent: {told:#?}");
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_change_before_the_first_look_is_not_missed() {
    // The longest a change may go unnoticed is until somebody looks without being told.
    let mut volume = Volume::new(&[("IDLE_TIMEOUT", "2m")]);
    let mut server = server(&volume);
    volume.set("IDLE_TIMEOUT", "3m");
    server.stderr.wait_for(|line| line.contains("2m → 3m"));
    server.signal(Sig::TERM);
    assert_eq!(server.wait(PATIENCE), 0);
}
