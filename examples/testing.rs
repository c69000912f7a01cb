//! Run with `cargo run --example testing`, and its tests with `cargo test --example testing`.
//!
//! An application and its tests. [`TestClient`](rws::TestClient) calls it in the test's own thread: that is enough for
//! routes, extractors, handlers and middleware, and takes microseconds. [`TestServer`](rws::TestServer) has it listen on a
//! free port, for what needs a connection: probes, metrics, clients as they are. Both are given what `main` runs.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rws::{App, Json, Path, Problem, State, StatusCode, get, post};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default)]
struct Total(Arc<AtomicU64>);

#[derive(Debug, PartialEq, Deserialize, Serialize)]
struct Deposit {
    amount: u64,
}

fn deposit(State(total): State<Total>, Json(deposit): Json<Deposit>) -> Result<Json<Deposit>, Problem> {
    if deposit.amount == 0 {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).with_pointer("#/amount", "must be more than 0"));
    }
    Ok(Json(Deposit { amount: total.0.fetch_add(deposit.amount, Ordering::SeqCst) + deposit.amount }))
}

fn greet(Path(name): Path<String>) -> String {
    format!("Hello, {name}!\n")
}

/// The application, for `main` and for the tests.
fn app(total: Total) -> App {
    App::new().route("/hello/{name}", get(greet)).route("/deposits", post(deposit)).state(total)
}

fn main() -> ExitCode {
    app(Total::default()).run()
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use rws::server::Verdict;
    use rws::{TestClient, TestServer};

    use super::*;

    #[test]
    fn deposits_add_up() -> Result<(), Box<dyn Error>> {
        let total = Total::default();
        let client = TestClient::new(app(total.clone()))?;
        for (amount, sum) in [(3, 3), (4, 7)] {
            let answer = client.post("/deposits").json(&Deposit { amount }).send();
            assert_eq!(answer.json::<Deposit>(), Deposit { amount: sum });
        }
        assert_eq!(total.0.load(Ordering::SeqCst), 7, "a test sees the state it has put in");
        Ok(())
    }

    #[test]
    fn mistakes_are_named() -> Result<(), Box<dyn Error>> {
        let client = TestClient::new(app(Total::default()))?;
        for (body, status) in [(r#"{"amount":0}"#, 422), (r#"{"amount":"x"}"#, 422), ("{", 400)] {
            let answer = client.post("/deposits").header("content-type", "application/json").body(body).send();
            assert_eq!((answer.status().as_u16(), answer.content_type()), (status, Some("application/problem+json")));
        }
        Ok(())
    }

    #[test]
    fn it_is_served() -> Result<(), Box<dyn Error>> {
        let server = TestServer::start(app(Total::default()))?;
        for (path, expected) in [("/hello/you", "Hello, you!\n"), ("/readyz", "ok")] {
            let mut stream = TcpStream::connect(server.address())?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(expected), "{answer}");
        }
        assert_eq!(server.stop()?.verdict, Verdict::Drained);
        Ok(())
    }
}
