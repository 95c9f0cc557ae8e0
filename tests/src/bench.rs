//! The benchmark: the same work on ferrod and on a peer, in turn, on the same disk.
//!
//! Rates on a small machine say as much about the load generator as about the server, so processor time of the server
//! for each operation, its memory and what it writes are measured beside them, and everything is given as a ratio to
//! the peer. Start reading in `scenario.rs`; `link.rs` says why the client is made here.

mod frame;
mod headers;
mod link;
mod load;
mod measure;
mod meter;
mod report;
mod requests;
mod scenario;
mod slow_sync;
mod stand;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::task::LocalSet;

use measure::Measure;
use report::Report;
use scenario::{ALL, CLUSTER, Scenario};
use stand::{Size, Stand};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The server to measure; ferrod if not given, and `none` to measure the peer alone
    #[arg(long)]
    subject: Option<PathBuf>,
    /// The server to compare with; the etcd of `cargo xtask install` if not given, and `none` for no comparison
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Only scenarios whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Length of a window in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Factor on the numbers of keys
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Members of the cluster, on loopback; with more than one, the scenarios of a cluster
    #[arg(long, default_value_t = 1)]
    members: usize,
    /// How often a leader is killed, and how often it is moved
    #[arg(long, default_value_t = 20)]
    repeats: u32,
    /// Folder for the data directories, on the disk to measure
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also writes the numbers as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also writes the table as Markdown, in place of the last one about so many members
    #[arg(long)]
    write: Option<PathBuf>,
    /// Lists the scenarios and ends
    #[arg(long)]
    list: bool,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// When a server does not start, refuses the work or ends.
pub fn run(options: &Options) -> Result<()> {
    let all = if options.members > 1 { CLUSTER } else { ALL };
    if options.list {
        for scenario in all {
            println!("{:<18} {}", scenario.name, scenario.work);
        }
        return Ok(());
    }
    let chosen = choose(all, &options.only);
    ensure!(
        !chosen.is_empty(),
        "no scenario is called like that; see --list"
    );
    let subject = binary(options.subject.as_deref(), crate::binaries::ferrod)?;
    let peer = binary(options.peer.as_deref(), || crate::binaries::etcd("etcd"))?;
    let dir = options
        .dir
        .clone()
        .unwrap_or_else(|| crate::binaries::target_dir().join("bench"));
    let size = Size {
        seconds: options.seconds,
        scale: options.scale,
        members: options.members.max(1),
        repeats: options.repeats,
    };
    let mut report = Report::new(subject.as_deref(), peer.as_deref(), size)?;
    let mut failed = Vec::new();
    for group in chosen.chunk_by(|a, b| a.shares_with(b)) {
        let mut measure = |binary: Option<&Path>, folder: &str| {
            let (measured, fault) = measure_group(binary, &dir.join(folder), group, size);
            failed.extend(fault.map(|fault| format!("{folder}: {fault:#}")));
            measured
        };
        let ours = measure(subject.as_deref(), "subject");
        let theirs = measure(peer.as_deref(), "peer");
        for (at, scenario) in group.iter().enumerate() {
            report.add(scenario, ours.get(at), theirs.get(at));
        }
    }
    print!("{}", report.table());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &options.write {
        let page = std::fs::read_to_string(path).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
        std::fs::write(path, report.put_into(&page)).with_context(|| path.display().to_string())?;
    }
    ensure!(
        failed.is_empty(),
        "some work could not be measured\n{}",
        failed.join("\n")
    );
    Ok(())
}

fn choose(all: &'static [Scenario], only: &[String]) -> Vec<&'static Scenario> {
    all.iter()
        .filter(|s| only.is_empty() || only.iter().any(|word| s.name.contains(word.as_str())))
        .collect()
}

fn binary(
    given: Option<&Path>,
    default: impl FnOnce() -> Result<PathBuf>,
) -> Result<Option<PathBuf>> {
    match given {
        Some(path) if path.as_os_str() == "none" => Ok(None),
        Some(path) => Ok(Some(path.to_owned())),
        None => default().map(Some),
    }
}

/// Runs scenarios that share a server, up to the first that fails; nothing without a server.
fn measure_group(
    binary: Option<&Path>,
    folder: &Path,
    group: &[&Scenario],
    size: Size,
) -> (Vec<Vec<Measure>>, Option<anyhow::Error>) {
    let mut all = Vec::new();
    let Some(binary) = binary else {
        return (all, None);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let run = measure_all(binary, folder, group, size, &mut all);
            LocalSet::new().block_on(&runtime, run)
        }
        Err(error) => Err(error.into()),
    };
    (all, ended.err())
}

async fn measure_all(
    binary: &Path,
    folder: &Path,
    group: &[&Scenario],
    size: Size,
    all: &mut Vec<Vec<Measure>>,
) -> Result<()> {
    let mut stand = Stand::start(binary, folder, size)?;
    if group[0].keys > 0 {
        stand
            .fill(size.keys(group[0].keys), group[0].value_len)
            .await?;
    }
    for scenario in group {
        eprintln!("{} on {}", scenario.name, binary.display());
        let measured = scenario.run(&mut stand).await.with_context(|| {
            format!(
                "{} failed; the server said\n{}",
                scenario.name,
                stand.log_tail(5)
            )
        })?;
        all.push(measured);
    }
    Ok(())
}
