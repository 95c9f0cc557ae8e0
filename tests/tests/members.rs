//! Whole members as processes, with nothing but ferrod itself; `cargo xtask e2e` does the same at length and beside etcd.

use std::time::Duration;

use ferrod_tests::{bad_input, crash, damage, discovery, divergence, stopping, trio};

const FERROD: &str = env!("CARGO_BIN_EXE_ferrod-under-test");

/// covers: P-01, P-KV-01, P-KV-03, P-KV-04
#[test]
fn a_killed_member_loses_nothing() {
    let options = crash::Options {
        rounds: 12,
        subject: Some(FERROD.into()),
        ..Default::default()
    };
    crash::run(&options).unwrap();
}

/// covers: P-01, P-KV-01, P-KV-03, P-KV-04
#[test]
#[ignore = "an hour: thousands of kills"]
fn a_member_killed_thousands_of_times_loses_nothing() {
    for seed in 2..12 {
        let subject = Some(FERROD.into());
        let options = crash::Options {
            rounds: 500,
            seed,
            subject,
            ..Default::default()
        };
        crash::run(&options).unwrap();
    }
}

/// covers: P-A-09
#[test]
fn bad_input_is_refused_with_a_reason() {
    let options = bad_input::Options {
        subject: Some(FERROD.into()),
        ..Default::default()
    };
    bad_input::run(&options).unwrap();
}

#[test]
fn a_member_stops_while_connections_come() {
    stopping::ends_while_connections_come(FERROD.as_ref()).unwrap();
}

#[test]
fn a_member_stops_while_it_waits_for_others() {
    stopping::ends_while_it_waits_for_others(FERROD.as_ref()).unwrap();
}

#[test]
fn members_find_each_other_by_dns() {
    discovery::members(FERROD.as_ref()).unwrap();
}

/// covers: P-KV-01, P-KV-03, P-A-09, P-W-11
#[test]
fn three_members_agree_and_survive_the_loss_of_one() {
    trio::run(FERROD.as_ref()).unwrap();
}

#[test]
fn three_members_agree_with_the_shortest_times() {
    trio::with_the_shortest_times(FERROD.as_ref()).unwrap();
}

/// covers: D-02, D-03, D-06, D-18, P-KV-03, P-KV-06, P-M-02, P-M-05
#[test]
fn damaged_members_heal_from_the_others() {
    let options = damage::Options {
        subject: Some(FERROD.into()),
        ..Default::default()
    };
    damage::run(&options).unwrap();
}

/// covers: D-23, R-022
#[test]
fn a_member_that_has_diverged_is_named() {
    divergence::minority_is_named(FERROD.as_ref()).unwrap();
}

/// covers: D-23
#[test]
fn of_two_members_that_differ_neither_is_named() {
    divergence::nobody_is_named_without_majority(FERROD.as_ref()).unwrap();
}

/// covers: D-23, R-022, R-023
#[test]
fn members_that_hold_the_same_are_never_accused() {
    let length = Duration::from_secs(20);
    divergence::nobody_is_accused_in_peace(FERROD.as_ref(), length).unwrap();
}

/// covers: D-23, R-022, R-023
#[test]
#[ignore = "minutes"]
fn members_that_hold_the_same_are_never_accused_for_long() {
    let length = Duration::from_secs(20 * 60);
    divergence::nobody_is_accused_in_peace(FERROD.as_ref(), length).unwrap();
}
