//! Run with `cargo run --example error_handling`, then:
//!
//! ```text
//! curl -X POST localhost:7878/transfers -H 'content-type: application/json' -d '{"from":1,"to":2,"cents":500}'
//! curl localhost:7878/accounts/1
//! curl localhost:7878/accounts/7
//! ```
//!
//! One error type for the whole application: handlers use `?`, and one `match` decides what a client is told of each error, as
//! `application/problem+json`. What is not the client's business goes to the log.

use std::num::ParseIntError;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard};

use rws::{App, IntoResponse, Json, Path, Problem, Response, State, StatusCode, get, post};
use serde::Deserialize;

enum BankError {
    NoSuchAccount(usize),
    NotEnough {
        missing: u64,
    },
    /// What is stored is no number: our mistake.
    Stored(ParseIntError),
}

impl From<ParseIntError> for BankError {
    fn from(error: ParseIntError) -> Self {
        BankError::Stored(error)
    }
}

impl IntoResponse for BankError {
    fn into_response(self) -> Response {
        let problem = match self {
            BankError::NoSuchAccount(id) => {
                Problem::new(StatusCode::NOT_FOUND).with_detail(format!("there is no account {id}"))
            }
            BankError::NotEnough { missing } => Problem::new(StatusCode::CONFLICT)
                .with_type("https://bank.example/problems/not-enough")
                .with_title("Not enough money")
                .with_member("missing_cents", missing),
            BankError::Stored(error) => Problem::internal(error),
        };
        problem.into_response()
    }
}

#[derive(Deserialize)]
struct Transfer {
    from: usize,
    to: usize,
    cents: u64,
}

/// Balances as they are stored, by the number of the account. A clone is the same bank.
#[derive(Clone)]
struct Bank(Arc<Mutex<Vec<String>>>);

impl Bank {
    fn accounts(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("no handler panics while it holds the lock")
    }
}

fn balance(accounts: &[String], id: usize) -> Result<u64, BankError> {
    Ok(accounts.get(id).ok_or(BankError::NoSuchAccount(id))?.parse()?)
}

fn show(State(bank): State<Bank>, Path(id): Path<usize>) -> Result<Json<u64>, BankError> {
    Ok(Json(balance(&bank.accounts(), id)?))
}

fn transfer(State(bank): State<Bank>, Json(order): Json<Transfer>) -> Result<StatusCode, BankError> {
    let mut accounts = bank.accounts();
    let had = balance(&accounts, order.from)?;
    let left = had.checked_sub(order.cents).ok_or(BankError::NotEnough { missing: order.cents.saturating_sub(had) })?;
    balance(&accounts, order.to)?;
    accounts[order.from] = left.to_string();
    let then = balance(&accounts, order.to)?.saturating_add(order.cents);
    accounts[order.to] = then.to_string();
    Ok(StatusCode::NO_CONTENT)
}

fn main() -> ExitCode {
    let stored = ["0", "1000", "50", "lost"].map(str::to_owned);
    App::new()
        .route("/accounts/{id}", get(show))
        .route("/transfers", post(transfer))
        .state(Bank(Arc::new(Mutex::new(stored.into()))))
        .run()
}
