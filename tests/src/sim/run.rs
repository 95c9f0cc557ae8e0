//! Runs seeds, and reports.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::plan::Plan;
use super::planted;
use super::trace::Trace;
use super::world::{Counts, World};
use crate::check::history::Summary;
use crate::clock::now;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only this seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// These seeds, as FIRST..END
    #[arg(long, value_parser = parse_range, conflicts_with = "seed")]
    pub seeds: Option<Range<u64>>,
    /// As many seeds as so many minutes of real time allow
    #[arg(long)]
    pub minutes: Option<u64>,
    /// Prints everything that happens; for one seed
    #[arg(long)]
    pub trace: bool,
    /// Runs each seed twice and compares
    #[arg(long)]
    pub twice: bool,
    /// Plants a bug that some seed must find: its name, or `all`; only in builds that have bugs to plant
    #[arg(long)]
    pub planted: Option<String>,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (low, high) = text.split_once("..").ok_or("expected FIRST..END")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is not a number"));
    Ok(number(low)?..number(high)?)
}

/// One run of a seed.
struct Finished {
    hash: u64,
    steps: u64,
    time: Duration,
    counts: Counts,
    elections: usize,
    verdict: Result<Summary, String>,
    lines: Vec<String>,
}

/// Runs seeds until they or the time are used up; a failure ends it.
///
/// covers: C-11
///
/// # Errors
/// The first broken promise, with the command that repeats the run.
pub fn run(options: &Options) -> Result<()> {
    if let Some(name) = &options.planted {
        return find_planted(name, options.minutes.unwrap_or(3));
    }
    let seeds = match (options.seed, &options.seeds) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => seeds.clone(),
        (None, None) => 0..u64::MAX,
    };
    let single = options.seed.is_some();
    let began = now();
    let limit = options
        .minutes
        .map(|minutes| Duration::from_secs(60 * minutes));
    let limit = limit
        .or((options.seed.is_none() && options.seeds.is_none()).then_some(Duration::from_secs(60)));
    let mut total = Total::default();
    for seed in seeds {
        if limit.is_some_and(|limit| now() - began >= limit) {
            break;
        }
        let finished = once(seed, false, options.trace && single);
        if let Err(violation) = &finished.verdict {
            report(seed, &finished, violation);
            anyhow::bail!("seed {seed} breaks a promise");
        }
        if options.twice {
            let again = once(seed, false, false);
            ensure!(
                (again.hash, again.steps) == (finished.hash, finished.steps),
                "C-11: seed {seed} ran differently the second time: {:x} after {} steps, then {:x} after {}",
                finished.hash,
                finished.steps,
                again.hash,
                again.steps
            );
        }
        if single {
            println!(
                "seed {seed}: trace {:016x}, {} steps",
                finished.hash, finished.steps
            );
        }
        total.add(&finished);
    }
    total.print(now() - began);
    Ok(())
}

/// Plants bugs, one after the other, and runs seeds until one finds each.
///
/// covers: C-12, P-L-02
fn find_planted(name: &str, minutes: u64) -> Result<()> {
    let chosen = |bug: &&str| name == "all" || **bug == *name;
    let bugs: Vec<&'static str> = planted::ALL.into_iter().filter(|bug| chosen(bug)).collect();
    ensure!(
        !bugs.is_empty(),
        "no bug has this name; there are: {}",
        planted::ALL.join(", ")
    );
    // A panic is how some are found; what it says is reported here.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for bug in &bugs {
        ensure!(
            planted::plant(bug),
            "this build has no bugs; use `cargo xtask sim --planted`"
        );
        let began = now();
        let limit = Duration::from_secs(60 * minutes);
        let found = (0..u64::MAX)
            .take_while(|_| now() - began < limit)
            .find_map(|seed| Some((seed, once(seed, false, false).verdict.err()?)));
        let took = (now() - began).as_secs_f64();
        match found {
            Some((seed, violation)) => {
                let short: String = violation.chars().take(150).collect();
                println!("planted {bug:?}: found by seed {seed} after {took:.1} s: {short}");
            }
            None => {
                println!("planted {bug:?}: NOT FOUND in {took:.0} s");
                missed.push(*bug);
            }
        }
    }
    planted::plant("");
    println!(
        "{} of {} planted bugs found",
        bugs.len() - missed.len(),
        bugs.len()
    );
    ensure!(missed.is_empty(), "not found: {}", missed.join(", "));
    Ok(())
}

