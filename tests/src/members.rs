//! The membership test: a cluster grows and shrinks under load, one member at a time, and loses nothing.
//!
//! Voters and learners come and go, the leader among them, while callers write through whichever members there are. Every
//! acknowledged write must be there at the end, on whoever is left; a member that is removed ends by itself, in good
//! order, and does not come back; what is left at the end survives a kill, and being cut off from all others for good.

mod fleet;
mod learner;
pub(crate) mod load;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use fleet::Fleet;
use load::Load;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Members at the height of it
    #[arg(long, default_value_t = 5)]
    pub members: usize,
    /// Callers at the same time
    #[arg(long, default_value_t = 4)]
    pub callers: u32,
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
}

impl Options {
    /// A short run.
    pub fn for_ci() -> Self {
        Self {
            members: 3,
            callers: 4,
            subject: None,
        }
    }
}

/// Runs it and prints what was checked.
///
/// # Errors
/// The first broken promise; the data are kept.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match runtime.block_on(grow_and_shrink(options, &binary, folder.path())) {
        Ok(summary) => {
            println!("members: {summary}");
            Ok(())
        }
        Err(error) => {
            let kept = folder.keep();
            Err(error).context(format!("data kept in {}", kept.display()))
        }
    }
}

// covers: M-02, M-03, M-09, P-M-01, P-M-02, P-KV-03, M-04, M-05, R-050, R-051, R-052, S-03
async fn grow_and_shrink(options: &Options, binary: &Path, folder: &Path) -> Result<String> {
    let mut fleet = Fleet::begin(binary, folder)?;
    let load = Load::start(fleet.endpoints(), options.callers);
    let mut steps = 0;
    while fleet.len() < options.members {
        if fleet.len() % 2 == 1 {
            fleet.add_learner_and_promote().await?;
        } else {
            fleet.add_voter().await?;
        }
        steps += 1;
        fleet.check(&load).await?;
    }
    fleet.move_leader().await?;
    while fleet.len() > 1 {
        if fleet.len() % 2 == 1 {
            fleet.remove_leader().await?;
        } else {
            fleet.remove_follower().await?;
        }
        steps += 1;
        fleet.check(&load).await?;
    }
    let written = load.finish().await?;
    ensure!(written.acknowledged() > 0, "no write was ever acknowledged");
    fleet.verify(&written).await?;
    fleet.kill_and_restart().await?;
    fleet.verify(&written).await?;
    let alone = cut_off(binary, &folder.join("cut-off")).await?;
    Ok(format!(
        "{steps} changes, {} writes acknowledged, {} unanswered; {alone}",
        written.acknowledged(),
        written.unanswered()
    ))
}

/// Two of three members are lost for good; the third goes on alone, with all that it had.
// covers: M-08
async fn cut_off(binary: &Path, folder: &Path) -> Result<String> {
    let mut fleet = Fleet::begin(binary, folder)?;
    fleet.add_voter().await?;
    fleet.add_voter().await?;
    let load = Load::start(fleet.endpoints(), 1);
    fleet.check(&load).await?;
    let written = load.finish().await?;
    fleet.lose_all_but_one().await?;
    fleet.verify(&written).await?;
    fleet.kill_and_restart().await?;
    fleet.verify(&written).await?;
    Ok(format!("a survivor kept {} writes", written.acknowledged()))
}
