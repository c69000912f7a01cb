//! Media types by file name (RFC 9110 section 8.3), ready to be a Content-Type.

use http::HeaderValue;

/// What a name without a known extension gets.
const UNKNOWN: &str = "application/octet-stream";

/// The value of Content-Type for a file called `name` (a name or a path, any bytes), by its extension in any case.
///
/// Text, and the text-like formats of the web (JavaScript, JSON, XML, SVG and their relatives), are declared to be
/// UTF-8. Unknown extensions and names without one are `application/octet-stream`.
pub fn of_name(name: &[u8]) -> HeaderValue {
    let extension = extension(name);
    common(extension).unwrap_or_else(|| guess(extension))
}

/// What comes after the last dot of the last segment; empty when there is none, or nothing but the dot before it.
fn extension(name: &[u8]) -> &[u8] {
    let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    match memchr::memrchr(b'.', file) {
        Some(dot) if dot > 0 => &file[dot + 1..],
        _ => &[],
    }
}

/// The common types, which cost no allocation, and after them those where the list has none, or another than IANA has
/// registered since.
fn common(extension: &[u8]) -> Option<HeaderValue> {
    const TYPES: [(&str, &str); 53] = [
        ("html", "text/html; charset=utf-8"),
        ("js", "text/javascript; charset=utf-8"),
        ("css", "text/css; charset=utf-8"),
        ("json", "application/json; charset=utf-8"),
        ("svg", "image/svg+xml; charset=utf-8"),
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("avif", "image/avif"),
        ("gif", "image/gif"),
        ("ico", "image/x-icon"),
        ("woff2", "font/woff2"),
        ("woff", "font/woff"),
        ("txt", "text/plain; charset=utf-8"),
        ("htm", "text/html; charset=utf-8"),
        ("mjs", "text/javascript; charset=utf-8"),
        ("xml", "application/xml; charset=utf-8"),
        ("wasm", "application/wasm"),
        ("map", "application/json; charset=utf-8"),
        ("md", "text/markdown; charset=utf-8"),
        ("yaml", "application/yaml; charset=utf-8"),
        ("yml", "application/yaml; charset=utf-8"),
        ("pdf", "application/pdf"),
        ("mp4", "video/mp4"),
        ("webm", "video/webm"),
        ("mp3", "audio/mpeg"),
        ("webmanifest", "application/manifest+json; charset=utf-8"),
        ("cjs", "text/javascript; charset=utf-8"),
        ("ttf", "font/ttf"),
        ("otf", "font/otf"),
        ("jxl", "image/jxl"),
        ("ktx2", "image/ktx2"),
        ("m3u8", "application/vnd.apple.mpegurl"),
        ("ts", "video/mp2t"),
        ("mts", "video/mp2t"),
        ("m2ts", "video/mp2t"),
        ("m4a", "audio/mp4"),
        ("mid", "audio/midi"),
        ("midi", "audio/midi"),
        ("stl", "model/stl"),
        ("obj", "model/obj"),
        ("mtl", "model/mtl"),
        ("usdz", "model/vnd.usdz+zip"),
        ("wgsl", "text/wgsl; charset=utf-8"),
        ("toml", "application/toml; charset=utf-8"),
        ("vcf", "text/vcard; charset=utf-8"),
        ("cbor", "application/cbor"),
        ("zst", "application/zstd"),
        ("tgz", "application/gzip"),
        ("rpm", "application/x-redhat-package-manager"),
        ("ndjson", "application/x-ndjson; charset=utf-8"),
        ("geojson", "application/geo+json; charset=utf-8"),
    ];
    let (_, value) = TYPES.iter().find(|(name, _)| extension.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(HeaderValue::from_static(value))
}

fn guess(extension: &[u8]) -> HeaderValue {
    let extension = std::str::from_utf8(extension).unwrap_or_default();
    let essence = mime_guess::from_ext(extension).first_raw().unwrap_or(UNKNOWN);
    if !is_text(essence) {
        return HeaderValue::from_static(essence);
    }
    HeaderValue::try_from(format!("{essence}; charset=utf-8")).expect("media types are made of visible ASCII")
}

fn is_text(essence: &str) -> bool {
    const OTHERS: [&str; 4] =
        ["application/javascript", "application/ecmascript", "application/json", "application/xml"];
    essence.starts_with("text/") || essence.ends_with("+json") || essence.ends_with("+xml") || OTHERS.contains(&essence)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn types_by_name() {
        let cases: &[(&[u8], &str)] = &[
            (b"index.html", "text/html; charset=utf-8"),
            (b"INDEX.HTM", "text/html; charset=utf-8"),
            (b"site.css", "text/css; charset=utf-8"),
            (b"app.3f2a.js", "text/javascript; charset=utf-8"),
            (b"app.mjs", "text/javascript; charset=utf-8"),
            (b"app.js.map", "application/json; charset=utf-8"),
            (b"data.json", "application/json; charset=utf-8"),
            (b"data.jsonld", "application/ld+json; charset=utf-8"),
            (b"app.webmanifest", "application/manifest+json; charset=utf-8"),
            (b"logo.svg", "image/svg+xml; charset=utf-8"),
            (b"feed.xml", "application/xml; charset=utf-8"),
            (b"feed.atom", "application/atom+xml; charset=utf-8"),
            (b"page.xhtml", "application/xhtml+xml; charset=utf-8"),
            (b"robots.txt", "text/plain; charset=utf-8"),
            (b"table.csv", "text/csv; charset=utf-8"),
            (b"subtitles.vtt", "text/vtt; charset=utf-8"),
            (b"lib.wasm", "application/wasm"),
            (b"photo.JPEG", "image/jpeg"),
            (b"font.woff2", "font/woff2"),
            (b"font.ttf", "font/ttf"),
            (b"film.mp4", "video/mp4"),
            (b"archive.tar.gz", "application/gzip"),
            (b"a.dir/file", UNKNOWN),
            (b"a.html/b", UNKNOWN),
            (b".html", UNKNOWN),
            (b"a/.html", UNKNOWN),
            (b"html", UNKNOWN),
            (b"file.", UNKNOWN),
            (b"file.unheard-of", UNKNOWN),
            (b"file.\xff", UNKNOWN),
            (b"", UNKNOWN),
        ];
        for (name, expected) in cases {
            assert_eq!(of_name(name), expected, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn every_type_on_the_list_can_be_a_field_value() {
        for extension in ["ics", "rtf", "tex", "n3", "ts", "sh", "jsx", "appcache", "xsl", "dtd", "rss", "kml"] {
            assert!(of_name(format!("x.{extension}").as_bytes()).to_str().is_ok(), "{extension}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name: Vec<u8>) {
            of_name(&name);
        }
    }
}
