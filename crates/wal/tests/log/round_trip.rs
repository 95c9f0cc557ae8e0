//! What goes in comes out, for any records in any batches.

use ferrod_env::sim::SimDisk;
use ferrod_wal::{Batch, Wal};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::{IDENTITY, dir, options};

type Records = Vec<(u8, Vec<u8>)>;

fn batches() -> impl Strategy<Value = Vec<(Records, bool)>> {
    let payload = prop_oneof![
        8 => vec(any::<u8>(), 0..100),
        1 => vec(any::<u8>(), 1_000..3_000),
    ];
    let records = vec((any::<u8>(), payload), 0..6);
    vec((records, any::<bool>()), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_in_order(batches in batches()) {
        let disk = SimDisk::new(1);
        let mut wal = Wal::create(disk.clone(), dir(), options(), IDENTITY, |_| {}).unwrap();
        let mut batch = Batch::new();
        let mut written = Records::new();
        for (records, sync) in batches {
            for (kind, payload) in &records {
                batch.push(*kind, payload);
            }
            prop_assert_eq!(batch.records(), records.len());
            wal.append(&mut batch, |_| {}).unwrap();
            prop_assert!(batch.is_empty());
            written.extend(records);
            if sync {
                wal.sync().unwrap();
            }
        }
        drop(wal);
        let (_, recovery) = Wal::open(disk, dir(), options(), Some(IDENTITY)).unwrap();
        let read: Records = recovery
            .records
            .iter()
            .map(|record| (record.kind, record.payload.to_vec()))
            .collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(recovery.torn, None);
    }
}
