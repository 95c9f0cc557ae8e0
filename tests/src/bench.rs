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
mod stand;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::task::LocalSet;

use measure::Measure;
use report::Report;
use scenario::{ALL, Scenario};
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
    /// Folder for the data directories, on the disk to measure
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also writes the numbers as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Also writes the table as Markdown
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
    if options.list {
        for scenario in ALL {
            println!("{:<18} {}", scenario.name, scenario.work);
        }
        return Ok(());
    }
    let chosen = choose(&options.only);
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
    };
    let mut report = Report::new(subject.as_deref(), peer.as_deref(), size)?;
    for group in chosen.chunk_by(|a, b| a.shares_with(b)) {
        let ours = measure_group(subject.as_deref(), &dir.join("subject"), group, size)?;
        let theirs = measure_group(peer.as_deref(), &dir.join("peer"), group, size)?;
        for (at, scenario) in group.iter().enumerate() {
            report.add(scenario, ours.get(at), theirs.get(at));
        }
    }
    print!("{}", report.table());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json()?).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &options.write {
        std::fs::write(path, report.page()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn choose(only: &[String]) -> Vec<&'static Scenario> {
    ALL.iter()
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

/// Runs scenarios that share a server; empty without one.
fn measure_group(
    binary: Option<&Path>,
    folder: &Path,
    group: &[&Scenario],
    size: Size,
) -> Result<Vec<Vec<Measure>>> {
    let Some(binary) = binary else {
        return Ok(Vec::new());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut stand = Stand::start(binary, folder, size)?;
        if group[0].keys > 0 {
            stand
                .fill(size.keys(group[0].keys), group[0].value_len)
                .await?;
        }
        let mut all = Vec::new();
        for scenario in group {
            eprintln!("{} on {}", scenario.name, binary.display());
            let measured = scenario.run(&mut stand).await;
            all.push(measured.with_context(|| format!("{} failed", scenario.name))?);
        }
        Ok(all)
    })
}
