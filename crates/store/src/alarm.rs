//! Raised alarms: pairs of a member and what is wrong there. Any of them holds for the whole cluster.

use std::collections::BTreeSet;

use bytes::Bytes;
use ferrod_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, alarm_request::AlarmAction,
};
use prost::Message;

/// The raised alarms, ordered by member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    raised: BTreeSet<(u64, i32)>,
}

/// What an alarm request does, decided from what is raised.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AlarmChange {
    /// Nothing; the answer lists these.
    None(Vec<AlarmMember>),
    /// A new alarm.
    Raise(AlarmMember),
    /// An alarm that is raised already.
    RaiseAgain(AlarmMember),
    /// The end of one.
    Clear(AlarmMember),
}

impl Alarms {
    /// Reads an alarm's row back; `None` if it is not one that is ever raised, in the one way to write it.
    pub(crate) fn restore(&mut self, row_key: &[u8]) -> Option<()> {
        let alarm = AlarmMember::decode(row_key).ok()?;
        if !is_known(alarm.alarm) || Alarms::row_key(&alarm) != row_key {
            return None;
        }
        self.raised.insert((alarm.member_id, alarm.alarm));
        Some(())
    }

    /// The key of an alarm's row, whose value is empty.
    pub(crate) fn row_key(alarm: &AlarmMember) -> Vec<u8> {
        alarm.encode_to_vec()
    }

    /// Whether any member has raised this one.
    pub fn is_raised(&self, alarm: AlarmType) -> bool {
        self.raised
            .iter()
            .any(|(_, raised)| *raised == alarm as i32)
    }

    /// Whether this very pair is raised.
    pub fn contains(&self, alarm: &AlarmMember) -> bool {
        self.raised.contains(&(alarm.member_id, alarm.alarm))
    }

    /// All raised alarms of one type, or all for [`AlarmType::None`].
    pub fn list(&self, alarm: i32) -> Vec<AlarmMember> {
        self.raised
            .iter()
            .filter(|(_, raised)| alarm == AlarmType::None as i32 || *raised == alarm)
            .map(|&(member_id, alarm)| AlarmMember { member_id, alarm })
            .collect()
    }

    /// What the request comes to. An action that does not exist does nothing.
    pub(crate) fn decide(&self, request: &AlarmRequest) -> AlarmChange {
        let pair = AlarmMember {
            member_id: request.member_id,
            alarm: request.alarm,
        };
        let known = is_known(request.alarm);
        match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => AlarmChange::None(self.list(request.alarm)),
            Ok(AlarmAction::Activate) if known && self.contains(&pair) => {
                AlarmChange::RaiseAgain(pair)
            }
            Ok(AlarmAction::Activate) if known => AlarmChange::Raise(pair),
            Ok(AlarmAction::Deactivate) if self.contains(&pair) => AlarmChange::Clear(pair),
            _ => AlarmChange::None(vec![]),
        }
    }

    pub(crate) fn raise(&mut self, alarm: &AlarmMember) {
        self.raised.insert((alarm.member_id, alarm.alarm));
    }

    pub(crate) fn clear(&mut self, alarm: &AlarmMember) {
        self.raised.remove(&(alarm.member_id, alarm.alarm));
    }
}

/// Whether an alarm of this type can be raised.
fn is_known(alarm: i32) -> bool {
    matches!(
        AlarmType::try_from(alarm),
        Ok(AlarmType::Nospace | AlarmType::Corrupt)
    )
}

/// An alarm has no value: all is in its key.
pub(crate) const ALARM_ROW_VALUE: Bytes = Bytes::new();

#[cfg(test)]
mod tests {
    use super::*;

    fn request(action: AlarmAction, member_id: u64, alarm: AlarmType) -> AlarmRequest {
        AlarmRequest {
            action: action as i32,
            member_id,
            alarm: alarm as i32,
        }
    }

    #[test]
    fn pairs_are_exact_and_zero_is_no_wildcard() {
        let mut alarms = Alarms::default();
        let raise = alarms.decide(&request(AlarmAction::Activate, 123, AlarmType::Nospace));
        let AlarmChange::Raise(pair) = raise else {
            panic!("{raise:?}")
        };
        alarms.raise(&pair);
        assert!(alarms.is_raised(AlarmType::Nospace));
        assert!(!alarms.is_raised(AlarmType::Corrupt));
        let none = AlarmChange::None(vec![]);
        assert_eq!(
            alarms.decide(&request(AlarmAction::Deactivate, 0, AlarmType::None)),
            none
        );
        assert_eq!(
            alarms.decide(&request(AlarmAction::Deactivate, 0, AlarmType::Nospace)),
            none
        );
        assert_eq!(
            alarms.decide(&request(AlarmAction::Activate, 5, AlarmType::None)),
            none
        );
        let again = alarms.decide(&request(AlarmAction::Activate, 123, AlarmType::Nospace));
        assert_eq!(again, AlarmChange::RaiseAgain(pair));
        let listed = alarms.decide(&request(AlarmAction::Get, 9, AlarmType::None));
        assert_eq!(listed, AlarmChange::None(vec![pair]));
        let clear = alarms.decide(&request(AlarmAction::Deactivate, 123, AlarmType::Nospace));
        assert_eq!(clear, AlarmChange::Clear(pair));
        let unknown = AlarmRequest {
            action: 77,
            member_id: 1,
            alarm: 1,
        };
        assert_eq!(alarms.decide(&unknown), none);
    }

    #[test]
    fn rows_are_read_back() {
        let alarm = AlarmMember {
            member_id: u64::MAX,
            alarm: AlarmType::Corrupt as i32,
        };
        let mut alarms = Alarms::default();
        alarms.restore(&Alarms::row_key(&alarm)).unwrap();
        assert_eq!(alarms.list(0), [alarm]);
        assert_eq!(alarms.restore(b"\xff"), None);
        for never_raised in [AlarmType::None as i32, 77] {
            let alarm = AlarmMember {
                member_id: 1,
                alarm: never_raised,
            };
            assert_eq!(alarms.restore(&Alarms::row_key(&alarm)), None);
        }
        assert_eq!(
            alarms.restore(b"\x08\x81\x00\x10\x01"),
            None,
            "a long varint"
        );
    }
}
