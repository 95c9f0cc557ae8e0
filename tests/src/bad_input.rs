//! Bad input: what a hostile or clumsy client, operator or disk does. Each must end in a clear error with the reason,
//! in an exit code other than zero where it is fatal, and with nothing lost.

mod disk;
pub(crate) mod operator;
mod peer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{PutRequest, RangeRequest};

use crate::member::{Member, Setup};
use crate::wire::Wire;

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// Only checks whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

/// How a check ended, if not by a fault.
#[derive(Debug)]
enum Ended {
    Passed,
    /// This machine cannot do it, for this reason.
    Skipped(String),
}

/// A name and a check on a server of its own.
type Check = (&'static str, fn(&Ground) -> Result<Ended>);

const CHECKS: &[Check] = &[
    ("oversize requests", peer::oversize_requests),
    ("garbage bytes", peer::garbage_bytes),
    ("garbage after the preface", peer::garbage_frames),
    ("garbage over HTTP/1", peer::garbage_http),
    ("a flood of headers", peer::header_flood),
    ("a flood of resets", peer::reset_flood),
    ("connections that say nothing", peer::silent_connections),
    ("unknown flags", operator::unknown_flags),
    ("values that no flag takes", operator::bad_values),
    ("a port in use", operator::port_in_use),
    (
        "two processes on one directory",
        operator::two_on_one_directory,
    ),
    ("a foreign directory", disk::foreign_directory),
    ("a directory that is a file", disk::directory_is_a_file),
    ("a flipped bit in the log", disk::flipped_bit),
    ("a cut log", disk::cut_log),
    ("a lost segment of the log", disk::lost_segment),
    ("a full disk", disk::full_disk),
];

/// Where a check takes place.
#[derive(Debug)]
struct Ground {
    binary: PathBuf,
    folder: tempfile::TempDir,
}

/// Runs all chosen checks.
///
/// # Errors
/// When one found a fault.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, check) in CHECKS {
        if !options.only.is_empty() && !options.only.iter().any(|word| name.contains(word)) {
            continue;
        }
        let ground = Ground {
            binary: binary.clone(),
            folder: tempfile::tempdir()?,
        };
        match check(&ground) {
            Ok(Ended::Passed) => {
                passed += 1;
                println!("bad input: {name}: ok");
            }
            Ok(Ended::Skipped(reason)) => {
                skipped += 1;
                println!("bad input: {name}: SKIPPED, NOT TESTED HERE: {reason}");
            }
            Err(error) => {
                failed += 1;
                println!("bad input: {name}: FAILED: {error:#}");
            }
        }
    }
    println!("bad input: {passed} passed, {failed} failed, {skipped} skipped");
    ensure!(failed == 0, "{failed} checks failed");
    Ok(())
}

impl Ground {
    fn setup(&self) -> Result<Setup> {
        Setup::new(&self.binary, &self.folder.path().join("member"))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Runs a check that talks gRPC.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

/// Puts key number `number`; its value is told by its number.
async fn put(wire: &Wire, number: usize) -> Result<(), tonic::Status> {
    let request = PutRequest {
        key: format!("kept/{number:05}").into(),
        value: value(number).into(),
        ..Default::default()
    };
    wire.kv().put(request).await.map(drop)
}

fn value(number: usize) -> Vec<u8> {
    format!("{number}-").repeat(2_000).into_bytes()
}

/// Checks that the keys below `count` are there with their values, and that the member takes another.
async fn check_kept(member: &mut Member, count: usize) -> Result<()> {
    ensure!(
        member.is_running(),
        "the member has died\n{}",
        member.setup().log_tail(10)
    );
    let wire = Wire::connect(&member.setup().endpoint()).await?;
    for number in 0..count {
        let key = format!("kept/{number:05}");
        let request = RangeRequest {
            key: key.clone().into(),
            ..Default::default()
        };
        let answer = wire.kv().range(request).await?.into_inner();
        let kv = answer
            .kvs
            .first()
            .with_context(|| format!("{key} is lost"))?;
        ensure!(kv.value == value(number), "{key} has another value");
    }
    tokio::time::timeout(Duration::from_secs(20), put(&wire, count))
        .await
        .context("a put is not answered any more")??;
    Ok(())
}
