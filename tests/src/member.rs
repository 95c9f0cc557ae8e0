//! A member as a process of its own: started from any binary that takes etcd's flags, killed, started again.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock::now;

/// What a member says when clients may come; other tools wait for the same words.
const READY: &str = "ready to serve client requests";

/// How long a start may take; a member that replays a long log needs some of it.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Where a member lives and whom it knows.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// The address of its ports.
    pub host: String,
    /// For clients.
    pub client_port: u16,
    /// For the other members.
    pub peer_port: u16,
    /// All members of the new cluster, as `--initial-cluster` has them; without them, flags must tell.
    pub cluster: String,
    /// The network namespace it runs in, if not that of the tests.
    pub namespace: Option<String>,
}

/// How to start a member: binary, data directory, ports and further flags stay the same over restarts.
#[derive(Debug, Clone)]
pub struct Setup {
    binary: PathBuf,
    dir: PathBuf,
    place: Place,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    launcher: Vec<OsString>,
}

impl Setup {
    /// A sole member called `default` on free ports, with its data in `dir/data`.
    ///
    /// # Errors
    /// When no port is free or the folder cannot be made.
    pub fn new(binary: &Path, dir: &Path) -> Result<Self> {
        let (client_port, peer_port) = free_ports()?;
        let place = Place {
            name: "default".to_owned(),
            host: "127.0.0.1".to_owned(),
            client_port,
            peer_port,
            cluster: format!("default=http://127.0.0.1:{peer_port}"),
            namespace: None,
        };
        Self::at(binary, dir, place)
    }

    /// A member at this place, with its data in `dir/data`.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn at(binary: &Path, dir: &Path, place: Place) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            binary: binary.to_owned(),
            dir: dir.to_owned(),
            place,
            flags: Vec::new(),
            variables: Vec::new(),
            launcher: Vec::new(),
        })
    }

    /// `count` members on loopback, called `m1`, `m2` and so on, that know of each other; the data of each is in
    /// `dir/NAME/data`.
    ///
    /// # Errors
    /// When no port is free or a folder cannot be made.
    pub fn cluster(binary: &Path, dir: &Path, count: usize) -> Result<Vec<Self>> {
        let host = "127.0.0.1";
        let names: Vec<_> = (1..=count).map(|number| format!("m{number}")).collect();
        let ports: Vec<_> = names.iter().map(|_| free_ports()).collect::<Result<_>>()?;
        let urls = names.iter().zip(&ports);
        let urls: Vec<_> = urls
            .map(|(name, (_, peer_port))| format!("{name}=http://{host}:{peer_port}"))
            .collect();
        let places = names.into_iter().zip(ports);
        places
            .map(|(name, (client_port, peer_port))| {
                let folder = dir.join(&name);
                let place = Place {
                    name,
                    host: host.to_owned(),
                    client_port,
                    peer_port,
                    cluster: urls.join(","),
                    namespace: None,
                };
                Self::at(binary, &folder, place)
            })
            .collect()
    }

    /// Has the member started by another program: its name, its arguments, then the member's.
    ///
    /// It must become the member, as `nice` does, or process ids mean nothing.
    #[must_use]
    pub fn launcher(mut self, launcher: Vec<OsString>) -> Self {
        self.launcher = launcher;
        self
    }

    /// Has the member ask DNS who is in the cluster.
    #[must_use]
    pub fn discover(mut self, domain: &str) -> Self {
        self.place.cluster.clear();
        self.flag(format!("--discovery-srv={domain}"))
    }

    /// Where the member lives.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where its peers connect.
    pub fn peer_url(&self) -> String {
        format!("http://{}:{}", self.place.host, self.place.peer_port)
    }

    /// Adds a flag such as `--quota-backend-bytes=1000000`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Sets a variable of the process's environment.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Where clients connect.
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.place.host, self.place.client_port)
    }

    /// The port clients connect to.
    pub fn client_port(&self) -> u16 {
        self.place.client_port
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Everything that the member has printed, over all starts.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("member.log")
    }

    /// The command that starts the member, for whoever wants to see it fail.
    pub fn command(&self) -> Command {
        let place = &self.place;
        let client = self.endpoint();
        let peer = self.peer_url();
        let mut words: Vec<OsString> = Vec::new();
        if let Some(namespace) = &place.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(OsString::from));
        }
        words.extend(self.launcher.iter().cloned());
        words.push(self.binary.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let cluster = Some(&place.cluster).filter(|cluster| !cluster.is_empty());
        let initial_cluster = cluster.map(|cluster| format!("--initial-cluster={cluster}"));
        command
            .arg(format!("--name={}", place.name))
            .arg(format!("--data-dir={}", self.data_dir().display()))
            .arg(format!("--listen-client-urls={client}"))
            .arg(format!("--advertise-client-urls={client}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .args(initial_cluster)
            .args(&self.flags)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Starts the member and waits until it serves.
    ///
    /// # Errors
    /// When it ends or stays silent instead; the message carries the end of its log.
    pub fn start(&self) -> Result<Member> {
        self.launch()?.wait()
    }

    /// Starts the member without waiting: one of several serves only when others run, too.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&self) -> Result<Member> {
        Ok(self.launch()?.member)
    }

    /// Like [`Setup::spawn`], for whoever will wait later.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn launch(&self) -> Result<Launched> {
        let mut child = self
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let ready = follow(stderr, log);
        let member = Member {
            setup: self.clone(),
            child,
        };
        Ok(Launched { member, ready })
    }

    /// The last `lines` lines of the log, or as many from its last panic on.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let all: Vec<&str> = log.lines().collect();
        let panic = all.iter().rposition(|line| line.contains("panic"));
        let first = panic.unwrap_or(all.len().saturating_sub(lines));
        all[first..]
            .iter()
            .take(lines)
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A member that has been started and may not serve yet; dropping it kills the process.
#[derive(Debug)]
pub struct Launched {
    member: Member,
    ready: Receiver<()>,
}

impl Launched {
    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.member.is_running()
    }

    /// The process, which may not serve yet.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Waits until the member serves.
    ///
    /// # Errors
    /// When it ends or stays silent instead; the message carries the end of its log.
    pub fn wait(self) -> Result<Member> {
        let setup = &self.member.setup;
        let (binary, log) = (setup.binary.display(), || setup.log_tail(8));
        match self.ready.recv_timeout(START_LIMIT) {
            Ok(()) => Ok(self.member),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("{binary} ended while starting\n{}", log())
            }
            Err(RecvTimeoutError::Timeout) => {
                bail!("{binary} did not serve within {START_LIMIT:?}\n{}", log())
            }
        }
    }
}

