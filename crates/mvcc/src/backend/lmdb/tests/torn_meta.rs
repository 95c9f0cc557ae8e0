//! A power cut in the middle of the write that ends a commit: some bytes of the meta page are new, the others old.

use super::damage::batch_for_all_kinds_of_pages;
use super::*;
use crate::backend::conformance::{Model, delete};

/// What LMDB writes of a meta page: map size, two trees, last page, transaction.
const WRITE: std::ops::Range<usize> = 16 + 16..16 + 24 + 2 * 48 + 16;
const PAGE_BYTES: usize = 4096;

/// A store whose last commit can be torn.
struct Torn {
    directory: TempDir,
    data: PathBuf,
    /// The file after the last commit.
    finished: Vec<u8>,
    /// Where that commit wrote its meta page, and what was there before: the commit before the one before.
    meta: usize,
    old: Vec<u8>,
    /// After the last commit, and the two before.
    states: [Model; 3],
}

impl Torn {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("1").join("data.mdb");
        let mut states: [Model; 3] = Default::default();
        let mut files = [Vec::new(), Vec::new()];
        for n in 0..5 {
            let ops = batch_for_all_kinds_of_pages(n);
            states.rotate_right(1);
            states[0] = states[1].clone();
            states[0].apply(&ops);
            commit(&open(directory.path()), ops);
            files = [fs::read(&data).unwrap(), std::mem::take(&mut files[0])];
        }
        let [finished, before] = files;
        let differs =
            |meta: &usize| finished[*meta..][..PAGE_BYTES] != before[*meta..][..PAGE_BYTES];
        let meta = [0, PAGE_BYTES].into_iter().find(differs).unwrap();
        let old = before[meta..][..PAGE_BYTES].to_vec();
        Self {
            directory,
            data,
            finished,
            meta,
            old,
            states,
        }
    }

    /// Goes through a start after those bytes of the end of the commit were written for which `is_new` says so. Returns
    /// whether the commit was given up as damaged, and how many commits are missing.
    fn start(&self, care: Care, is_new: impl Fn(usize) -> bool) -> (bool, usize) {
        let mut bytes = self.finished.clone();
        for at in WRITE.filter(|at| !is_new(*at - WRITE.start)) {
            bytes[self.meta + at] = self.old[at];
        }
        fs::write(&self.data, bytes).unwrap();
        let path = self.directory.path();
        let (lmdb, recovered) = Lmdb::recover(path, LmdbOptions::default(), care).unwrap();
        let which = {
            let snapshot = lmdb.snapshot().unwrap();
            self.states.iter().position(|state| state.is_in(&*snapshot))
        };
        let which = which.expect("a state that was committed");
        let mut state = self.states[which].clone();
        drop(lmdb);
        // Nothing is left of a torn one: this start looks at nothing.
        let lmdb = open(path);
        assert!(state.is_in(&*lmdb.snapshot().unwrap()));
        // Pages that were free in one of the states are used now.
        for n in 0..4 {
            let next = batch_for_all_kinds_of_pages(100 + n);
            state.apply(&next);
            commit(&lmdb, next);
        }
        drop(lmdb);
        Lmdb::check(path).unwrap();
        assert!(state.is_in(&*open(path).snapshot().unwrap()));
        (matches!(recovered, Recovered::Previous { .. }), which)
    }
}

fn check_torn_ends(care: Care) {
    let torn = Torn::new();
    let len = WRITE.len();
    assert_eq!(torn.start(care, |_| true), (false, 0));
    assert_eq!(torn.start(care, |_| false), (false, 1));
    // Nothing but the transaction's number is new: a whole state, but one that the commit before has replaced.
    assert_eq!(torn.start(care, |at| at + 8 >= len), (true, 1));
    let mut given_up = 0;
    for cut in 0..=len {
        // Written from the front, from the back, and but for the one field that LMDB looks at first.
        for is_new in [
            &(|at: usize| at < cut) as &dyn Fn(usize) -> bool,
            &|at| at >= cut,
            &|at| at / 8 != cut / 8,
            &|at| at / 8 == cut / 8 || at + 8 >= len,
        ] {
            given_up += usize::from(torn.start(care, is_new).0);
        }
    }
    assert!(given_up > len / 2, "{given_up}");
}

// covers: L-11
#[test]
fn a_torn_end_of_a_commit_leaves_what_some_commit_left() {
    check_torn_ends(Care::Everything);
}

// covers: L-11
#[test]
fn a_torn_end_of_a_commit_is_found_without_reading_the_file() {
    check_torn_ends(Care::LastCommit);
}

/// Files as they are after many commits of many kinds; none may be taken for torn.
// covers: L-11
#[test]
fn no_commit_is_taken_for_a_torn_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for n in 0..60_u8 {
        let care = Care::LastCommit;
        let (lmdb, recovered) = Lmdb::recover(path, LmdbOptions::default(), care).unwrap();
        assert!(matches!(recovered, Recovered::Newest), "{n}: {recovered:?}");
        commit(&lmdb, batch_for_all_kinds_of_pages(n));
        if n % 3 == 1 {
            commit(&lmdb, [put(Bucket::Meta, b"a", &[n])]);
        }
        if n % 5 == 0 {
            let deletes = (0..n).map(|row| delete(Bucket::Key, &[row, row]));
            commit(&lmdb, deletes);
        }
        if n % 7 == 0 {
            lmdb.defragment().unwrap();
        }
    }
}

// covers: L-11, D-06
#[test]
fn damage_in_both_states_is_an_error() {
    let torn = Torn::new();
    let mut bytes = torn.finished.clone();
    let mut found = 0;
    for at in 0..bytes.len() - 5 {
        if &bytes[at..at + 5] == b"<row>" {
            bytes[at + 1] ^= 1;
            found += 1;
        }
    }
    assert!(found > 0);
    fs::write(&torn.data, &bytes).unwrap();
    let refused = Lmdb::recover(
        torn.directory.path(),
        LmdbOptions::default(),
        Care::Everything,
    );
    assert!(chain(&refused.unwrap_err()).contains("checksum"));
    assert!(
        fs::read(&torn.data).unwrap() == bytes,
        "nothing was written"
    );
}

#[test]
fn a_sound_store_and_a_new_one_are_recovered_as_they_are() {
    let torn = Torn::new();
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().join("store");
    for care in [Care::LastCommit, Care::Everything] {
        let recover = |path: &Path| Lmdb::recover(path, LmdbOptions::default(), care).unwrap();
        let (lmdb, recovered) = recover(torn.directory.path());
        assert!(torn.states[0].is_in(&*lmdb.snapshot().unwrap()));
        assert!(matches!(recovered, Recovered::Newest));
        let (_lmdb, recovered) = recover(&path);
        assert!(matches!(recovered, Recovered::Newest));
    }
}
