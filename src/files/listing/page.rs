//! A listing as a page: one table that is sorted by following links, so that it needs no script.

use std::fmt::Write;
use std::time::SystemTime;

use http::{HeaderValue, StatusCode, header};

use super::{Column, Item, Listing, Order, directory_of};
use crate::app::response::Response;
use crate::files::name::Name;
use crate::semantics::date;

const TEMPLATE: &str = include_str!("page.html");

/// The page may use its one style sheet, known by its SHA-256, and nothing else.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'sha256-zPBF1PksWL0S9w9qxaiHqIEd75nNXfDmr2Fg9bXAC4w='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const COLUMNS: [(Column, &str, &str); 3] = [
    (Column::Name, "name", "Name"),
    (Column::Size, "size", "Size"),
    (Column::Modified, "modified", "Modified<span class=\"clock\"> (UTC)</span>"),
];

/// The page for the directory whose index is called `index`, at `path`, which may lie below a mount point.
pub(super) fn answer(listing: &Listing, order: Order, path: &str, index: &Name) -> Response {
    let place = Place::new(path, index);
    let parts = [
        ("{{title}}", escaped(&place.shown())),
        ("{{trail}}", place.trail()),
        ("{{caption}}", listing.caption(order)),
        ("{{columns}}", columns(order)),
        ("{{rows}}", listing.rows(place.has_parent())),
        ("{{note}}", listing.note()),
    ];
    let mut body = String::with_capacity(TEMPLATE.len() + parts.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut rest = TEMPLATE;
    // One pass, so that nothing in a name is taken for a place to be filled.
    while let Some((at, placeholder, text)) = next_place(rest, &parts) {
        body.push_str(&rest[..at]);
        body.push_str(text);
        rest = &rest[at + placeholder.len()..];
    }
    body.push_str(rest);
    Response::new(StatusCode::OK)
        .with_header(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))
        .with_header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with_header(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"))
        .with_body(body)
}

fn next_place<'a>(text: &str, parts: &'a [(&'static str, String)]) -> Option<(usize, &'static str, &'a str)> {
    let at = text.find("{{")?;
    let (placeholder, part) = parts.iter().find(|(placeholder, _)| text[at..].starts_with(placeholder))?;
    Some((at, placeholder, part))
}

/// Where the directory is, from the root of the server on.
struct Place {
    /// The names of the directories that lead to it and its own, decoded.
    names: Vec<String>,
    /// How many of them are below the root of the files.
    depth: usize,
}

impl Place {
    fn new(path: &str, index: &Name) -> Place {
        let depth = directory_of(index).iter().filter(|byte| **byte == b'/').count();
        let decoded = |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let names = path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
        Place { names, depth }
    }

    fn has_parent(&self) -> bool {
        self.depth > 0
    }

    fn shown(&self) -> String {
        self.names.iter().fold("/".to_owned(), |path, name| path + name + "/")
    }

    /// The way to it, with a link to each directory of the files. Relative, so that a proxy may strip a prefix.
    fn trail(&self) -> String {
        let (mount, below) = self.names.split_at(self.names.len().saturating_sub(self.depth));
        let root = if mount.is_empty() { "Root".to_owned() } else { mount.join("/") };
        let steps = std::iter::once(&root).chain(below);
        let mut trail = String::new();
        for (step, up) in steps.zip((0..=self.depth).rev()) {
            let name = escaped(step);
            let (href, current) = match up {
                0 => ("./".to_owned(), " aria-current=\"page\""),
                up => ("../".repeat(up), ""),
            };
            write!(trail, "<li><a href=\"{href}\"{current}><bdi>{name}</bdi></a></li>")
                .expect("a String takes everything");
        }
        trail
    }
}

impl Listing {
    fn caption(&self, order: Order) -> String {
        let directories = self.items.iter().filter(|item| item.is_directory).count();
        let files = self.items.len() - directories;
        let count =
            |number: usize, one: &str, many: &str| format!("{} {}", number, if number == 1 { one } else { many });
        let sizes = self.items.iter().filter(|item| !item.is_directory).map(|item| item.size);
        // Sparse files can be longer together than any number tells.
        let size = sizes.fold(0, u64::saturating_add);
        let what = match (directories, files) {
            (0, 0) => return "Nothing is in this folder.".to_owned(),
            (_, 0) => count(directories, "folder", "folders"),
            (0, _) => format!("{}, {}", count(files, "file", "files"), human(size)),
            _ => format!(
                "{} and {}, {}",
                count(directories, "folder", "folders"),
                count(files, "file", "files"),
                human(size)
            ),
        };
        let (by, direction) = (order.by.word(), if order.is_descending { "descending" } else { "ascending" });
        format!("{what}<span class=\"unseen\">, sorted by {by}, {direction}</span>")
    }

    fn rows(&self, has_parent: bool) -> String {
        const PARENT: &str = "<tr><th scope=\"row\"><a href=\"../\" rel=\"up\"><svg aria-hidden=\"true\"><use href=\"#up\"/>\
                              </svg>Parent folder</a></th><td></td><td></td></tr>\n";
        let mut rows = String::with_capacity(self.items.len() * 300);
        rows.push_str(if has_parent { PARENT } else { "" });
        self.items.iter().for_each(|item| item.write_row(&mut rows));
        rows
    }

    fn note(&self) -> String {
        if !self.is_cut {
            return String::new();
        }
        let shown = self.items.len();
        format!("<p role=\"note\">This folder is too large to be shown whole: {shown} of its entries are here.</p>")
    }
}

impl Item {
    fn write_row(&self, rows: &mut String) {
        let (icon, slash, kind) = if self.is_directory { ("folder", "/", ", folder") } else { ("file", "", "") };
        let (href, name) = (self.reference(), escaped(&String::from_utf8_lossy(&self.name)));
        let size = if self.is_directory {
            String::new()
        } else {
            format!(
                "<data value=\"{0}\" title=\"{1} bytes\">{2}</data>",
                self.size,
                grouped(self.size),
                human(self.size)
            )
        };
        let modified = self.modified.map(time).unwrap_or_default();
        let unseen = if kind.is_empty() { String::new() } else { format!("<span class=\"unseen\">{kind}</span>") };
        writeln!(
            rows,
            "<tr><th scope=\"row\"><a href=\"{href}\"><svg aria-hidden=\"true\"><use href=\"#{icon}\"/></svg>\
             <bdi>{name}</bdi>{slash}{unseen}</a></th><td>{size}</td><td>{modified}</td></tr>"
        )
        .expect("a String takes everything");
    }
}

impl Column {
    fn word(self) -> &'static str {
        COLUMNS.iter().find(|(column, ..)| *column == self).map_or("", |(_, word, _)| word)
    }
}

/// The heads of the columns. Each is a link that sorts by it, in the other direction if it is sorted so already.
fn columns(order: Order) -> String {
    COLUMNS.iter().fold(String::new(), |mut heads, (column, word, title)| {
        let is_current = order.by == *column;
        let sort = match (is_current, order.is_descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        let next = if is_current && !order.is_descending { "desc" } else { "asc" };
        write!(
            heads,
            "<th scope=\"col\" aria-sort=\"{sort}\"><a href=\"?sort={word}&amp;order={next}\">{title}</a></th>"
        )
        .expect("a String takes everything");
        heads
    })
}

/// `2024-02-29 12:00`, and the same for machines.
fn time(time: SystemTime) -> String {
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    // `Thu, 29 Feb 2024 12:00:00 GMT`: every part has its place.
    let text = date::format(time);
    let part = |from: usize, to: usize| String::from_utf8_lossy(&text[from..to]).into_owned();
    let month = MONTHS.iter().position(|month| *month == &text[8..11]).map_or(0, |index| index + 1);
    let (day, clock) = (format!("{}-{month:02}-{}", part(12, 16), part(5, 7)), part(17, 25));
    format!("<time datetime=\"{day}T{clock}Z\">{day} <span class=\"clock\">{}</span></time>", &clock[..5])
}

/// Three digits at most, and a unit: `4.2 MiB`.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be shown as 1024 of one unit is one of the next.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if unit > 0 && value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `text` for HTML, between tags or between quotes. Control characters become visible, and those that would change the
/// direction of what follows, and so make `exe.txt` of `txt.exe`, are replaced.
pub(in crate::files) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\0'..='\x1f' => escaped.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}')),
            '\x7f' => escaped.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::welcome::csp;

    #[test]
    fn sizes_for_people() {
        let cases: [(u64, &str); 13] = [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10_188, "9.9 KiB"),
            (10_240, "10 KiB"),
            (1_047_552, "1023 KiB"),
            (1_048_064, "1.0 MiB"),
            (1_048_576, "1.0 MiB"),
            (5_000_000_000, "4.7 GiB"),
            (1 << 60, "1.0 EiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human(bytes), expected, "{bytes}");
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nothing_in_a_name_becomes_markup_or_turns_the_page_around() {
        assert_eq!(escaped("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
        assert_eq!(escaped("a\nb\x7f\t\0"), "a␊b␡␉␀");
        assert_eq!(escaped("exe\u{202e}txt.\u{2066}"), "exe\u{fffd}txt.\u{fffd}");
        assert_eq!(escaped("שלום café 日本"), "שלום café 日本");
    }

    #[test]
    fn the_policy_allows_this_style_sheet_and_no_script() {
        let style = TEMPLATE.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let source = csp::source("style-src", style);
        assert!(POLICY.contains(&source), "the policy should have {source}");
        assert!(!TEMPLATE.contains(" style=") && !TEMPLATE.contains("<script") && !TEMPLATE.contains(" on"));
    }

    #[test]
    fn trails_lead_up_to_the_root_of_the_files_and_no_further() {
        let trail = |path: &str, below: &str| {
            let text = Place::new(path, &Name::parse(below).unwrap()).trail();
            text.replace("<li><a href=", "").replace("<bdi>", "").replace("</bdi></a></li>", " ").trim().to_owned()
        };
        assert_eq!(trail("/", ""), "\"./\" aria-current=\"page\">Root");
        assert_eq!(trail("/a/b%20c/", "a/b%20c/"), "\"../../\">Root \"../\">a \"./\" aria-current=\"page\">b c");
        assert_eq!(trail("/x/files/a/", "a/"), "\"../\">x/files \"./\" aria-current=\"page\">a");
        assert_eq!(trail("/files/", ""), "\"./\" aria-current=\"page\">files");
        assert_eq!(trail("/%3Cb%3E/", "%3Cb%3E/"), "\"../\">Root \"./\" aria-current=\"page\">&lt;b&gt;");
    }

    #[test]
    fn times_are_the_same_for_people_and_machines() {
        let at = |seconds| time(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
        let expected = "<time datetime=\"2024-02-29T12:00:09Z\">2024-02-29 <span class=\"clock\">12:00</span></time>";
        assert_eq!(at(1_709_208_009), expected);
        assert!(at(0).contains("1970-01-01T00:00:00Z") && at(1_735_689_599).contains("2024-12-31T23:59:59Z"));
    }
}
