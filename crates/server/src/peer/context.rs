//! What everything on the thread of the peers shares.

use std::sync::Arc;
use std::time::Duration;

use ferrod_env::Clock;
use ferrod_metrics::Metrics;
use ferrod_node::{LogIndex, MemberId, NodeHandle};
use ferrod_proto::peer::{Hello, Refusal, refusal::Reason};
use ferrod_store::ClusterView;
use tokio::sync::{Notify, watch};

use super::ask::Questions;
use super::directory::{Directory, Peer, Turn};
use super::lane::Lane;
use super::newcomer::Newcomer;
use super::protocol::{PROTOCOL, PROTOCOL_MIN};
use super::state::States;
use crate::config::Config;
use crate::ids::ClusterId;
use crate::lives::{Met, OwnLife};
use crate::suspect::Suspicion;
use crate::version::{ETCD_MIN_CLUSTER_VERSION, ETCD_VERSION};

/// Bytes of messages that go into one parcel, beyond one message.
pub(crate) const PARCEL_BYTES: usize = 1 << 20;

/// Between two looks at how far the log is applied.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// What everything on the thread of the peers shares.
pub(crate) struct Context {
    pub(crate) cluster_id: ClusterId,
    pub(crate) local: MemberId,
    /// Where this member is reached.
    pub(crate) urls: Vec<String>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) node: NodeHandle,
    pub(crate) cluster: ClusterView,
    /// Rings when the members have changed.
    pub(crate) members_changed: Arc<Notify>,
    /// Whether this member was removed from its cluster.
    pub(crate) removed: watch::Sender<bool>,
    /// What this member knew to be committed when it started. Until that is applied it does not know who has lived.
    pub(crate) committed_at_start: LogIndex,
    /// Whether this member has lived before, as far as it knows.
    pub(crate) newcomer: Newcomer,
    /// Which start of this member this is.
    pub(crate) life: Arc<OwnLife>,
    /// The latest starts of the others that this member has met.
    pub(crate) met: Met,
    pub(crate) suspicion: Arc<Suspicion>,
    /// Why the member must stop, once it must.
    pub(crate) fatal: watch::Sender<Option<String>>,
    /// Where the questions of other members go.
    pub(crate) questions: Questions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meters: Arc<Metrics>,
    pub(crate) pace: Pace,
    pub(crate) states: States,
    /// Bytes of one parcel that are taken from a peer.
    pub(crate) parcel_bytes_max: usize,
}

/// How long things between members may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(super) heartbeat: Duration,
    /// To connect.
    pub(super) dial: Duration,
    /// To answer a call, and to say anything at all.
    pub(super) read_timeout: Duration,
    election_timeout: Duration,
}

impl Pace {
    pub(crate) fn new(config: &Config) -> Pace {
        Pace {
            heartbeat: config.raft.heartbeat_interval,
            dial: Duration::from_secs(1) + config.raft.election_timeout,
            read_timeout: config.raft.read_timeout,
            election_timeout: config.raft.election_timeout,
        }
    }

    /// Between two signs of life on a connection.
    pub(super) fn ping(&self) -> Duration {
        self.heartbeat
            .clamp(Duration::from_millis(100), Duration::from_secs(1))
    }

    /// A removed member has this long to tell what it knows: as long as in etcd, and at least an election timeout, in which
    /// a leader says several times that its removal is committed.
    pub(super) fn removed(&self) -> Duration {
        self.election_timeout.max(Duration::from_secs(1))
    }

    /// After so long without a sign of life a connection is dead: a link may die without a word, and what is sent into it
    /// is lost. raft itself would take the other end for dead by then. Entries get twice the time, for a parcel of them
    /// may be long under way on a slow link.
    pub(super) fn silence(&self, lane: Lane) -> Duration {
        let patience = match lane {
            Lane::Urgent => self.election_timeout,
            Lane::Bulk => 2 * self.election_timeout,
        };
        patience.max(5 * self.ping()).min(self.read_timeout)
    }
}

impl Context {
    /// What this member says first.
    pub(super) fn hello(&self, to: MemberId, lane: Lane) -> Hello {
        Hello {
            cluster: self.cluster_id.0,
            from: self.local.0,
            to: to.0,
            lane: lane.wire() as i32,
            peer_urls: self.urls.clone(),
            version: ETCD_VERSION.to_owned(),
            min_cluster_version: ETCD_MIN_CLUSTER_VERSION.to_owned(),
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            newcomer: self.newcomer.is_newcomer(),
            life: Some(self.life.current().to_wire()),
        }
    }

