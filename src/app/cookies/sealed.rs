//! Cookies that clients cannot forge.

use cookie::Cookie;

use super::{CookieKey, Cookies};
use crate::app::context::Context;
use crate::app::extract::FromRequestParts;
use crate::app::into_response::{IntoResponse, ResponseParts};
use crate::app::problem::Problem;
use crate::app::request::Request;
use crate::app::response::{Headers, Response};

macro_rules! sealed {
    ($(#[$about:meta])* $name:ident: $jar:ident, $jar_mut:ident) => {
        $(#[$about])*
        #[must_use = "changes reach the client only if the cookies are returned: `(cookies, …)`"]
        #[derive(Clone, Debug)]
        pub struct $name {
            cookies: Cookies,
            key: CookieKey,
        }

        impl $name {
            /// The cookie called `name` with its value as it was added; `None` if there is none or its seal is broken.
            pub fn get(&self, name: &str) -> Option<Cookie<'static>> {
                self.opened(self.cookies.get(name)?)
            }

            /// All whose seals are whole, in no order.
            pub fn iter(&self) -> impl Iterator<Item = Cookie<'static>> {
                self.cookies.iter().filter_map(|cookie| self.opened(cookie))
            }

            /// The same and one more, in place of another of that name; with [the same defaults](Cookies).
            #[allow(clippy::should_implement_trait, reason = "cookies are added everywhere else, too")]
            pub fn add(mut self, cookie: impl Into<Cookie<'static>>) -> Self {
                let cookie = self.cookies.completed(cookie.into());
                self.cookies.jar.$jar_mut(self.key.newest()).add(cookie);
                self
            }

            /// The same without one that the client sent, whether or not its seal is whole; see [`Cookies::remove`].
            pub fn remove(mut self, cookie: impl Into<Cookie<'static>>) -> Self {
                self.cookies = self.cookies.remove(cookie);
                self
            }

            fn opened(&self, cookie: &Cookie<'static>) -> Option<Cookie<'static>> {
                let open = |key| sealed!(@open $jar, self.cookies.jar.$jar(key), cookie.clone());
                self.key.all().iter().find_map(open)
            }
        }

        impl FromRequestParts for $name {
            type Rejection = Problem;

            fn from_request_parts(request: &mut Request, context: &Context) -> Result<Self, Problem> {
                let key = context.state::<CookieKey>().cloned().ok_or_else(|| Problem::internal(missing(stringify!($name))))?;
                Ok($name { cookies: Cookies::of(request), key })
            }

            fn check(context: &Context) -> Result<(), String> {
                context.state::<CookieKey>().map(|_| ()).ok_or_else(|| missing(stringify!($name)))
            }
        }

        impl ResponseParts for $name {
            fn apply(self, headers: &mut Headers) -> Result<(), Problem> {
                self.cookies.apply(headers)
            }
        }

        /// An empty 200 that changes them.
        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                self.cookies.into_response()
            }
        }
    };
    (@open signed, $jar:expr, $cookie:expr) => { $jar.verify($cookie) };
    (@open private, $jar:expr, $cookie:expr) => { $jar.decrypt($cookie) };
}

fn missing(extractor: &str) -> String {
    format!("it takes {extractor}, but the application has no key for them; add `.state(…)` with a CookieKey")
}

sealed! {
    /// [`Cookies`] whose values clients can read but not change: each carries a signature over its value (HMAC-SHA256).
    ///
    /// One whose signature is missing or wrong is treated as absent. The name is not signed, nor is when the cookie ends: a
    /// value that must not be taken for another's, or not later, says so itself. Needs a [`CookieKey`] among the application's
    /// states, or the application cannot be built.
    ///
    /// ```
    /// use rws::app::cookies::{Cookie, CookieKey, SignedCookies};
    /// use rws::app::{App, TestClient, get};
    ///
    /// fn count(cookies: SignedCookies) -> (SignedCookies, String) {
    ///     let visits = cookies.get("visits").and_then(|cookie| cookie.value().parse().ok()).unwrap_or(0) + 1;
    ///     (cookies.add(Cookie::new("visits", visits.to_string())), visits.to_string())
    /// }
    ///
    /// let key = CookieKey::derive_from(&[7; 32])?;
    /// let client = TestClient::new(App::new().route("/", get(count)).state(key))?;
    /// let first = client.get("/").send();
    /// let signed = first.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
    /// assert_eq!(client.get("/").header("cookie", signed).send().text(), "2");
    /// assert_eq!(client.get("/").header("cookie", "visits=1000000").send().text(), "1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    SignedCookies: signed, signed_mut
}

sealed! {
    /// [`Cookies`] whose values clients can neither read nor change: they are encrypted together with their names
    /// (AES-256-GCM).
    ///
    /// One that cannot be decrypted is treated as absent. When it ends is not protected: a value that must not be used later
    /// says so itself. Needs a [`CookieKey`] among the application's states, or the application cannot be built.
    ///
    /// ```
    /// use rws::app::cookies::{Cookie, CookieKey, PrivateCookies};
    /// use rws::app::{App, Redirect, TestClient, get, post};
    ///
    /// fn sign_in(cookies: PrivateCookies) -> (PrivateCookies, Redirect) {
    ///     (cookies.add(Cookie::new("user", "7")), Redirect::to("/"))
    /// }
    /// fn home(cookies: PrivateCookies) -> String {
    ///     cookies.get("user").map_or("nobody".to_owned(), |user| user.value().to_owned())
    /// }
    ///
    /// let key = CookieKey::derive_from(&[7; 32])?;
    /// let app = App::new().route("/", get(home)).route("/sign-in", post(sign_in)).state(key);
    /// let client = TestClient::new(app)?;
    /// let response = client.post("/sign-in").send();
    /// let sealed = response.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
    /// assert_eq!(client.get("/").header("cookie", sealed).send().text(), "7");
    /// assert_eq!(client.get("/").header("cookie", "user=7").send().text(), "nobody");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    PrivateCookies: private, private_mut
}
