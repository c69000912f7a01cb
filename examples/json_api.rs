//! Run with `cargo run --example json_api`, then:
//!
//! ```text
//! curl -X POST localhost:7878/items -H 'content-type: application/json' -d '{"name":"cup"}'
//! curl localhost:7878/items/1
//! curl 'localhost:7878/items?name=cu&limit=5'
//! curl -X DELETE localhost:7878/items/1
//! ```
//!
//! A small JSON API on state that all handlers share. What a client gets wrong (an unknown id, a limit that is no number,
//! a body without a name) is answered with `application/problem+json`, by the extractors or by the handler.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

use rws::{App, Json, Path, Problem, Query, State, StatusCode, get, post};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize)]
struct Item {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct NewItem {
    name: String,
}

#[derive(Deserialize)]
struct Filter {
    #[serde(default)]
    name: String,
    limit: Option<usize>,
}

/// What is kept. A clone is the same store.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<BTreeMap<u64, Item>>>);

impl Store {
    fn items(&self) -> MutexGuard<'_, BTreeMap<u64, Item>> {
        self.0.lock().expect("no handler panics while it holds the lock")
    }
}

fn list(State(store): State<Store>, Query(filter): Query<Filter>) -> Json<Vec<Item>> {
    let limit = filter.limit.unwrap_or(usize::MAX);
    let items = store.items();
    Json(items.values().filter(|item| item.name.contains(&filter.name)).take(limit).cloned().collect())
}

fn create(State(store): State<Store>, Json(new): Json<NewItem>) -> Result<(StatusCode, Json<Item>), Problem> {
    if new.name.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).with_pointer("#/name", "must not be empty"));
    }
    let mut items = store.items();
    let id = items.last_key_value().map_or(1, |(last, _)| last + 1);
    let item = Item { id, name: new.name };
    items.insert(id, item.clone());
    Ok((StatusCode::CREATED, Json(item)))
}

fn show(State(store): State<Store>, Path(id): Path<u64>) -> Result<Json<Item>, Problem> {
    store.items().get(&id).cloned().map(Json).ok_or_else(|| unknown(id))
}

fn delete(State(store): State<Store>, Path(id): Path<u64>) -> Result<StatusCode, Problem> {
    store.items().remove(&id).map(|_| StatusCode::NO_CONTENT).ok_or_else(|| unknown(id))
}

fn unknown(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no item {id}"))
}

fn main() -> ExitCode {
    App::new()
        .route("/items", get(list).post(create))
        .route("/items/{id}", get(show).delete(delete))
        .route("/reset", post(|State(store): State<Store>| store.items().clear()))
        .state(Store::default())
        .run()
}
