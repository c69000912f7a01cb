//! Where we differ from nginx and why, each with how to recognise it. The table in docs/FILES.md is made of these.

use super::beside_nginx::{Answer, Case, How, Rule};

/// More ranges than this are too many, as `rws::semantics::range::MAX_RANGES` says.
const MANY: usize = 32;

/// In the order in which they are tried.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        request: "any that gets 206",
        nginx: "no `Accept-Ranges`",
        rws: "`Accept-Ranges: bytes`, as with 200",
        why: "RFC 9110 section 14.3 lets it be sent with any answer; download managers look for it",
        how: How::Says(accept_ranges),
    },
    Rule {
        request: "a file from before 1990, or from 2000-01-01T00:00:00Z",
        nginx: "that time as `Last-Modified`",
        rws: "no `Last-Modified`, and no date matches",
        why: "such a time comes from a reproducible build and says nothing about versions",
        how: How::Says(timeless),
    },
    Rule {
        request: "a file with a time in the future",
        nginx: "that time as `Last-Modified`",
        rws: "now as `Last-Modified`",
        why: "RFC 9110 section 8.8.2.1 forbids a time later than that of the answer",
        how: How::Says(future),
    },
    Rule {
        request: "`HEAD` for an empty file",
        nginx: "`Content-Length: 0`",
        rws: "no `Content-Length`",
        why: "to `HEAD` an empty body may mean that nobody knows; RFC 9110 section 8.6 leaves it open",
        how: How::Says(empty_head),
    },
    Rule {
        request: "`HEAD` with `Range`",
        nginx: "206 or 416, as to `GET`",
        rws: "200: the field is ignored",
        why: "RFC 9110 section 14.2: ranges are defined for `GET` only",
        how: How::Reads(range_of_head),
    },
    Rule {
        request: "`If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since` or `If-Range` twice",
        nginx: "400",
        rws: "two lists of tags are one list; of the other fields both are ignored, and `If-Range` does not hold",
        why: "RFC 9110 section 5.3: a list may come in several lines, and proxies split them",
        how: How::Reads(repeated),
    },
    Rule {
        request: "`Range` twice",
        nginx: "the first counts",
        rws: "both are ignored: 200",
        why: "RFC 9110 section 14.2: a range may always be ignored, and nobody knows which one is meant",
        how: How::Reads(repeated_range),
    },
    Rule {
        request: "`If-Match` and `If-Unmodified-Since`",
        nginx: "both must hold",
        rws: "`If-Match` alone decides",
        why: "RFC 9110 section 13.2.2, step 2",
        how: How::Reads(|case| case.has("If-Match").then(|| dropped(case, "If-Unmodified-Since")).flatten()),
    },
    Rule {
        request: "`If-None-Match` and `If-Modified-Since`",
        nginx: "304 only if both say so",
        rws: "`If-None-Match` alone decides",
        why: "RFC 9110 section 13.2.2, step 4",
        how: How::Reads(|case| case.has("If-None-Match").then(|| dropped(case, "If-Modified-Since")).flatten()),
    },
    Rule {
        request: "`If-Unmodified-Since` that is no date",
        nginx: "412",
        rws: "the field is ignored",
        why: "RFC 9110 section 13.1.4: it must be",
        how: How::Reads(|case| not_a_date(case, "If-Unmodified-Since")),
    },
    Rule {
        request: "`If-Modified-Since` or `If-Range` with a date of the wrong day of the week, in another zone or with \
                  something after it",
        nginx: "taken for a date in GMT",
        rws: "no date: the field is ignored, and `If-Range` does not hold",
        why: "RFC 9110 sections 5.6.7 and 13.1.3; the answer is the whole file, which is never wrong",
        how: How::Reads(lax_date),
    },
    Rule {
        request: "`If-Modified-Since` later than the file",
        nginx: "200: the dates must be the same (`if_modified_since exact`)",
        rws: "304",
        why: "RFC 9110 section 13.1.3: not modified since means earlier or the same",
        how: How::Reads(later_date),
    },
    Rule {
        request: "`If-Match` or `If-None-Match` with something that is no tag before the right one",
        nginx: "the right one is found",
        rws: "what follows a mistake matches nothing",
        why: "a list that breaks the grammar may mean anything; 412 and 200 are the careful answers",
        how: How::Reads(broken_list),
    },
    Rule {
        request: "`Range` of an empty file",
        nginx: "416, unless it begins at 0",
        rws: "200",
        why: "there is nothing to take a range of; clients that ask for the first bytes of everything get along",
        how: How::Reads(|case| (case.file == "/empty.txt").then(|| dropped(case, "Range")).flatten()),
    },
    Rule {
        request: "`Range` that breaks the grammar",
        nginx: "416, or what can be made of it",
        rws: "200: the field is ignored",
        why: "RFC 9110 section 14.2 allows both; a client that wrote nonsense still gets its file",
        how: How::Reads(|case| parse(case.value("Range")?).is_none().then(|| dropped(case, "Range")).flatten()),
    },
    Rule {
        request: "more than 32 ranges",
        nginx: "all of them (`max_ranges` is unlimited)",
        rws: "200: the field is ignored",
        why: "RFC 9110 section 14.2: many small ranges are what an attack looks like",
        how: How::Reads(|case| (parse(case.value("Range")?)?.len() > MANY).then(|| dropped(case, "Range")).flatten()),
    },
    Rule {
        request: "`Range` with tabs or empty elements in its list",
        nginx: "416",
        rws: "they are allowed",
        why: "RFC 9110 section 5.6.1: a recipient must accept them",
        how: How::Reads(loose_list),
    },
    Rule {
        request: "`Range` with a number of 2^63 or more",
        nginx: "416",
        rws: "as any other number beyond the end",
        why: "RFC 9110 section 14.1.2 sets no limit to numbers",
        how: How::Reads(large_numbers),
    },
    Rule {
        request: "ranges that overlap or touch",
        nginx: "each as a part of its own; 200 if they are longer than the file together",
        rws: "one range that covers them",
        why: "RFC 9110 section 15.3.7.2: the answer is shorter, and never longer than the file",
        how: How::Reads(merged),
    },
];

