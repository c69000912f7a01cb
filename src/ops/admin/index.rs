//! The page at `/` of the admin port: where everything is.

use super::Admin;
use super::html::{self, Html};
use crate::app::response::Response;

/// The page.
pub(super) fn page(admin: &Admin) -> Response {
    let running = admin.handles.live.running();
    let settings = &running.loaded.config;
    let mut html = Html::page(&admin.identity.title());
    html.raw("<h1>").text(&admin.identity.title()).raw("</h1><p class=quiet>Admin port of rws ");
    html.raw(admin.identity.version).raw("</p><ul>");
    for (path, query, about) in [
        ("/statusz", "", "how it is, what it does, what went wrong lately"),
        ("/configz", "", "every setting, its value and where it came from"),
        (settings.metrics_path.as_str(), "", "figures for Prometheus"),
        (settings.healthz_path.as_str(), "?verbose", "the liveness probe"),
        (settings.readyz_path.as_str(), "?verbose", "the readiness probe"),
        (settings.startupz_path.as_str(), "?verbose", "the startup probe"),
    ] {
        html.raw("<li><a href=\"").text(path).raw(query).raw("\"><code>").text(path).raw("</code></a>: ").raw(about);
        html.raw("</li>");
    }
    html.raw("<li><code>POST /drain</code>: serve what still comes, then stop, as after SIGTERM</li></ul>");
    html::respond(html.finish())
}
