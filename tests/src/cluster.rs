//! Real members in network namespaces of their own, under load, while processes die, stand still and lose each other.
//!
//! Each story runs clients on all members, brings trouble, ends it, and then demands three things: the cluster takes
//! writes again, all members hold the same, and everything that any client was told is strictly serializable.
//!
//! Namespaces need Linux and the right to make them; without, the suite says so and does not run.

mod clients;
mod deaths;
mod far_behind;
mod foreign;
mod judge;
mod leases;
mod network;
mod story;
mod subscribers;
mod team;
mod weather;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use foreign::Foreign;
use network::Network;
use story::Story;
use team::Team;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Only these stories
    #[arg(long, value_enum)]
    pub story: Vec<Story>,
    /// How often each story is told
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// Chooses the work
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long trouble lasts, in milliseconds
    #[arg(long, default_value_t = 4000)]
    pub trouble: u64,
    /// The server under test, built with failpoints; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// Keeps what clients were told, in the layout of etcd's robustness reports; of a failed story it is kept anyway
    #[arg(long)]
    pub export: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            story: Vec::new(),
            rounds: 1,
            seed: 1,
            trouble: 4000,
            subject: None,
            export: None,
        }
    }
}

/// Work before trouble and after it.
const CALM: Duration = Duration::from_millis(1500);

/// Tells the stories and prints a line for each.
///
/// # Errors
/// The first broken promise; the members' data and logs are kept then.
pub fn run(options: &Options) -> Result<()> {
    if let Err(reason) = network::can_make() {
        println!(
            "cluster: NOT RUN: {reason:#}. Nothing was proved about members that lose each other."
        );
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let all = Story::value_variants().iter().copied();
    let (by_default, others): (Vec<_>, Vec<_>) = all.partition(|story| story.by_default());
    let stories = if options.story.is_empty() {
        for story in others {
            let name = story.name();
            println!("cluster: NOT RUN: {name}; ask for it with --story {name}");
        }
        by_default
    } else {
        options.story.clone()
    };
    let mut foreign = Foreign::find();
    let mut total = judge::Summary::default();
    for round in 0..options.rounds {
        for story in &stories {
            let folder = tempfile::tempdir()?;
            let seed = options.seed + u64::from(round);
            let report = report_folder(options, *story, seed);
            let told = runtime.block_on(tell(options, *story, seed, folder.path(), &report));
            match told.and_then(|summary| abroad(foreign.as_mut(), &report, summary)) {
                Ok(summary) => {
                    println!("cluster: {:<28} {summary}", story.name());
                    total.add(&summary);
                    if options.export.is_none() && report.exists() {
                        std::fs::remove_dir_all(&report)?;
                    }
                }
                Err(error) => {
                    let kept = folder.keep();
                    return Err(error).context(format!(
                        "story {}, seed {seed}; data kept in {}, what clients were told in {}",
                        story.name(),
                        kept.display(),
                        report.display()
                    ));
                }
            }
        }
    }
    println!(
        "cluster: {} stories; {total}",
        stories.len() * options.rounds as usize
    );
    match foreign {
        Some(foreign) => println!("cluster: {} of them by etcd's judge, too", foreign.judged),
        None => println!(
            "cluster: NOT JUDGED by etcd's own judge, which `cargo xtask install judge` brings"
        ),
    }
    Ok(())
}

fn report_folder(options: &Options, story: Story, seed: u64) -> PathBuf {
    let own = || crate::binaries::target_dir().join("reports");
    let base = options.export.clone().unwrap_or_else(own);
    base.join(format!("{}-{seed}", story.name()))
}

/// Has a story judged by others.
fn abroad(
    foreign: Option<&mut Foreign>,
    report: &std::path::Path,
    summary: judge::Summary,
) -> Result<judge::Summary> {
    if let Some(foreign) = foreign
        && report.exists()
    {
        foreign.judge(report)?;
    }
    Ok(summary)
}

async fn tell(
    options: &Options,
    story: Story,
    seed: u64,
    folder: &std::path::Path,
    report: &std::path::Path,
) -> Result<judge::Summary> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod_with_failpoints()?,
    };
    let network = Network::make(story.members())?;
    let mut team = Team::start(&binary, folder, network, story, seed).await?;
    let clients = clients::Clients::start(&team.endpoints(), seed).await?;
    let subscribers = subscribers::Subscribers::start(&team.endpoints(), seed);
    tokio::time::sleep(CALM).await;
    let before = clients.writes();
    ensure!(before > 0, "no write was answered before any trouble");
    story
        .bring(&mut team, Duration::from_millis(options.trouble))
        .await?;
    team.wait_ready().await?;
    let healed = clients.writes();
    tokio::time::sleep(CALM).await;
    ensure!(
        clients.writes() > healed,
        "no write was answered after the trouble was over"
    );
    let (operations, longest_gap) = clients.stop().await?;
    let subscriptions = subscribers.stop().await?;
    let report = story.has_report().then_some(report);
    let mut summary = judge::judge(&team, &operations, &subscriptions, report).await?;
    summary.longest_gap = longest_gap;
    Ok(summary)
}
