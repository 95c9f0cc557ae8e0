//! What a range read asks for and answers: the fields of etcd's `RangeRequest`, without its wire form.

use crate::index::Direction;
use crate::{KeyRange, Revision};

/// Direction of the order of a range's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// As the keys are fetched; see [`RangeQuery::order`].
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// By what the rows of a range are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// By key.
    #[default]
    Key,
    /// By version.
    Version,
    /// By create revision.
    Create,
    /// By mod revision.
    Mod,
    /// By value, as unsigned bytes.
    Value,
}

/// A range read. `RangeQuery::new(range)` asks for all rows now, in key order.
///
/// Rows are fetched in key order, filtered, sorted, cut to the limit. Ties of a sort stay in key order.
/// Source: etcd API reference, `RangeRequest`; the order of the steps is visible and is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeQuery<'a> {
    /// Which keys.
    pub range: KeyRange<'a>,
    /// The main revision to read at; 0 or less reads the current one.
    pub revision: i64,
    /// At most so many rows; 0 or less means all.
    pub limit: i64,
    /// With [`SortOrder::None`] and a target other than the key, rows are sorted upwards, but when there is a limit and
    /// no filter only the first `limit + 1` keys were fetched: what sorts last of *these* is cut.
    pub order: SortOrder,
    /// By what to sort.
    pub target: SortTarget,
    /// Leaves out rows with a lower mod revision; 0 is no bound.
    pub min_mod_revision: i64,
    /// Leaves out rows with a higher mod revision; 0 is no bound, a negative bound leaves out everything.
    pub max_mod_revision: i64,
    /// Leaves out rows with a lower create revision; 0 is no bound.
    pub min_create_revision: i64,
    /// Leaves out rows with a higher create revision; 0 is no bound, a negative bound leaves out everything.
    pub max_create_revision: i64,
    /// Rows without value; also without lease, unless the target is the value.
    pub keys_only: bool,
    /// No rows, only the count; limit, order and filters do not matter then.
    pub count_only: bool,
}

impl<'a> RangeQuery<'a> {
    /// All rows of the range at the current revision, in key order.
    pub fn new(range: KeyRange<'a>) -> Self {
        Self {
            range,
            revision: 0,
            limit: 0,
            order: SortOrder::None,
            target: SortTarget::Key,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
            keys_only: false,
            count_only: false,
        }
    }

    /// Whether keys need not be fetched beyond the limit: any order that is fixed by the fetch, and no filter.
    pub(crate) fn stops_at_limit(&self) -> bool {
        let default_order = match self.order {
            SortOrder::None => true,
            SortOrder::Ascend => self.target == SortTarget::Key,
            SortOrder::Descend => false,
        };
        default_order && !self.has_filter() && self.limit > 0
    }

    /// The direction in which rows can be fetched so that they need no sort; `None` if there is none.
    pub(crate) fn key_order(&self) -> Option<Direction> {
        match (self.target, self.order) {
            (SortTarget::Key, SortOrder::Descend) => Some(Direction::Down),
            (SortTarget::Key, SortOrder::None | SortOrder::Ascend) => Some(Direction::Up),
            _ => None,
        }
    }

    /// Whether one of the four bounds is set.
    pub(crate) fn has_filter(&self) -> bool {
        let bounds = [
            self.min_mod_revision,
            self.max_mod_revision,
            self.min_create_revision,
            self.max_create_revision,
        ];
        bounds != [0; 4]
    }

    /// Whether a key with these revisions passes the four bounds.
    pub(crate) fn admits(&self, mod_revision: i64, create_revision: i64) -> bool {
        let at_least = |bound: i64, value: i64| bound == 0 || value >= bound;
        let at_most = |bound: i64, value: i64| bound == 0 || value <= bound;
        at_least(self.min_mod_revision, mod_revision)
            && at_most(self.max_mod_revision, mod_revision)
            && at_least(self.min_create_revision, create_revision)
            && at_most(self.max_create_revision, create_revision)
    }

    /// The limit as a number of rows, `usize::MAX` when there is none.
    pub(crate) fn rows_max(&self) -> usize {
        if self.limit <= 0 {
            usize::MAX
        } else {
            usize::try_from(self.limit).unwrap_or(usize::MAX)
        }
    }

    /// Whether the stored rows are needed to answer.
    pub(crate) fn needs_rows(&self) -> bool {
        !self.count_only && (!self.keys_only || self.target == SortTarget::Value)
    }
}

/// What a range read answers beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeResult {
    /// Keys in the range at the revision read, whatever the limit and the filters.
    pub count: i64,
    /// Whether the limit cut rows that passed the filters.
    pub more: bool,
    /// The store's current revision in the view that answered: what a response header carries.
    pub revision: i64,
}

/// One row of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The change that wrote the row; its `main` is the mod revision.
    pub revision: Revision,
    /// Main revision that began the key's generation; 0 for a tombstone.
    pub create_revision: i64,
    /// Puts since the generation began, this one included; 0 for a tombstone.
    pub version: i64,
    /// The row as an encoded `mvccpb.KeyValue`.
    pub encoded: &'a [u8],
}
