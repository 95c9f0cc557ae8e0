//! The comparisons that guard a transaction.

use std::cmp::Ordering;

use ferrod_mvcc::{KeyRange, KeyValue, RangeQuery};
use ferrod_proto::etcdserverpb::Compare;
use ferrod_proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::Error;
use crate::convert::read_error;
use crate::rows::Rows;

/// Whether every comparison holds; none at all hold.
pub(super) fn all_hold(rows: &mut dyn Rows, compares: &[Compare]) -> Result<bool, Error> {
    for compare in compares {
        if !holds(rows, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A comparison over a range holds if it holds for every key there.
///
/// Without any key a comparison of values is false whatever it asks; the others see zeros.
fn holds(rows: &mut dyn Rows, compare: &Compare) -> Result<bool, Error> {
    let query = RangeQuery {
        // Only values and leases are in the stored row alone.
        keys_only: !matches!(
            compare.target(),
            CompareTarget::Value | CompareTarget::Lease
        ),
        ..RangeQuery::new(KeyRange::from_request(&compare.key, &compare.range_end))
    };
    let mut all = true;
    let found = rows
        .range(&query, &mut |row| {
            let kv =
                KeyValue::decode(row.encoded).expect("a row that the key space encoded itself");
            all &= holds_for(compare, &kv);
        })
        .map_err(read_error)?;
    if found.count > 0 {
        return Ok(all);
    }
    Ok(compare.target != CompareTarget::Value as i32 && holds_for(compare, &KeyValue::default()))
}

fn holds_for(compare: &Compare, row: &KeyValue<'_>) -> bool {
    let operand = compare.target_union.as_ref();
    // A target that does not exist compares as equal. The operand counts only in the member that belongs to the target.
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => row.value.cmp(match operand {
            Some(TargetUnion::Value(value)) => value.as_ref(),
            _ => b"",
        }),
        Ok(CompareTarget::Version) => row.version.cmp(&match operand {
            Some(TargetUnion::Version(version)) => *version,
            _ => 0,
        }),
        Ok(CompareTarget::Create) => row.create_revision.cmp(&match operand {
            Some(TargetUnion::CreateRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Mod) => row.mod_revision.cmp(&match operand {
            Some(TargetUnion::ModRevision(revision)) => *revision,
            _ => 0,
        }),
        Ok(CompareTarget::Lease) => row.lease.cmp(&match operand {
            Some(TargetUnion::Lease(lease)) => *lease,
            _ => 0,
        }),
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering.is_eq(),
        Ok(CompareResult::NotEqual) => ordering.is_ne(),
        Ok(CompareResult::Greater) => ordering.is_gt(),
        Ok(CompareResult::Less) => ordering.is_lt(),
        Err(_) => true,
    }
}
