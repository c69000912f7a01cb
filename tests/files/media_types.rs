//! Media types: those that browsers insist on, as the WHATWG and IANA have them, and every one that nginx knows.

use std::fs;

use super::nginx::Nginx;
use super::support::{Client, Tree};

/// What a browser, a player or a cache does something with. Scripts, style sheets, modules and WebAssembly are refused
/// with any other type, since `X-Content-Type-Options: nosniff` is sent.
const TYPES: &[(&str, &str)] = &[
    // HTML standard: JavaScript is text/javascript (RFC 9239), in modules too.
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json; charset=utf-8"),
    ("map", "application/json; charset=utf-8"),
    ("webmanifest", "application/manifest+json; charset=utf-8"),
    ("jsonld", "application/ld+json; charset=utf-8"),
    ("geojson", "application/geo+json; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("vtt", "text/vtt; charset=utf-8"),
    // Documents and feeds.
    ("txt", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml; charset=utf-8"),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("yaml", "application/yaml; charset=utf-8"),
    ("toml", "application/toml; charset=utf-8"),
    ("ics", "text/calendar; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("epub", "application/epub+zip"),
    // Images: MIME Sniffing standard, section 6.1, and IANA.
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("jxl", "image/jxl"),
    ("heic", "image/heic"),
    ("apng", "image/apng"),
    ("bmp", "image/bmp"),
    ("ico", "image/x-icon"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("tiff", "image/tiff"),
    // Sound and video: section 6.2; RFC 8216 for HLS.
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("ogv", "video/ogg"),
    ("mov", "video/quicktime"),
    ("ts", "video/mp2t"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("mid", "audio/midi"),
    // Fonts: RFC 8081.
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    // Archives and models.
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("tgz", "application/gzip"),
    ("zst", "application/zstd"),
    ("tar", "application/x-tar"),
    ("7z", "application/x-7z-compressed"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json; charset=utf-8"),
    ("stl", "model/stl"),
    // Nobody knows.
    ("bin", "application/octet-stream"),
    ("unheard-of", "application/octet-stream"),
];

/// Where we differ from the mime.types that nginx comes with, and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("js", "text/javascript", "RFC 9239"),
    ("xml", "application/xml", "RFC 7303: both are the same, and this is the first choice"),
    ("bmp", "image/bmp", "RFC 7903"),
    ("m4a", "audio/mp4", "RFC 4337"),
    ("ra", "audio/x-pn-realaudio", "as players register themselves"),
    ("dll", "application/x-msdownload", "a download either way"),
    ("prc", "application/x-mobipocket-ebook", "books are more common than Palm programs now"),
    ("pdb", "application/vnd.palm", "registered with IANA"),
    ("sea", "application/octet-stream", "a download either way"),
];

#[test]
fn types_are_those_that_browsers_insist_on() {
    let tree = Tree::new();
    for (extension, _) in TYPES {
        tree.write(&format!("file.{extension}"), "x").write(&format!("{}.OF.{extension}", "NAME"), "x");
    }
    tree.write("Makefile", "x").write("file.", "x").write("a.html/file", "x");
    let server = tree.served(&[]).start();
    let mut client = Client::new(server.address());
    let mut of = |target: &str| {
        let reply = client.ask("HEAD", target, &[]).unwrap();
        assert_eq!((reply.status, reply.field("x-content-type-options")), (200, Some("nosniff")), "{target}");
        reply.field("content-type").unwrap().to_owned()
    };
    for (extension, expected) in TYPES {
        assert_eq!(of(&format!("/file.{extension}")), *expected, "{extension}");
        assert_eq!(of(&format!("/NAME.OF.{extension}?v=1.css")), *expected, "{extension}");
    }
    for target in ["/Makefile", "/file.", "/a.html/file"] {
        assert_eq!(of(target), "application/octet-stream", "{target}");
    }
}

#[test]
fn types_are_those_of_nginx_unless_there_is_a_reason() {
    let Ok(list) = fs::read_to_string("/etc/nginx/mime.types") else {
        eprintln!("SKIPPED: /etc/nginx/mime.types is not installed");
        return;
    };
    let tree = Tree::new();
    let lines = list.lines().map(|line| line.trim().trim_end_matches(';')).filter(|line| line.contains('/'));
    let extensions: Vec<&str> = lines.flat_map(|line| line.split_whitespace().skip(1)).collect();
    for extension in &extensions {
        tree.write(&format!("file.{extension}"), "x");
    }
    let Some(nginx) = Nginx::start(&tree.root()) else { return };
    let server = tree.served(&[]).start();
    let (mut theirs, mut ours) = (Client::new(nginx.address), Client::new(server.address()));
    let essence = |client: &mut Client, extension: &str| {
        let reply = client.ask("HEAD", &format!("/file.{extension}"), &[]).unwrap();
        reply.field("content-type").unwrap().split(';').next().unwrap().to_owned()
    };
    let mut different = Vec::new();
    for extension in &extensions {
        let (theirs, ours) = (essence(&mut theirs, extension), essence(&mut ours, extension));
        if theirs != ours {
            different.push((*extension, ours));
        }
    }
    different.sort();
    let mut expected: Vec<_> = DIFFERENT.iter().map(|(extension, ours, _)| (*extension, (*ours).to_owned())).collect();
    expected.sort();
    assert_eq!(different, expected);
    assert!(extensions.len() > 80, "{extensions:?}");
}
