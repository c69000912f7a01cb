//! A state that cannot be cloned.

use rws::{App, State, get};

struct Database;

fn show(State(_): State<Database>) {}

fn main() {
    let _ = App::new().route("/", get(show)).state(Database);
}
