//! How fast the log takes records, and what that costs: `append DIR [RECORDS_PER_BATCH] [BATCHES]`.
//!
//! Writes records of 300 bytes to a new log in DIR, first without syncs, then with one for each
//! batch, and prints rates and CPU time of the calling thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferrod_env::{Clock, RealClock, RealDisk};
use ferrod_wal::{Batch, Error, Identity, Options, Wal};

const RECORD_BYTES: usize = 300;

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().collect();
    let Some(dir) = args.get(1) else {
        eprintln!("usage: append DIR [RECORDS_PER_BATCH] [BATCHES]");
        std::process::exit(2);
    };
    let number = |at: usize, default| {
        args.get(at)
            .and_then(|arg| arg.parse().ok())
            .unwrap_or(default)
    };
    let (records, batches) = (number(2, 100), number(3, 20_000));
    let dir = Path::new(dir);
    run(&dir.join("unsynced"), true, records, batches)?;
    run(&dir.join("synced"), false, records, batches / 10)
}

fn run(dir: &Path, no_fsync: bool, records: usize, batches: usize) -> Result<(), Error> {
    let options = Options {
        no_fsync,
        ..Options::default()
    };
    let identity = Identity {
        cluster: 1,
        member: 1,
    };
    let wal = Wal::create(Arc::new(RealDisk), dir, options, identity, |_| {})?;
    let mut wal = wal.with_helper_thread()?;
    let mut batch = Batch::new();
    let payload = [0x5a; RECORD_BYTES];
    let clock = RealClock::new();
    let cpu = thread_cpu();
    let mut slowest = Duration::ZERO;
    for _ in 0..batches {
        let before = clock.now();
        for _ in 0..records {
            batch.push(b'E', &payload);
        }
        wal.append(&mut batch, |_| {})?;
        wal.sync()?;
        wal.purge(wal.current_segment())?;
        slowest = slowest.max(clock.now() - before);
    }
    let (time, cpu) = (clock.now(), thread_cpu() - cpu);
    let count = (records * batches) as f64;
    println!(
        "{}: {:.0} records/s, {:.0} batches/s, {:.3} us CPU per record, slowest batch {slowest:?}",
        dir.display(),
        count / time.as_secs_f64(),
        batches as f64 / time.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count,
    );
    Ok(())
}

/// CPU time of this thread; zero where the system does not tell.
fn thread_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}
