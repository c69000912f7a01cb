//! The request a handler sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{Extensions, Method};

use super::body::Body;
use super::service::Resolved;
use crate::semantics::client_certificate::ClientCertificate;
use crate::semantics::head::RequestHead;

/// What is known of a request once its head has arrived. Shared between the handler, which may keep it,
/// and the server, which logs it.
#[derive(Debug)]
pub struct Received {
    /// Method, target, version and fields.
    pub head: RequestHead,
    /// The other end of the connection.
    pub remote: SocketAddr,
    /// The client's address as far as RWS_CONFIG_TRUSTED_PROXIES can be believed; else that of `remote`.
    pub client_ip: IpAddr,
    /// Whether the client's connection is secured by TLS: the one it came on, or, if that is one of
    /// RWS_CONFIG_TRUSTED_PROXIES', what that says in `Forwarded` or `X-Forwarded-Proto`.
    pub is_secure: bool,
    /// The certificate that the client of this connection has shown to be its own, if it was asked for one.
    pub client_certificate: Option<ClientCertificate>,
    /// The request's id: the client's `X-Request-Id` when well-formed, else made by the server.
    pub id: String,
    /// When the head was complete.
    pub at: Instant,
    /// Who it comes from, once a middleware has found out; see [`Request::set_user`].
    pub user: OnceLock<Arc<str>>,
}

impl Default for Received {
    fn default() -> Self {
        Received {
            head: RequestHead::default(),
            remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            is_secure: false,
            client_certificate: None,
            id: String::new(),
            at: Instant::now(),
            user: OnceLock::new(),
        }
    }
}

/// A request on its way through middleware to its handler.
#[derive(Debug)]
pub struct Request {
    pub(crate) received: Arc<Received>,
    pub(crate) resolved: Resolved,
    pub(crate) body: Body,
    pub(crate) extensions: Extensions,
}

impl Request {
    /// A request as the server hands it to a [`Service`](super::service::Service).
    pub fn new(received: Arc<Received>, resolved: Resolved, body: Body) -> Self {
        Request { received, resolved, body, extensions: Extensions::new() }
    }

    /// What is known of it without its body, to be kept beyond the handler's return: for a log, say, or another thread.
    pub fn received(&self) -> &Arc<Received> {
        &self.received
    }

    /// Method, target, version and fields.
    pub fn head(&self) -> &RequestHead {
        &self.received.head
    }

    /// The request method.
    pub fn method(&self) -> &Method {
        self.received.head.method()
    }

    /// The path, still percent-encoded.
    pub fn path(&self) -> &str {
        self.received.head.path()
    }

    /// The other end of the connection.
    pub fn remote(&self) -> SocketAddr {
        self.received.remote
    }

    /// The client's address: of the other end of the connection, or, if that is one of RWS_CONFIG_TRUSTED_PROXIES, what it
    /// says of its own client in `Forwarded` or `X-Forwarded-For`, and so on.
    pub fn client_ip(&self) -> IpAddr {
        self.received.client_ip
    }

    /// Whether the client's connection is secured by TLS: the one to this server, or, if the other end is one of
    /// RWS_CONFIG_TRUSTED_PROXIES, the one to that proxy, as it says in `Forwarded` or `X-Forwarded-Proto`.
    pub fn is_secure(&self) -> bool {
        self.received.is_secure
    }

    /// The certificate that the client has shown to be its own, verified against RWS_CONFIG_TLS_CLIENT_CA_FILE. That of
    /// the other end of the connection: where a proxy presents one, it is the proxy's.
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.received.client_certificate.as_ref()
    }

    /// Who it comes from, if a middleware has found out.
    pub fn user(&self) -> Option<&str> {
        self.received.user.get().map(|user| &**user)
    }

    /// Notes who it comes from, for handlers and the access log. For middleware that has verified that; who was noted first
    /// stays.
    pub fn set_user(&self, user: impl Into<Arc<str>>) {
        let _ = self.received.user.set(user.into());
    }

    /// The request's id, as logged and echoed in `X-Request-Id`.
    pub fn id(&self) -> &str {
        &self.received.id
    }

    /// The body, to be read.
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Takes the body and leaves an empty one.
    pub fn take_body(&mut self) -> Body {
        std::mem::take(&mut self.body)
    }

    /// Values that middleware attached.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Values that middleware attached, to be changed.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// The request without anything but its body.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The values of the path parameters in the order of the route's pattern, still percent-encoded.
    pub(super) fn raw_params(&self) -> impl ExactSizeIterator<Item = &str> {
        let path = self.path();
        self.resolved
            .params
            .iter()
            .map(move |span| path.get(span.start as usize..span.end as usize).unwrap_or_default())
    }
}
