//! One hash, asked for and told.

use std::time::Duration;

use ferrod_mvcc::Error;
use ferrod_node::{MemberId, Role};
use ferrod_proto::ApiError;
use ferrod_proto::peer::{Answer, ComparisonBegun, HashTold, HashWanted, answer, question};
use ferrod_store::Member;
use tonic::Status;

use super::Point;
use super::verdict::Told;
use crate::engine::Engine;
use crate::grpc::status;
use crate::peer::ask::{Patience, ask_patiently};

/// How long a member that is behind may take to reach the revision that it is asked about.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(50);

/// How long the hash of everything may take. A member that takes longer is not compared.
const WALK_MAX: Duration = Duration::from_secs(15 * 60);

/// Which hash of a point. One kind is never compared with the other: where nothing is alive, etcd's two rules give two hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The one that was made of the compaction.
    OfCompaction,
    /// One that is made now.
    Now,
}

impl Kind {
    pub(super) fn of(of_compaction: bool) -> Kind {
        match of_compaction {
            true => Kind::OfCompaction,
            false => Kind::Now,
        }
    }
}

impl Engine {
    /// This member's hash of a point; `None` if it cannot be made: the member is behind, or has compacted further.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub(super) async fn hash_of(&self, point: Point, kind: Kind) -> Result<Option<u32>, Status> {
        let is_of_it = |compacted: i64| compacted == point.compacted;
        if kind == Kind::OfCompaction {
            let known = self.views.compaction_hash(point.revision);
            let known = known.filter(|hash| is_of_it(hash.compact_revision));
            return Ok(known.map(|hash| hash.hash));
        }
        if tokio::time::timeout(CATCH_UP_MAX, self.reach(point.revision))
            .await
            .is_err()
        {
            return Ok(None);
        }
        let stopping = || status::of(ApiError::Stopped);
        let _walk = self
            .comparisons
            .walks
            .acquire()
            .await
            .map_err(|_| stopping())?;
        let mut reader = self.views.reader();
        let walk = move || reader.hash_anew(&reader.view(), point.revision);
        let hash = tokio::task::spawn_blocking(walk).await;
        match hash.map_err(|_| stopping())? {
            Ok(hash) => Ok(is_of_it(hash.compact_revision).then_some(hash.hash)),
            Err(Error::Compacted | Error::Future) => Ok(None),
            Err(error) => {
                self.suspicion.look_at(&error);
                Err(Status::internal(crate::logging::error_chain(&error)))
            }
        }
    }

    async fn reach(&self, revision: i64) {
        while self.views.load().revision() < revision {
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
    }

    /// Tells another member this one's hash.
    pub(crate) async fn answer_hash(&self, wanted: HashWanted) -> Result<Answer, Status> {
        let point = Point {
            revision: wanted.revision,
            compacted: wanted.compact_revision,
        };
        // Others have no name in the log, and would not end.
        if point.revision <= 0 {
            return Err(Status::invalid_argument("no revision"));
        }
        let hash = self.hash_of(point, Kind::of(wanted.of_compaction)).await?;
        let told = HashTold {
            known: hash.is_some(),
            hash: hash.unwrap_or_default(),
        };
        Ok(Answer {
            content: Some(answer::Content::Hash(told)),
        })
    }

    /// Has all members compared for one that has just started.
    pub(crate) fn answer_comparison(&self) -> Result<Answer, Status> {
        if self.node.status().soft.role != Role::Leader {
            return Err(status::of(ApiError::NotLeader));
        }
        self.comparisons.wanted.notify_one();
        Ok(Answer {
            content: Some(answer::Content::Comparison(ComparisonBegun {})),
        })
    }

    /// The hash of a point on all members, this one included, asked at the same time. Who cannot be reached, or answers
    /// anything else, tells nothing.
    pub(super) async fn hashes_of(&self, point: Point, kind: Kind) -> Vec<Told> {
        let cluster = self.cluster.load();
        let asking = cluster.members.present.values().map(async |asked| {
            let member = MemberId(asked.id);
            let hash = match member == self.member {
                true => self.hash_of(point, kind).await,
                false => self.ask_hash(asked, point, kind).await,
            };
            let hash = hash.unwrap_or_else(|error| {
                tracing::warn!("remote-peer-id" = %member, %error, "failed to get the hash of a member");
                None
            });
            (member, hash)
        });
        futures_util::future::join_all(asking).await
    }

    async fn ask_hash(
        &self,
        member: &Member,
        point: Point,
        kind: Kind,
    ) -> Result<Option<u32>, Status> {
        let wanted = question::Content::Hash(HashWanted {
            revision: point.revision,
            compact_revision: point.compacted,
            of_compaction: kind == Kind::OfCompaction,
        });
        let answer = self.ask_member(member, wanted, kind).await?;
        match answer.content {
            Some(answer::Content::Hash(told)) => Ok(told.known.then_some(told.hash)),
            _ => Err(Status::unavailable("the member answered another question")),
        }
    }

    /// Asks a member something that takes as long as a hash of this kind.
    pub(super) async fn ask_member(
        &self,
        member: &Member,
        question: question::Content,
        kind: Kind,
    ) -> Result<Answer, Status> {
        let patience = Patience {
            connect: self.limits.request_timeout,
            answer: match kind {
                Kind::OfCompaction => self.limits.request_timeout,
                Kind::Now => WALK_MAX,
            },
        };
        let (to, urls) = (MemberId(member.id), &member.peer_urls);
        ask_patiently(self.cluster_id, to, urls, question, patience).await
    }
}
