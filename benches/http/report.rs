//! From measurements to a table in Markdown.

use std::fmt;

use crate::cases::{Case, Measured, SERVERS, YARDSTICK};

/// The measurements of one case.
pub(crate) struct Table {
    title: &'static str,
    pipelined: bool,
    measured: Vec<(&'static str, usize, Measured)>,
}

impl Table {
    pub(crate) fn new(case: &Case) -> Self {
        Table { title: case.title, pipelined: case.pipelined > 1, measured: Vec::new() }
    }

    pub(crate) fn add(&mut self, server: &'static str, round: usize, measured: Measured) {
        self.measured.push((server, round, measured));
    }

    fn of(&self, server: &str) -> impl Iterator<Item = (usize, &Measured)> {
        self.measured.iter().filter(move |(name, ..)| *name == server).map(|(_, round, measured)| (*round, measured))
    }

    /// CPU time of `server` over that of the yardstick in the same round: the median of the rounds.
    fn ratio(&self, server: &str) -> Option<f64> {
        let yardstick = |round| self.of(YARDSTICK).find(|(other, _)| *other == round);
        let ratios: Vec<f64> = self
            .of(server)
            .filter_map(|(round, measured)| Some(measured.cpu_micros / yardstick(round)?.1.cpu_micros))
            .collect();
        median(ratios)
    }

    fn row(&self, server: &str) -> Option<String> {
        let of = |figure: fn(&Measured) -> f64| -> Vec<f64> { self.of(server).map(|(_, m)| figure(m)).collect() };
        let rate = median(of(|m| m.load.requests_per_second))?;
        let cpu = of(|m| m.cpu_micros);
        let best = cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let latency = |figure| if self.pipelined { None } else { median(of(figure)) };
        let (p50, p99) = (latency(|m| m.load.p50_micros), latency(|m| m.load.p99_micros));
        Some(format!(
            "| {server} | {rate:.0} | {} | {} | {:.2} | {best:.2} | {} | {:.1} | {:.1} | {:.0} % |{}",
            cell(p50, 0),
            cell(p99, 0),
            median(cpu)?,
            cell(self.ratio(server), 2),
            of(|m| m.peak_kib as f64).into_iter().fold(0.0, f64::max) / 1024.0,
            median(of(|m| m.start.as_secs_f64() * 1e3))?,
            of(|m| m.others).into_iter().fold(0.0, f64::max) * 100.0,
            self.remarks(server),
        ))
    }

    /// What would make the figures worthless.
    fn remarks(&self, server: &str) -> String {
        let sum = |figure: fn(&Measured) -> u64| self.of(server).map(|(_, measured)| figure(measured)).sum::<u64>();
        let (failures, lost) = (sum(|m| m.load.failures), sum(|m| m.lost_lines));
        let remark = |count: u64, what: &str| if count > 0 { format!(" **{count} {what}**") } else { String::new() };
        remark(failures, "failures") + &remark(lost, "log lines lost")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        writeln!(
            f,
            "| server | req/s | p50 µs | p99 µs | CPU-µs/req | best | × {YARDSTICK} | peak MiB | start ms | others |"
        )?;
        writeln!(f, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for row in SERVERS.iter().filter_map(|server| self.row(server.name)) {
            writeln!(f, "{row}")?;
        }
        Ok(())
    }
}

fn cell(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.decimals$}"))
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(figures[middle]),
        _ => Some(figures[middle - 1].midpoint(figures[middle])),
    }
}
