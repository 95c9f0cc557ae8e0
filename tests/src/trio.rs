//! Three members as processes: they elect, replicate, go on without one, and take it back.

mod imposter;
mod peer_pages;
mod quorum;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::{MemberListRequest, PutRequest, RangeRequest, StatusRequest};

use crate::clock::{now, poll};
use crate::member::{Member, Setup};
use crate::wire::Wire;

/// How long anything may take that ends by itself; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Three members that started a cluster.
#[derive(Debug)]
struct Trio {
    setups: Vec<Setup>,
    /// `None` while one is dead.
    members: Vec<Option<Member>>,
}

/// Runs the scenario with members of this binary.
///
/// # Errors
/// When they do not agree.
pub fn run(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut trio = Trio::start(binary, folder.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(trio.everyone_serves("first"))?;
    runtime.block_on(trio.identities_agree())?;
    let first = trio.members[0].as_ref().map(Member::pid);
    let first = first.context("it runs")?;
    runtime.block_on(imposter::is_refused(&trio.setups, first))?;
    runtime.block_on(trio.everyone_serves("after the imposter"))?;
    runtime.block_on(quorum::pages_with(&trio.setups))?;

    let leader = runtime.block_on(trio.leader())?;
    let (leads, follows) = (&trio.setups[leader], &trio.setups[(leader + 1) % 3]);
    runtime.block_on(peer_pages::answer(leads, follows))?;
    trio.kill(leader)?;
    runtime.block_on(trio.everyone_serves("without the leader"))?;
    trio.members[leader] = Some(trio.setups[leader].start()?);
    runtime.block_on(trio.everyone_serves("with the old leader back"))?;
    runtime.block_on(trio.same_hash())?;

    trio.restart_all()?;
    runtime.block_on(trio.everyone_serves("after a restart of all"))?;
    runtime.block_on(quorum::lost(&mut trio))?;
    runtime.block_on(trio.everyone_serves("after the loss of a quorum"))?;
    let newcomers = Setup::cluster(binary, &folder.path().join("new"), 3)?;
    runtime.block_on(quorum::pages_before(&newcomers[0]))
}

/// Runs members with the shortest times that are allowed: they elect, serve, and do so again without their leader, again
/// and again.
///
/// # Errors
/// When they do not agree.
pub fn with_the_shortest_times(binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let swift = |setup: Setup| {
        let setup = setup.flag("--heartbeat-interval=10");
        setup.flag("--election-timeout=100")
    };
    let setups = Setup::cluster(binary, folder.path(), 3)?;
    let mut trio = Trio::of(setups.into_iter().map(swift).collect())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(trio.everyone_serves("first"))?;
    for round in 0..3 {
        // On a busy machine the leader may change at any time.
        let look = async || trio.leader().await.ok();
        let leader = runtime.block_on(poll(PATIENCE, look));
        let leader = leader.context("nobody leads")?;
        trio.kill(leader)?;
        runtime.block_on(trio.everyone_serves(&format!("without a leader {round}")))?;
        trio.members[leader] = Some(trio.setups[leader].start()?);
        runtime.block_on(trio.everyone_serves(&format!("all again {round}")))?;
    }
    runtime.block_on(trio.same_hash())
}

impl Trio {
    fn start(binary: &Path, dir: &Path) -> Result<Trio> {
        Trio::of(Setup::cluster(binary, dir, 3)?)
    }

    fn of(setups: Vec<Setup>) -> Result<Trio> {
        let members = start_all(&setups)?;
        Ok(Trio { setups, members })
    }

    fn kill(&mut self, number: usize) -> Result<()> {
        self.members[number].take().context("it is dead")?.kill()
    }

    /// Stops all, and starts them with initial flags that say something else: a restart does not look at them.
    fn restart_all(&mut self) -> Result<()> {
        for member in self.members.iter_mut().filter_map(Option::take) {
            member.kill()?;
        }
        for setup in &mut self.setups {
            *setup = setup.clone().flag("--initial-cluster-token=another");
        }
        self.members = start_all(&self.setups)?;
        Ok(())
    }

    fn alive(&self) -> Vec<&Setup> {
        let alive = self.members.iter().flatten();
        alive.map(Member::setup).collect()
    }

    /// Each living member takes a put, and each shows all puts at once.
    async fn everyone_serves(&self, round: &str) -> Result<()> {
        for setup in self.alive() {
            let key = format!("{round}/{}", setup.client_port());
            put(setup, &key).await?;
            for reader in self.alive() {
                let value = get(reader, &key).await?;
                ensure!(
                    value.as_deref() == Some(b"value"),
                    "{round}: {key} is missing at {}",
                    reader.endpoint()
                );
            }
        }
        Ok(())
    }

    /// All members name the same cluster and the same members, each itself as another one.
    async fn identities_agree(&self) -> Result<()> {
        let mut seen = Vec::new();
        for setup in &self.setups {
            let wire = Wire::connect(&setup.endpoint()).await?;
            let request = MemberListRequest::default();
            let list = wire.cluster().member_list(request).await?.into_inner();
            let header = list.header.context("no header")?;
            let mut members: Vec<_> = list.members.iter().map(|m| (m.id, &m.name)).collect();
            members.sort();
            seen.push((header.cluster_id, header.member_id, format!("{members:?}")));
        }
        let (cluster, _, members) = seen[0].clone();
        ensure!(
            seen.iter().all(|(c, _, m)| (*c, m) == (cluster, &members)),
            "they differ: {seen:?}"
        );
        let mut ids: Vec<u64> = seen.iter().map(|seen| seen.1).collect();
        ids.sort_unstable();
        ids.dedup();
        ensure!(ids.len() == 3, "two members are one: {seen:?}");
        Ok(())
    }

    /// Which of them leads.
    async fn leader(&self) -> Result<usize> {
        for (number, setup) in self.setups.iter().enumerate() {
            let wire = Wire::connect(&setup.endpoint()).await?;
            let status = wire.maintenance().status(StatusRequest::default()).await?;
            let status = status.into_inner();
            if status.header.is_some_and(|h| h.member_id == status.leader) {
                return Ok(number);
            }
        }
        bail!("nobody leads")
    }

    async fn same_hash(&self) -> Result<()> {
        let mut hashes = Vec::new();
        for setup in &self.setups {
            let wire = Wire::connect(&setup.endpoint()).await?;
            let request = ferrod_proto::etcdserverpb::HashKvRequest::default();
            let hash = wire.maintenance().hash_kv(request).await?.into_inner();
            hashes.push((hash.hash, hash.hash_revision));
        }
        hashes.dedup();
        ensure!(hashes.len() == 1, "they differ: {hashes:?}");
        Ok(())
    }
}

/// A member serves when a majority does, so all start at once.
fn start_all(setups: &[Setup]) -> Result<Vec<Option<Member>>> {
    std::thread::scope(|scope| {
        let starting: Vec<_> = setups
            .iter()
            .map(|setup| scope.spawn(|| setup.start()))
            .collect();
        starting
            .into_iter()
            .map(|thread| thread.join().expect("starting does not panic").map(Some))
            .collect()
    })
}

/// Puts until it is taken: without a leader it is refused, and may be tried again.
async fn put(setup: &Setup, key: &str) -> Result<()> {
    let deadline = now() + PATIENCE;
    loop {
        let request = PutRequest {
            key: key.to_owned().into(),
            value: "value".into(),
            ..Default::default()
        };
        let wire = Wire::connect(&setup.endpoint()).await?;
        match wire.kv().put(request).await {
            Ok(_) => return Ok(()),
            Err(status) if now() > deadline => bail!("put {key}: {status}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn get(setup: &Setup, key: &str) -> Result<Option<bytes::Bytes>> {
    let deadline = now() + PATIENCE;
    loop {
        let request = RangeRequest {
            key: key.to_owned().into(),
            ..Default::default()
        };
        let wire = Wire::connect(&setup.endpoint()).await?;
        match wire.kv().range(request).await {
            Ok(answer) => {
                let kvs = answer.into_inner().kvs;
                return Ok(kvs.into_iter().next().map(|kv| kv.value));
            }
            Err(status) if now() > deadline => bail!("get {key}: {status}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
