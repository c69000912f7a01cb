//! Which media types are worth compressing (RFC 9110 section 8.3.1). Knows names of types, nothing of codings.

/// Whether content of this type usually shrinks much: text, the text-like formats of the web by name or suffix, and the
/// binary formats that are not compressed in themselves. `content_type` is the value of `Content-Type`, in any case and
/// with parameters.
///
/// `text/event-stream` is left out: what comes in events has to arrive at once, and what is in between compresses badly.
pub fn is_compressible(content_type: &[u8]) -> bool {
    let essence = content_type.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let Some(slash) = memchr::memchr(b'/', essence) else { return false };
    let (kind, subtype) = (&essence[..slash], &essence[slash + 1..]);
    if kind.eq_ignore_ascii_case(b"text") {
        return !subtype.eq_ignore_ascii_case(b"event-stream");
    }
    let suffix = memchr::memrchr(b'+', subtype).map(|plus| &subtype[plus + 1..]);
    if suffix.is_some_and(|suffix| contains(SUFFIXES, suffix)) {
        return true;
    }
    BY_KIND.iter().any(|(name, subtypes)| kind.eq_ignore_ascii_case(name.as_bytes()) && contains(subtypes, subtype))
}

fn contains(list: &[&str], name: &[u8]) -> bool {
    list.iter().any(|entry| name.eq_ignore_ascii_case(entry.as_bytes()))
}

/// Structured syntaxes (RFC 6839, RFC 9512) that are text, or binary without compression.
const SUFFIXES: &[&str] = &["json", "xml", "yaml", "cbor", "json-seq"];

const BY_KIND: &[(&str, &[&str])] = &[
    (
        "application",
        &[
            "json",
            "javascript",
            "xml",
            "wasm",
            "yaml",
            "x-yaml",
            "x-javascript",
            "ecmascript",
            "x-ndjson",
            "jsonl",
            "json-seq",
            "graphql",
            "toml",
            "sql",
            "rtf",
            "cbor",
            "x-sh",
            "x-tar",
            "xml-dtd",
            "openmetrics-text",
            "x-www-form-urlencoded",
            "vnd.ms-fontobject",
            "vnd.apple.mpegurl",
            "x-font-ttf",
            "x-font-otf",
        ],
    ),
    // woff and woff2 are compressed in themselves.
    ("font", &["ttf", "otf", "sfnt", "collection"]),
    ("image", &["svg", "bmp", "x-icon", "vnd.microsoft.icon", "x-ms-bmp"]),
    ("model", &["gltf-binary", "obj", "stl", "mtl"]),
    ("message", &["rfc822", "http"]),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::semantics::media_type;

    #[test]
    fn text_and_its_relatives_are_and_what_is_compressed_already_is_not() {
        let cases: &[(&str, bool)] = &[
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            (" text/css ;charset=utf-8", true),
            ("text/x-anything", true),
            ("text/event-stream", false),
            ("TEXT/Event-Stream; charset=utf-8", false),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/geo+JSON;x=y", true),
            ("application/atom+xml", true),
            ("application/wasm", true),
            ("application/x-ndjson", true),
            ("image/svg+xml", true),
            ("image/x-icon", true),
            ("font/ttf", true),
            ("font/woff", false),
            ("font/woff2", false),
            ("image/jpeg", false),
            ("image/png", false),
            ("image/webp", false),
            ("video/mp4", false),
            ("audio/ogg", false),
            ("application/zip", false),
            ("application/epub+zip", false),
            ("application/gzip", false),
            ("application/zstd", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("application/grpc+proto", false),
            ("multipart/byteranges; boundary=text/html", false),
            ("text", false),
            ("", false),
            ("/", false),
        ];
        for (content_type, expected) in cases {
            assert_eq!(is_compressible(content_type.as_bytes()), *expected, "{content_type}");
        }
    }

    #[test]
    fn files_of_a_site() {
        for name in
            ["a.html", "a.js", "a.mjs", "a.css", "a.svg", "a.json", "a.map", "a.wasm", "a.ttf", "a.ico", "a.txt"]
        {
            assert!(is_compressible(media_type::of_name(name.as_bytes()).as_bytes()), "{name}");
        }
        for name in ["a.png", "a.jpg", "a.webp", "a.avif", "a.woff2", "a.mp4", "a.zip", "a.gz", "a.js.gz", "a.pdf", "a"]
        {
            assert!(!is_compressible(media_type::of_name(name.as_bytes()).as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value: Vec<u8>) {
            is_compressible(&value);
        }
    }
}
