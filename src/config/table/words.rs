//! What documentation and messages say of a variable: its type, its range, its rule.

use super::{Kind, Variable};
use crate::config::value::{show_bytes, show_millis};
use crate::semantics::accept_encoding::Coding;

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
            Kind::UrlPaths { .. } => "list of URL paths",
            Kind::Page { .. } => "file name",
            Kind::Directory { .. } => "directory",
            Kind::File { .. } | Kind::HostFile { .. } => "file",
            Kind::Domains { .. } => "domains",
            Kind::List { .. } => "list",
            Kind::Word { .. } => "word",
            Kind::Networks { .. } => "list of networks",
            Kind::Realm { .. } => "text",
            Kind::Directives { .. } => "directives",
            Kind::Codings { .. } => "list of codings",
            Kind::Route { .. } => "route",
            Kind::Text { type_name, .. } | Kind::Secrets { type_name, .. } => type_name,
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
            Kind::Page { .. } => "a file's name, true or false".to_owned(),
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
            Kind::Boolean { .. } if self.default.is_empty() => {
                "must be true or false (also 1 or 0, yes or no, on or off), or empty for false".to_owned()
            }
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
            Kind::UrlPaths { .. } => "must be a list of paths separated by commas, each starting with / and without \
                                      query, braces, spaces, percent signs, empty or dot segments"
                .to_owned(),
            Kind::Page { .. } => {
                "must be the name of a file relative to RWS_CONFIG_STATIC_DIR, without segments that start \
                                  with a dot, or true for index.html"
                    .to_owned()
            }
            Kind::Directory { .. } => "must be an existing directory".to_owned(),
            Kind::File { .. } | Kind::HostFile { .. } => "must be the path of a file".to_owned(),
            Kind::Domains { .. } => "must be a list of domain names separated by commas".to_owned(),
            Kind::Directives { .. } => "must be directives of a Cache-Control field, separated by commas, each a name \
                                        or name=value"
                .to_owned(),
            Kind::List { .. } => "must be a list of names separated by commas".to_owned(),
            Kind::Realm { .. } => "must be 1 to 128 characters of printable ASCII".to_owned(),
            Kind::Word { .. } => "must be printable ASCII without spaces".to_owned(),
            Kind::Networks { .. } => {
                "must be a list of IP addresses and CIDR blocks (10.0.0.0/8, fd00::/8, 192.0.2.1) \
                                      separated by commas"
                    .to_owned()
            }
            Kind::Route { .. } => "must be \"[METHOD] /path/{name} -> respond STATUS CONTENT-TYPE TEXT\" or \
                                   \"[METHOD] /path/{name} -> redirect STATUS LOCATION\""
                .to_owned(),
            Kind::Text { rule, .. } | Kind::Secrets { rule, .. } => format!("must be {rule}"),
            Kind::Unread => String::new(),
        }
    }

    /// Whether something else entirely, such as a private key, would pass for a value.
    pub(in crate::config) fn takes_any_text(&self) -> bool {
        matches!(self.kind, Kind::List { .. } | Kind::Word { .. } | Kind::Text { .. } | Kind::Realm { .. })
            || matches!(self.kind, Kind::Route { .. } | Kind::Directives { .. })
    }
}

fn range(min: u64, max: u64, show: impl Fn(u64) -> String) -> String {
    if max == u64::MAX { format!("{} upwards", show(min)) } else { format!("{} to {}", show(min), show(max)) }
}
