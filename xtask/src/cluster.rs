//! `cargo xtask cluster up|down`: a cluster of three release members on this machine, to try things on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Name, client port and peer port of each member, as in etcd's own example.
const MEMBERS: [(&str, u16, u16); 3] = [
    ("infra1", 2379, 2380),
    ("infra2", 22379, 22380),
    ("infra3", 32379, 32380),
];
/// What a member says when clients may come.
const READY: &str = "ready to serve client requests";
/// Looks at a log or a process so often, for so many times.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES_MAX: u32 = 300;

/// What to do.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub(crate) enum Action {
    /// Builds and starts three members; data and logs are in `target/cluster`
    Up,
    /// Stops them; data and logs stay
    Down,
}

/// Starts or stops the cluster.
pub(crate) fn run(root: &Path, action: Action) -> Result<()> {
    let dir = shell::target(root).join("cluster");
    match action {
        Action::Up => up(root, &dir),
        Action::Down => down(&dir),
    }
}

fn up(root: &Path, dir: &Path) -> Result<()> {
    let mut build = shell::cargo(root);
    build.args([
        "build",
        "--release",
        "--package=ferrod",
        "--package=ferroctl",
    ]);
    shell::run(&mut build)?;
    fs::create_dir_all(dir)?;
    let release = shell::target(root).join("release");
    let mut started = Vec::new();
    for member in MEMBERS {
        if running(dir, member.0).is_some() {
            println!("{} runs already", member.0);
            continue;
        }
        let child = start(&release.join("ferrod"), dir, member)?;
        started.push((member.0, child));
    }
    for (name, child) in &mut started {
        wait_until_ready(dir, name, child)?;
    }
    let endpoints = MEMBERS.map(|(_, client, _)| format!("http://127.0.0.1:{client}"));
    println!(
        "{} --endpoints={} endpoint status --write-out=table",
        release.join("ferroctl").display(),
        endpoints.join(",")
    );
    Ok(())
}

fn start(binary: &Path, dir: &Path, (name, client, peer): (&str, u16, u16)) -> Result<Child> {
    let initial = MEMBERS.map(|(name, _, peer)| format!("{name}=http://127.0.0.1:{peer}"));
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let log = File::create(log_of(dir, name))?;
    let child = Command::new(binary)
        .arg(format!("--name={name}"))
        .arg(format!("--data-dir={}", dir.join(name).display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster={}", initial.join(",")))
        .arg("--initial-cluster-token=ferrod-cluster-1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", binary.display()))?;
    fs::write(pid_file(dir, name), child.id().to_string())?;
    println!("{name}: process {}, {client}", child.id());
    Ok(child)
}

fn wait_until_ready(dir: &Path, name: &str, child: &mut Child) -> Result<()> {
    for _ in 0..PAUSES_MAX {
        let log = fs::read_to_string(log_of(dir, name)).unwrap_or_default();
        if log.contains(READY) {
            return Ok(());
        }
        // Not `running`: a process that is just beginning has no command line to know it by.
        if child.try_wait()?.is_some() {
            break;
        }
        std::thread::park_timeout(PAUSE);
    }
    bail!("{name} does not serve: see {}", log_of(dir, name).display())
}

fn down(dir: &Path) -> Result<()> {
    for (name, ..) in MEMBERS {
        let Some(pid) = running(dir, name) else {
            println!("{name} does not run");
            continue;
        };
        shell::run(Command::new("kill").arg(pid.to_string()))?;
        let stopped = (0..PAUSES_MAX).any(|_| {
            let gone = running(dir, name).is_none();
            if !gone {
                std::thread::park_timeout(PAUSE);
            }
            gone
        });
        if !stopped {
            bail!("{name}, process {pid}, does not stop");
        }
        fs::remove_file(pid_file(dir, name))?;
    }
    Ok(())
}

/// The process of a member, if it is one: the number may have gone to another since.
fn running(dir: &Path, name: &str) -> Option<u32> {
    let pid: u32 = fs::read_to_string(pid_file(dir, name)).ok()?.parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let data_dir = format!("--data-dir={}", dir.join(name).display());
    let is_it = command
        .split(|byte| *byte == 0)
        .any(|word| word == data_dir.as_bytes());
    is_it.then_some(pid)
}

fn pid_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.pid"))
}

fn log_of(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}
