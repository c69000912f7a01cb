//! Compression by the `rws` binary, as clients see it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it skips"
)]
#![cfg(feature = "compression")]

#[path = "process/support.rs"]
#[allow(dead_code, reason = "shared with process.rs")]
mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use support::{PATIENCE, Server, let_pass, program, rws};
use tempfile::TempDir;

/// Text that shrinks, of `length` bytes.
fn text(length: usize) -> Vec<u8> {
    let lines = (0u32..).map(|n| format!("<li>number {n} of {}</li>\n", n.wrapping_mul(2_654_435_761) >> 20));
    lines.flat_map(String::into_bytes).take(length).collect()
}

fn write(path: &Path, content: &[u8], modified: SystemTime) {
    fs::write(path, content).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// A directory of files, some with siblings, and a server of it.
fn site() -> (TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let modified = SystemTime::now() - Duration::from_secs(3600);
    for (name, length) in [("short.html", 600), ("page.html", 20_000), ("long.json", 300_000), ("huge.txt", 5 << 20)] {
        write(&directory.path().join(name), &text(length), modified);
    }
    write(&directory.path().join("photo.png"), &text(20_000), modified);
    write(&directory.path().join("there.js"), &text(200_000), modified);
    for extension in ["gz", "br", "zst"] {
        let coded = match extension {
            "gz" => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(&text(200_000)).unwrap();
                encoder.finish().unwrap()
            }
            "br" => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
                encoder.write_all(&text(200_000)).unwrap();
                encoder.into_inner()
            }
            _ => zstd::encode_all(&text(200_000)[..], 3).unwrap(),
        };
        assert!(coded.len() < 100_000, "{extension}");
        write(&directory.path().join(format!("there.js.{extension}")), &coded, modified);
    }
    let dir = directory.path().to_str().unwrap().to_owned();
    let page = format!("GET /route -> respond 200 text/html {}", "<p>A route.</p>".repeat(200));
    let server = rws(&[("STATIC_DIR", &dir), ("ROUTE_PAGE", &page), ("DEMO_ROUTES", "true")]).start();
    (directory, server)
}

