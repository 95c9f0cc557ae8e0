//! What this member tells one that has lost its log, or part of it.

use ferrod_node::{LogIndex, MemberId, Role};
use ferrod_proto::peer::{Answer, Confirmed, Standing, Suspect, answer};
use tonic::Status;

use super::Engine;

impl Engine {
    /// Answers a suspect member: with this member's term, and as a leader, whom a majority confirms after the question came,
    /// with the end of its log. Both ends only ever grow in what they promise, so an answer that is late is still true.
    ///
    /// # Errors
    /// That whoever asks is no member.
    pub(crate) async fn answer_suspect(&self, asked: Suspect) -> Result<Answer, Status> {
        if !self
            .cluster
            .load()
            .members
            .present
            .contains_key(&asked.member)
        {
            return Err(Status::permission_denied("not a member of this cluster"));
        }
        // First: what the member acknowledged before is in the log whose end is told below.
        self.node
            .log_lost(MemberId(asked.member), LogIndex(asked.last));
        let confirmed = self.confirm().await;
        // Before the term: whoever votes for a removed member does so in a term that is told.
        let removals = self.cluster.load().members.removed.len() as u64;
        let standing = Standing {
            term: self.node.status().soft.term.0,
            confirmed,
            removals,
        };
        Ok(Answer {
            content: Some(answer::Content::Standing(standing)),
        })
    }

    /// The end of this member's log, if it leads and a majority says so now.
    async fn confirm(&self) -> Option<Confirmed> {
        let before = self.node.status().soft;
        if before.role != Role::Leader {
            return None;
        }
        self.barrier(None).await.ok()?;
        let status = self.node.status();
        let members = &self.cluster.load().members;
        let voters = members.present.values().filter(|m| !m.is_learner);
        (status.soft == before).then(|| Confirmed {
            last: status.last.0,
            voters: voters.map(|member| member.id).collect(),
        })
    }
}
