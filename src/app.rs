//! What users write against, layer 2: applications, routers, handlers, extractors, middleware, requests, responses and bodies.
//! Knows no sockets, no configuration and no server; those know [`service::Service`].
//!
//! A handler is a plain function that may block. Its arguments are [extractors](extract), its result is anything that is
//! [`IntoResponse`]:
//!
//! ```
//! use rws::app::{App, Json, Path, Problem, State, TestClient, get};
//! use serde::Serialize;
//!
//! #[derive(Clone, Serialize)]
//! struct Item {
//!     name: &'static str,
//! }
//!
//! fn show(Path(id): Path<usize>, State(items): State<Vec<Item>>) -> Result<Json<Item>, Problem> {
//!     items.get(id).cloned().map(Json).ok_or_else(|| rws::StatusCode::NOT_FOUND.into())
//! }
//!
//! let app = App::new().route("/items/{id}", get(show)).state(vec![Item { name: "cup" }]);
//!
//! // Tests need no sockets.
//! let client = TestClient::new(app)?;
//! assert_eq!(client.get("/items/0").send().text(), r#"{"name":"cup"}"#);
//! assert_eq!(client.get("/items/1").send().status(), 404);
//! # Ok::<(), rws::app::BuildErrors>(())
//! ```

pub mod application;
pub mod body;
pub mod build;
pub mod compression;
pub mod context;
#[cfg(feature = "cookies")]
pub mod cookies;
pub mod error;
pub mod extract;
pub mod feed;
pub mod handler;
mod interop;
pub mod into_response;
pub mod method;
pub mod middleware;
#[cfg(feature = "multipart")]
pub mod multipart;
mod parts;
pub mod permits;
pub mod problem;
pub mod request;
pub mod request_id;
pub mod response;
pub mod route_info;
pub mod router;
pub mod service;
pub mod span;
pub mod sse;
pub mod testing;
pub(crate) mod upgrade;
#[cfg(feature = "websocket")]
pub mod websocket;

pub use self::application::App;
pub use self::body::{Body, BodyError};
pub use self::build::BuiltApp;
pub use self::context::Context;
#[cfg(feature = "cookies")]
pub use self::cookies::{CookieKey, Cookies, PrivateCookies, SignedCookies};
pub use self::error::{BuildError, BuildErrors};
#[cfg(feature = "typed-header")]
pub use self::extract::TypedHeader;
pub use self::extract::{
    ClientCertificate, ClientIp, ConnectInfo, Extension, Form, FromRequest, FromRequestParts, Json, MatchedPath, Path,
    Query, RequestId, State, Trace,
};
pub use self::feed::{BodySender, SendError};
pub use self::handler::Handler;
pub use self::into_response::{Html, IntoResponse, Redirect, ResponseParts};
pub use self::method::{MethodRouter, any, delete, get, head, on, options, patch, post, put};
pub use self::middleware::{Middleware, Next};
#[cfg(feature = "multipart")]
pub use self::multipart::{Multipart, MultipartError, MultipartLimits};
pub use self::problem::Problem;
pub use self::request::Request;
pub use self::response::{NamedFile, Response};
pub use self::route_info::RouteInfo;
pub use self::router::Router;
pub use self::sse::{Event, LastEventId, Sse, SseBroadcast, SseSender};
#[cfg(feature = "multipart")]
pub use self::testing::TestPart;
pub use self::testing::{TestClient, TestEvent, TestResponse, TestStream};
#[cfg(feature = "websocket")]
pub use self::websocket::{WebSocket, WebSocketUpgrade};
