//! The server, layer 3: accepting, reactors, handoff, workers, connections, deadlines and the life cycle.
//! Knows no routes: it calls one [`Service`](crate::app::service::Service) and tells one [`observe::Observer`].

pub mod lifecycle;
pub mod observe;
pub mod stats;
