//! The crash test: a member under load is killed at random moments, started again, and asked for its history.
//!
//! After each start the whole history since the last one is read back by a watch. Every acknowledged write must be in
//! it under its revision; an unanswered one may be, once, whole; nothing else may. Revisions have no holes and are
//! never used twice, events that were delivered before the crash are still true, leases and compactions are kept.

pub mod failpoints;
mod history;
mod ledger;
mod load;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::member::{Member, Setup};
use crate::wire::Wire;
use ledger::Ledger;
use load::Load;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How often the member is killed
    #[arg(long, default_value_t = 200)]
    pub rounds: u32,
    /// Chooses the moments and the work
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Callers at the same time
    #[arg(long, default_value_t = 8)]
    pub callers: u32,
    /// Longest life in milliseconds
    #[arg(long, default_value_t = 400)]
    pub life: u64,
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rounds: 200,
            seed: 1,
            callers: 8,
            life: 400,
            subject: None,
        }
    }
}

/// Compactions come every so many rounds.
const COMPACT_EVERY: u32 = 9;

/// Runs the rounds and prints what was checked.
///
/// # Errors
/// The first broken promise, with the command that repeats the run.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(run_rounds(options, &binary, folder.path())) {
        Ok(summary) => {
            println!("crash: {summary}");
            Ok(())
        }
        Err(error) => {
            let kept = folder.keep();
            Err(error).context(format!(
                "data kept in {}; repeat with: cargo xtask e2e crash --seed {} --rounds {}",
                kept.display(),
                options.seed,
                options.rounds
            ))
        }
    }
}

async fn run_rounds(options: &Options, binary: &Path, folder: &Path) -> Result<String> {
    let setup = Setup::new(binary, folder)?;
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let mut ledger = Ledger::default();
    for round in 0..=options.rounds {
        let member = setup
            .start()
            .with_context(|| format!("start of round {round}"))?;
        let wire = Wire::connect(&setup.endpoint()).await?;
        history::check(&wire, &mut ledger)
            .await
            .with_context(|| format!("round {round}"))?;
        if round == options.rounds {
            break;
        }
        if round % COMPACT_EVERY == COMPACT_EVERY - 1 {
            ledger.compact(&wire).await?;
        }
        live_and_die(member, &setup, options, round, &mut rng, &mut ledger).await?;
    }
    ensure!(ledger.acknowledged() > 0, "no write was ever acknowledged");
    Ok(ledger.summary(options.rounds))
}

/// One life under load, ended by SIGKILL.
async fn live_and_die(
    member: Member,
    setup: &Setup,
    options: &Options,
    round: u32,
    rng: &mut fastrand::Rng,
    ledger: &mut Ledger,
) -> Result<()> {
    let load = Load::start(&setup.endpoint(), options.callers, round, rng.fork()).await?;
    let seen = history::listen(&setup.endpoint(), ledger.verified() + 1).await?;
    tokio::time::sleep(Duration::from_millis(rng.u64(20..=options.life))).await;
    member.kill()?;
    ledger.add(load.finish().await?)?;
    ledger.delivered(seen.finish().await);
    Ok(())
}
