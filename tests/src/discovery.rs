//! Three members that know of each other only what DNS tells them, and a client that finds them the same way.
//!
//! The name server is this program's own, on a loopback address of its own, and each process is given a view of the file
//! system in which `/etc/resolv.conf` names it. That needs Linux and root; without, the suite says so and does not run.

mod name_server;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{MemberListRequest, PutRequest};

use crate::bad_input::operator::{ends, refuses};
use crate::member::{Member, Setup};
use crate::wire::Wire;
use name_server::NameServer;

const DOMAIN: &str = "ferrod.test";

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// The server under test; ferrod if not given
    #[arg(long)]
    pub subject: Option<PathBuf>,
    /// The client under test
    #[arg(long)]
    pub ctl: Option<PathBuf>,
}

/// Runs it with members and a client.
///
/// # Errors
/// When they do not find each other, or find what they should not.
pub fn run(options: &Options) -> Result<()> {
    let binary = match &options.subject {
        Some(path) => path.clone(),
        None => crate::binaries::ferrod()?,
    };
    let ctl = match &options.ctl {
        Some(path) => path.clone(),
        None => crate::binaries::ferroctl()?,
    };
    tell(&binary, Some(&ctl))
}

/// Runs it with members of this binary alone.
///
/// # Errors
/// As [`run`].
pub fn members(binary: &Path) -> Result<()> {
    tell(binary, None)
}

fn tell(binary: &Path, ctl: Option<&Path>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut names = match NameServer::bind() {
        Ok(names) => names,
        Err(reason) => return not_run(&format!("{reason:#}")),
    };
    let view = View::new(folder.path(), &names)?;
    if let Err(reason) = view.check() {
        return not_run(&format!("{reason:#}"));
    }
    let setups = setups(binary, folder.path(), &view)?;
    for (number, setup) in (1..).zip(&setups) {
        let host = format!("m{number}.{DOMAIN}");
        let place = setup.place();
        names.service("_etcd-server-blue._tcp", &host, place.peer_port);
        names.service("_etcd-client-blue._tcp", &host, place.client_port);
        names.host(&host);
    }
    // Without this one the only service of its name leads nowhere.
    names.service("_etcd-server-gray._tcp", "nobody.ferrod.test", 1);
    let _serving = names.serve()?;
    nobody_is_made_up(binary, folder.path(), &view)?;
    let _members = start_all(&setups)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(found_each_other(&setups))?;
    ctl.map_or(Ok(()), |ctl| found_by_client(ctl, &view))?;
    println!("discovery: members found each other by DNS");
    Ok(())
}

fn not_run(reason: &str) -> Result<()> {
    println!("discovery: NOT RUN: {reason}. Nothing was proved about DNS.");
    Ok(())
}

/// A view of the file system in which the resolver asks the name server of the test.
struct View {
    resolv_conf: PathBuf,
}

impl View {
    fn new(folder: &Path, names: &NameServer) -> Result<View> {
        let resolv_conf = folder.join("resolv.conf");
        std::fs::write(&resolv_conf, format!("nameserver {}\n", names.address()))?;
        Ok(View { resolv_conf })
    }

    /// What goes before a program and its arguments.
    fn launcher(&self) -> Vec<OsString> {
        let script = format!(
            "mount --bind '{}' /etc/resolv.conf && exec \"$@\"",
            self.resolv_conf.display()
        );
        ["unshare", "--mount", "sh", "-c", &script, "sh"]
            .map(OsString::from)
            .into()
    }

    fn command(&self, program: impl Into<OsString>) -> Command {
        let mut words = self.launcher();
        words.push(program.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    fn check(&self) -> Result<()> {
        let output = self.command("true").output().context("`unshare`")?;
        let reason = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", reason.trim());
        Ok(())
    }
}

fn setups(binary: &Path, folder: &Path, view: &View) -> Result<Vec<Setup>> {
    let setups = Setup::cluster(binary, folder, 3)?;
    let by_dns = |setup: Setup| {
        setup
            .launcher(view.launcher())
            .discover(DOMAIN)
            .flag("--discovery-srv-name=blue")
    };
    Ok(setups.into_iter().map(by_dns).collect())
}

/// A member that DNS does not tell of does not start, and says why.
// covers: P-A-09
fn nobody_is_made_up(binary: &Path, folder: &Path, view: &View) -> Result<()> {
    let stranger = || -> Result<Setup> {
        let setup = Setup::new(binary, &folder.join("stranger"))?;
        Ok(setup.launcher(view.launcher()).discover(DOMAIN))
    };
    for (flag, reason) in [
        (
            "--discovery-srv-name=blue",
            "cannot find local etcd member \"default\" in SRV records",
        ),
        (
            "--discovery-srv-name=gray",
            "error querying DNS SRV records for _etcd-server-gray",
        ),
        (
            "--discovery-srv-name=",
            "error querying DNS SRV records for _etcd-server",
        ),
        (
            "--initial-cluster=default=http://127.0.0.1:1",
            "multiple discovery or bootstrap flags",
        ),
    ] {
        let output = ends(stranger()?.command().arg(flag))?;
        // In a line of JSON.
        refuses(&output, &[&reason.replace('"', "\\\"")]).with_context(|| flag.to_owned())?;
    }
    Ok(())
}

/// They serve only together, so they are started together.
fn start_all(setups: &[Setup]) -> Result<Vec<Member>> {
    let launched: Result<Vec<_>> = setups.iter().map(Setup::launch).collect();
    launched?.into_iter().map(|member| member.wait()).collect()
}

async fn found_each_other(setups: &[Setup]) -> Result<()> {
    let mut seen = Vec::new();
    for setup in setups {
        let wire = Wire::connect(&setup.endpoint()).await?;
        let request = MemberListRequest { linearizable: true };
        let list = wire.cluster().member_list(request).await?.into_inner();
        let mut members: Vec<_> = list
            .members
            .iter()
            .map(|member| (member.name.clone(), member.peer_ur_ls.join(",")))
            .collect();
        members.sort();
        seen.push((list.header.context("no header")?.cluster_id, members));
    }
    let expected: Vec<_> = setups
        .iter()
        .map(|setup| {
            let place = setup.place();
            let url = format!("http://{}.{DOMAIN}:{}", place.name, place.peer_port);
            (place.name.clone(), url)
        })
        .collect();
    for (cluster, members) in &seen {
        ensure!(*cluster == seen[0].0, "more than one cluster: {seen:?}");
        ensure!(*members == expected, "{members:?} instead of {expected:?}");
    }
    let wire = Wire::connect(&setups[0].endpoint()).await?;
    let put = PutRequest {
        key: "found".into(),
        value: "by name".into(),
        ..Default::default()
    };
    wire.kv().put(put).await?;
    Ok(())
}

fn found_by_client(ctl: &Path, view: &View) -> Result<()> {
    let get = |flags: &[&str]| -> Result<String> {
        let mut command = view.command(ctl);
        let output = command.args(flags).args(["get", "found"]).output()?;
        let (out, err) = (&output.stdout, &output.stderr);
        Ok(format!(
            "{}{}",
            String::from_utf8_lossy(out),
            String::from_utf8_lossy(err)
        ))
    };
    let domain = format!("--discovery-srv={DOMAIN}");
    let found = get(&[&domain, "--discovery-srv-name=blue"])?;
    ensure!(found == "found\nby name\n", "{found}");
    let found = get(&[&domain])?;
    ensure!(found.starts_with("Error: dns lookup errors: "), "{found}");
    Ok(())
}
