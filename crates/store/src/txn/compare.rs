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

/// Rows of the first page of a range; each further page is twice as long.
const PAGE_ROWS: i64 = 16;

/// A comparison over a range holds if it holds for every key there.
///
/// Without any key a comparison of values is false whatever it asks; the others see zeros. Rows are read in pages,
/// because the first that does not hold settles it.
fn holds(rows: &mut dyn Rows, compare: &Compare) -> Result<bool, Error> {
    let whole = KeyRange::from_request(&compare.key, &compare.range_end);
    let mut limit = PAGE_ROWS;
    let mut page = page(rows, compare, whole, limit)?;
    if page.is_empty {
        let of_values = compare.target == CompareTarget::Value as i32;
        return Ok(!of_values && holds_for(compare, &KeyValue::default()));
    }
    while page.all_hold
        && let Some(low) = page.next
    {
        let rest = match whole {
            KeyRange::Span { high, .. } => KeyRange::Span { low: &low, high },
            KeyRange::From(_) | KeyRange::Single(_) => KeyRange::From(&low),
        };
        limit = limit.saturating_mul(2);
        page = self::page(rows, compare, rest, limit)?;
    }
    Ok(page.all_hold)
}

/// What is known after a page.
struct Page {
    all_hold: bool,
    is_empty: bool,
    /// Where the next page begins, if there is one.
    next: Option<Vec<u8>>,
}

fn page(
    rows: &mut dyn Rows,
    compare: &Compare,
    range: KeyRange<'_>,
    limit: i64,
) -> Result<Page, Error> {
    let query = RangeQuery {
        // Only values and leases are in the stored row alone.
        keys_only: !matches!(
            compare.target(),
            CompareTarget::Value | CompareTarget::Lease
        ),
        limit,
        ..RangeQuery::new(range)
    };
    let mut all_hold = true;
    let mut last = Vec::new();
    let found = rows
        .range(&query, &mut |row| {
            let kv =
                KeyValue::decode(row.encoded).expect("a row that the key space encoded itself");
            all_hold &= holds_for(compare, &kv);
            last.clear();
            last.extend_from_slice(kv.key);
        })
        .map_err(read_error)?;
    last.push(0);
    Ok(Page {
        all_hold,
        is_empty: found.count == 0,
        next: found.more.then_some(last),
    })
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
