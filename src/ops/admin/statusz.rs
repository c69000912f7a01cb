//! `/statusz`: a page for people who ask themselves how the server is. Complete without a script; with it, it follows.
//!
//! What changes has an id and `data-live`: the script asks for the page again and puts each such part that differs in
//! the place of the old one. So there is one way only in which anything is shown.

use http::StatusCode;

use super::chart;
use super::configz::Format;
use super::html::{self, Html};
use super::show::{age, bytes, duration, grouped, latency, rate};
use super::status::{CheckStatus, Configuration, ErrorStatus, Status};
use super::{Admin, respond};
use crate::app::response::Response;
use crate::semantics::head::RequestHead;

impl Admin {
    pub(super) fn statusz(&self, head: &RequestHead) -> Response {
        let status = self.status();
        match Format::wanted(head, Format::Html) {
            Format::Json => match serde_json::to_string(&status) {
                Ok(json) => respond(StatusCode::OK, "application/json", json),
                Err(error) => {
                    tracing::error!(%error, "the status cannot be written as JSON");
                    Response::new(StatusCode::INTERNAL_SERVER_ERROR)
                }
            },
            Format::Html | Format::Text => {
                let live_part = head.query().is_some_and(|query| query.split('&').any(|pair| pair == "part=live"));
                html::respond(self.page(&status, live_part))
            }
        }
    }

    fn page(&self, status: &Status, live_part: bool) -> String {
        let verdict = Verdict::of(status);
        let title = format!("{}: {}", verdict.word, status.service.title());
        let mut html = if live_part { Html::part(&title) } else { Html::page(&title) };
        header(&mut html, status, &verdict, &self.handles.live.running().loaded.config);
        html.raw("<main>");
        tiles(&mut html, status);
        checks(&mut html, &status.checks);
        html.raw("<div class=\"third stack\">");
        life(&mut html, status);
        responses(&mut html, status);
        latencies(&mut html, status);
        html.raw("</div>");
        busy(&mut html, status);
        errors(&mut html, status);
        rest(&mut html, status);
        html.raw("</main>");
        if !live_part {
            html.script();
        }
        html.finish()
    }
}

/// How it is, in a word and a sentence.
struct Verdict {
    /// `good`, `fair` or `bad`.
    class: &'static str,
    word: &'static str,
    sentence: String,
}

impl Verdict {
    fn of(status: &Status) -> Self {
        let (class, word, sentence) = match status.state {
            "starting" => ("fair", "Starting", "It does not serve yet.".to_owned()),
            "ready" => return Self::of_ready(status),
            "draining" => {
                let sentence = "It serves what still comes, fails readiness so that less does, and then stops.";
                ("fair", "Draining", sentence.to_owned())
            }
            "stopping" => ("fair", "Stopping", stopping(status)),
            _ => ("fair", "Stopped", "The main server has ended; this page ends with the process.".to_owned()),
        };
        Verdict { class, word, sentence }
    }

    fn of_ready(status: &Status) -> Self {
        let named = |status_word: &str| {
            let of_kind = status.checks.iter().filter(|check| check.status == status_word);
            let named = |check: &CheckStatus| {
                let reason = check.reason.as_deref().unwrap_or("it does not say why");
                format!("{}: {reason}", check.name)
            };
            of_kind.map(named).collect::<Vec<_>>().join("; ")
        };
        let (failing, degraded) = (named("fail"), named("degraded"));
        let lives = !status.checks.iter().any(|check| check.status == "fail" && check.probes.contains(&"healthz"));
        let (class, word, sentence) = match (status.ready, lives) {
            (_, false) => ("bad", "Not healthy", failing),
            (false, true) => ("bad", "Not ready", failing),
            (true, true) if !degraded.is_empty() => ("fair", "Ready, degraded", degraded),
            (true, true) => ("good", "Ready", format!("All {} checks pass.", status.checks.len())),
        };
        Verdict { class, word, sentence }
    }
}

fn stopping(status: &Status) -> String {
    let connections = match status.connections.active {
        1 => "1 connection is".to_owned(),
        n => format!("{} connections are", grouped(n as u64)),
    };
    format!("It takes no new connections; {connections} left, {} requests in flight.", status.requests.active)
}

