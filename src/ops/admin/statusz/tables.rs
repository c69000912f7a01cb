//! The tables of `/statusz`: checks, the life cycle, what workers are at, what was answered and what went wrong.

use crate::ops::admin::chart;
use crate::ops::admin::html::Html;
use crate::ops::admin::show::{age, clock, duration, grouped, latency};
use crate::ops::admin::status::{CheckStatus, Configuration, ErrorStatus, Status};

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

pub(super) fn checks(html: &mut Html, checks: &[CheckStatus]) {
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

pub(super) fn life(html: &mut Html, status: &Status) {
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

pub(super) fn busy(html: &mut Html, status: &Status) {
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

pub(super) fn responses(html: &mut Html, status: &Status) {
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

pub(super) fn latencies(html: &mut Html, status: &Status) {
    let part = Part {
        id: "latency",
        title: "Latency",
        about: "From the complete head to the end of the response.",
        width: "whole",
        columns: &["Percentile", "#Last minute", "#In all"],
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

pub(super) fn errors(html: &mut Html, status: &Status) {
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
pub(super) fn rest(html: &mut Html, status: &Status) {
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
