//! What a variable is: the type of one row of the table, how rows are written, found and described.
//!
//! The rows themselves are in `rows`. This knows what can be said of a single variable; rules that span several
//! are in `rules`.

mod names;
mod words;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;

use super::hosts::VirtualHost;
use super::route::RouteSpec;
use super::{Config, IpNet};

use crate::semantics::accept_encoding::Coding;
use crate::semantics::secrets;
pub use names::find;
pub(super) use names::{FILE_SUFFIX, nearest};

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
    UrlPaths {
        set: fn(&mut Config, Vec<String>),
    },
    /// The name of a file, relative to another directory; `true` for `index.html`, empty or `false` for none.
    Page {
        set: fn(&mut Config, Option<String>),
    },
    /// An existing directory, or empty for none.
    Directory {
        set: fn(&mut Config, Option<PathBuf>),
    },
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no other variable has such a value"))]
    File {
        set: fn(&mut Config, Option<PathBuf>),
    },
    /// Names of a virtual host.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no other variable has such a value"))]
    Domains {
        set: fn(&mut VirtualHost, Vec<String>),
    },
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no other variable has such a value"))]
    HostFile {
        set: fn(&mut VirtualHost, PathBuf),
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
    /// A list of secrets; its reader tells the place of what is wrong, and never what is written there.
    #[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "no other variable has such a value"))]
    Secrets {
        type_name: &'static str,
        rule: &'static str,
        /// What is counted there.
        place: &'static str,
        read: fn(&mut Config, &str) -> Result<(), secrets::Fault>,
    },
    #[cfg_attr(not(feature = "auth"), expect(dead_code, reason = "no other variable has such a value"))]
    Realm {
        set: fn(&mut Config, String),
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
    /// Of a variable that this build does not read.
    #[cfg_attr(
        all(feature = "auth", feature = "tls"),
        allow(dead_code, reason = "only smaller builds leave variables unread")
    )]
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

    /// Off unless set, and off where it is empty.
    pub(super) const fn switch_or_empty(name: &'static str, set: fn(&mut Config, bool)) -> Self {
        Variable::new(name, "", Kind::Boolean { set }).example("true")
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

    pub(super) const fn url_paths(
        name: &'static str,
        default: &'static str,
        set: fn(&mut Config, Vec<String>),
    ) -> Self {
        Variable::new(name, default, Kind::UrlPaths { set })
    }

    /// None unless set.
    pub(super) const fn page(name: &'static str, set: fn(&mut Config, Option<String>)) -> Self {
        Variable::new(name, "", Kind::Page { set })
    }

    pub(super) const fn directory(name: &'static str, set: fn(&mut Config, Option<PathBuf>)) -> Self {
        Variable::new(name, "", Kind::Directory { set })
    }

    /// A path; whoever opens it says what is wrong with it.
    #[cfg(feature = "tls")]
    pub(super) const fn file(name: &'static str, set: fn(&mut Config, Option<PathBuf>)) -> Self {
        Variable::new(name, "", Kind::File { set })
    }

    /// Names of a virtual host.
    #[cfg(feature = "tls")]
    pub(super) const fn domains(name: &'static str, set: fn(&mut VirtualHost, Vec<String>)) -> Self {
        Variable::new(name, "", Kind::Domains { set })
    }

    /// A path that belongs to a virtual host; whoever opens it says what is wrong with it.
    #[cfg(feature = "tls")]
    pub(super) const fn host_file(name: &'static str, set: fn(&mut VirtualHost, PathBuf)) -> Self {
        Variable::new(name, "", Kind::HostFile { set })
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

    /// None unless set, and never shown. `rule` stands behind "must be".
    #[cfg(feature = "auth")]
    pub(super) const fn secrets(
        name: &'static str,
        (type_name, rule, place): (&'static str, &'static str, &'static str),
        read: fn(&mut Config, &str) -> Result<(), secrets::Fault>,
    ) -> Self {
        Variable { secret: true, ..Variable::new(name, "", Kind::Secrets { type_name, rule, place, read }) }
    }

    #[cfg(feature = "auth")]
    pub(super) const fn realm(name: &'static str, default: &'static str, set: fn(&mut Config, String)) -> Self {
        Variable::new(name, default, Kind::Realm { set })
    }

    pub(super) const fn codings(name: &'static str, default: &'static str, set: fn(&mut Config, Vec<Coding>)) -> Self {
        Variable::new(name, default, Kind::Codings { set })
    }

    pub(super) const fn route(name: &'static str, add: fn(&mut Config, RouteSpec)) -> Self {
        Variable::new(name, "", Kind::Route { add })
    }

    /// Not read by this build, and an error when set.
    #[cfg_attr(
        all(feature = "auth", feature = "tls"),
        allow(dead_code, reason = "only smaller builds leave variables unread")
    )]
    pub(super) const fn refused(name: &'static str, because: &'static str) -> Self {
        Variable { status: Status::Refused(because), ..Variable::new(name, "", Kind::Unread) }
    }

    /// Not read by this build, and a notice when set.
    #[cfg_attr(
        all(feature = "auth", feature = "tls"),
        allow(dead_code, reason = "only smaller builds leave variables unread")
    )]
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