fn header(html: &mut Html, status: &Status, verdict: &Verdict, settings: &crate::config::Config) {
    let service = &status.service;
    html.raw("<header><h1>").text(&service.title()).raw("</h1>");
    html.raw("<p class=\"bar small quiet\"><span>rws ").text(service.version).raw("</span><span>process ");
    html.number(service.pid).raw("</span><span id=uptime data-live>up ").text(&age(status.uptime_seconds));
    html.raw("</span><span id=now data-live>as of <time datetime=\"").text(&status.now).raw("\">");
    html.text(&clock(&status.now, "")).raw("</time></span><button id=pause type=button hidden>Pause</button></p>");
    html.raw("<nav class=\"bar small\" aria-label=\"Admin port\"><a href=\"").text(&settings.metrics_path);
    html.raw("\">Metrics</a><a href=\"/configz\">Configuration</a>");
    html.raw("<a href=\"").text(&settings.healthz_path).raw("?verbose\">Liveness</a>");
    html.raw("<a href=\"").text(&settings.readyz_path).raw("?verbose\">Readiness</a>");
    html.raw("<a href=\"/statusz?format=json\">This page as JSON</a></nav>");
    // What announces changes stays; only what it says is replaced.
    html.raw("<p id=verdict role=status><span id=state data-live class=\"verdict ")
        .raw(verdict.class)
        .raw("\"><strong>");
    html.raw(verdict.word).raw("</strong><span>").text(&verdict.sentence).raw("</span></span></p></header>");
}

/// `2026-01-02T03:04:05Z` as people write it; without the date if that is the one of `now`.
fn clock(rfc3339: &str, now: &str) -> String {
    let (date, time) = rfc3339.trim_end_matches('Z').split_once('T').unwrap_or((rfc3339, ""));
    if now.starts_with(date) { format!("{time} UTC") } else { format!("{date} {time} UTC") }
}

fn tiles(html: &mut Html, status: &Status) {
    let requests = &status.requests;
    let history = &requests.history;
    let highest = history.iter().map(|second| second.requests).fold(0.0, f64::max);
    tile(html, "t-requests", "Requests", |html| {
        html.raw("<p class=figure>").text(&rate(requests.per_second)).raw("<small> per second</small></p>");
        let counts: Vec<_> = history.iter().map(|second| (second.requests, second.errors)).collect();
        chart::bars(html, &counts, "Requests per second in the last minute, those that failed in red");
        html.raw("<p class=\"small quiet\">").text(&rate(requests.per_second_1m)).raw(" over the last minute, ");
        html.text(&rate(highest)).raw(" at most; ").text(&grouped(requests.total)).raw(" in all</p>");
    });
    tile(html, "t-latency", "Latency, 99th percentile", |html| {
        html.raw("<p class=figure>").text(&latency(status.latency_ms.last_minute.p99)).raw("</p>");
        let line: Vec<_> = history.iter().map(|second| second.p99_ms).collect();
        chart::line(html, &line, "99th percentile of the latency, second by second");
        html.raw("<p class=\"small quiet\">over the last minute; median ");
        html.text(&latency(status.latency_ms.last_minute.p50)).raw("</p>");
    });
    let (failed, all) = (requests.by_class_1m[4], requests.by_class_1m.iter().sum::<u64>());
    let class = if failed > 0 { " bad" } else { "" };
    tile(html, "t-errors", "Server errors", |html| {
        html.raw("<p class=\"figure")
            .raw(class)
            .raw("\">")
            .text(&percent(failed, all))
            .raw("<small> of responses</small></p>");
        let counts: Vec<_> = history.iter().map(|second| (second.errors, second.errors)).collect();
        chart::bars(html, &counts, "Responses with status 500 and above per second in the last minute");
        html.raw("<p class=\"small quiet\">").text(&grouped(failed)).raw(" in the last minute, ");
        html.text(&grouped(requests.by_class[4])).raw(" in all</p>");
    });
    let workers = &status.workers;
    tile(html, "t-workers", "Workers busy", |html| {
        html.raw("<p class=figure>").text(&grouped(workers.busy as u64)).raw("<small> of ");
        html.text(&grouped(workers.most as u64)).raw("</small></p>");
        chart::meter(html, workers.busy as f64, workers.most as f64);
        html.raw("<p class=\"small quiet\">").text(&grouped(workers.queue as u64)).raw(" of ");
        html.text(&grouped(workers.queue_most as u64)).raw(" places in the queue taken, ");
        html.text(&grouped(workers.threads as u64)).raw(" threads</p>");
    });
    let connections = &status.connections;
    tile(html, "t-connections", "Connections", |html| {
        html.raw("<p class=figure>").text(&grouped(connections.active as u64)).raw("<small> of ");
        html.text(&grouped(connections.most as u64)).raw("</small></p>");
        chart::meter(html, connections.active as f64, connections.most as f64);
        html.raw("<p class=\"small quiet\">").text(&grouped(connections.accepted)).raw(" accepted in all</p>");
    });
    let process = &status.process;
    tile(html, "t-process", "Memory", |html| {
        html.raw("<p class=figure>").text(&bytes(process.resident_bytes)).raw("</p>");
        html.raw("<p class=\"small quiet\">").fmt(format_args!("{:.2}", process.cpus)).raw(" CPUs used</p>");
        html.raw("<p class=\"small quiet\">").text(&grouped(process.open_fds)).raw(" of ");
        html.text(&process.max_fds.map_or("any number of".to_owned(), grouped)).raw(" file descriptors, ");
        html.text(&grouped(process.threads)).raw(" threads</p>");
    });
}

