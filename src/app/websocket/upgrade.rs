//! The opening handshake (RFC 6455 section 4.2), and what a handler may choose in it.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use tungstenite::handshake::derive_accept_key;

use super::close::Closed;
use super::limit::ConnectionLimit;
use super::message::Message;
use super::session::{Callbacks, Limits, OnClose, OnMessage, OnOpen, Session};
use super::socket::WebSocket;
use crate::app::body::{Body, Kind};
use crate::app::context::Context;
use crate::app::extract::FromRequestParts;
use crate::app::into_response::IntoResponse;
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::Response;
use crate::semantics::head::RequestHead;
use crate::semantics::origin::OriginPattern;

/// A request that asks for a WebSocket, as an extractor.
///
/// What does not ask for one as RFC 6455 section 4.2.1 demands is answered with a problem that names the header field: 426
/// if the client does not want to upgrade or wants another version, 405 for other methods than GET, otherwise 400.
///
/// Pages of other origins are refused with 403, since browsers let any page open a WebSocket with the user's cookies. Whose
/// `Origin` has another host or port than the request's `Host` is another; clients that are no browsers send none and may. See
/// [`allowed_origins`](Self::allowed_origins) and [`any_origin`](Self::any_origin).
///
/// ```
/// use std::time::Duration;
///
/// use rws::app::websocket::{CloseCode, ConnectionLimit, WebSocketUpgrade};
/// use rws::app::{Response, State};
///
/// fn prices(State(limit): State<ConnectionLimit>, upgrade: WebSocketUpgrade) -> Response {
///     upgrade
///         .protocols(["prices.v2", "prices.v1"])
///         .limit(&limit)
///         .max_message_size(4 * 1024)
///         .ping_interval(Duration::from_secs(20))
///         .on_open(|socket| {
///             let _ = socket.send("welcome");
///         })
///         .on_close(|socket, closed| tracing::info!(id = socket.id(), code = closed.code.get(), "gone"))
///         .on_message(|socket, _| socket.close(CloseCode::POLICY_VIOLATION, "only listening is allowed"))
/// }
/// # let _ = prices;
/// ```
#[must_use]
pub struct WebSocketUpgrade {
    accept: String,
    id: String,
    offered: Vec<String>,
    protocol: Option<String>,
    /// The page's origin, if the client says one.
    origin: Option<Vec<u8>>,
    is_same_origin: bool,
    is_allowed: bool,
    limit: Option<ConnectionLimit>,
    limits: Limits,
    on_open: Option<OnOpen>,
    on_close: Option<OnClose>,
}

impl FromRequestParts for WebSocketUpgrade {
    type Rejection = Problem;

    fn from_request_parts(request: &mut Request, _: &Context) -> Result<Self, Problem> {
        let head = request.head();
        check(head)?;
        let is_same_origin = is_same_origin(head);
        Ok(WebSocketUpgrade {
            accept: derive_accept_key(key(head)?),
            id: request.id().to_owned(),
            offered: tokens(head, &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect(),
            protocol: None,
            origin: head.field(ORIGIN.as_str()).map(<[u8]>::to_vec),
            is_same_origin,
            is_allowed: is_same_origin,
            limit: None,
            limits: Limits::default(),
            on_open: None,
            on_close: None,
        })
    }
}

/// Everything but the key.
fn check(head: &RequestHead) -> Result<(), Problem> {
    if head.method() != Method::GET {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED).with_detail("a WebSocket is opened with GET");
        return Err(problem.with_header(ALLOW, HeaderValue::from_static("GET")));
    }
    if head.version() != Version::HTTP_11 {
        return Err(Problem::new(StatusCode::BAD_REQUEST).with_detail("a WebSocket is opened with HTTP/1.1"));
    }
    if !has_token(head, &UPGRADE, "websocket") {
        return Err(upgrade_required(&UPGRADE, "must be websocket: this resource is a WebSocket"));
    }
    if !has_token(head, &CONNECTION, "upgrade") {
        return Err(invalid(&CONNECTION, "must contain upgrade"));
    }
    if head.field(SEC_WEBSOCKET_VERSION.as_str()) != Some(b"13") {
        return Err(upgrade_required(&SEC_WEBSOCKET_VERSION, "must be 13"));
    }
    if head.values(ORIGIN.as_str()).nth(1).is_some() {
        return Err(invalid(&ORIGIN, "must be there once at most"));
    }
    // Whoever takes the body for frames, or frames for the body, reads something else than was meant.
    let is_body = |(name, none): &(HeaderName, &[u8])| head.field(name.as_str()).is_some_and(|value| value != *none);
    match [(TRANSFER_ENCODING, &b""[..]), (CONTENT_LENGTH, b"0")].into_iter().find(is_body) {
        Some((name, _)) => Err(invalid(&name, "a WebSocket is opened without a body")),
        None => Ok(()),
    }
}

