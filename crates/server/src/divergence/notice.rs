//! Telling a member that it has diverged: it is not to be trusted any more, and heals from the others.

use ferrod_node::MemberId;
use ferrod_proto::peer::{Answer, Divergence, DivergenceSeen, answer, question};
use tonic::Status;

use super::Point;
use super::question::Kind;
use crate::engine::Engine;

impl Engine {
    /// Tells members that a majority has another hash of a point than they have; this one last, for it stops then.
    ///
    /// Who cannot be told is told after the next comparison.
    pub(super) async fn tell_diverged(
        &self,
        diverged: &[MemberId],
        point: Point,
        kind: Kind,
        hash: u32,
    ) {
        let notice = Divergence {
            revision: point.revision,
            compact_revision: point.compacted,
            of_compaction: kind == Kind::OfCompaction,
            hash,
        };
        let cluster = self.cluster.load();
        for member in diverged.iter().filter(|member| **member != self.member) {
            let Some(told) = cluster.members.present.get(&member.0) else {
                continue;
            };
            let question = question::Content::Diverged(notice);
            if let Err(error) = self.ask_member(told, question, kind).await {
                tracing::warn!("remote-peer-id" = %member, %error, "failed to tell a member that it has diverged");
            }
        }
        if diverged.contains(&self.member)
            && let Err(error) = self.answer_diverged(notice).await
        {
            tracing::warn!(%error, "this member is said to have diverged");
        }
    }

    /// Becomes suspect if this member's hash is another than that of a majority, which the leader tells.
    ///
    /// # Errors
    /// If it is not, or cannot be made.
    pub(crate) async fn answer_diverged(&self, notice: Divergence) -> Result<Answer, Status> {
        let point = Point {
            revision: notice.revision,
            compacted: notice.compact_revision,
        };
        let kind = Kind::of(notice.of_compaction);
        let own = self.hash_of(point, kind).await?;
        let own = own.filter(|own| *own != notice.hash).ok_or_else(|| {
            Status::failed_precondition("this member has no other hash than the majority")
        })?;
        let reason = format!(
            "this member has diverged from the majority: at revision {} its hash is {own}, and not {}",
            point.revision, notice.hash
        );
        let suspicion = self.suspicion.clone();
        // It waits for the disk. If the member is about to stop anyway, nothing more is to be done.
        let _stopping = tokio::task::spawn_blocking(move || suspicion.raise(&reason)).await;
        Ok(Answer {
            content: Some(answer::Content::Divergence(DivergenceSeen {})),
        })
    }
}