fn tile(html: &mut Html, id: &str, title: &str, content: impl FnOnce(&mut Html)) {
    html.raw("<section class=\"tile third\" id=").raw(id).raw(" data-live><h2>").raw(title).raw("</h2>");
    content(html);
    html.raw("</section>");
}

fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) => "0 %".to_owned(),
        (part, whole) => format!("{:.2} %", part as f64 * 100.0 / whole.max(part) as f64),
    }
}

/// A part with a table whose body lives.
fn table(html: &mut Html, part: &Part<'_>, body: impl FnOnce(&mut Html)) {
    html.raw("<section class=").raw(part.width).raw("><div class=head><h2 id=h-").raw(part.id).raw(">").raw(part.title);
    html.raw("</h2><p class=\"small quiet\">")
        .raw(part.about)
        .raw("</p></div><div class=scroll tabindex=0 role=region aria-labelledby=h-");
    html.raw(part.id).raw("><table aria-labelledby=h-").raw(part.id).raw("><thead><tr>");
    for column in part.columns {
        let (class, name) = column.strip_prefix('#').map_or(("", *column), |name| (" class=number", name));
        html.raw("<th scope=col").raw(class).raw(">").raw(name).raw("</th>");
    }
    html.raw("</tr></thead><tbody id=").raw(part.id).raw(" data-live>");
    body(html);
    html.raw("</tbody></table></div></section>");
}

struct Part<'a> {
    id: &'a str,
    title: &'a str,
    about: &'a str,
    width: &'a str,
    /// Names; those that begin with `#` have numbers.
    columns: &'a [&'a str],
}

impl Part<'_> {
    fn empty(&self, html: &mut Html, text: &str) {
        html.raw("<tr><td class=quiet colspan=").number(self.columns.len()).raw(">").raw(text).raw("</td></tr>");
    }
}

fn checks(html: &mut Html, checks: &[CheckStatus]) {
    let part =
        Part { id: "checks", title: "Checks", about: "", width: "wide", columns: &["Check", "State", "Details"] };
    table(html, &part, |html| {
        for check in checks {
            let (class, word) = match check.status {
                "pass" => ("good", "✓ passes"),
                "degraded" => ("fair", "~ degraded"),
                _ => ("bad", "✗ fails"),
            };
            html.raw("<tr><th scope=row><code>").text(&check.name).raw("</code><br><span class=\"quiet small\">");
            html.raw(&check.probes.join(", ")).raw("</span></th><td class=\"fixed ").raw(class).raw("\">").raw(word);
            html.raw("</td><td>");
            html.text(check.reason.as_deref().unwrap_or_default());
            let details: Vec<String> = check.data.iter().map(|(name, value)| detail(name, value)).collect();
            html.raw(" <span class=\"quiet small\">").text(&details.join(", ")).raw("</span></td></tr>");
        }
    });
}

