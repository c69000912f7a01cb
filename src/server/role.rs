//! What a server is to its process: what it says, and how long it waits for its peers at the end.

use std::time::Duration;

/// How many connections a server for operators takes: kubelet, a scraper or two, and people. The main one leaves as many
/// file descriptors.
pub const ADMIN_CONNECTIONS: usize = 128;

/// How many a server takes that only redirects: clients go elsewhere at once.
pub const REDIRECT_CONNECTIONS: usize = 1024;

/// Whether a server has the process' own traffic, or stands beside the one that does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The traffic that the process is there for. Its states are the process' states, and are logged.
    #[default]
    Main,
    /// A server for operators beside the main one. It has a life of its own, which is nobody's business, and must not
    /// hold the process when the main one has ended.
    Admin,
    /// A server beside the main one that sends clients on to it. It drains with it, and its clients need not be waited for.
    Redirect,
}

impl Role {
    /// How long an idle connection may still bring a last request once the server is stopping.
    pub(super) fn last_request(self) -> Duration {
        match self {
            Role::Main => Duration::from_secs(1),
            Role::Admin | Role::Redirect => Duration::from_millis(50),
        }
    }

    /// How long half a head may take to be completed then.
    pub(super) fn last_head(self) -> Duration {
        match self {
            Role::Main => Duration::from_secs(2),
            Role::Admin | Role::Redirect => Duration::from_millis(100),
        }
    }

    /// How long to go on reading after the last response, so that no reset overtakes it.
    pub(super) fn linger(self, is_stopping: bool) -> Duration {
        match self {
            Role::Admin | Role::Redirect if is_stopping => Duration::from_millis(40),
            Role::Main | Role::Admin | Role::Redirect => Duration::from_secs(2),
        }
    }

    /// Whether the life cycle is worth a line in the log.
    pub(super) fn is_logged(self) -> bool {
        self == Role::Main
    }

    /// The name of one of its threads; the kernel shows 15 bytes of it.
    pub(super) fn thread(self, what: &str) -> String {
        match self {
            Role::Main => format!("rws-{what}"),
            Role::Admin => format!("rws-adm-{what}"),
            Role::Redirect => format!("rws-red-{what}"),
        }
    }
}
