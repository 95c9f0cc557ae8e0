//! A member dies once at each of its failpoints, and the history must be whole each time.
//!
//! Needs a build with failpoints: `cargo xtask e2e failpoints` makes one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    DefragmentRequest, LeaseGrantRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest,
    RangeRequest,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::history;
use super::ledger::{Attempt, Deeds, Effects, Ledger};
use super::load::Load;
use crate::clock::now;
use crate::member::{Member, Setup};
use crate::wire::Wire;

/// What to run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Only this failpoint
    #[arg(long)]
    pub only: Option<String>,
    /// Chooses the work
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// How long a member may take to come to a place.
const LIFE_MAX: Duration = Duration::from_secs(12);

/// Places that a member without peers does not come to.
const NEED_PEERS: [&str; 5] = [
    "afterApplyOneConfChange",
    "beforeApplyOneConfChange",
    "raftBeforeFollowerSend",
    "raftBeforeLeaderSend",
    "raftBeforeReadAnswer",
];

/// Enough to fill a segment of the log.
const ROLL_PUTS: usize = 66;

/// Dies at each place and prints how many were reached.
///
/// # Errors
/// The first broken promise, or a place that is never come to.
pub fn run(options: &Options) -> Result<()> {
    let binary = crate::binaries::ferrod_with_failpoints()?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(die_everywhere(options, &binary, folder.path()));
    if outcome.is_err() {
        eprintln!("data kept in {}", folder.keep().display());
    }
    println!("failpoints: {}", outcome?);
    Ok(())
}

async fn die_everywhere(options: &Options, binary: &Path, folder: &Path) -> Result<String> {
    let failpoints = format!("127.0.0.1:{}", crate::member::free_port()?);
    let setup = Setup::new(binary, folder)?.variable("GOFAIL_HTTP", &failpoints);
    let mut world = World {
        setup,
        failpoints,
        rng: fastrand::Rng::with_seed(options.seed),
        ledger: Ledger::default(),
        life: 0,
    };
    let names = world.names().await?;
    let (mut deaths, mut elsewhere, mut missed) = (0, 0, Vec::new());
    for name in &names {
        if options.only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        if needs_peers(name) {
            elsewhere += 1;
            continue;
        }
        let died = world.die_at(name).await;
        if died.with_context(|| format!("at failpoint {name}"))? {
            deaths += 1;
        } else {
            missed.push(name.clone());
        }
    }
    ensure!(missed.is_empty(), "never came to {}", missed.join(", "));
    if options.only.is_none() {
        world.end_slowly().await?;
    }
    Ok(format!(
        "a death at each of {deaths} places, {elsewhere} more need peers; a lease went with its keys; {}",
        world.ledger.summary(world.life)
    ))
}

fn needs_peers(name: &str) -> bool {
    NEED_PEERS.contains(&name) || name.starts_with("state") || name.starts_with("peer")
}

/// Places that a member comes to before it serves.
fn is_before_serving(name: &str) -> bool {
    name.starts_with("open") || name == "raftBeforeRoleChange"
}

/// A member, its history, and the lives so far.
struct World {
    setup: Setup,
    /// Address of the failpoint port.
    failpoints: String,
    rng: fastrand::Rng,
    ledger: Ledger,
    life: u32,
}

impl World {
    /// What places there are.
    async fn names(&self) -> Result<Vec<String>> {
        let _member = self.setup.start()?;
        let list = http(&self.failpoints, "GET", "", "").await?;
        let name = |line: &str| Some(line.split_once('=')?.0.to_owned());
        let names: Vec<_> = list.lines().filter_map(name).collect();
        ensure!(names.len() >= 40, "only {} failpoints: {list}", names.len());
        Ok(names)
    }

    /// One life that ends at a place, if the member comes to it; then all is checked.
    async fn die_at(&mut self, name: &str) -> Result<bool> {
        self.life += 1;
        let died = if is_before_serving(name) {
            self.die_opening(name)?
        } else {
            self.die_working(name).await?
        };
        let member = self.setup.start()?;
        let wire = Wire::connect(&self.setup.endpoint()).await?;
        history::check(&wire, &mut self.ledger).await?;
        member.kill()?;
        Ok(died)
    }

