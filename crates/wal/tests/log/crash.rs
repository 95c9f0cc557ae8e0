//! Death at every call, with everything unsynced lost, kept, partly kept and torn.

use std::sync::Arc;

use ferrod_env::sim::{Effect, Loss, SimDisk, When};
use ferrod_wal::{Error, SegmentSeq};

use crate::model::{Caller, Promises};

/// A life with all that a log does: batches small and large, synced one by one and by groups, idle
/// times, rolls, purges, a batch longer than a segment, a restart.
fn live(disk: &Arc<SimDisk>, promises: &mut Promises) -> Result<(), Error> {
    let mut caller = Caller::start(disk, promises)?;
    let result = busy(&mut caller);
    *promises = caller.promises();
    result?;
    drop(caller);
    let mut caller = Caller::start(disk, promises)?;
    let result = quiet(&mut caller);
    *promises = caller.promises();
    result
}

fn busy(caller: &mut Caller) -> Result<(), Error> {
    for round in 0..8 {
        caller.append(1 + round % 3, 90)?;
        caller.sync()?;
        caller.append(2, 200)?;
        caller.append(1, 30 * round)?;
        caller.sync()?;
        if round % 2 == 1 {
            caller.wal.sync_idle()?;
        }
        if round == 4 {
            caller.append(4, 1_500)?;
            // The segment that this opened is not durable: the one before must stay.
            caller.purge(caller.wal.current_segment())?;
            caller.sync()?;
        }
        let low = SegmentSeq(caller.wal.current_segment().0.saturating_sub(1));
        caller.purge(low)?;
    }
    caller.append(1, 50)
}

fn quiet(caller: &mut Caller) -> Result<(), Error> {
    for _ in 0..4 {
        caller.append(2, 300)?;
        caller.append(2, 300)?;
        caller.sync()?;
    }
    caller.wal.sync_idle()?;
    Ok(())
}

fn calls_of_a_life() -> u64 {
    let disk = SimDisk::new(0);
    live(&disk, &mut Promises::default()).unwrap();
    disk.calls()
}

/// Lives until `effect` strikes, recovers through further deaths, and checks the promises; then lives
/// on from there.
fn strike(call: u64, effect: Effect, loss: Loss, seed: u64) {
    let disk = SimDisk::new(seed);
    let mut promises = Promises::default();
    disk.script(When::Call(call), effect);
    let result = live(&disk, &mut promises);
    assert!(result.is_err() || effect != Effect::Death, "call {call}");
    disk.restart(loss);
    recover_through_deaths(&disk, &promises, loss, seed);

    let mut caller = Caller::start(&disk, &promises).unwrap();
    caller.append(3, 100).unwrap();
    caller.sync().unwrap();
    promises = caller.promises();
    drop(caller);
    disk.restart(Loss::Drop);
    live(&disk, &mut promises).unwrap();
    Caller::open(&disk, promises).unwrap();
}

/// covers: P-04
fn recover_through_deaths(disk: &Arc<SimDisk>, promises: &Promises, loss: Loss, seed: u64) {
    for death in 0..seed % 4 {
        let call = disk.calls() + 1 + (seed * 7 + death * 5) % 19;
        disk.script(When::Call(call), Effect::Death);
        // Promises stay as they were: nobody was told anything.
        let _ = Caller::start(disk, promises);
        disk.restart(loss);
    }
}

fn strike_everywhere(effect: Effect, losses: &[Loss], seeds: u64) {
    for call in 1..=calls_of_a_life() {
        for &loss in losses {
            for seed in 0..seeds {
                let context = format!("{effect:?} at call {call}, {loss:?}, seed {seed}");
                let outcome = std::panic::catch_unwind(|| strike(call, effect, loss, seed));
                assert!(outcome.is_ok(), "{context}");
            }
        }
    }
}

/// covers: P-01, P-02, P-03, P-04
#[test]
fn every_synced_batch_survives_the_death_of_the_process() {
    strike_everywhere(Effect::Death, &[Loss::Process], 1);
}

/// covers: P-03, P-04, P-05, D-01
#[test]
fn every_synced_batch_survives_a_loss_of_all_that_was_not() {
    strike_everywhere(Effect::Death, &[Loss::Drop, Loss::Keep], 2);
}

/// covers: P-03, P-04, P-06, P-08, D-01, R-017
#[test]
fn every_synced_batch_survives_torn_and_reordered_writes() {
    strike_everywhere(Effect::Death, &[Loss::Subset, Loss::Torn], 4);
}

#[test]
#[ignore = "a hundred seeds for each call: minutes"]
fn every_synced_batch_survives_many_seeds() {
    strike_everywhere(Effect::Death, &[Loss::Drop, Loss::Subset, Loss::Torn], 100);
}

/// A call that fails poisons the log, and a restart recovers, whatever the failed call did.
///
/// covers: D-09, D-10, R-020
#[test]
fn every_failed_call_stops_the_log_and_loses_nothing() {
    let broken = Effect::Error(std::io::ErrorKind::Other);
    strike_everywhere(broken, &[Loss::Process, Loss::Drop, Loss::Torn], 1);
}
