//! What users write against, layer 2: requests, responses, bodies, the router, handlers, extractors
//! and middleware. Knows no sockets.

pub mod body;
pub mod request;
pub mod request_id;
pub mod response;
pub mod service;
