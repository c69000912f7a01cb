//! A connection's place in its reactor's slab, which it keeps while it is away.

use crate::server::connection::Connection;

/// Where a connection is.
pub(super) enum Place {
    /// Here, waiting.
    Here(Box<Connection>),
    /// Being served, or with a worker. What the poller said of it meanwhile, and whether its deadline's entry came up.
    Away { readable: bool, ending: bool, entry_gone: bool },
}

impl Place {
    pub(super) const AWAY: Place = Place::Away { readable: false, ending: false, entry_gone: false };

    /// Takes the connection out to serve it.
    pub(super) fn take(&mut self) -> Option<Box<Connection>> {
        match std::mem::replace(self, Place::AWAY) {
            Place::Here(connection) => Some(connection),
            away => {
                *self = away;
                None
            }
        }
    }
}
