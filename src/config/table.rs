//! What a variable is: the type of one row of the table, how rows are written, found and described.
//!
//! The rows themselves are in `rows`. This knows what can be said of a single variable; rules that span several
//! are in `rules`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use super::route::RouteSpec;
use super::value::{show_bytes, show_millis};
use super::{Config, IpNet, VARIABLES};
use crate::semantics::accept_encoding::Coding;

/// One variable, or one family of variables such as `ROUTE_<NAME>`.
#[derive(Debug)]
pub struct Variable {
    /// The name without `RWS_CONFIG_`. A part in angle brackets stands for what the operator chooses.
    pub name: &'static str,
    /// The default as an operator would write it; empty: none.
    pub default: &'static str,
    /// Whether a running server can take a new value.
    pub change: Change,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// Whether this version does what the variable says.
    pub status: Status,
    /// What it does, in a line.
    pub help: &'static str,
    /// An example of a value.
    pub example: &'static str,
    pub(super) kind: Kind,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A reload may apply it to the running server.
    Reload,
    /// Only at the next start.
    Restart,
}

/// Whether this version does what a variable says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    Supported,
    /// Not yet, and starting without it would be unsafe or change what clients get: setting it is an error, with
    /// this reason. Values that switch it off are fine.
    Refused(&'static str),
    /// Not yet, but nothing bad comes of it: setting it is a notice, with this reason.
    NoEffect(&'static str),
    /// An old name: it sets the variable named here, unless that is set itself, and says so.
    ReplacedBy(&'static str),
}

/// The type of a variable, its range, and where its value goes.
#[derive(Debug)]
pub(super) enum Kind {
    Number {
        min: u64,
        max: u64,
        set: fn(&mut Config, u64),
    },
    /// In bytes.
    Size {
        min: u64,
        max: u64,
        set: fn(&mut Config, u64),
    },
    /// From `min` to `max` milliseconds. With `auto`, that word leaves what the start found out.
    Duration {
        min: u64,
        max: u64,
        auto: bool,
        set: fn(&mut Config, Duration),
    },
    /// A port number, or empty for none.
    Port {
        set: fn(&mut Config, u16),
    },
    Boolean {
        set: fn(&mut Config, bool),
    },
    /// With an empty default, empty stands for that.
    Address {
        set: fn(&mut Config, IpAddr),
    },
    OneOf(&'static [Choice]),
    UrlPath {
        set: fn(&mut Config, String),
    },
    /// An existing directory, or empty for none.
    Directory {
        set: fn(&mut Config, Option<PathBuf>),
    },
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no other variable has such a value"))]
    File {
        set: fn(&mut Config, Option<PathBuf>),
    },
    List {
        set: fn(&mut Config, Vec<String>),
    },
    /// Printable ASCII without spaces; may be empty.
    Word {
        set: fn(&mut Config, String),
    },
    /// Addresses and CIDR blocks.
    Networks {
        set: fn(&mut Config, Vec<IpNet>),
    },
    /// The value of a Cache-Control field (RFC 9111 section 5.2), or empty for none.
    Directives {
        set: fn(&mut Config, Option<HeaderValue>),
    },
    /// `on`, `off`, or names of content codings.
    Codings {
        set: fn(&mut Config, Vec<Coding>),
    },
    Route {
        add: fn(&mut Config, RouteSpec),
    },
    /// A text with a grammar of its own; its reader says what is wrong with one.
    Text {
        type_name: &'static str,
        rule: &'static str,
        read: fn(&mut Config, &str) -> Result<(), String>,
    },
    /// Of a variable that this version does not read.
    Unread,
}

/// A word, and what it sets.
pub(super) type Choice = (&'static str, fn(&mut Config));

/// Rows are written with these: a constructor for the type, then what deviates from the usual.
impl Variable {
    const fn new(name: &'static str, default: &'static str, kind: Kind) -> Self {
        let (change, status) = (Change::Restart, Status::Supported);
        Variable { name, default, kind, change, status, secret: false, help: "", example: "" }
    }

    pub(super) const fn number(
        name: &'static str,
        default: &'static str,
        (min, max): (u64, u64),
        set: fn(&mut Config, u64),
    ) -> Self {
        Variable::new(name, default, Kind::Number { min, max, set })
    }

    pub(super) const fn size(
        name: &'static str,
        default: &'static str,
        (min, max): (u64, u64),
        set: fn(&mut Config, u64),
    ) -> Self {
        Variable::new(name, default, Kind::Size { min, max, set })
    }

    pub(super) const fn duration(
        name: &'static str,
        default: &'static str,
        (min, max): (u64, u64),
        set: fn(&mut Config, Duration),
    ) -> Self {
        Variable::new(name, default, Kind::Duration { min, max, auto: false, set })
    }

    pub(super) const fn auto_duration(name: &'static str, max: u64, set: fn(&mut Config, Duration)) -> Self {
        Variable::new(name, "auto", Kind::Duration { min: 0, max, auto: true, set })
    }

    /// None unless set.
    pub(super) const fn optional_port(name: &'static str, set: fn(&mut Config, u16)) -> Self {
        Variable::new(name, "", Kind::Port { set })
    }

    /// Off unless set.
    pub(super) const fn switch(name: &'static str, set: fn(&mut Config, bool)) -> Self {
        Variable::new(name, "false", Kind::Boolean { set }).example("true")
    }

    pub(super) const fn address(name: &'static str, default: &'static str, set: fn(&mut Config, IpAddr)) -> Self {
        Variable::new(name, default, Kind::Address { set })
    }

    pub(super) const fn one_of(name: &'static str, default: &'static str, choices: &'static [Choice]) -> Self {
        Variable::new(name, default, Kind::OneOf(choices))
    }

    pub(super) const fn url_path(name: &'static str, default: &'static str, set: fn(&mut Config, String)) -> Self {
        Variable::new(name, default, Kind::UrlPath { set }).example(default)
    }

    pub(super) const fn directory(name: &'static str, set: fn(&mut Config, Option<PathBuf>)) -> Self {
        Variable::new(name, "", Kind::Directory { set })
    }

    /// A path; whoever opens it says what is wrong with it.
    #[cfg(feature = "tls")]
    pub(super) const fn file(name: &'static str, set: fn(&mut Config, Option<PathBuf>)) -> Self {
        Variable::new(name, "", Kind::File { set })
    }

    pub(super) const fn list(name: &'static str, default: &'static str, set: fn(&mut Config, Vec<String>)) -> Self {
        Variable::new(name, default, Kind::List { set })
    }

    /// Empty unless set.
    pub(super) const fn word(name: &'static str, set: fn(&mut Config, String)) -> Self {
        Variable::new(name, "", Kind::Word { set })
    }

    /// None unless set.
    pub(super) const fn networks(name: &'static str, set: fn(&mut Config, Vec<IpNet>)) -> Self {
        Variable::new(name, "", Kind::Networks { set })
    }

    pub(super) const fn directives(
        name: &'static str,
        default: &'static str,
        set: fn(&mut Config, Option<HeaderValue>),
    ) -> Self {
        Variable::new(name, default, Kind::Directives { set })
    }

    /// `rule` stands behind "must be".
    pub(super) const fn text(
        name: &'static str,
        default: &'static str,
        (type_name, rule): (&'static str, &'static str),
        read: fn(&mut Config, &str) -> Result<(), String>,
    ) -> Self {
        Variable::new(name, default, Kind::Text { type_name, rule, read })
    }

    pub(super) const fn codings(name: &'static str, default: &'static str, set: fn(&mut Config, Vec<Coding>)) -> Self {
        Variable::new(name, default, Kind::Codings { set })
    }

    pub(super) const fn route(name: &'static str, add: fn(&mut Config, RouteSpec)) -> Self {
        Variable::new(name, "", Kind::Route { add })
    }

    /// Not read by this version, and an error when set.
    pub(super) const fn refused(name: &'static str, because: &'static str) -> Self {
        Variable { status: Status::Refused(because), ..Variable::new(name, "", Kind::Unread) }
    }

    /// Not read by this version, and a notice when set.
    pub(super) const fn no_effect(name: &'static str, because: &'static str) -> Self {
        Variable { status: Status::NoEffect(because), ..Variable::new(name, "", Kind::Unread) }
    }

    pub(super) const fn replaced_by(self, name: &'static str) -> Self {
        Variable { status: Status::ReplacedBy(name), ..self }
    }

    pub(super) const fn reloadable(self) -> Self {
        Variable { change: Change::Reload, ..self }
    }

    pub(super) const fn example(self, example: &'static str) -> Self {
        Variable { example, ..self }
    }

    pub(super) const fn help(self, help: &'static str) -> Self {
        Variable { help, ..self }
    }
}

/// What documentation and messages say of a variable.
impl Variable {
    /// The type in a word or two.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Number { .. } => "number",
            Kind::Size { .. } => "size",
            Kind::Duration { .. } => "duration",
            Kind::Port { .. } => "port",
            Kind::Boolean { .. } => "boolean",
            Kind::Address { .. } => "IP address",
            Kind::OneOf(_) => "choice",
            Kind::UrlPath { .. } => "URL path",
            Kind::Directory { .. } => "directory",
            Kind::File { .. } => "file",
            Kind::List { .. } => "list",
            Kind::Word { .. } => "word",
            Kind::Networks { .. } => "list of networks",
            Kind::Directives { .. } => "directives",
            Kind::Codings { .. } => "list of codings",
            Kind::Route { .. } => "route",
            Kind::Text { type_name, .. } => type_name,
            Kind::Unread => "",
        }
    }

    /// The unit of a plain number, if there is one.
    pub fn unit(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Size { .. } => Some("bytes"),
            Kind::Duration { .. } => Some("seconds"),
            _ => None,
        }
    }

    /// The values the type allows: `0 to 65535`; empty if the type says it all.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Number { min, max, .. } => range(min, max, |number| number.to_string()),
            Kind::Size { min, max, .. } => range(min, max, show_bytes),
            Kind::Duration { min, max, auto, .. } => {
                let auto = if auto { "auto, or " } else { "" };
                format!("{auto}{}", range(min, max, show_millis))
            }
            Kind::Port { .. } => "0 to 65535, or empty".to_owned(),
            Kind::OneOf(choices) => choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            _ => String::new(),
        }
    }

    /// What a value must be, as errors say it.
    pub fn rule(&self) -> String {
        match self.kind {
            Kind::Number { .. } => format!("must be a whole number from {}", self.range()),
            Kind::Size { .. } => format!(
                "must be a size in bytes or with a unit (64KiB, 2MiB, 1GiB; no fractions) from {}",
                self.range()
            ),
            Kind::Duration { min, max, auto, .. } => format!(
                "must be {}a duration in seconds or with a unit (500ms, 5s, 2m, 1h; no fractions) from {}",
                if auto { "auto or " } else { "" },
                range(min, max, show_millis)
            ),
            Kind::Port { .. } => "must be a port number from 0 to 65535, or empty for none".to_owned(),
            Kind::Boolean { .. } => "must be true or false (also 1 or 0, yes or no, on or off)".to_owned(),
            Kind::Address { .. } => "must be an IPv4 or IPv6 address".to_owned(),
            Kind::Codings { .. } => {
                let names: Vec<_> = Coding::AVAILABLE.iter().map(|coding| coding.name()).collect();
                format!(
                    "must be on, off, or a list of codings separated by commas, of which this build has {}",
                    names.join(", ")
                )
            }
            Kind::OneOf(_) => format!("must be one of {}", self.range()),
            Kind::UrlPath { .. } => "must be a path that starts with / and has no query, braces, spaces, percent \
                                     signs, empty or dot segments"
                .to_owned(),
            Kind::Directory { .. } => "must be an existing directory".to_owned(),
            Kind::File { .. } => "must be the path of a file".to_owned(),
            Kind::Directives { .. } => "must be directives of a Cache-Control field, separated by commas, each a name \
                                        or name=value"
                .to_owned(),
            Kind::List { .. } => "must be a list of names separated by commas".to_owned(),
            Kind::Word { .. } => "must be printable ASCII without spaces".to_owned(),
            Kind::Networks { .. } => {
                "must be a list of IP addresses and CIDR blocks (10.0.0.0/8, fd00::/8, 192.0.2.1) \
                                      separated by commas"
                    .to_owned()
            }
            Kind::Route { .. } => "must be \"[METHOD] /path/{name} -> respond STATUS CONTENT-TYPE TEXT\" or \
                                   \"[METHOD] /path/{name} -> redirect STATUS LOCATION\""
                .to_owned(),
            Kind::Text { rule, .. } => format!("must be {rule}"),
            Kind::Unread => String::new(),
        }
    }

    /// Whether something else entirely, such as a private key, would pass for a value.
    pub(super) fn takes_any_text(&self) -> bool {
        let kinds = |kind: &Kind| matches!(kind, Kind::List { .. } | Kind::Word { .. } | Kind::Text { .. });
        kinds(&self.kind) || matches!(self.kind, Kind::Route { .. } | Kind::Directives { .. })
    }

    /// Whether `name`, without its prefix, is this variable or one of this family.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let Some((start, end)) = self.family() else { return name == self.name };
        let chosen = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let allowed: fn(u8) -> bool = match self.kind {
            Kind::Route { .. } => |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte),
            _ => |byte| byte.is_ascii_digit(),
        };
        // A name in _FILE names a file that holds the value, also for a family without an end of its own.
        let direct = !end.is_empty() || !name.ends_with(FILE_SUFFIX);
        direct && chosen.is_some_and(|chosen| !chosen.is_empty() && chosen.bytes().all(allowed))
    }

    /// What stands before and after the part in angle brackets.
    pub(super) fn family(&self) -> Option<(&'static str, &'static str)> {
        let (start, rest) = self.name.split_once('<')?;
        Some((start, rest.split_once('>')?.1))
    }
}

/// Ends the names of variables whose value is the path of a file that holds the value of another.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// The variable called `name`, without its prefix.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.is_called(name))
}

/// The known name most like `name`, if any is like it at all. Families offer their own names.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    /// Jaro-Winkler similarity from which a name is more likely a slip than something else; see the tests.
    const SIMILAR: f64 = 0.86;
    let name = name.strip_suffix(FILE_SUFFIX).filter(|rest| find(rest).is_none()).unwrap_or(name);
    let name = name.to_ascii_uppercase();
    let scored = VARIABLES.iter().map(|variable| (strsim::jaro_winkler(&name, variable.name), variable.name));
    let (score, nearest) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= SIMILAR).then_some(nearest)
}

fn range(min: u64, max: u64, show: impl Fn(u64) -> String) -> String {
    if max == u64::MAX { format!("{} upwards", show(min)) } else { format!("{} to {}", show(min), show(max)) }
}