/// What curl makes of a response, and the fields of it.
fn curl(server: &Server, path: &str, arguments: &[&str]) -> (Vec<u8>, String) {
    let head = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--dump-header"])
        .arg(head.path())
        .args(arguments)
        .arg(format!("http://{}{path}", server.address()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{path} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    (output.stdout, fs::read_to_string(head.path()).unwrap().to_ascii_lowercase())
}

#[test]
fn curl_decodes_what_it_gets_in_every_coding() {
    if program("curl").is_none() {
        return;
    }
    let version = Command::new("curl").arg("-V").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version).to_lowercase();
    let (_directory, server) = site();
    let field = format!("x-large: {}", "abc ".repeat(500));
    for (coding, feature) in [("gzip", "libz"), ("br", "brotli"), ("zstd", "zstd")] {
        if !version.contains(feature) {
            println!("SKIPPED: this curl has no {coding}");
            continue;
        }
        let accept = format!("accept-encoding: {coding}");
        for (path, length) in [
            ("/short.html", 600),
            ("/page.html", 20_000),
            ("/long.json", 300_000),
            ("/huge.txt", 5 << 20),
            ("/photo.png", 20_000),
            ("/there.js", 200_000),
            ("/route", 0),
            ("/demo/headers", 0),
            ("/demo/plaintext", 0),
        ] {
            let asked = ["--compressed", "-H", &accept, "-H", &field];
            let (content, fields) = curl(&server, path, &asked);
            let expected = match length {
                0 => curl(&server, path, &["-H", &field]).0,
                length => text(length),
            };
            let coded = !["/short.html", "/photo.png", "/demo/plaintext"].contains(&path);
            let case = format!("{path} {coding}");
            if path != "/demo/headers" {
                assert!(content == expected, "{case}");
            }
            assert_eq!(fields.contains(&format!("content-encoding: {coding}\r\n")), coded, "{case}: {fields}");
            let varies = coded || path == "/short.html";
            assert_eq!(fields.contains("vary: accept-encoding\r\n"), varies, "{case}: {fields}");
            let (_, of_head) = curl(&server, path, &["--head", "-H", &accept, "-H", &field]);
            let without_own = |fields: &str| -> Vec<String> {
                // That a body would come in chunks need not be said.
                let own = ["date:", "x-request-id:", "transfer-encoding:"];
                let lines = fields.lines().filter(|line| !own.iter().any(|name| line.starts_with(name)));
                lines.map(str::to_owned).collect()
            };
            if path != "/demo/headers" {
                assert_eq!(without_own(&fields), without_own(&of_head), "{case}");
            }
        }
    }
}

#[test]
fn probes_are_never_compressed_and_metrics_for_themselves() {
    let (_directory, server) = site();
    let ask = |path: &str| {
        server
            .connect()
            .ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n"))
            .unwrap()
    };
    for path in ["/healthz?verbose", "/readyz?verbose", "/startupz", "/livez"] {
        assert_eq!((ask(path).field("content-encoding"), ask(path).field("vary")), (None, None), "{path}");
    }
    let metrics = ask("/metrics");
    assert_eq!(metrics.field("content-encoding"), Some("gzip"));
    assert_eq!(metrics.field("vary"), Some("Accept, Accept-Encoding"));
}

#[test]
fn a_line_arrives_compressed_before_the_next_is_written() {
    let (_directory, server) = site();
    for coding in ["gzip", "zstd", "br"] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST /demo/echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nAccept-Encoding: {coding}\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut coded, mut begun) = (Vec::new(), false);
        for n in 0..5 {
            let line = format!("line {n}\n");
            stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).unwrap();
            if !begun {
                let fields = read_head(&mut reader);
                assert!(fields.contains(&format!("content-encoding: {coding}\r\n")), "{fields}");
                begun = true;
            }
            // A flush may come in several chunks, but it comes.
            while !readable(coding, &coded).ends_with(line.as_bytes()) {
                coded.extend(read_chunk(&mut reader));
            }
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        loop {
            let chunk = read_chunk(&mut reader);
            if chunk.is_empty() {
                break;
            }
            coded.extend(chunk);
        }
        assert_eq!(readable(coding, &coded), b"line 0\nline 1\nline 2\nline 3\nline 4\n");
    }
}

fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    head.to_ascii_lowercase()
}

fn read_chunk(reader: &mut impl BufRead) -> Vec<u8> {
    let mut size = String::new();
    reader.read_line(&mut size).unwrap();
    let mut chunk = vec![0; usize::from_str_radix(size.trim(), 16).unwrap() + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(chunk.len() - 2);
    chunk
}

/// As much as can be decoded.
fn readable(coding: &str, coded: &[u8]) -> Vec<u8> {
    let mut reader: Box<dyn Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(coded)),
        "br" => Box::new(brotli::Decompressor::new(coded, 4096)),
        _ => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
    };
    let (mut content, mut buffer) = (Vec::new(), [0; 256]);
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        content.extend_from_slice(&buffer[..count]);
    }
    content
}

#[test]
fn a_stale_sibling_is_told_once() {
    let (directory, mut server) = site();
    write(&directory.path().join("page.html.gz"), b"an old one", SystemTime::now() - Duration::from_secs(7200));
    let ask = |server: &Server| {
        server.connect().ask("GET /page.html HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").unwrap()
    };
    for _ in 0..3 {
        assert_ne!(ask(&server).text(), "an old one");
    }
    let told = server.stderr.wait_for(|line| line.contains("page.html.gz is older than page.html"));
    assert!(told.contains("WARN") || told.contains("warn"), "{told}");
    let_pass(Duration::from_millis(1500));
    ask(&server);
    assert_eq!(server.stop(), 0);
    let again = server.stderr.all().into_iter().filter(|line| line.contains("is older than")).count();
    assert!(again <= 1, "told {again} times more");
}
