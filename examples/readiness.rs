//! Run with `cargo run --example readiness`, then, in another terminal:
//!
//! ```text
//! curl localhost:7878/visits
//! curl localhost:7878/readyz?verbose
//! mv visits.db elsewhere.db; sleep 6; curl -i localhost:7878/readyz
//! mv elsewhere.db visits.db; sleep 3; curl -i localhost:7878/readyz
//! ```
//!
//! A database that comes and goes. While it is away, /readyz answers 503 and Services send their traffic to other pods; when
//! it is back, so is this pod, without a restart. /healthz does not look at it: a restart would not bring it back. The check
//! opens a file and asks it something, which may block for as long as it likes: it has a thread of its own, and probes
//! answer from what it found last.
//!
//! `VISITS_DB` names another file; `RWS_CONFIG_HEALTH_DETAILS=full` shows why a check fails, which the log does anyway.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rws::{App, Problem, State, StatusCode, get};

/// Where the database is.
#[derive(Clone)]
struct Database(PathBuf);

impl Database {
    /// A connection for one request or one check: a program with more traffic keeps a pool of them.
    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_millis(500))?;
        Ok(connection)
    }

    /// Makes the file, if there is none yet. Runs before the server is ready, and only then.
    fn migrate(&self) -> rusqlite::Result<()> {
        Connection::open(&self.0)?.execute("CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL)", ()).map(drop)
    }

    /// Whether it can be written to. The lock is given back at once.
    fn check(&self) -> rusqlite::Result<()> {
        self.open()?.execute_batch("BEGIN IMMEDIATE; SELECT count(*) FROM visits; ROLLBACK")
    }

    fn visit(&self) -> rusqlite::Result<i64> {
        let connection = self.open()?;
        connection.execute("INSERT INTO visits VALUES (datetime())", ())?;
        connection.query_row("SELECT count(*) FROM visits", (), |row| row.get(0))
    }
}

fn visits(State(database): State<Database>) -> Result<String, Problem> {
    let count = database.visit().map_err(|error| {
        // Clients need not know what it says.
        tracing::error!(%error, "a visit could not be counted");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE).with_detail("the database does not answer")
    })?;
    Ok(format!("{count} visits\n"))
}

fn main() -> ExitCode {
    let path = std::env::var_os("VISITS_DB").unwrap_or_else(|| Path::new("visits.db").into());
    let database = Database(path.into());
    let (migrated, checked) = (database.clone(), database.clone());
    let mut app = App::new()
        .on_startup("migrate", move || migrated.migrate())
        .on_shutdown("farewell", || tracing::info!("the database may go now"))
        .route("/visits", get(visits))
        .state(database);
    // Every second, so that there is something to see; the defaults are 10 s and three failures.
    app.health().check("database").every(Duration::from_secs(1)).fail_after(2).run(move || checked.check());
    app.run()
}