fn accept_ranges(_: &Case, nginx: &mut Answer, rws: &Answer) -> bool {
    let differs = nginx.status == 206 && nginx.accept_ranges.is_none() && rws.accept_ranges.as_deref() == Some("bytes");
    if differs {
        nginx.accept_ranges.clone_from(&rws.accept_ranges);
    }
    differs
}

fn timeless(case: &Case, nginx: &mut Answer, rws: &Answer) -> bool {
    let differs = case.file == "/epoch.txt" && nginx.last_modified.is_some() && rws.last_modified.is_none();
    if differs {
        nginx.last_modified = None;
        // A date that is the file's own in 1970 matches for nginx, and can match nothing that has no date.
        if case.has("If-Modified-Since") && nginx.status == 304 && rws.status == 200 {
            *nginx = rws.clone();
        }
    }
    differs
}

fn future(case: &Case, nginx: &mut Answer, rws: &Answer) -> bool {
    let sides = (nginx.last_modified.as_deref(), rws.last_modified.as_deref());
    let differs = case.file == "/future.txt" && sides == (Some("later than now"), Some("not later than now"));
    if differs {
        nginx.last_modified.clone_from(&rws.last_modified);
    }
    differs
}

fn empty_head(case: &Case, nginx: &mut Answer, rws: &Answer) -> bool {
    let differs = case.method == "HEAD" && (nginx.length, rws.length) == (Some(0), None);
    if differs {
        nginx.length = None;
    }
    differs
}

/// The same request without a field that it has.
fn dropped(case: &Case, name: &str) -> Option<Case> {
    case.has(name).then(|| case.without(name))
}

fn range_of_head(case: &Case) -> Option<Case> {
    if case.method == "HEAD" { dropped(case, "Range") } else { None }
}

fn repeated(case: &Case) -> Option<Case> {
    for name in ["If-Match", "If-None-Match"] {
        let values: Vec<&str> = case.values(name).collect();
        if values.len() > 1 {
            return Some(case.with(name, values.join(", ")));
        }
    }
    let twice = |name: &&str| case.values(name).count() > 1;
    if let Some(name) = ["If-Modified-Since", "If-Unmodified-Since"].iter().find(|name| twice(name)) {
        return dropped(case, name);
    }
    twice(&"If-Range").then(|| case.without("If-Range").without("Range"))
}

fn repeated_range(case: &Case) -> Option<Case> {
    if case.values("Range").count() > 1 { dropped(case, "Range") } else { None }
}

/// The fixed formats of RFC 9110 section 5.6.7 for the days that the cases use, told by their shape.
fn is_date(value: &str) -> bool {
    use super::beside_nginx::{AFTER, BEFORE, FUTURE, SAME, SAME_ASCTIME, SAME_RFC850};
    const OTHERS: &[&str] = &[
        "Tuesday, 14-Nov-23 22:13:19 GMT",
        "Tue Nov 14 22:13:19 2023",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ];
    [SAME, SAME_RFC850, SAME_ASCTIME, BEFORE, AFTER, FUTURE].contains(&value) || OTHERS.contains(&value)
}

fn not_a_date(case: &Case, name: &str) -> Option<Case> {
    if is_date(case.value(name)?) { None } else { dropped(case, name) }
}

fn lax_date(case: &Case) -> Option<Case> {
    if let Some(simpler) = not_a_date(case, "If-Modified-Since") {
        return Some(simpler);
    }
    let value = case.value("If-Range")?;
    // Without the range there is nothing for If-Range to decide.
    (!value.contains('"') && !is_date(value)).then(|| case.without("If-Range").without("Range"))
}

fn later_date(case: &Case) -> Option<Case> {
    use super::beside_nginx::{AFTER, FUTURE, SAME};
    let value = case.value("If-Modified-Since")?;
    let later = [AFTER, FUTURE, "Fri, 31 Dec 9999 23:59:59 GMT"].contains(&value);
    // The file with a time in the future is compared by the time that it is said to have.
    match case.file {
        "/future.txt" if value == FUTURE => Some(case.without("If-Modified-Since").with("If-None-Match", "*".into())),
        "/future.txt" => None,
        _ => later.then(|| case.with("If-Modified-Since", SAME.to_owned())),
    }
}