/// The key as it was sent: sixteen bytes in base64.
fn key(head: &RequestHead) -> Result<&[u8], Problem> {
    let mut keys = head.values(SEC_WEBSOCKET_KEY.as_str());
    match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) => Ok(key),
        _ => Err(invalid(&SEC_WEBSOCKET_KEY, "must be 16 bytes in base64, once")),
    }
}

fn upgrade_required(field: &HeaderName, detail: &str) -> Problem {
    Problem::new(StatusCode::UPGRADE_REQUIRED)
        .with_field(field.as_str(), detail)
        .with_header(UPGRADE, HeaderValue::from_static("websocket"))
        .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

fn invalid(field: &HeaderName, detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).with_field(field.as_str(), detail)
}

/// The members of a comma-separated list, over all fields of that name.
fn tokens<'h>(head: &'h RequestHead, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = head.values(name.as_str()).filter_map(|value| std::str::from_utf8(value).ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn has_token(head: &RequestHead, name: &HeaderName, wanted: &str) -> bool {
    tokens(head, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Whether the page comes from where it asks; also if no page asks. The scheme is not looked at: a proxy may have taken TLS
/// off.
fn is_same_origin(head: &RequestHead) -> bool {
    let Some(origin) = head.field(ORIGIN.as_str()) else { return true };
    let scheme = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")).map(|(scheme, _)| scheme);
    let (Some(scheme), Some(host)) = (scheme, head.host()) else { return false };
    let own = format!("{scheme}://{host}").parse::<OriginPattern>();
    own.is_ok_and(|own| own.exact().is_some_and(|own| own.as_bytes() == origin))
}

impl WebSocketUpgrade {
    /// Chooses the first of these subprotocols that the client offers too (`Sec-WebSocket-Protocol`). If it offers none of
    /// them there is none, which [`protocol`](Self::protocol) tells.
    pub fn protocols<'p>(mut self, supported: impl IntoIterator<Item = &'p str>) -> Self {
        let chosen = supported.into_iter().find(|name| self.offered.iter().any(|offered| offered == name));
        self.protocol = chosen.map(str::to_owned);
        self
    }

    /// The subprotocol that was chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Lets pages of these origins open it too, besides those of its own.
    ///
    /// ```
    /// use rws::app::websocket::WebSocketUpgrade;
    /// use rws::app::{App, Response, State, get};
    /// use rws::semantics::origin::OriginPattern;
    ///
    /// fn events(State(origins): State<Vec<OriginPattern>>, upgrade: WebSocketUpgrade) -> Response {
    ///     upgrade.allowed_origins(&origins).on_message(|_, _| {})
    /// }
    ///
    /// let origins: Vec<OriginPattern> = vec!["https://*.example.com".parse()?];
    /// let app = App::new().route("/events", get(events)).state(origins);
    /// # let _ = app;
    /// # Ok::<(), rws::semantics::origin::OriginError>(())
    /// ```
    pub fn allowed_origins<'o>(mut self, origins: impl IntoIterator<Item = &'o OriginPattern>) -> Self {
        let origin = self.origin.as_deref();
        let is_listed = origins.into_iter().any(|allowed| origin.is_some_and(|origin| allowed.matches(origin)));
        self.is_allowed = self.is_same_origin || is_listed;
        self
    }

    /// Lets pages of all origins open it. Only right where neither cookies nor the client's address decide what it may do.
    pub fn any_origin(mut self) -> Self {
        self.is_allowed = true;
        self
    }

    /// The longest message that is taken, in bytes: 1 MiB by default. A longer one ends the connection with 1009.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.limits.max_message = bytes;
        self
    }

    /// The longest frame that is taken, in bytes; by default as long as a message may be.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.limits.max_frame = Some(bytes);
        self
    }

    /// How much may wait to be sent, in bytes: 256 KiB by default. One message more is taken while less waits; messages
    /// count as 32 bytes at least. While more than half of it waits, nothing is read from the client.
    pub fn max_outgoing(mut self, bytes: usize) -> Self {
        self.limits.max_outgoing = bytes;
        self
    }

    /// After how long without a sign of the client it is pinged: 30 s by default, `None` for never. If as long again nothing
    /// comes, the connection is taken for lost. Choose less than what proxies in between allow for idle connections.
    pub fn ping_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.limits.ping_interval = interval.into();
        self
    }

    /// How long closing may take, from the call until the client has confirmed: 10 s by default. Once the server stops it is
    /// 2 s at most.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.limits.close_timeout = timeout;
        self
    }

    /// Counts it, and answers 503 with `Retry-After` instead if there are too many.
    pub fn limit(mut self, limit: &ConnectionLimit) -> Self {
        self.limit = Some(limit.clone());
        self
    }

    /// What to do first. May block.
    pub fn on_open(mut self, call: impl FnOnce(&WebSocket) + Send + 'static) -> Self {
        self.on_open = Some(Box::new(call));
        self
    }

    /// What to do when it has ended, however it did: called once for each WebSocket that was opened, after everything else.
    /// [`Closed`] tells how it ended. May block.
    ///
    /// Where the server is made to end before its connections have, all that are left are told one after the other, and the
    /// process waits half a second for that. It does not wait for an `on_message` that has not returned.
    pub fn on_close(mut self, call: impl FnOnce(&WebSocket, &Closed) + Send + 'static) -> Self {
        self.on_close = Some(Box::new(call));
        self
    }

    /// What to do with each message, one after the other, and with that the response: 101, or 403 or 503. May block; meanwhile
    /// nothing is read from this client. If it panics, the connection is closed with 1011.
    pub fn on_message(self, call: impl FnMut(&WebSocket, Message) + Send + 'static) -> Response {
        match self.switch(Box::new(call)) {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        }
    }

    fn switch(self, on_message: OnMessage) -> Result<Response, Problem> {
        if !self.is_allowed {
            return Err(Problem::new(StatusCode::FORBIDDEN).with_field(ORIGIN.as_str(), "pages of this origin may not"));
        }
        let place = self.limit.as_ref().map(ConnectionLimit::enter).transpose()?;
        let callbacks = Callbacks { on_open: self.on_open, on_message, on_close: self.on_close };
        let session = Session::new(WebSocket::new(self.id, self.limits.max_outgoing), self.limits, callbacks, place);
        let mut response = Response::new(StatusCode::SWITCHING_PROTOCOLS);
        let fields = [
            (UPGRADE, Some("websocket")),
            (SEC_WEBSOCKET_ACCEPT, Some(&*self.accept)),
            (SEC_WEBSOCKET_PROTOCOL, self.protocol.as_deref()),
        ];
        for (name, value) in fields {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response.with_body(Body { kind: Kind::Upgrade(Box::new(session)) }))
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("id", &self.id)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
