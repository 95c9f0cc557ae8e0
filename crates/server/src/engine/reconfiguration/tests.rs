//! The strict checks as a table, worked out by hand from etcd's rules.

use super::*;

/// Members `1..`, this one first. `s` has started, `u` has not, `l` is a learner; a capital letter is connected.
fn reachable(kinds: &str, check: impl Fn(&Reachable<'_>) -> Result<(), ApiError>) -> &'static str {
    let mut members = Members::default();
    let connected_since = |id: MemberId| {
        let kind = kinds.chars().nth(id.0 as usize - 1)?;
        kind.is_ascii_uppercase().then_some(Duration::from_secs(10))
    };
    for (at, kind) in kinds.chars().enumerate() {
        let id = at as u64 + 1;
        let started = !kind.eq_ignore_ascii_case(&'u');
        let member = Member {
            id,
            name: if started {
                format!("m{id}")
            } else {
                String::new()
            },
            is_learner: kind.eq_ignore_ascii_case(&'l'),
            ..Member::default()
        };
        members.present.insert(id, member);
    }
    let reachable = Reachable {
        members: &members,
        local: MemberId(1),
        connected_since: &connected_since,
        now: Duration::from_secs(15),
    };
    match check(&reachable) {
        Ok(()) => "ok",
        Err(ApiError::NotEnoughStarted) => "not started",
        Err(ApiError::UnhealthyCluster) => "unhealthy",
        Err(other) => other.text(),
    }
}

/// covers: M-03, P-M-03
#[test]
fn a_voter_is_added_only_to_a_quorum_that_works() {
    for (kinds, verdict) in [
        ("s", "ok"),
        // The second one has not come up: a third would make two of three that must.
        ("su", "not started"),
        ("sS", "ok"),
        ("ss", "unhealthy"),
        ("sSS", "ok"),
        // Two that work are no quorum of four.
        ("sSs", "unhealthy"),
        ("sSSS", "ok"),
        ("sSSs", "ok"),
        ("sSss", "unhealthy"),
        ("sSSu", "ok"),
        ("sSSSS", "ok"),
        ("sSSSs", "ok"),
        ("sSSss", "unhealthy"),
        ("sl", "ok"),
    ] {
        let verdict_now = reachable(kinds, |r| r.check_add(false));
        assert_eq!(verdict_now, verdict, "{kinds}");
    }
}

/// covers: P-M-03, M-03
#[test]
fn a_learner_needs_health_but_not_started_members() {
    for (kinds, verdict) in [
        ("s", "ok"),
        ("su", "unhealthy"),
        ("sU", "ok"),
        ("sSS", "ok"),
        ("sSU", "ok"),
        ("sSs", "unhealthy"),
        ("sss", "unhealthy"),
        // Three are a quorum of four and of five.
        ("sSSs", "ok"),
        ("sSss", "unhealthy"),
        ("sSSss", "unhealthy"),
        ("sSSSs", "ok"),
        ("sSsl", "unhealthy"),
    ] {
        assert_eq!(reachable(kinds, |r| r.check_add(true)), verdict, "{kinds}");
    }
}

/// covers: M-02, M-03, P-M-03
#[test]
fn a_voter_is_removed_only_if_the_rest_works() {
    for (kinds, id, verdict) in [
        // The last voter stays.
        ("s", 1, "not started"),
        ("sl", 1, "not started"),
        ("sl", 2, "ok"),
        ("s", 9, "ok"),
        ("su", 2, "ok"),
        ("su", 1, "not started"),
        ("sS", 2, "ok"),
        ("ss", 2, "ok"),
        ("sSS", 3, "ok"),
        ("sSs", 3, "ok"),
        ("sSs", 2, "unhealthy"),
        ("sSS", 1, "ok"),
        ("sSSSS", 2, "ok"),
        ("sSSss", 2, "unhealthy"),
        ("sSSss", 5, "ok"),
        ("sSSSs", 1, "ok"),
    ] {
        let verdict_now = reachable(kinds, |r| r.check_remove(MemberId(id)));
        assert_eq!(verdict_now, verdict, "{kinds} {id}");
    }
}

///
#[test]
fn a_learner_gets_a_vote_where_most_have_started() {
    for (kinds, verdict) in [
        ("sl", "ok"),
        ("sul", "ok"),
        ("suul", "not started"),
        ("ssuul", "ok"),
    ] {
        assert_eq!(reachable(kinds, |r| r.check_promote()), verdict, "{kinds}");
    }
}

#[test]
fn a_link_counts_only_after_a_while() {
    let mut members = Members::default();
    for id in [1, 2] {
        let member = Member {
            id,
            name: "m".into(),
            ..Member::default()
        };
        members.present.insert(id, member);
    }
    let at = |now| Reachable {
        members: &members,
        local: MemberId(1),
        connected_since: &|_| Some(Duration::from_secs(10)),
        now: Duration::from_secs(now),
    };
    assert_eq!(at(14).check_add(true), Err(ApiError::UnhealthyCluster));
    assert_eq!(at(15).check_add(true), Ok(()));
}
