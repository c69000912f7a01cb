//! `/statusz`: a page for people who ask themselves how the server is. Complete without a script; with it, it follows.
//!
//! What changes has an id and `data-live`: the script asks for the page again and puts each such part that differs in
//! the place of the old one. So there is one way only in which anything is shown.

mod tables;
mod tiles;

use http::StatusCode;

use super::configz::Format;
use super::html::{self, Html};
use super::show::{age, clock, grouped};
use super::status::{CheckStatus, Status};
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
        tiles::all(&mut html, status);
        tables::checks(&mut html, &status.checks);
        html.raw("<div class=\"third stack\">");
        tables::life(&mut html, status);
        tables::responses(&mut html, status);
        tables::latencies(&mut html, status);
        html.raw("</div>");
        tables::busy(&mut html, status);
        tables::errors(&mut html, status);
        tables::rest(&mut html, status);
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
