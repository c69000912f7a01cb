//! Run with `cargo run --example spa`, then open <http://localhost:7878/orders/2> and reload it.
//!
//! A single-page application and its API in one program. What is under /api is answered here; everything else is a file
//! of examples/spa, or, where a browser goes to a path that is none, the one page that shows all views. A script that is
//! not there is 404, and so is what a health check asks for by mistake. Files whose names hold a hash of their content
//! are cached for a year; the page that names them is asked for each time.

use std::io;
use std::path::Path as FilePath;
use std::process::ExitCode;

use rws::files::{Files, Spa};
use rws::http::HeaderValue;
use rws::{App, Json, Path, Problem, Router, StatusCode, get};
use serde::Serialize;

#[derive(Clone, Copy, Serialize)]
struct Order {
    id: u32,
    text: &'static str,
}

const ORDERS: [Order; 3] =
    [Order { id: 1, text: "a cup" }, Order { id: 2, text: "two plates" }, Order { id: 3, text: "a cupboard" }];

fn all() -> Json<Vec<Order>> {
    Json(ORDERS.to_vec())
}

fn one(Path(id): Path<u32>) -> Result<Json<Order>, Problem> {
    let order = ORDERS.into_iter().find(|order| order.id == id);
    order.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no order {id}")))
}

fn api() -> Router {
    Router::new().route("/orders", get(all)).route("/orders/{id}", get(one))
}

fn site() -> io::Result<Files> {
    let page = Spa::new("index.html")?.except(["/api"]);
    Ok(Files::new(FilePath::new("examples/spa"))?
        .with_cache_control(Some(HeaderValue::from_static("no-cache")))
        .with_immutable(true)
        .with_spa(page))
}

fn main() -> io::Result<ExitCode> {
    Ok(App::new().nest("/api", api()).fallback_route(site()?.route("")).run())
}
