//! The figures at the top of `/statusz`, each with what it was in the last minute or how much of something is taken.

use crate::ops::admin::chart;
use crate::ops::admin::html::Html;
use crate::ops::admin::show::{bytes, grouped, latency, rate};
use crate::ops::admin::status::Status;

/// Writes all of them.
pub(super) fn all(html: &mut Html, status: &Status) {
    let requests = &status.requests;
    let history = &requests.history;
    let highest = history.iter().map(|second| second.requests).fold(0.0, f64::max);
    tile(html, "t-requests", "Requests", |html| {
        html.raw("<p class=figure>").text(&rate(requests.per_second)).raw("<small> per second</small></p>");
        let counts: Vec<_> = history.iter().map(|second| (second.requests, second.errors)).collect();
        chart::bars(html, &counts, "Requests per second in the last minute, those that failed in red");
        html.raw("<p class=\"small quiet\">")
            .text(&rate(requests.per_second_1m))
            .raw(" a second over the last minute, ");
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
