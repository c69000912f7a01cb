//! Which names hold a hash of the content, so that a change of the content is a change of the name.
//!
//! To overlook such a name costs the client a question, answered with 304. To see one where there is none costs a year of
//! stale content that nobody can call back. So this knows the shapes that bundlers make, and leaves all others alone.
//! Knows bytes, and nothing of files.

/// What bundlers put a hash into the name of. Never a page: those are what names the rest.
const ASSETS: [&str; 30] = [
    "js", "mjs", "cjs", "css", "wasm", "woff", "woff2", "ttf", "otf", "eot", "svg", "png", "jpg", "jpeg", "gif",
    "webp", "avif", "ico", "mp4", "webm", "mov", "mp3", "m4a", "ogg", "opus", "wav", "flac", "glb", "ktx2", "bin",
];

/// Those among them that nobody names after something else's hash, as pictures are after that of an e-mail address.
const CODE: [&str; 8] = ["js", "mjs", "cjs", "css", "wasm", "woff", "woff2", "ttf"];

/// What may stand between the hash and the extension.
const QUALIFIERS: [&str; 5] = ["min", "chunk", "bundle", "module", "iife"];

/// Directories in which frameworks keep nothing but files of one build: Next.js, SvelteKit, Astro, Nuxt.
const OF_FRAMEWORKS: [&[u8]; 4] = [b"_next/static/", b"_app/immutable/", b"_astro/", b"_nuxt/"];

/// Lengths of hashes in hexadecimal digits, as bundlers cut them and digests have them.
const HEXADECIMAL: [usize; 11] = [8, 10, 12, 16, 20, 24, 32, 40, 56, 64, 128];

/// The length of hashes in the 32 or 64 digits of esbuild, Rollup and Vite.
const SHORT: usize = 8;

/// Whether the content of the file `name`, relative to the root, can be taken never to change.
pub(in crate::files) fn is_hashed(name: &[u8]) -> bool {
    let start = memchr::memrchr(b'/', name).map_or(0, |slash| slash + 1);
    let (directory, file) = name.split_at(start);
    // A source map is called after its source.
    let file = file.strip_suffix(b".map").filter(|file| has(&CODE, after_dot(file))).unwrap_or(file);
    let extension = after_dot(file);
    if !has(&ASSETS, extension) {
        return false;
    }
    let mut stem = &file[..file.len() - extension.len() - 1];
    while has(&QUALIFIERS, after_dot(stem)) {
        stem = &stem[..stem.len() - after_dot(stem).len() - 1];
    }
    let of_framework = OF_FRAMEWORKS.iter().any(|start| directory.starts_with(start));
    of_framework || ends_with_hash(stem, has(&CODE, extension))
}

fn ends_with_hash(stem: &[u8], is_code: bool) -> bool {
    let separator = stem.iter().rposition(|byte| b".-".contains(byte));
    match separator {
        // The whole stem.
        None => is_code && stem.len() >= 16 && is_hexadecimal_hash(stem),
        Some(0) => false,
        Some(at) => (is_hexadecimal_hash(&stem[at + 1..]) && !ends_with_uuid(stem)) || ends_with_short_hash(stem),
    }
}

/// Lower-case hexadecimal digits, letters among the numbers: neither a date nor a number nor `deadbeef` nor `facade12`.
fn is_hexadecimal_hash(token: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    HEXADECIMAL.contains(&token.len()) && token.iter().all(is_digit) && changes(token) >= 2
}

/// What stands behind a dash or a dot and is written in capitals and the digits 2 to 7, or in the 64 digits of URLs.
/// The latter have dashes among them.
fn ends_with_short_hash(stem: &[u8]) -> bool {
    let Some(at) = stem.len().checked_sub(SHORT).filter(|at| *at >= 2) else { return false };
    let (before, token) = stem.split_at(at);
    if !before.ends_with(b"-") && !before.ends_with(b".") {
        return false;
    }
    let capitals = token.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let any = |of: fn(&u8) -> bool| token.iter().any(of);
    let of_url = token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    let mixed = any(u8::is_ascii_digit) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    // A word has its digits at the end: RELEASE2, iPhone15.
    (capitals && has_digit_before_letter(token)) || (of_url && mixed && changes(token) >= 5)
}

fn has_digit_before_letter(token: &[u8]) -> bool {
    token.windows(2).any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic())
}

/// How often the kind of character changes from one to the next.
fn changes(token: &[u8]) -> usize {
    let kind = |byte: &u8| (byte.is_ascii_digit(), byte.is_ascii_lowercase(), byte.is_ascii_uppercase());
    token.windows(2).filter(|pair| kind(&pair[0]) != kind(&pair[1])).count()
}

/// A name for a thing, not for its content: 8, 4, 4, 4 and 12 digits.
fn ends_with_uuid(stem: &[u8]) -> bool {
    let mut parts = stem.rsplit(|byte| *byte == b'-');
    let whole = [12, 4, 4, 4].iter().all(|length| parts.next().is_some_and(|part| part.len() == *length));
    whole && parts.next().is_some_and(|first| first.len() >= 8)
}

