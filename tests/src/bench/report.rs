//! The numbers as a table for the terminal, a page for the repository and JSON for programs.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use super::measure::{Demand, Measure, Verdict};
use super::scenario::Scenario;
use super::stand::Size;

/// All results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    command: String,
    machine: String,
    subject: String,
    peer: String,
    seconds: f64,
    scale: f64,
    members: usize,
    rows: Vec<Row>,
}

/// One measure on both servers.
#[derive(Debug, Serialize)]
struct Row {
    scenario: &'static str,
    work: &'static str,
    measure: &'static str,
    unit: &'static str,
    subject: Option<f64>,
    peer: Option<f64>,
    ratio: Option<f64>,
    demand: Option<Demand>,
    verdict: Option<Verdict>,
}

impl Report {
    pub(crate) fn new(subject: Option<&Path>, peer: Option<&Path>, size: Size) -> Result<Self> {
        Ok(Self {
            date: first_line(Command::new("date").arg("+%Y-%m-%d")),
            command: command_line(),
            machine: machine(),
            subject: subject.map_or_else(|| "none".to_owned(), version),
            peer: peer.map_or_else(|| "none".to_owned(), version),
            seconds: size.seconds,
            scale: size.scale,
            members: size.members,
            rows: Vec::new(),
        })
    }

    /// Adds the measures of one scenario; either side may be missing.
    pub(crate) fn add(
        &mut self,
        scenario: &Scenario,
        subject: Option<&Vec<Measure>>,
        peer: Option<&Vec<Measure>>,
    ) {
        let Some(shape) = subject.or(peer) else {
            return;
        };
        for (at, Measure { name, unit, .. }) in shape.iter().enumerate() {
            let ours = subject.map(|m| m[at].value);
            let theirs = peer.map(|m| m[at].value);
            let ratio = ours.zip(theirs).map(|(o, t)| o / t);
            let ratio = ratio.filter(|r| r.is_finite());
            let demand = scenario
                .demands
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, d)| *d);
            self.rows.push(Row {
                scenario: scenario.name,
                work: scenario.work,
                measure: name,
                unit,
                subject: ours,
                peer: theirs,
                ratio,
                demand,
                verdict: demand.and_then(|d| d.judge(ours, ratio)),
            });
        }
    }

    /// The table for the terminal.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{:<17} {:<20} {:>12} {:>12} {:<8} {:>7}  {:<18} verdict\n",
            "scenario", "measure", "subject", "peer", "unit", "ratio", "must (aim)"
        );
        for row in &self.rows {
            let line = format!(
                "{:<17} {:<20} {:>12} {:>12} {:<8} {:>7}  {:<18} {}",
                row.scenario,
                row.measure,
                show(row.subject),
                show(row.peer),
                row.unit,
                row.ratio.map_or_else(String::new, |r| format!("{r:.2}")),
                text(row.demand),
                text(row.verdict),
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// The section of `docs/benchmarks.md` about so many members, with its heading.
    fn section(&self) -> String {
        let mut out = format!(
            "{heading}\n\n\
             Latest run, on {date}: {machine}.\n\
             `{command}`\n\n\
             Windows of {seconds} s, key counts times {scale}.\n\n\
             - subject: {subject}\n\
             - peer: {peer}\n\n\
             | Work | Measure | ferrod | peer | unit | ratio | demand | verdict |\n\
             |---|---|---:|---:|---|---:|---|---|\n",
            heading = heading(self.members),
            date = self.date,
            machine = self.machine,
            command = self.command,
            seconds = self.seconds,
            scale = self.scale,
            subject = self.subject,
            peer = self.peer,
        );
        let mut last = "";
        for row in &self.rows {
            let work = if row.scenario == last { "" } else { row.work };
            last = row.scenario;
            out.push_str(&format!(
                "| {work} | {} | {} | {} | {} | {} | {} | {} |\n",
                row.measure,
                show(row.subject),
                show(row.peer),
                row.unit,
                row.ratio.map_or_else(String::new, |r| format!("{r:.2}")),
                text(row.demand),
                text(row.verdict),
            ));
        }
        out
    }

    /// `page` with this run's table in place of the last one about so many members.
    ///
    /// A section reaches from its heading to the next one of the same level.
    pub(crate) fn put_into(&self, page: &str) -> String {
        let (heading, section) = (heading(self.members), self.section());
        let Some(from) = page.find(&heading) else {
            return format!("{}\n\n{section}", page.trim_end());
        };
        let rest = &page[from + heading.len()..];
        match rest.find("\n## ") {
            Some(next) => format!("{}{section}{}", &page[..from], &rest[next..]),
            None => format!("{}{section}", &page[..from]),
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }
}

fn heading(members: usize) -> String {
    match members {
        1 => "## One member".to_owned(),
        n => format!("## {n} members"),
    }
}

fn text(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn show(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(v) if v >= 100.0 => format!("{v:.0}"),
        Some(v) => format!("{v:.2}"),
    }
}

/// The command that gives this table again.
fn command_line() -> String {
    let args: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask bench {}", args.join(" "))
        .trim_end()
        .to_owned()
}

fn version(binary: &Path) -> String {
    first_line(Command::new(binary).arg("--version"))
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim())
        .to_owned();
    format!("{cores} cores of {model}")
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|o| o.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output)
        .lines()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_replaces_its_own_section_only() {
        let size = Size {
            seconds: 1.0,
            scale: 1.0,
            members: 1,
            repeats: 1,
        };
        let report = Report::new(None, None, size).expect("nothing is measured");
        let page = "# Benchmarks\n\n## One member\n\nold\n\n## 3 members\n\nkept\n";
        let page = report.put_into(page);
        assert!(!page.contains("old") && page.ends_with("## 3 members\n\nkept\n"));
        assert_eq!(page.matches("## One member").count(), 1);
        let added = report.put_into("# Benchmarks\n");
        assert!(added.starts_with("# Benchmarks\n\n## One member\n\nLatest run"));
    }
}