fn once(seed: u64, lines: bool, aloud: bool) -> Finished {
    let mut world = World::new(Plan::new(seed), Trace::new(lines, aloud));
    let verdict = catch_unwind(AssertUnwindSafe(|| world.run()));
    let verdict = match verdict {
        Ok(Ok(summary)) => Ok(summary),
        Ok(Err(violation)) => Err(violation.to_string()),
        Err(panic) => Err(format!("a panic: {}", message(&*panic))),
    };
    Finished {
        hash: world.trace.hash(),
        steps: world.trace.steps(),
        time: world.time(),
        counts: world.counts,
        elections: world.truth.elections(),
        verdict,
        lines: world.trace.lines().map(str::to_owned).collect(),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "of an unknown kind".to_owned())
}

/// Repeats a failed run with lines, and says how anybody can.
fn report(seed: u64, finished: &Finished, violation: &str) {
    let again = once(seed, true, false);
    println!("-- the last steps of seed {seed}");
    again.lines.iter().for_each(|line| println!("{line}"));
    println!(
        "-- seed {seed}, step {}, {:?} of its time: {violation}",
        finished.steps, finished.time
    );
    if again.hash != finished.hash {
        println!(
            "-- C-11: the second run was another: {:x}, not {:x}",
            again.hash, finished.hash
        );
    }
    println!("-- to repeat: cargo xtask sim --seed {seed} --trace");
}

/// Sums over all seeds.
#[derive(Default)]
struct Total {
    seeds: u64,
    steps: u64,
    time: Duration,
    elections: usize,
    counts: Counts,
    summary: Summary,
}

impl Total {
    fn add(&mut self, finished: &Finished) {
        self.seeds += 1;
        self.steps += finished.steps;
        self.time += finished.time;
        self.elections += finished.elections;
        let (sum, one) = (&mut self.counts, &finished.counts);
        sum.crashes += one.crashes;
        sum.troubles += one.troubles;
        sum.renewals += one.renewals;
        sum.expired += one.expired;
        sum.watch_events += one.watch_events;
        sum.flushes += one.flushes;
        sum.states += one.states;
        sum.hashes += one.hashes;
        sum.damages += one.damages;
        sum.healed += one.healed;
        sum.healed_together += one.healed_together;
        sum.changes += one.changes;
        if let Ok(summary) = &finished.verdict {
            self.summary.answered += summary.answered;
            self.summary.refused += summary.refused;
            self.summary.unknown += summary.unknown;
            self.summary.found += summary.found;
        }
    }

    fn print(&self, took: Duration) {
        let speed = self.time.as_secs_f64() / took.as_secs_f64().max(1e-9);
        println!(
            "{} seeds, {} steps, {:.1} cluster-hours in {:.1} s ({speed:.0} to 1): {} troubles, {} crashes, {} elections, \
             {} answers, {} refusals, {} unknown ({} took place), {} renewals, {} leases ran out, {} watch events, {} flushes, {} copies of a state, \
             {} hashes of compactions, {} disks damaged, {} members healed, {} of them while others waited too, {} changes of members",
            self.seeds,
            self.steps,
            self.time.as_secs_f64() / 3600.0,
            took.as_secs_f64(),
            self.counts.troubles,
            self.counts.crashes,
            self.elections,
            self.summary.answered,
            self.summary.refused,
            self.summary.unknown,
            self.summary.found,
            self.counts.renewals,
            self.counts.expired,
            self.counts.watch_events,
            self.counts.flushes,
            self.counts.states,
            self.counts.hashes,
            self.counts.damages,
            self.counts.healed,
            self.counts.healed_together,
            self.counts.changes,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: C-11
    #[test]
    fn a_seed_is_one_run() {
        let run = |seed| {
            let finished = once(seed, false, false);
            finished.verdict.unwrap();
            (finished.hash, finished.steps)
        };
        let seeds = 3..6;
        let first: Vec<_> = seeds.clone().map(run).collect();
        let second: Vec<_> = seeds.map(run).collect();
        assert_eq!(first, second);
        assert!(first[0] != first[1] && first[1] != first[2]);
    }
}
