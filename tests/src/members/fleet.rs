//! The members of one cluster as processes, and the changes that a test makes to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ferrod_proto::etcdserverpb::{
    MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MemberUpdateRequest, MoveLeaderRequest, StatusRequest,
};
use tonic::{Code, Status};

use super::learner;
use super::load::{Endpoints, Load, Written};
use crate::clock::poll;
use crate::member::{Member, Place, Setup};
use crate::wire::Wire;

/// How long anything may take that must come to pass.
const PATIENCE: Duration = Duration::from_secs(60);
/// Writes that must get through after a change.
const PROGRESS: u64 = 20;

/// The members of one cluster.
pub(super) struct Fleet {
    binary: PathBuf,
    folder: PathBuf,
    members: Vec<Known>,
    endpoints: Endpoints,
    /// How many there have ever been.
    born: usize,
}

struct Known {
    id: u64,
    member: Member,
}

impl Fleet {
    /// A cluster of one.
    pub(super) fn begin(binary: &Path, folder: &Path) -> Result<Fleet> {
        let mut fleet = Fleet {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            members: Vec::new(),
            endpoints: Arc::new(Mutex::new(Vec::new())),
            born: 0,
        };
        let setup = fleet.setup(Vec::new())?;
        let member = setup.start()?;
        fleet.members.push(Known { id: 0, member });
        fleet.follow();
        Ok(fleet)
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// Where clients may go, now and later.
    pub(super) fn endpoints(&self) -> Endpoints {
        self.endpoints.clone()
    }

    fn follow(&self) {
        let endpoints = self
            .members
            .iter()
            .map(|known| known.member.setup().endpoint());
        *self.endpoints.lock().expect("nobody panics") = endpoints.collect();
    }

    /// The next member, with `others` as `name=url` before it in its flags.
    fn setup(&mut self, mut others: Vec<String>) -> Result<Setup> {
        self.born += 1;
        let name = format!("m{}", self.born);
        let peer_port = crate::member::free_port()?;
        others.push(format!("{name}=http://127.0.0.1:{peer_port}"));
        let place = Place {
            name: name.clone(),
            host: "127.0.0.1".to_owned(),
            client_port: crate::member::free_port()?,
            peer_port,
            cluster: others.join(","),
            namespace: None,
        };
        Setup::at(&self.binary, &self.folder.join(&name), place)
    }

    /// A member that is to join: the others are named as the cluster knows them.
    fn joiner(&mut self) -> Result<Setup> {
        let name_and_url = |known: &Known| {
            let setup = known.member.setup();
            format!("{}={}", setup.place().name, setup.peer_url())
        };
        let others = self.members.iter().map(name_and_url).collect();
        Ok(self.setup(others)?.flag("--initial-cluster-state=existing"))
    }

    async fn wire(&self, at: usize) -> Result<Wire> {
        Wire::connect(&self.members[at].member.setup().endpoint()).await
    }

    /// Adds a member, asking the last one: any member takes the request.
    async fn add(&self, setup: &Setup, is_learner: bool) -> Result<u64> {
        let wire = self.wire(self.len() - 1).await?;
        let request = MemberAddRequest {
            peer_ur_ls: vec![setup.peer_url()],
            is_learner,
        };
        let added = until_healthy(async || {
            let answer = wire.cluster().member_add(request.clone()).await;
            answer.map(tonic::Response::into_inner)
        });
        let added = added.await.context("add a member")?;
        Ok(added.member.context("the new member")?.id)
    }

    /// Adds a member with a vote, and starts it.
    pub(super) async fn add_voter(&mut self) -> Result<()> {
        let setup = self.joiner()?;
        let id = self.add(&setup, false).await?;
        let member = setup.start()?;
        self.members.push(Known { id, member });
        self.follow();
        Ok(())
    }

    /// Adds a member without a vote, starts it, and gives it one once it has caught up. Until then, and after an update, it is
    /// a learner.
    pub(super) async fn add_learner_and_promote(&mut self) -> Result<()> {
        let setup = self.joiner()?;
        let id = self.add(&setup, true).await?;
        let wire = self.wire(0).await?;
        let promote = async || {
            wire.cluster()
                .member_promote(MemberPromoteRequest { id })
                .await
        };
        let early = promote()
            .await
            .err()
            .context("a learner that never ran was promoted")?;
        ensure!(early.code() == Code::FailedPrecondition, "{early}");
        let member = setup.start()?;
        let update = MemberUpdateRequest {
            id,
            peer_ur_ls: vec![setup.peer_url()],
        };
        wire.cluster().member_update(update).await?;
        learner::serves_little(&Wire::connect(&setup.endpoint()).await?).await?;
        let not_yet = |error: &Status| error.message().contains("in sync with leader");
        until(promote, not_yet).await.context("promote a learner")?;
        self.members.push(Known { id, member });
        self.follow();
        Ok(())
    }

    /// Where the leader is.
    async fn leader(&self) -> Result<usize> {
        let found = poll(PATIENCE, async || {
            for at in 0..self.len() {
                let Ok(wire) = self.wire(at).await else {
                    continue;
                };
                let Ok(status) = wire.maintenance().status(StatusRequest {}).await else {
                    continue;
                };
                let status = status.into_inner();
                if status
                    .header
                    .is_some_and(|header| header.member_id == status.leader)
                {
                    return Some(at);
                }
            }
            None
        });
        found.await.context("nobody leads")
    }

    async fn id(&self, at: usize) -> Result<u64> {
        if self.members[at].id != 0 {
            return Ok(self.members[at].id);
        }
        let status = self
            .wire(at)
            .await?
            .maintenance()
            .status(StatusRequest {})
            .await?;
        Ok(status.into_inner().header.context("header")?.member_id)
    }

    /// Hands leadership to another member, which then has it.
    pub(super) async fn move_leader(&self) -> Result<()> {
        let leader = self.leader().await?;
        let heir = (leader + 1) % self.len();
        let request = MoveLeaderRequest {
            target_id: self.id(heir).await?,
        };
        let wire = self.wire(leader).await?;
        wire.maintenance().move_leader(request).await?;
        ensure!(self.leader().await? == heir, "another member leads");
        let refused = wire.maintenance().move_leader(request).await;
        let refused = refused.err().context("a follower handed over")?;
        ensure!(refused.message() == "etcdserver: not leader", "{refused}");
        Ok(())
    }

    /// Removes the leader, by its own hand.
    pub(super) async fn remove_leader(&mut self) -> Result<()> {
        let leader = self.leader().await?;
        self.remove(leader, leader).await
    }

    /// Removes a follower, by the hand of another member.
    pub(super) async fn remove_follower(&mut self) -> Result<()> {
        let leader = self.leader().await?;
        self.remove((leader + 1) % self.len(), leader).await
    }

    async fn remove(&mut self, at: usize, asked: usize) -> Result<()> {
        let id = self.id(at).await?;
        let wire = self.wire(asked).await?;
        // Nobody is sent to a member that is about to go.
        let endpoint = self.members[at].member.setup().endpoint();
        let gone = |known: &String| *known != endpoint;
        self.endpoints.lock().expect("nobody panics").retain(gone);
        let remove = async || {
            wire.cluster()
                .member_remove(MemberRemoveRequest { id })
                .await
        };
        until_healthy(remove).await.context("remove a member")?;
        let known = self.members.remove(at);
        self.follow();
        let setup = known.member.setup().clone();
        let status = known.member.end().context("a removed member")?;
        ensure!(status.success(), "a removed member ended with {status}");
        self.come_back(&setup).await
    }

    /// A member that was removed is not taken back: it ends again.
    async fn come_back(&self, setup: &Setup) -> Result<()> {
        let status = setup
            .spawn()?
            .end()
            .context("a removed member that came back")?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// After a change: all agree on who is in the cluster, and writes go on.
    pub(super) async fn check(&self, load: &Load) -> Result<()> {
        let before = load.acknowledged();
        let going = poll(PATIENCE, async || {
            (load.acknowledged() >= before + PROGRESS).then_some(())
        });
        going.await.context("writes do not go on")?;
        for at in 0..self.len() {
            let request = MemberListRequest { linearizable: true };
            let list = self.wire(at).await?.cluster().member_list(request).await?;
            let members = list.into_inner().members;
            let all_vote = members.iter().all(|member| !member.is_learner);
            ensure!(
                members.len() == self.len() && all_vote,
                "instead of {} voters: {members:?}",
                self.len()
            );
        }
        Ok(())
    }

    /// Compares what was written with what each member has.
    pub(super) async fn verify(&self, written: &Written) -> Result<()> {
        for at in 0..self.len() {
            written.verify(&self.wire(at).await?).await?;
        }
        Ok(())
    }

    /// Kills all members and starts them again.
    pub(super) async fn kill_and_restart(&mut self) -> Result<()> {
        let mut setups = Vec::new();
        for known in self.members.drain(..) {
            setups.push((known.id, known.member.setup().clone()));
            known.member.kill()?;
        }
        let launched: Vec<_> = setups
            .into_iter()
            .map(|(id, setup)| Ok((id, setup.launch()?)))
            .collect::<Result<_>>()?;
        for (id, launched) in launched {
            let member = launched.wait()?;
            self.members.push(Known { id, member });
        }
        Ok(())
    }

    /// All members die, and only the first comes back, to go on alone.
    pub(super) async fn lose_all_but_one(&mut self) -> Result<()> {
        let mut setups = Vec::new();
        for known in self.members.drain(..) {
            setups.push((known.id, known.member.setup().clone()));
            known.member.kill()?;
        }
        let (id, setup) = setups.swap_remove(0);
        let member = setup.clone().flag("--force-new-cluster").start()?;
        self.members.push(Known { id, member });
        self.follow();
        // The flag is for one start only.
        let known = self.members.remove(0);
        known.member.kill()?;
        let member = setup.start()?;
        self.members.push(Known { id, member });
        let request = MemberListRequest { linearizable: true };
        let list = self.wire(0).await?.cluster().member_list(request).await?;
        let members = list.into_inner().members;
        ensure!(members.len() == 1, "others are still there: {members:?}");
        // Who was left behind is told so when it comes back.
        let (_, zombie) = setups.swap_remove(0);
        self.come_back(&zombie).await
    }
}

/// Tries again while the cluster is not healthy enough for a change: links must have lasted for a while.
async fn until_healthy<T>(call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T> {
    let unhealthy = [
        "etcdserver: unhealthy cluster",
        "etcdserver: re-configuration failed due to not enough started members",
    ];
    until(call, |error| unhealthy.contains(&error.message())).await
}

/// Tries again while the refusal is one that passes.
async fn until<T>(
    mut call: impl AsyncFnMut() -> Result<T, Status>,
    passes: impl Fn(&Status) -> bool,
) -> Result<T> {
    let done = poll(PATIENCE, async || match call().await {
        Ok(done) => Some(Ok(done)),
        Err(error) if passes(&error) => None,
        Err(error) => Some(Err(error)),
    });
    match done.await {
        Some(done) => Ok(done?),
        None => bail!("refused again and again"),
    }
}