    /// Whether to listen to a caller.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub(super) fn admit(&self, hello: &Hello) -> Result<(Arc<Peer>, Lane), Refusal> {
        let refuse = |reason, text: String| Err(self.refusal(reason, text));
        let from = MemberId(hello.from);
        if hello.cluster != self.cluster_id.0 {
            let text = format!(
                "cluster ID mismatch: this member belongs to {}",
                self.cluster_id
            );
            return refuse(Reason::Cluster, text);
        }
        if hello.to != self.local.0 {
            let text = format!("to field mismatch: this member is {}", self.local);
            return refuse(Reason::Target, text);
        }
        if self.is_removed(from) {
            return refuse(Reason::Removed, "removed member".to_owned());
        }
        if hello.newcomer && self.has_lived(from) {
            return Err(self.not_a_newcomer());
        }
        let Some(lane) = Lane::from_wire(hello.lane) else {
            return refuse(Reason::Malformed, "unknown lane".to_owned());
        };
        if from == MemberId::NONE || from == self.local {
            return refuse(Reason::Malformed, "invalid sender".to_owned());
        }
        let peer = self.directory.get(from);
        match peer.or_else(|| self.directory.introduce(from, &hello.peer_urls)) {
            Some(peer) => Ok((peer, lane)),
            None => refuse(Reason::Malformed, "sender not found".to_owned()),
        }
    }

    pub(super) fn refusal(&self, reason: Reason, text: String) -> Refusal {
        Refusal {
            reason: reason as i32,
            text,
            cluster: self.cluster_id.0,
            member: self.local.0,
            told_boot: 0,
            met_boot: 0,
        }
    }

    pub(super) fn not_a_newcomer(&self) -> Refusal {
        let text = "the caller has lived before, and has lost its data".to_owned();
        self.refusal(Reason::Lived, text)
    }

    /// Whether a member was removed for good.
    pub(super) fn is_removed(&self, id: MemberId) -> bool {
        self.cluster.load().members.removed.contains(&id.0)
    }

    /// Waits until this member knows what it knew in its last life.
    pub(super) async fn remembers(&self) {
        while self.node.status().applied < self.committed_at_start {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Whether a member has ever told where clients find it.
    fn has_lived(&self, id: MemberId) -> bool {
        let cluster = self.cluster.load();
        let known = cluster.members.present.get(&id.0);
        known.is_some_and(|member| !member.client_urls.is_empty())
    }

    /// A connection with a peer begins; it ends with the returned value.
    pub(super) fn contact(self: &Arc<Self>, peer: &Arc<Peer>) -> Connected {
        let labels = [self.local.to_string(), peer.id.to_string()];
        if peer.connected(self.clock.now()) == Turn::Active {
            tracing::info!("peer-id" = %peer.id, "peer became active");
            let active = self.meters.network.active_peers.clone();
            active.with_label_values(&labels).set(1);
        }
        Connected {
            context: self.clone(),
            peer: peer.clone(),
        }
    }
}

/// Counts a connection for as long as it lives.
pub(super) struct Connected {
    context: Arc<Context>,
    peer: Arc<Peer>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        if self.peer.disconnected() != Turn::Inactive {
            return;
        }
        let network = &self.context.meters.network;
        let labels = [self.context.local.to_string(), self.peer.id.to_string()];
        network.active_peers.with_label_values(&labels).set(0);
        network
            .disconnected_peers_total
            .with_label_values(&labels)
            .inc();
        tracing::warn!(
            "peer-id" = %self.peer.id,
            error = "connection lost",
            "peer became inactive (message send to peer failed)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// covers: N-10
    #[test]
    fn a_dead_link_is_noticed_when_raft_would_notice() {
        let pace = |heartbeat, election_timeout| Pace {
            heartbeat: Duration::from_millis(heartbeat),
            dial: Duration::from_secs(2),
            read_timeout: Duration::from_secs(5),
            election_timeout: Duration::from_millis(election_timeout),
        };
        let silences = |pace: Pace| Lane::ALL.map(|lane| pace.silence(lane).as_millis());
        assert_eq!(silences(pace(100, 1000)), [1000, 2000]);
        assert_eq!(
            silences(pace(10, 100)),
            [500, 500],
            "not before pings are due"
        );
        assert_eq!(silences(pace(500, 5000)), [5000, 5000]);
    }
}