    fn die_opening(&self, name: &str) -> Result<bool> {
        let armed = self.setup.clone();
        let armed = armed.variable("GOFAIL_FAILPOINTS", format!("{name}=panic"));
        match armed.start() {
            Ok(_) => Ok(false),
            Err(error) if error.to_string().contains("ended while starting") => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn die_working(&mut self, name: &str) -> Result<bool> {
        let mut member = self.setup.start()?;
        let endpoint = self.setup.endpoint();
        let load = Load::start(&endpoint, 6, self.life, self.rng.fork()).await?;
        let seen = history::listen(&endpoint, self.ledger.verified() + 1).await?;
        tokio::time::sleep(Duration::from_millis(self.rng.u64(20..200))).await;
        // The member may die before it has answered; that it dies is what counts.
        let _answered = set(&self.failpoints, name, "panic").await;
        let mut deeds = self.provoke(name, &member).await?;
        let died = outlive(&mut member).await;
        drop(member);
        let more = load.finish().await?;
        deeds.attempts.extend(more.attempts);
        deeds.leases.extend(more.leases);
        self.ledger.add(deeds)?;
        self.ledger.delivered(seen.finish().await);
        Ok(died)
    }

    /// Revokes a lease while each batch is published late: who hears that the lease is gone finds no key of it, and the
    /// revision that removed them in the header.
    async fn end_slowly(&self) -> Result<()> {
        let member = self.setup.start()?;
        let wire = Wire::connect(&self.setup.endpoint()).await?;
        let grant = LeaseGrantRequest { ttl: 600, id: 0 };
        let lease = wire.lease().lease_grant(grant).await?.into_inner().id;
        let put = PutRequest {
            key: "of-the-lease".into(),
            lease,
            ..Default::default()
        };
        let put = wire.kv().put(put).await?.into_inner();
        let written = put.header.context("a put has a header")?.revision;
        set(&self.failpoints, "applyBeforePublish", "sleep(300)").await?;
        let mut revoker = wire.lease();
        let request = LeaseRevokeRequest { id: lease };
        let revoking = tokio::spawn(async move { revoker.lease_revoke(request).await });
        let heard = loop {
            let request = LeaseTimeToLiveRequest {
                id: lease,
                keys: true,
            };
            let heard = wire.lease().lease_time_to_live(request).await?.into_inner();
            if heard.ttl == -1 {
                break heard.header.context("an answer has a header")?.revision;
            }
        };
        let range = RangeRequest {
            key: "of-the-lease".into(),
            serializable: true,
            ..Default::default()
        };
        let left = wire.kv().range(range).await?.into_inner().count;
        ensure!(
            heard > written && left == 0,
            "the lease was gone at revision {heard}, its key of revision {written} not: {left} found"
        );
        set(&self.failpoints, "applyBeforePublish", "off").await?;
        revoking.await??;
        member.kill()
    }

    /// Asks for what leads to the place; the answers may be the member's death.
    async fn provoke(&mut self, name: &str, member: &Member) -> Result<Deeds> {
        let wire = Wire::connect(&self.setup.endpoint()).await;
        // Dead already: the load alone came there.
        let Ok(wire) = wire else {
            return Ok(Deeds::default());
        };
        if name.starts_with("compact") {
            let _dies = self.ledger.compact(&wire).await;
        } else if name.starts_with("defrag") {
            let _dies = wire.maintenance().defragment(DefragmentRequest {}).await;
        } else if name.starts_with("lease") {
            let _dies = wire
                .lease()
                .lease_grant(LeaseGrantRequest { ttl: 1, id: 0 })
                .await;
        } else if name.ends_with("Roll") {
            return Ok(fill_segment(&wire, self.life).await);
        } else if name == "raftBeforeStop" {
            member.ask_to_stop()?;
        }
        Ok(Deeds::default())
    }
}

/// Sets a failpoint at a port.
///
/// # Errors
/// When nobody serves the port, or the member does not know the failpoint.
pub async fn set(address: &str, name: &str, terms: &str) -> Result<()> {
    http(address, "PUT", name, terms).await.map(drop)
}

/// A call of the failpoint port, or of any that speaks HTTP.
pub(crate) async fn http(address: &str, method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: member\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer has a head")?;
    if !head.starts_with("HTTP/1.1 20") {
        bail!("{method} /{path}: {answer}");
    }
    Ok(body.to_owned())
}

/// Whether the member dies by itself within a life.
async fn outlive(member: &mut Member) -> bool {
    let deadline = now() + LIFE_MAX;
    while now() < deadline {
        if !member.is_running() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

/// Puts until the log goes on in the next segment.
async fn fill_segment(wire: &Wire, life: u32) -> Deeds {
    let mut deeds = Deeds::default();
    for number in 0..ROLL_PUTS {
        let (key, value) = (
            Bytes::from(format!("large{life}-{number}")),
            Bytes::from(vec![b'x'; 1 << 20]),
        );
        let request = PutRequest {
            key: key.clone(),
            value: value.clone(),
            ..Default::default()
        };
        let answer = wire.kv().put(request).await;
        let revision = answer
            .as_ref()
            .ok()
            .and_then(|answer| Some(answer.get_ref().header.as_ref()?.revision));
        let effects: Effects = BTreeMap::from([(key, Some(value))]);
        deeds.attempts.push(Attempt { effects, revision });
        if answer.is_err() {
            break;
        }
    }
    deeds
}