/// A figure of a check, its unit taken from its name.
fn detail(name: &str, value: &serde_json::Value) -> String {
    if let (Some(name), Some(millis)) = (name.strip_suffix("_ms"), value.as_f64()) {
        return format!("{} {}", name.replace('_', " "), duration(millis));
    }
    let words = name.replace('_', " ");
    match value {
        serde_json::Value::String(text) => format!("{words} {text}"),
        other => format!("{words} {other}"),
    }
}

fn life(html: &mut Html, status: &Status) {
    html.raw("<section><div class=head><h2>Life cycle</h2></div><ol class=times id=life data-live>");
    for (place, entered) in status.timeline.iter().enumerate() {
        let until = status.timeline.get(place + 1).map_or(0, |next| next.seconds_ago);
        html.raw("<li><strong>")
            .raw(entered.state)
            .raw("</strong><span class=quiet><time datetime=\"")
            .text(&entered.at);
        html.raw("\">").text(&clock(&entered.at, &status.now)).raw("</time>, for ");
        html.text(&age(entered.seconds_ago.saturating_sub(until))).raw("</span></li>");
    }
    html.raw("</ol></section>");
}

fn busy(html: &mut Html, status: &Status) {
    /// Older ones say enough.
    const SHOWN: usize = 20;
    let part = Part {
        id: "busy",
        title: "Requests that keep a worker busy",
        about: "The oldest first. Requests that are answered at once never show here.",
        width: "whole",
        columns: &["Route", "#For", "Request"],
    };
    table(html, &part, |html| {
        for request in status.in_flight.iter().take(SHOWN) {
            html.raw("<tr><th scope=row><code>").text(&request.method).raw(" ").text(&request.route);
            html.raw("</code></th><td class=number>")
                .text(&duration(request.age_ms))
                .raw("</td><td><code class=small>");
            html.text(&request.request_id).raw("</code></td></tr>");
        }
        match status.in_flight.len() {
            0 => part.empty(html, "None"),
            n if n > SHOWN => part.empty(html, &format!("and {} more", grouped((n - SHOWN) as u64))),
            _ => {}
        }
    });
}

fn responses(html: &mut Html, status: &Status) {
    const NAMES: [(&str, &str); 5] = [
        ("fill-quiet", "1xx informational"),
        ("fill-good", "2xx successful"),
        ("ink", "3xx redirection"),
        ("fill-fair", "4xx client error"),
        ("fill-bad", "5xx server error"),
    ];
    let lately = &status.requests.by_class_1m;
    let part = Part {
        id: "classes",
        title: "Responses",
        about: "",
        width: "whole",
        columns: &["Status", "#Last minute", "#In all"],
    };
    table(html, &part, |html| {
        // A final response is never 1xx.
        for (class, (fill, name)) in NAMES.iter().enumerate().skip(1) {
            html.raw("<tr><th scope=row>");
            chart::key(html, fill);
            html.raw(name).raw("</th><td class=number>").text(&grouped(lately[class]));
            html.raw("</td><td class=number>").text(&grouped(status.requests.by_class[class])).raw("</td></tr>");
        }
    });
}

fn latencies(html: &mut Html, status: &Status) {
    let part = Part {
        id: "latency",
        title: "Latency",
        about: "From the complete head to the end of the response.",
        width: "whole",
        columns: &["Percentile", "#Last minute", "#Since the start"],
    };
    let (lately, ever) = (&status.latency_ms.last_minute, &status.latency_ms.since_start);
    table(html, &part, |html| {
        for (name, lately, ever) in
            [("50th", lately.p50, ever.p50), ("90th", lately.p90, ever.p90), ("99th", lately.p99, ever.p99)]
        {
            html.raw("<tr><th scope=row>").raw(name).raw("</th><td class=number>").text(&latency(lately));
            html.raw("</td><td class=number>").text(&latency(ever)).raw("</td></tr>");
        }
    });
}

