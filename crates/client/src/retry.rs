//! What to do after a failed attempt.

use std::time::Duration;

use ferrod_proto::ApiError;
use tonic::{Code, Status};

use crate::error::code_of;
use crate::method::Repeat;

/// Attempts after which a repeatable call gives up on servers that answer "unavailable".
pub(crate) const ATTEMPTS_MAX: u32 = 100;

/// Pause after every endpoint has been tried once, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing was sent: try the next endpoint, as often as it takes.
    Unsent,
    /// Try the next endpoint.
    Again,
    /// Ask for a new token, then try again.
    NewToken,
    /// Report it.
    Final,
}

impl Verdict {
    pub(crate) fn of(status: &Status, repeat: Repeat, endpoints: usize) -> Verdict {
        if was_unsent(status) {
            return Verdict::Unsent;
        }
        match ApiError::from_text(status.message()) {
            Some(
                ApiError::InvalidAuthToken | ApiError::AuthOldRevision | ApiError::UserNameIsEmpty,
            ) => Verdict::NewToken,
            Some(ApiError::NotSupportedForLearner) if endpoints > 1 => Verdict::Again,
            _ if code_of(status) == Code::Unavailable && repeat == Repeat::Always => Verdict::Again,
            _ => Verdict::Final,
        }
    }
}

/// Whether the attempt ended before there was a connection.
fn was_unsent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Pauses once per round over all endpoints. Rounds without any connection pause longer and longer.
pub(crate) struct Rounds {
    endpoints: usize,
    tried: usize,
    unsent_pause: Duration,
}

impl Rounds {
    pub(crate) fn new(endpoints: usize) -> Rounds {
        Rounds {
            endpoints,
            tried: 0,
            unsent_pause: PAUSE_MIN,
        }
    }

    /// The pause before the next attempt.
    pub(crate) fn pause(&mut self, verdict: Verdict) -> Duration {
        self.tried += 1;
        if !self.tried.is_multiple_of(self.endpoints) {
            return Duration::ZERO;
        }
        if verdict != Verdict::Unsent {
            return PAUSE_MIN;
        }
        let pause = self.unsent_pause;
        self.unsent_pause = (pause * 2).min(PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: &Status, repeat: Repeat, endpoints: usize) -> Verdict {
        Verdict::of(status, repeat, endpoints)
    }

    #[test]
    fn reads_are_repeated_on_unavailable_and_writes_are_not() {
        let status = Status::unavailable("etcdserver: leader changed");
        assert_eq!(verdict(&status, Repeat::Always, 1), Verdict::Again);
        assert_eq!(verdict(&status, Repeat::IfUnsent, 1), Verdict::Final);
    }

    #[test]
    fn both_are_repeated_without_a_connection() {
        let refused = tonic::ConnectError(Box::from("refused"));
        let status = Status::from_error(Box::new(refused));
        assert_eq!(verdict(&status, Repeat::IfUnsent, 1), Verdict::Unsent);
    }

    #[test]
    fn a_learner_is_left_for_another_endpoint() {
        let status = Status::failed_precondition("etcdserver: rpc not supported for learner");
        assert_eq!(verdict(&status, Repeat::IfUnsent, 1), Verdict::Final);
        assert_eq!(verdict(&status, Repeat::IfUnsent, 2), Verdict::Again);
    }

    #[test]
    fn a_stale_token_is_replaced() {
        let status = Status::unauthenticated("etcdserver: invalid auth token");
        assert_eq!(verdict(&status, Repeat::IfUnsent, 1), Verdict::NewToken);
    }

    #[test]
    fn pauses_come_once_per_round() {
        let mut rounds = Rounds::new(2);
        assert_eq!(rounds.pause(Verdict::Unsent), Duration::ZERO);
        assert_eq!(rounds.pause(Verdict::Unsent), PAUSE_MIN);
        assert_eq!(rounds.pause(Verdict::Unsent), Duration::ZERO);
        assert_eq!(rounds.pause(Verdict::Unsent), PAUSE_MIN * 2);
    }
}
