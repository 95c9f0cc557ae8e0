//! A script of commands for the command line client, run against two servers or with two clients, and compared.
//!
//! The commands are in `tests/scripts/etcdctl.txt`. What must differ (identities, ports, sizes, durations, versions) is
//! replaced by a word first; everything else must be the same: output, errors, exit code.

mod line;
mod normal;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::member::{Member, Setup};
use line::{Line, Names};

/// The script, as part of the program.
const SCRIPT: &str = include_str!("../scripts/etcdctl.txt");
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The program under test; ferrod or ferroctl if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// Shows what each command does
    #[arg(long)]
    pub verbose: bool,
}

/// One client on one server.
#[derive(Debug)]
struct Stage {
    client: PathBuf,
    member: Member,
    names: Names,
    _folder: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// The real etcdctl on ferrod and on etcd.
///
/// # Errors
/// When a program is missing or an outcome differs.
pub fn etcdctl_on_ferrod(options: &Options) -> Result<()> {
    let subject = &options.subject;
    let etcdctl = crate::binaries::etcd("etcdctl")?;
    let subject = match subject {
        Some(path) => path.to_owned(),
        None => crate::binaries::ferrod()?,
    };
    let wanted = Stage::start(&etcdctl, &crate::binaries::etcd("etcd")?)?;
    let got = Stage::start(&etcdctl, &subject)?;
    compare("etcdctl on ferrod", wanted, got, true, options.verbose)
}

/// `ferroctl` and the real etcdctl, each on an etcd.
///
/// # Errors
/// When a program is missing or an outcome differs.
pub fn ferroctl_on_etcd(options: &Options) -> Result<()> {
    let subject = &options.subject;
    let etcd = crate::binaries::etcd("etcd")?;
    let subject = match subject {
        Some(path) => path.to_owned(),
        None => crate::binaries::ferroctl()?,
    };
    let wanted = Stage::start(&crate::binaries::etcd("etcdctl")?, &etcd)?;
    let got = Stage::start(&subject, &etcd)?;
    compare("ferroctl on etcd", wanted, got, false, options.verbose)
}

fn compare(
    what: &str,
    mut wanted: Stage,
    mut got: Stage,
    real_client: bool,
    verbose: bool,
) -> Result<()> {
    let lines = line::parse(SCRIPT)?;
    let (mut passed, mut failed) = (0, 0);
    for line in lines
        .iter()
        .filter(|line| real_client || !line.only_etcdctl)
    {
        let (wanted, got) = (wanted.run(line)?, got.run(line)?);
        if verbose {
            println!("{}: $ {}\n{got}\n", line.number, line.text);
        }
        let only_code = !real_client && line.changed_later;
        if wanted == got || (only_code && wanted.code == got.code) {
            passed += 1;
        } else {
            failed += 1;
            println!(
                "{what}: line {}: $ {}\nwanted {wanted}\n   got {got}\n",
                line.number, line.text
            );
        }
    }
    println!("{what}: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{what}: {failed} commands of scripts/etcdctl.txt differ");
    }
    Ok(())
}

impl Stage {
    fn start(client: &Path, server: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let member = Setup::new(server, folder.path())?.start()?;
        let client = client.to_owned();
        Ok(Self {
            client,
            member,
            names: Names::default(),
            _folder: folder,
        })
    }

    fn run(&mut self, line: &Line) -> Result<Outcome> {
        let mut child = Command::new(&self.client)
            .args(self.names.fill(&line.args))
            .arg(format!("--endpoints={}", self.member.setup().endpoint()))
            .env("ETCDCTL_API", "3")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.client.display()))?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        // A command that does not read may be gone already.
        let _ = stdin.write_all(line.stdin.as_bytes());
        drop(stdin);
        let (stdout, stderr, code) = collect(child, line.lines_max)?;
        if let Some(name) = line.catches {
            self.names.catch(name, &stdout);
        }
        Ok(Outcome {
            stdout: self.names.hide(&normal::normal(&stdout)),
            stderr: normal::normal(&without_logs(&stderr)),
            code,
        })
    }
}

/// Reads what a command prints until it ends, has printed enough, or takes too long.
fn collect(mut child: Child, lines_max: Option<usize>) -> Result<(String, String, Option<i32>)> {
    let stdout = child.stdout.take().context("stdout is piped")?;
    let mut stderr = child.stderr.take().context("stderr is piped")?;
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let (lines, lines_rx) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let (mut text, mut count, mut cut) = (String::new(), 0, false);
    while let Ok(line) = lines_rx.recv_timeout(LIMIT) {
        text.push_str(&line);
        text.push('\n');
        count += 1;
        if lines_max == Some(count) {
            cut = true;
            break;
        }
    }
    if cut || (lines_max.is_some() && child.try_wait()?.is_none()) {
        child.kill()?;
    }
    let code = child.wait()?.code();
    let errors = errors.join().unwrap_or_default();
    Ok((text, errors, code))
}

/// Etcd's client logs its retries beside the message for people.
fn without_logs(stderr: &str) -> String {
    let kept = stderr
        .lines()
        .filter(|line| !line.starts_with("{\"level\""));
    kept.map(|line| format!("{line}\n")).collect()
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}", self.code)?;
        for (mark, text) in [("  > ", &self.stdout), ("  ! ", &self.stderr)] {
            for line in text.lines() {
                write!(f, "\n{mark}{line}")?;
            }
        }
        Ok(())
    }
}