fn errors(html: &mut Html, status: &Status) {
    let part = Part {
        id: "errors",
        title: "Recent errors",
        about: "Status 500 and above, timeouts, panics. The access log has the rest.",
        width: "whole",
        columns: &["Time", "Route", "Status", "#Took", "Request and trace"],
    };
    table(html, &part, |html| {
        status.errors.iter().for_each(|error| error_row(html, error, &status.now));
        if status.errors.is_empty() {
            part.empty(html, "None since the start");
        }
        if status.errors_missed > 0 {
            part.empty(html, &format!("{} more came too fast to be listed", grouped(status.errors_missed)));
        }
    });
}

fn error_row(html: &mut Html, error: &ErrorStatus, now: &str) {
    html.raw("<tr><td class=fixed><time datetime=\"")
        .text(&error.at)
        .raw("\">")
        .text(&clock(&error.at, now))
        .raw("</time>");
    html.raw("<br><span class=\"quiet small\">").text(&age(error.seconds_ago)).raw(" ago</span></td><td><code>");
    html.text(error.method.as_deref().unwrap_or("no request")).raw(" ").text(&error.route).raw("</code></td>");
    html.raw("<td class=fixed><span class=bad>").number(error.status).raw("</span> ");
    html.raw(if error.outcome == "ok" { "" } else { error.outcome });
    if error.times > 1 {
        html.raw(" <span class=quiet>× ").text(&grouped(error.times)).raw("</span>");
    }
    html.raw("</td><td class=number>").text(&duration(error.duration_ms));
    html.raw("</td><td><code class=small>").text(&error.request_id).raw("</code>");
    if let Some(trace) = &error.trace_id {
        html.raw("<br><code class=\"small quiet\">").text(trace).raw("</code>");
    }
    html.raw("</td></tr>");
}

/// What is zero in good times.
fn rest(html: &mut Html, status: &Status) {
    let part = Part {
        id: "rest",
        title: "Since the start",
        about: "",
        width: "whole",
        columns: &["What", "#How often", "Meaning"],
    };
    let workers = &status.workers;
    table(html, &part, |html| {
        for (name, count, meaning) in [
            ("Handlers that panicked", workers.panics, "each was answered 500; the log has the place"),
            ("Requests turned away", workers.rejected, "all workers were busy and the queue was full: 503"),
            ("Handoffs", workers.handoffs, "a handler turned out to be slow, and its reactor went to another worker"),
            ("Log lines lost", status.log_lines_dropped, "stdout or stderr was too slow, or failed"),
        ] {
            html.raw("<tr><th scope=row>").raw(name).raw("</th><td class=number>").text(&grouped(count));
            html.raw("</td><td class=quiet>").raw(meaning).raw("</td></tr>");
        }
        let failed = status.connections.errors.iter().filter_map(|(kind, count)| Some((kind, count.as_u64()?)));
        for (kind, count) in failed.filter(|(_, count)| *count > 0) {
            html.raw("<tr><th scope=row>Connections that ended badly: ").text(&kind.replace('_', " "));
            html.raw("</th><td class=number>").text(&grouped(count)).raw("</td><td class=quiet></td></tr>");
        }
        configuration(html, &status.configuration, &status.now);
    });
}

fn configuration(html: &mut Html, configuration: &Configuration, now: &str) {
    let outcome = match (configuration.errors, configuration.pending) {
        (0, 0) => "in force as it is configured",
        (0, _) => "in force; some settings that were changed wait for the next start",
        _ => "in force; a later change was refused, see Configuration",
    };
    html.raw("<tr><th scope=row>Configuration</th><td class=number><time datetime=\"").text(&configuration.since);
    html.raw("\">")
        .text(&clock(&configuration.since, now))
        .raw("</time></td><td class=quiet>")
        .raw(outcome)
        .raw("</td></tr>");
}

/// The page at `/`: where everything is.
pub(super) fn index(admin: &Admin) -> Response {
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
