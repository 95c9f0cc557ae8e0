//! Clients that others have written, each on a fresh member: the Go, Python and JavaScript programs beside this crate,
//! and the own tests of the Rust crate etcd-client.
//!
//! `cargo xtask install` brings them. One that cannot be had here is a failure, with the reason: a suite that skips in
//! silence proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::member::{Member, Setup};

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// Only clients whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

type Run = fn(&Path, &Member) -> Result<()>;

const CLIENTS: &[(&str, Run)] = &[
    ("go", go),
    ("python", python),
    ("node", node),
    ("etcd-client", etcd_client),
];

/// What the tests of etcd-client need that one member without the services of later issues has not: authentication,
/// the lock and election services, more members, the file of a snapshot.
const LATER: &[&str] = &[
    "test_auth",
    "test_auth_refresh_token",
    "test_auth_refresh_token_once_for_concurrent_calls",
    "test_role",
    "test_user",
    "test_lock",
    "test_election",
    "test_cluster",
    "test_move_leader",
    "test_snapshot",
];

/// Tests that their authors leave out unless the server is as new as ours claims to be.
const SINCE_3_7: &[&str] = &["test_get_stream", "test_get_stream_chunked"];

/// Runs all chosen clients.
///
/// # Errors
/// When a client is missing or finds a fault.
pub fn run(options: &Options) -> Result<()> {
    let subject = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    let (mut passed, mut failed) = (0, 0);
    for (name, client) in CLIENTS {
        if !options.only.is_empty() && !options.only.iter().any(|word| name.contains(word)) {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let member = Setup::new(&subject, folder.path())?.start()?;
        println!("client {name}:");
        match client(
            &crate::binaries::target_dir().join("tools").join(name),
            &member,
        ) {
            Ok(()) => passed += 1,
            Err(error) => {
                failed += 1;
                println!("client {name} FAILED: {error:#}");
            }
        }
    }
    println!("clients: {passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} clients failed");
    Ok(())
}

fn go(tools: &Path, member: &Member) -> Result<()> {
    call(Command::new(tools.join("client")).arg(port(member)))
}

fn python(tools: &Path, member: &Member) -> Result<()> {
    let program = crate::binaries::workspace().join("tests/python/client.py");
    call(
        Command::new(tools.join("bin/python"))
            .arg(program)
            .arg(port(member)),
    )
}

fn node(tools: &Path, member: &Member) -> Result<()> {
    // The program is run from beside the package, where it is found.
    let program = tools.join("client.js");
    std::fs::copy(
        crate::binaries::workspace().join("tests/node/client.js"),
        &program,
    )
    .with_context(|| format!("{}: run `cargo xtask install node`", tools.display()))?;
    call(Command::new("node").arg(program).arg(port(member)))
}

fn etcd_client(tools: &Path, member: &Member) -> Result<()> {
    let endpoint = format!("127.0.0.1:{}", member.setup().client_port());
    let test = |filter: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(tools.join("source"))
            .env("ETCD_ENDPOINT", &endpoint)
            .env("PROTOC", tools.join("protoc/bin/protoc"))
            .env("CARGO_TARGET_DIR", tools.join("target"))
            // One after the other: they share keys.
            .args(["test", "--quiet", "--tests", "--", "--test-threads=1"])
            .args(filter);
        call(&mut command)
    };
    let later: Vec<&str> = LATER.iter().flat_map(|name| ["--skip", name]).collect();
    test(&later)?;
    if is_3_7(member)? {
        let newer: Vec<&str> = ["--ignored", "--exact"]
            .iter()
            .chain(SINCE_3_7)
            .copied()
            .collect();
        test(&newer)?;
    }
    Ok(())
}

fn is_3_7(member: &Member) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let version = runtime.block_on(async {
        let wire = crate::wire::Wire::connect(&member.setup().endpoint()).await?;
        let status = wire
            .maintenance()
            .status(ferrod_proto::etcdserverpb::StatusRequest {})
            .await?;
        anyhow::Ok(status.into_inner().version)
    })?;
    Ok(version.starts_with("3.7."))
}

fn port(member: &Member) -> String {
    member.setup().client_port().to_string()
}

/// Runs a client to its end, or for a few minutes: building one is part of it.
fn call(command: &mut Command) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(600);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .spawn()
        .with_context(|| format!("start {program}: `cargo xtask install` brings what is needed"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(crate::clock::poll(LIMIT, async || {
        child.try_wait().transpose()
    }));
    match ended {
        Some(status) => {
            let status = status?;
            ensure!(status.success(), "{program} ended with {status}");
            Ok(())
        }
        None => {
            child.kill()?;
            bail!("{program} did not end within {LIMIT:?}")
        }
    }
}
