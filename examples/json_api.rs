//! Run with `cargo run --example json_api`, then:
//!
//! ```text
//! curl -X POST localhost:7878/items -H 'content-type: application/json' -d '{"name":"cup"}'
//! curl localhost:7878/items/1
//! curl 'localhost:7878/items?name=cu&limit=5'
//! ```
//!
//! A JSON API on a database: a pool of connections for all handlers, a schema that is there before the server is ready, a
//! health check that asks the pool. Mistakes of clients are answered with problem+json. `ITEMS_DB` names another file.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use r2d2_sqlite::rusqlite::{OptionalExtension, Result as SqlResult, Row, params};
use rws::{App, Json, Path, Problem, Query, State, StatusCode, get};
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";
type Pool = r2d2::Pool<SqliteConnectionManager>;

#[derive(Serialize)]
struct Item {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct NewItem {
    name: String,
}

#[derive(Deserialize)]
struct Filter {
    name: Option<String>,
    limit: Option<u32>,
}

fn item(row: &Row<'_>) -> SqlResult<Item> {
    Ok(Item { id: row.get(0)?, name: row.get(1)? })
}

fn list(State(pool): State<Pool>, Query(filter): Query<Filter>) -> Result<Json<Vec<Item>>, Problem> {
    let (db, limit) = (pool.get().map_err(broken)?, filter.limit.unwrap_or(100));
    let mut found = db.prepare_cached("SELECT id, name FROM items WHERE instr(name, ?) LIMIT ?").map_err(broken)?;
    let items = found.query_map(params![filter.name.unwrap_or_default(), limit], item).and_then(Iterator::collect);
    items.map(Json).map_err(broken)
}

fn create(State(pool): State<Pool>, Json(new): Json<NewItem>) -> Result<(StatusCode, Json<Item>), Problem> {
    if new.name.is_empty() {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).with_pointer("#/name", "must not be empty"));
    }
    let (db, insert) = (pool.get().map_err(broken)?, "INSERT INTO items (name) VALUES (?) RETURNING id, name");
    db.query_row(insert, [new.name], item).map(|item| (StatusCode::CREATED, Json(item))).map_err(broken)
}

fn show(State(pool): State<Pool>, Path(id): Path<i64>) -> Result<Json<Item>, Problem> {
    let found = pool.get().map_err(broken)?.query_row("SELECT id, name FROM items WHERE id = ?", [id], item).optional();
    found.map_err(broken)?.map(Json).ok_or_else(|| unknown(id))
}

fn delete(State(pool): State<Pool>, Path(id): Path<i64>) -> Result<StatusCode, Problem> {
    let deleted = pool.get().map_err(broken)?.execute("DELETE FROM items WHERE id = ?", [id]).map_err(broken)?;
    if deleted == 0 { Err(unknown(id)) } else { Ok(StatusCode::NO_CONTENT) }
}

fn unknown(id: i64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no item {id}"))
}

/// Clients need not know what it says.
fn broken(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "the database does not answer");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail("the database does not answer")
}

fn execute(pool: &Pool, statements: &str) -> Result<(), Box<dyn Error>> {
    Ok(pool.get()?.execute_batch(statements)?)
}

fn main() -> ExitCode {
    let file = SqliteConnectionManager::file(std::env::var_os("ITEMS_DB").unwrap_or_else(|| "items.db".into()));
    // Connections are made when they are needed, so that a database that is away is a matter of readiness.
    let pool = Pool::builder().connection_timeout(Duration::from_secs(1)).build_unchecked(file);
    let (migrated, checked) = (pool.clone(), pool.clone());
    let mut app = App::new()
        .route("/items", get(list).post(create))
        .route("/items/{id}", get(show).delete(delete))
        .state(pool)
        .on_startup("migrate", move || execute(&migrated, SCHEMA));
    app.health().check("database").run(move || execute(&checked, "SELECT count(*) FROM items"));
    app.run()
}
