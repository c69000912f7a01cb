//! Small charts as inline SVG: no script, no style attributes, and a text that says the same to who cannot see them.

use super::history::KEPT;
use super::html::Html;
use super::show::{latency, rate};

/// Units of a chart's height.
const HEIGHT: f64 = 24.0;

/// A bar for each second, the newest at the right; the second number is the part of the first that is drawn in red.
pub(super) fn bars(html: &mut Html, values: &[(f64, f64)], name: &str) {
    let highest = values.iter().map(|(value, _)| *value).fold(0.0, f64::max);
    open(html, &format!("{name}: {} at most", rate(highest)));
    let first = KEPT.saturating_sub(values.len());
    let scale = HEIGHT / highest.max(1.0);
    for (class, part) in [("ink", 0), ("fill-bad", 1)] {
        html.raw("<path class=").raw(class).raw(" d=\"");
        for (place, (whole, red)) in values.iter().enumerate() {
            let value = if part == 0 { whole } else { red };
            if *value > 0.0 {
                // Never so low that it cannot be seen.
                let height = (value * scale).max(1.0);
                let x = first + place;
                html.fmt(format_args!("M{x}.1 {HEIGHT}v-{height:.1}h.8V{HEIGHT}z"));
            }
        }
        html.raw("\"/>");
    }
    html.raw("</svg>");
}

/// A line through the seconds in which there was something.
pub(super) fn line(html: &mut Html, millis: &[Option<f64>], name: &str) {
    let highest = millis.iter().flatten().fold(0.0, |a: f64, b| a.max(*b));
    open(html, &format!("{name}: {} at most", latency((highest > 0.0).then_some(highest))));
    let first = KEPT.saturating_sub(millis.len());
    let scale = if highest > 0.0 { (HEIGHT - 1.0) / highest } else { 0.0 };
    html.raw("<path class=line d=\"");
    let mut pen_is_up = true;
    for (place, value) in millis.iter().enumerate() {
        let Some(value) = value else {
            pen_is_up = true;
            continue;
        };
        let (x, y) = (first + place, HEIGHT - value * scale);
        // A second between two without anything is a point, and a line must be long to be seen.
        html.raw(if pen_is_up { "M" } else { "L" }).fmt(format_args!("{x} {y:.1}h1"));
        pen_is_up = false;
    }
    html.raw("\"/></svg>");
}

fn open(html: &mut Html, label: &str) {
    html.raw("<svg role=img viewBox=\"0 0 60 24\" preserveAspectRatio=none aria-label=\"").text(label);
    html.raw("\"><path class=base d=\"M0 24H60\"/>");
}

/// How much of something is taken. The numbers stand beside it.
pub(super) fn meter(html: &mut Html, value: f64, most: f64) {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let class = match share {
        90.0.. => "fill-bad",
        70.0.. => "fill-fair",
        _ => "ink",
    };
    html.raw("<svg class=meter aria-hidden=true viewBox=\"0 0 100 8\" preserveAspectRatio=none><rect class=")
        .raw(class);
    html.fmt(format_args!(" height=8 width={share:.1}")).raw(" /></svg>");
}

/// The colour of something, where its name stands.
pub(super) fn key(html: &mut Html, class: &str) {
    html.raw("<svg class=key aria-hidden=true viewBox=\"0 0 8 8\"><rect height=8 width=8 class=")
        .raw(class)
        .raw(" /></svg>");
}
