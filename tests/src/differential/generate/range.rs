//! Random ranges with all their options.

use ferrod_proto::etcdserverpb::RangeRequest;

use super::Generator;

impl Generator {
    pub(super) fn range(&mut self) -> RangeRequest {
        let key = self.key();
        let mut range = RangeRequest {
            range_end: self.range_end(&key),
            key,
            limit: self.pick(&[0, 0, 0, 1, 2, 5, 100, -1]),
            revision: self.past_revision(),
            serializable: self.one_in(3),
            keys_only: self.one_in(6),
            count_only: self.one_in(10),
            ..Default::default()
        };
        if self.one_in(3) {
            range.sort_order = self.rng.i32(0..3);
            range.sort_target = self.rng.i32(0..5);
        }
        if self.one_in(100) {
            range.sort_order = self.pick(&[-1, 3, 77]);
        }
        if self.one_in(100) {
            range.sort_target = self.pick(&[-1, 5, 77]);
        }
        if self.one_in(8) {
            range.min_mod_revision = self.bound();
            range.max_mod_revision = self.bound();
        }
        if self.one_in(8) {
            range.min_create_revision = self.bound();
            range.max_create_revision = self.bound();
        }
        range
    }

    /// The same for a stream, which by target sorts nothing: then it does not read the records either.
    pub(super) fn range_stream(&mut self) -> RangeRequest {
        let mut range = self.range();
        if range.keys_only {
            range.sort_target = 0;
        }
        range
    }

    fn bound(&mut self) -> i64 {
        match self.rng.u32(0..8) {
            0..4 => 0,
            4 => -1,
            _ => self.rng.i64(0..=self.revision + 1),
        }
    }
}
