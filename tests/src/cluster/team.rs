//! The members of a cluster as processes, and what can be done to them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ferrod_proto::etcdserverpb::{DeleteRangeRequest, StatusRequest, StatusResponse};
use rustix::process::{Pid, Signal, kill_process};

use super::network::Network;
use super::story::Story;
use super::weather::Between;
use crate::clock::poll;
use crate::member::{Member, Place, Setup};
use crate::proxy::Proxy;
use crate::wire::Wire;

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
const FAILPOINT_PORT: u16 = 22381;

/// How long a cluster may take to agree again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Members, each in its namespace.
pub(super) struct Team {
    network: Network,
    setups: Vec<Setup>,
    /// The way to each member, if there is more than a cable.
    proxies: Vec<Proxy>,
    /// The weather between members, in a story about it.
    weather: Option<Between>,
    /// `None` is a member that does not run.
    running: Vec<Option<Member>>,
}

impl Team {
    /// Starts all members of a new cluster and waits until it takes writes. The seed chooses what weather brings.
    pub(super) async fn start(
        binary: &Path,
        folder: &Path,
        network: Network,
        story: Story,
        seed: u64,
    ) -> Result<Team> {
        let count = network.count();
        let name = |member: usize| format!("m{member}");
        let mut proxies = Vec::new();
        for member in (0..count).filter(|_| story.has_proxies()) {
            let near = format!("{}:0", network.own_address());
            let far = format!("{}:{PEER_PORT}", network.address(member));
            proxies.push(Proxy::start(&near, far).await?);
        }
        let weather = if story.has_weather() {
            let real = |member| format!("{}:{PEER_PORT}", network.address(member)).parse();
            let members = (0..count).map(real).collect::<Result<_, _>>()?;
            Some(Between::start(&network.own_address(), members, seed)?)
        } else {
            None
        };
        let peer = |member: usize| match (proxies.get(member), &weather) {
            (Some(proxy), _) => format!("http://{}", proxy.address()),
            (None, Some(weather)) => format!("http://{}", weather.address(member)),
            (None, None) => format!("http://{}:{PEER_PORT}", network.address(member)),
        };
        let named = |member: usize| format!("{}={}", name(member), peer(member));
        let cluster = (0..count).map(named).collect::<Vec<_>>().join(",");
        let setup = |member: usize| {
            let place = Place {
                name: name(member),
                host: network.address(member),
                client_port: CLIENT_PORT,
                peer_port: PEER_PORT,
                cluster: cluster.clone(),
                namespace: Some(network.namespace(member)),
            };
            let failpoints = format!("{}:{FAILPOINT_PORT}", network.address(member));
            let mut setup = Setup::at(binary, &folder.join(name(member)), place)?;
            for flag in story.flags() {
                setup = setup.flag(*flag);
            }
            // The last one counts.
            let advertised = format!("--initial-advertise-peer-urls={}", peer(member));
            Ok(setup.flag(advertised).variable("GOFAIL_HTTP", failpoints))
        };
        let setups: Result<Vec<_>> = (0..count).map(setup).collect();
        let mut team = Team {
            running: (0..count).map(|_| None).collect(),
            setups: setups?,
            network,
            proxies,
            weather,
        };
        for member in 0..count {
            team.revive(member)?;
        }
        team.wait_ready().await?;
        Ok(team)
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The way to a member, in a story that has one.
    pub(super) fn proxy(&self, member: usize) -> &Proxy {
        &self.proxies[member]
    }

    /// The weather between members, in a story about it.
    pub(super) fn weather(&self) -> Result<&Between> {
        self.weather
            .as_ref()
            .context("they speak to each other directly")
    }

    pub(super) fn endpoints(&self) -> Vec<String> {
        self.setups.iter().map(Setup::endpoint).collect()
    }

    pub(super) fn members(&self) -> std::ops::Range<usize> {
        0..self.setups.len()
    }

    /// A connection to a member.
    pub(super) async fn wire(&self, member: usize) -> Result<Wire> {
        Wire::connect(&self.setups[member].endpoint()).await
    }

    pub(super) async fn status(&self, member: usize) -> Result<StatusResponse> {
        let wire = self.wire(member).await?;
        let asking = async { wire.maintenance().status(StatusRequest {}).await };
        let answer = tokio::time::timeout(Duration::from_secs(2), asking).await??;
        Ok(answer.into_inner())
    }

    /// The member that leads, by its own word and that of the majority.
    pub(super) async fn leader(&self) -> Result<usize> {
        poll(PATIENCE, async || {
            for member in self.members() {
                let Ok(status) = self.status(member).await else {
                    continue;
                };
                let own = status.header.as_ref().map_or(0, |header| header.member_id);
                if status.leader != 0 && status.leader == own {
                    return Some(member);
                }
            }
            None
        })
        .await
        .context("no member leads")
    }

    /// Another member than that.
    pub(super) fn beside(&self, member: usize) -> usize {
        (member + 1) % self.setups.len()
    }

    pub(super) fn kill(&mut self, member: usize) -> Result<()> {
        match self.running[member].take() {
            Some(running) => running.kill(),
            None => bail!("member {member} does not run"),
        }
    }

    pub(super) fn is_running(&mut self, member: usize) -> bool {
        self.running[member]
            .as_mut()
            .is_some_and(Member::is_running)
    }

    /// Starts a member that does not run, and does not wait.
    pub(super) fn revive(&mut self, member: usize) -> Result<()> {
        if self.running[member].is_none() {
            self.running[member] = Some(self.setups[member].spawn()?);
        }
        Ok(())
    }

    pub(super) fn freeze(&self, member: usize) -> Result<()> {
        self.signal(member, Signal::STOP)
    }

    pub(super) fn thaw(&self, member: usize) -> Result<()> {
        self.signal(member, Signal::CONT)
    }

    fn signal(&self, member: usize, signal: Signal) -> Result<()> {
        let running = self.running[member].as_ref().context("it does not run")?;
        let pid = i32::try_from(running.pid())?;
        kill_process(Pid::from_raw(pid).context("a process has an id")?, signal)?;
        Ok(())
    }

    /// Sets a failpoint of a member.
    pub(super) async fn fail(&self, member: usize, name: &str, terms: &str) -> Result<()> {
        let address = format!("{}:{FAILPOINT_PORT}", self.network.address(member));
        crate::crash::failpoints::set(&address, name, terms).await
    }

    /// The sum of a counter over all its labels.
    pub(super) async fn metric(&self, member: usize, name: &str) -> Result<f64> {
        let address = format!("{}:{CLIENT_PORT}", self.network.address(member));
        let page = crate::crash::failpoints::http(&address, "GET", "metrics", "").await?;
        let samples = page.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        Ok(samples.filter_map(value).sum())
    }

    /// Waits until every member has a leader and takes a write.
    pub(super) async fn wait_ready(&mut self) -> Result<()> {
        for member in self.members() {
            let took = poll(PATIENCE, async || {
                let wire = self.wire(member).await.ok()?;
                // Goes through the log and changes nothing.
                let request = DeleteRangeRequest {
                    key: "nobody writes this".into(),
                    ..Default::default()
                };
                let call = async { wire.kv().delete_range(request).await };
                tokio::time::timeout(Duration::from_secs(3), call)
                    .await
                    .ok()?
                    .ok()
            });
            if took.await.is_none() {
                bail!(
                    "member {member} takes no writes\n{}",
                    self.setups[member].log_tail(12)
                );
            }
        }
        Ok(())
    }

    /// Waits until all members have applied the same, and returns each one's hash of it.
    pub(super) async fn hashes(&self, revision: i64) -> Result<Vec<u32>> {
        let mut hashes = Vec::new();
        for member in self.members() {
            let request = ferrod_proto::etcdserverpb::HashKvRequest { revision };
            let hash = poll(PATIENCE, async || {
                let wire = self.wire(member).await.ok()?;
                wire.maintenance().hash_kv(request).await.ok()
            });
            let hash = hash
                .await
                .with_context(|| format!("member {member} is behind"))?;
            hashes.push(hash.into_inner().hash);
        }
        Ok(hashes)
    }
}
