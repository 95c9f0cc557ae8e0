//! The differential test: one random client drives ferrod and the real etcd side by side, and every answer, error,
//! watch event and hash is compared.
//!
//! A seed gives the whole run. Operations are made one at a time, so both servers go through the same revisions; what
//! is asynchronous (watch streams) is compared whenever history is about to be forgotten and at the end. Where etcd
//! 3.5 may differ from the version that ferrod matches, `differences.rs` says how and why; nothing else is excused.

mod answer;
mod compare;
mod differences;
mod directed;
mod generate;
mod op;
mod pair;
mod side;
mod watchers;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use answer::Answer;
use generate::Generator;
use op::Op;
use pair::{Pair, ReferenceDied};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many seeds, each on fresh data
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// Random operations for each seed, after the fixed ones
    #[arg(long, default_value_t = 3000)]
    pub ops: usize,
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// The server that is right; the etcd of `cargo xtask install` if not given
    #[arg(long)]
    pub reference: Option<PathBuf>,
    /// Shows each operation as it is made
    #[arg(long)]
    pub verbose: bool,
}

impl Options {
    /// A few seeds of a few thousand operations.
    pub fn for_ci() -> Self {
        Self {
            seed: 1,
            seeds: 4,
            ops: 3000,
            subject: None,
            reference: None,
            verbose: false,
        }
    }
}

/// How often a seed is tried when the reference dies.
const TRIES: usize = 4;
/// Operations that are shown when one is answered differently.
const SHOWN: usize = 12;

/// Runs the chosen seeds and prints what was compared.
///
/// # Errors
/// The first difference, with the operations before it and the command that repeats it.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for seed in options.seed..options.seed + options.seeds {
        let mut done = runtime.block_on(run_seed(options, seed));
        for _ in 1..TRIES {
            match &done {
                Err(error) if error.is::<ReferenceDied>() => {
                    println!(
                        "seed {seed}: once more, because the real etcd has died: {error:.300}"
                    );
                    done = runtime.block_on(run_seed(options, seed));
                }
                _ => break,
            }
        }
        let repeat = format!(
            "repeat with: cargo xtask e2e differential --seed {seed} --ops {}",
            options.ops
        );
        println!("seed {seed}: {}", done.context(repeat)?);
    }
    Ok(())
}

async fn run_seed(options: &Options, seed: u64) -> Result<String> {
    let mut pair = Pair::start(options.reference.as_deref(), options.subject.as_deref()).await?;
    let mut generator = Generator::new(seed);
    let mut trace: Vec<(Op, Answer)> = Vec::new();
    let fixed = directed::ops();
    let total = fixed.len() + options.ops;
    let mut fixed = fixed.into_iter();
    for _ in 0..total {
        let op = match fixed.next() {
            Some(op) => op,
            None => generator.next(&pair),
        };
        if options.verbose {
            eprintln!("{op:?}");
        }
        match pair.step(&op).await {
            Ok(answer) => {
                generator.learn(&op, &answer);
                trace.push((op, answer));
            }
            Err(error) if error.is::<ReferenceDied>() => return Err(error),
            Err(error) => {
                let seen = show(&trace);
                let text = format!("{error:#}\nin operation {}: {op:?}\n{seen}", trace.len());
                bail!("{}", shorten(&text));
            }
        }
    }
    if let Err(error) = pair.settle().await {
        bail!(
            "{}",
            shorten(&format!("{error:#}\nat the end\n{}", show(&trace)))
        );
    }
    Ok(format!("{total} operations, {}", pair.summary()))
}

fn show(trace: &[(Op, Answer)]) -> String {
    let mut text = String::from("the operations before it:\n");
    let first = trace.len().saturating_sub(SHOWN);
    for (at, (op, answer)) in trace.iter().enumerate().skip(first) {
        text.push_str(&format!("{at:>6} {op:?}\n       -> {}\n", answer.brief()));
    }
    text
}

/// Cuts long keys and values in `text`, which are quoted.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::new();
    for (at, part) in text.split('"').enumerate() {
        if at > 0 {
            out.push('"');
        }
        match part.char_indices().nth(LONGEST) {
            Some((cut, _)) if at % 2 == 1 => {
                out.push_str(&format!("{}… {} characters", &part[..cut], part.len()));
            }
            _ => out.push_str(part),
        }
    }
    out
}