/// What follows the last dot, if it is neither the first character nor the last.
fn after_dot(name: &[u8]) -> &[u8] {
    let dot = memchr::memrchr(b'.', name).filter(|dot| *dot > 0);
    dot.map_or(&[], |dot| &name[dot + 1..])
}

fn has(list: &[&str], extension: &[u8]) -> bool {
    !extension.is_empty() && list.iter().any(|item| extension.eq_ignore_ascii_case(item.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bundlers_make() {
        for name in [
            // webpack and what is built on it
            "app.3f9a1c2b.js",
            "main.3f9a1c2b.chunk.js",
            "main.3f9a1c2b.chunk.css.map",
            "2.0b4d91ef.chunk.js",
            "static/js/main.8f3a2b1c9d.js",
            "static/media/logo.5d5d9eefa31e5e13a6610d9fa7a283bb.svg",
            "runtime~main.a1b2c3d4.js",
            "chunk.abcdef0123456789abcd.css",
            "3f9a1c2b4d5e6f708192.js",
            "app.3f9a1c2b.min.js",
            "styles.3f9a1c2b.module.css",
            // Vite and Rollup
            "assets/index-BxY12_aZ.js",
            "assets/index-B-x2Y_4z.css",
            "assets/inter-latin-D9vT_x3Q.woff2",
            // esbuild and Angular
            "main-LAX7JKPA.js",
            "chunk-5KWRAF2D.js",
            "polyfills-B6TNHZQ7.js",
            "main.0a1b2c3d4e5f6071.js",
            // Parcel, Hugo, Rails, Sprockets
            "index.1f0c2e9d.js",
            "scss/main.min.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.css",
            "application-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.js",
            "photo_hu_8f3a1b2c9d0e4f56.3f9a1c2b.webp",
            // Frameworks with a directory of their own
            "_next/static/chunks/main-app.js",
            "_next/static/Xy12/_buildManifest.js",
            "_app/immutable/chunks/CXwsbdGa.js",
            "_astro/hoisted.BsD1.js",
            "_nuxt/entry.CkT4.css",
            // As written elsewhere
            "APP.3f9a1c2b.JS",
            "two words-3f9a1c2b.png",
        ] {
            assert!(is_hashed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_people_name() {
        for name in [
            // versions, dates, numbers
            "jquery-3.7.1.min.js",
            "bootstrap.5.3.3.bundle.min.css",
            "report-20241121.js",
            "2024-11-21-report.html",
            "IMG_20240101.jpg",
            "photo-20240101.jpg",
            "scan.12345678.png",
            "backup-20241121T1030.js",
            "v1.20240101a.js",
            "track-0123456789.mp3",
            "2024cafe-menu.css",
            "menu-2024cafe.css",
            // words
            "hello-deadbeef.js",
            "hello.defaced.js",
            "promo-facade12.jpg",
            "promo-decade90.css",
            "logo-Summer24.svg",
            "wallpaper-iPhone15.png",
            "theme-DarkMode.css",
            "index-HomePage.js",
            "lib-D3Charts.js",
            "lib-Base64Id.js",
            "lib-Http2App.js",
            "notes-RELEASE2.js",
            "notes-WINDOWS7.css",
            "BIG-CAPITALS.js",
            "semantic-ui.min.css",
            "modernizr.js",
            "app.js",
            "app.min.js",
            "app.module.js",
            // hashes of something else, or of nothing
            "avatars/5d5d9eefa31e5e13a6610d9fa7a283bb.png",
            "avatar-550e8400-e29b-41d4-a716-4466554400ab.jpg",
            "3f9a1c2b.js",
            "app.3f9a1c2.js",
            "app.3f9a1c2b4.js",
            "app.3F9A1C2B.js",
            "app_3f9a1c2b.js",
            "-3f9a1c2b.js",
            ".3f9a1c2b.js",
            // not assets, above all pages and what tells which version there is
            "index.3f9a1c2b.html",
            "index-BxY12_aZ.htm",
            "manifest.3f9a1c2b.json",
            "_nuxt/builds/latest.json",
            "_next/static/page.html",
            "report-3f9a1c2b.pdf",
            "app.3f9a1c2b",
            "app.3f9a1c2b.js.gz",
            "index.3f9a1c2b.html.map",
            "3f9a1c2b/app.js",
            "assets/app.js",
            "x/_next/static/main.js",
            "_next/static",
            "",
            ".",
            "/",
            ".js",
            ".map",
        ] {
            assert!(!is_hashed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn dates_in_hexadecimal_are_none() {
        for year in 1990..2040 {
            for (month, day) in [(1, 1), (9, 30), (12, 31)] {
                for suffix in ["", "a", "ab"] {
                    let name = format!("report-{year}{month:02}{day:02}{suffix}.js");
                    assert!(!is_hashed(name.as_bytes()), "{name}");
                }
            }
        }
    }
}
