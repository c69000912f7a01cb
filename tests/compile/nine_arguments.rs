//! One argument too many.

use rws::http::Method;
use rws::{App, get};

#[rustfmt::skip]
fn many(_: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method, _: Method) {}

fn main() {
    let _ = App::new().route("/", get(many));
}
