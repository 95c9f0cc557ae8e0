//! Whether another member is the one that was met, or an older copy of it; and what this member does when it is told to be one
//! itself. See `lives.rs`.

use std::fmt;
use std::sync::Arc;

use ferrod_node::MemberId;
use ferrod_proto::peer::{self, Hello, Refusal, refusal::Reason};

use super::context::Context;
use crate::lives::{Life, Meeting, PutBack};

/// Why a member is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet {
    PutBack(PutBack),
    /// What it tells of its starts makes no sense.
    Absurd,
    /// This member cannot remember it.
    Stopping,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmet::PutBack(put_back) => {
                write!(f, "its disk was put back to an older copy: {put_back}")
            }
            Unmet::Absurd => f.write_str("impossible number of starts"),
            Unmet::Stopping => f.write_str("this member is stopping"),
        }
    }
}

impl Context {
    /// Whether a caller that is a member remembers all of its starts. If this one is later than any that was met, this member will
    /// not forget that.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub(super) async fn recognize(self: &Arc<Self>, hello: &Hello) -> Result<(), Refusal> {
        match self.meet(MemberId(hello.from), hello.life.as_ref()).await {
            Ok(()) => Ok(()),
            Err(Unmet::PutBack(_)) if hello.newcomer => Err(self.not_a_newcomer()),
            Err(Unmet::PutBack(PutBack { told, met })) => Err(Refusal {
                told_boot: told,
                met_boot: met,
                ..self.refusal(
                    Reason::PutBack,
                    format!(
                        "the caller's disk was put back to an older copy: {}",
                        PutBack { told, met }
                    ),
                )
            }),
            Err(Unmet::Absurd) => {
                Err(self.refusal(Reason::Malformed, "impossible number of starts".to_owned()))
            }
            Err(Unmet::Stopping) => {
                Err(self.refusal(Reason::Unknown, "the member is stopping".to_owned()))
            }
        }
    }

    /// Judges which start another member says this is, and remembers it. One that does not count its starts says nothing.
    ///
    /// # Errors
    /// Why it must not be listened to.
    pub(super) async fn meet(
        self: &Arc<Self>,
        member: MemberId,
        life: Option<&peer::Life>,
    ) -> Result<(), Unmet> {
        let Some(life) = life else {
            return Ok(());
        };
        let life = Life::from_wire(life.clone()).ok_or(Unmet::Absurd)?;
        let mut meeting = self.met.judge(member, &life);
        if meeting == Meeting::Later {
            let context = self.clone();
            let remembering = tokio::task::spawn_blocking(move || {
                let removed = |id| context.is_removed(id);
                context.met.remember(member, &life, removed)
            });
            meeting = match remembering.await {
                Ok(Ok(meeting)) => meeting,
                Ok(Err(error)) => {
                    self.suspicion
                        .stop(format!("remember the start of another member: {error}"));
                    return Err(Unmet::Stopping);
                }
                Err(_) => return Err(Unmet::Stopping),
            };
        }
        match meeting {
            Meeting::Again | Meeting::Later => Ok(()),
            Meeting::PutBack(put_back) => Err(Unmet::PutBack(put_back)),
            Meeting::Absurd => Err(Unmet::Absurd),
        }
    }

    /// Another member says that this one's disk was put back. A suspect member knows that already, or worse: it only has to count
    /// on from what was met. Any other one has forgotten what it promised.
    pub(super) async fn was_put_back(self: &Arc<Self>, by: MemberId, refusal: &Refusal) {
        if refusal.told_boot != self.life.boot() {
            // It was said of an earlier one.
            return;
        }
        if self.suspicion.reason().is_none() {
            return self
                .suspicion
                .must_heal(&format!("member {by} does not listen: {}", refusal.text));
        }
        let (told, met) = (refusal.told_boot, refusal.met_boot);
        let context = self.clone();
        let rising = tokio::task::spawn_blocking(move || context.life.rise(told, met));
        if let Ok(Err(error)) = rising.await {
            self.suspicion
                .stop(format!("count the starts of this member: {error}"));
        }
    }
}