/// Keeps the tags before the first element that is none.
fn broken_list(case: &Case) -> Option<Case> {
    let name = ["If-Match", "If-None-Match"].into_iter().find(|name| case.has(name))?;
    let value = case.value(name)?;
    let is_tag = |element: &&str| {
        let opaque = element.strip_prefix("W/").unwrap_or(element);
        opaque == "{tag}" || (opaque.len() > 1 && opaque.starts_with('"') && opaque.ends_with('"'))
    };
    let elements: Vec<&str> = value.split(',').map(str::trim).filter(|element| !element.is_empty()).collect();
    let good: Vec<&str> = elements.iter().copied().take_while(|element| is_tag(element)).collect();
    let rest = if good.is_empty() { "\"none\"".to_owned() } else { good.join(", ") };
    (good.len() < elements.len() && elements != ["*"]).then(|| case.with(name, rest))
}

/// First and last position, the last missing for an open end; or the length of a suffix.
#[derive(Clone, Copy)]
enum Element {
    From(u128, Option<u128>),
    Suffix(u128),
}

/// A Range field by the letter of RFC 9110 section 14.1.1, with lists as section 5.6.1 has recipients read them.
fn parse(value: &str) -> Option<Vec<Element>> {
    let value = value.trim();
    let set = value.get(..6).filter(|unit| unit.eq_ignore_ascii_case("bytes=")).map(|_| &value[6..])?;
    let elements =
        set.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty());
    let number = |text: &str| if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
    let elements: Option<Vec<Element>> = elements
        .map(|element| {
            let (first, last) = element.split_once('-')?;
            match (first, last) {
                ("", length) => Some(Element::Suffix(number(length)?)),
                (first, "") => Some(Element::From(number(first)?, None)),
                (first, last) => {
                    let (first, last) = (number(first)?, number(last)?);
                    (first <= last).then_some(Element::From(first, Some(last)))
                }
            }
        })
        .collect();
    elements.filter(|elements| !elements.is_empty())
}

fn loose_list(case: &Case) -> Option<Case> {
    let value = case.value("Range")?;
    parse(value)?;
    let (_, set) = value.split_once('=')?;
    let elements: Vec<&str> = set.split(',').map(|element| element.trim_matches([' ', '\t'])).collect();
    let loose = value.contains('\t') || elements.contains(&"");
    let tight: Vec<&str> = elements.into_iter().filter(|element| !element.is_empty()).collect();
    loose.then(|| case.with("Range", format!("bytes={}", tight.join(","))))
}

fn large_numbers(case: &Case) -> Option<Case> {
    const LARGEST: u128 = i64::MAX as u128;
    let elements = parse(case.value("Range")?)?;
    let is_large = |element: &Element| match *element {
        Element::From(first, last) => first.max(last.unwrap_or(0)) > LARGEST,
        Element::Suffix(length) => length > LARGEST,
    };
    let smaller = |element: &Element| match *element {
        Element::From(first, None) => format!("{}-", first.min(LARGEST)),
        Element::From(first, Some(last)) => format!("{}-{}", first.min(LARGEST), last.min(LARGEST)),
        Element::Suffix(length) => format!("-{}", length.min(LARGEST)),
    };
    let set: Vec<String> = elements.iter().map(smaller).collect();
    elements.iter().any(is_large).then(|| case.with("Range", format!("bytes={}", set.join(","))))
}

/// Puts ranges that overlap or touch where the first of them stands, until none do.
fn merged(case: &Case) -> Option<Case> {
    let length: u64 = match case.file {
        "/one.txt" => 1,
        "/page.txt" => 1_000,
        "/large.txt" => 200_000,
        _ => return None,
    };
    let within = |element: Element| match element {
        Element::From(first, last) => {
            let first = u64::try_from(first).ok()?;
            let last = last.and_then(|last| u64::try_from(last).ok()).unwrap_or(u64::MAX).min(length - 1);
            (first < length).then_some((first, last))
        }
        Element::Suffix(0) => None,
        Element::Suffix(wanted) => Some((length.saturating_sub(u64::try_from(wanted).unwrap_or(u64::MAX)), length - 1)),
    };
    let mut ranges: Vec<(u64, u64)> = parse(case.value("Range")?)?.into_iter().filter_map(within).collect();
    let count = ranges.len();
    let close = |a: (u64, u64), b: (u64, u64)| a.0 <= b.1 + 1 && b.0 <= a.1 + 1;
    while let Some((i, j)) = (0..ranges.len())
        .flat_map(|i| (i + 1..ranges.len()).map(move |j| (i, j)))
        .find(|&(i, j)| close(ranges[i], ranges[j]))
    {
        let other = ranges.remove(j);
        ranges[i] = (ranges[i].0.min(other.0), ranges[i].1.max(other.1));
    }
    let set: Vec<String> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    (ranges.len() < count).then(|| case.with("Range", format!("bytes={}", set.join(","))))
}
