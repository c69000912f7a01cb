//! Run with `cargo run --example cookies` and open <http://localhost:7878>, or without a browser:
//!
//! ```text
//! curl -i -c jar -d 'name=ada&password=lovelace' localhost:7878/sign-in
//! curl -b jar localhost:7878/
//! curl -b jar -c jar -X POST localhost:7878/sign-out
//! ```
//!
//! The session is in a cookie that browsers can neither read nor change, so no server keeps it and any replica can answer.
//! All of them need the same key: COOKIE_KEY_FILE names a file of 32 random bytes or more, of a Secret that is mounted.
//! Without it a key is made up, and the sessions end with the process.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rws::app::cookies::{Cookie, CookieKey, PrivateCookies};
use rws::app::middleware::Users;
use rws::{
    App, Context, Form, FromRequestParts, Html, IntoResponse, Problem, Redirect, Request, Response, State, StatusCode,
    get, post,
};
use serde::{Deserialize, Serialize};

const HOUR: Duration = Duration::from_secs(3600);
const SESSION: &str = "session";

const SIGN_IN: Html<&str> = Html(
    r#"<!doctype html><html lang="en"><title>Sign in</title>
<form method="post"><p><label>Name <input name="name"></label>
<p><label>Password <input name="password" type="password"></label>
<p><button>Sign in</button></form></html>"#,
);

/// What is in the cookie. Browsers may keep one longer than they are told: it says itself when it is over.
#[derive(Deserialize, Serialize)]
struct Session {
    name: String,
    until: SystemTime,
}

/// As an argument of a handler: whoever has no session is sent to where one gets it.
impl FromRequestParts for Session {
    type Rejection = Response;

    fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Response> {
        let cookies = PrivateCookies::from_request_parts(request, context).map_err(Problem::into_response)?;
        let session = cookies.get(SESSION).and_then(|cookie| serde_json::from_str(cookie.value()).ok());
        let session = session.filter(|session: &Session| SystemTime::now() < session.until);
        session.ok_or_else(|| Redirect::to("/sign-in").into_response())
    }

    fn check(context: &Context) -> Result<(), String> {
        PrivateCookies::check(context)
    }
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

fn sign_in(
    State(users): State<Arc<Users>>,
    cookies: PrivateCookies,
    Form(given): Form<Credentials>,
) -> Result<(PrivateCookies, Redirect), Problem> {
    if !users.has(&given.name, &given.password)? {
        return Err(Problem::new(StatusCode::FORBIDDEN).with_detail("no such user has this password"));
    }
    let session = Session { name: given.name, until: SystemTime::now() + HOUR };
    let session = serde_json::to_string(&session).map_err(Problem::internal)?;
    Ok((cookies.add(Cookie::new(SESSION, session)), Redirect::to("/")))
}

/// With POST: a link on another site could not be told from the user's wish, and `SameSite=Lax` keeps forms of others out.
fn sign_out(cookies: PrivateCookies) -> (PrivateCookies, Redirect) {
    (cookies.remove(SESSION), Redirect::to("/sign-in"))
}

fn home(session: Session) -> Html<String> {
    let name = session.name; // Plain text, since it is a name of the list of users.
    Html(format!(r#"Hello, {name}! <form action="/sign-out" method="post"><button>Sign out</button></form>"#))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let key = match std::env::var_os("COOKIE_KEY_FILE") {
        Some(file) => CookieKey::derive_from(&std::fs::read(file)?)?,
        None => CookieKey::generate()?,
    };
    let app = App::new().route("/", get(home)).route("/sign-in", get(|| SIGN_IN).post(sign_in));
    Ok(app.route("/sign-out", post(sign_out)).state(Arc::new(Users::htpasswd("ada:lovelace")?)).state(key).run())
}