/// A running member; dropping it kills the process.
#[derive(Debug)]
pub struct Member {
    setup: Setup,
    child: Child,
}

impl Member {
    /// How it was started, and how to start it again.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process with SIGKILL, as a crash does.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGKILL and does not wait for the end.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub fn signal_kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// Ends the process with SIGTERM and waits for it.
    ///
    /// # Errors
    /// When the process cannot be signalled or waited for.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.ask_to_stop()?;
        Ok(self.child.wait()?)
    }

    /// Sends SIGTERM and does not wait.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub fn ask_to_stop(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// Halts the process, and waits until it does nothing any more.
    ///
    /// # Errors
    /// When it cannot be signalled, or goes on.
    pub fn freeze(&self) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(30);
        kill_process(Pid::from_child(&self.child), Signal::STOP)?;
        let deadline = now() + LIMIT;
        while !self.is_frozen()? {
            ensure!(now() < deadline, "it does not halt");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    fn is_frozen(&self) -> Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let status = std::fs::read_to_string(task?.path().join("status"))?;
            if !status.contains("State:\tT") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets the process go on.
    ///
    /// # Errors
    /// When the process cannot be signalled.
    pub fn thaw(&self) -> Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::CONT)?)
    }

    /// Waits a while for the process to end by itself.
    ///
    /// # Errors
    /// When it runs on.
    pub fn end(mut self) -> Result<ExitStatus> {
        const LIMIT: Duration = Duration::from_secs(30);
        let deadline = now() + LIMIT;
        while now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        bail!("it still runs\n{}", self.setup.log_tail(8))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Fails only when the process is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the log to a file on a thread of its own and reports the line that means ready.
fn follow(stderr: impl std::io::Read + Send + 'static, mut log: std::fs::File) -> Receiver<()> {
    let (ready, ready_rx) = channel();
    std::thread::spawn(move || {
        let mut ready = Some(ready);
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { return };
            let _ = writeln!(log, "{line}");
            if line.contains(READY)
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(());
            }
        }
    });
    ready_rx
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(free_ports()?.0)
}

/// Two ports that were free a moment ago.
fn free_ports() -> Result<(u16, u16)> {
    let first = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    let second = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
