//! The page of a single-page application, and which requests get it.

use std::io;
use std::sync::Arc;

use super::client::{self, Wish};
use crate::files::name::Name;
use crate::semantics::head::RequestHead;
use crate::semantics::target::is_below;

/// The page that a single-page application has for all its views: what is answered for `/orders/7`, where there is no file,
/// so that a view can be reloaded and sent to others.
///
/// | request | answer |
/// |---|---|
/// | a path that is a file or a directory's index | that |
/// | the last segment of the path has a dot in it: `/assets/app-1234.js` | 404, never a page in place of a script |
/// | the path lies below one of [`except`](Self::except) | 404 |
/// | the client does not want a page: Accept names other types only, or Sec-Fetch-Mode is not `navigate` | 404 |
/// | a client that names no type asks for what only health checks ask for: `/healthz`, `/ready`, `/ping` | 404 |
/// | [`unless`](Self::unless) says so | 404 |
/// | any other GET or HEAD | 200 with the page, `Cache-Control: no-cache`, validators, ranges |
#[derive(Clone, Debug)]
pub struct Spa {
    page: Arc<Name>,
    except: Vec<String>,
    unless: fn(&RequestHead) -> bool,
}

/// What health checks ask for whose path is wrong, and views are seldom called. A browser gets the page all the same.
const HEALTH: [&str; 20] = [
    "health",
    "healthz",
    "healthcheck",
    "health-check",
    "healthy",
    "live",
    "livez",
    "liveness",
    "alive",
    "ready",
    "readyz",
    "readiness",
    "startup",
    "startupz",
    "started",
    "ping",
    "status",
    "heartbeat",
    "up",
    "metrics",
];

impl Spa {
    /// The page is the file `page`, relative to the root: `index.html`. It need not be there yet.
    ///
    /// # Errors
    /// `InvalidInput` if no file can be called so.
    pub fn new(page: &str) -> io::Result<Spa> {
        let name = Name::parse(page).ok().filter(|name| !name.is_index());
        let name =
            name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{page:?} is no file's name")))?;
        Ok(Spa { page: Arc::new(name), except: Vec::new(), unless: |_| false })
    }

    /// Paths below which there are no views, compared with the path of the request segment by segment: `/api` stands for
    /// `/api` and `/api/users`, not for `/apiary`.
    #[must_use]
    pub fn except(mut self, prefixes: impl IntoIterator<Item = impl Into<String>>) -> Spa {
        self.except.extend(prefixes.into_iter().map(Into::into));
        self
    }

    /// Which requests never get the page, whatever they ask for: those of health checks, say, that have names of their own.
    #[must_use]
    pub fn unless(mut self, refused: fn(&RequestHead) -> bool) -> Spa {
        self.unless = refused;
        self
    }

    pub(in crate::files) fn page(&self) -> &Name {
        &self.page
    }

    /// Whether this GET or HEAD request, for which there is no file, gets the page.
    pub(super) fn answers(&self, head: &RequestHead) -> bool {
        let path = head.path();
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_file = last.contains('.') || last.to_ascii_lowercase().contains("%2e");
        let is_excepted = || self.except.iter().any(|prefix| is_below(path, prefix));
        let is_wanted = || match client::wish(head) {
            Wish::Page => true,
            Wish::Anything => !is_for_health_checks(path),
            Wish::Other => false,
        };
        !is_file && !is_excepted() && is_wanted() && !(self.unless)(head)
    }
}

fn is_for_health_checks(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    HEALTH.iter().any(|word| last.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::semantics::conditional::tests::head;

    /// Header fields of a request.
    type Fields<'a> = &'a [(&'a str, &'a str)];

    const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8");

    #[test]
    fn who_gets_the_page() {
        let spa = Spa::new("index.html").unwrap().except(["/api", "/internal/"]);
        let spa = spa.unless(|head| head.field("user-agent").is_some_and(|agent| agent.starts_with(b"kube-probe/")));
        let cases: &[(&str, Fields<'_>, bool)] = &[
            ("/orders/7", &[BROWSER], true),
            ("/orders/7/", &[BROWSER], true),
            ("/orders/7", &[], true),
            ("/v1.2/notes", &[BROWSER], true),
            ("/users/jane.doe/", &[BROWSER], true),
            ("/users/%C3%A9", &[BROWSER], true),
            ("/status", &[BROWSER], true),
            ("/apiary", &[BROWSER], true),
            // Files.
            ("/assets/app-1234.js", &[BROWSER], false),
            ("/assets/app-1234.js", &[("Accept", "*/*")], false),
            ("/users/jane.doe", &[BROWSER], false),
            ("/app%2ejs", &[BROWSER], false),
            ("/app%2Ejs", &[BROWSER], false),
            // Other things.
            ("/api", &[BROWSER], false),
            ("/api/users", &[BROWSER], false),
            ("/internal", &[BROWSER], false),
            ("/internal/x", &[BROWSER], false),
            // Other clients.
            ("/orders/7", &[("Accept", "application/json")], false),
            ("/orders/7", &[("Accept", "*/*"), ("Sec-Fetch-Mode", "cors")], false),
            ("/orders/7", &[BROWSER, ("User-Agent", "kube-probe/1.31")], false),
            // Health checks that name nobody.
            ("/healthz/", &[], false),
            ("/actuator/health", &[("Accept", "*/*")], false),
            ("/Ping", &[("Accept", "*/*")], false),
            ("/healthy-food", &[("Accept", "*/*")], true),
        ];
        for (path, fields, expected) in cases {
            assert_eq!(spa.answers(&head(Method::GET, path, fields)), *expected, "{path} {fields:?}");
        }
    }

    #[test]
    fn pages_have_the_names_of_files() {
        for page in ["index.html", "app/shell.html", "200.html"] {
            assert!(Spa::new(page).is_ok(), "{page}");
        }
        for page in ["", "/", "app/", "/index.html", "../index.html", ".hidden", "a\0", "%zz"] {
            assert_eq!(Spa::new(page).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{page}");
        }
    }
}
