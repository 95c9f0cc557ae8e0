//! Which pages have a place in the store: in a tree, in a large value, or in the free list. No page may have two.

use std::collections::BTreeSet;

use super::Damage;

/// Pages 0 and 1 are meta pages and have no other place.
pub(super) const META_PAGES: u64 = 2;

/// The pages that have been given a place.
pub(super) struct Places {
    /// For each page of the file a bit.
    taken: Vec<u64>,
    /// Free pages behind the end of the file.
    beyond: BTreeSet<u64>,
    file_pages: u64,
    last_page: u64,
    pub(super) free_pages: u64,
}

impl Places {
    /// For a file of `file_pages`, of which LMDB says that `last_page` is the last page it ever used.
    pub(super) fn new(file_pages: u64, last_page: u64) -> Self {
        let words = file_pages.div_ceil(64) as usize;
        let (taken, beyond) = (vec![0; words], BTreeSet::new());
        Self {
            taken,
            beyond,
            file_pages,
            last_page,
            free_pages: 0,
        }
    }

    /// Gives a page its place in a tree or a large value.
    pub(super) fn take(&mut self, page: u64) -> Result<(), Damage> {
        if page < self.file_pages {
            self.set(page)
        } else {
            damage(page, "beyond the end of the file")
        }
    }

    /// Gives a place to each page of one record of the free list, which is their number and then the pages.
    /// The record lies on `page`.
    pub(super) fn take_free(&mut self, page: u64, list: &[u8]) -> Result<(), Damage> {
        let mut numbers = list
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u64::from_ne_bytes(*bytes));
        let Some(count) = numbers
            .next()
            .filter(|count| *count < list.len() as u64 / 8)
        else {
            return damage(page, "free list is cut");
        };
        for free in numbers.take(count as usize) {
            // Pages at the end that were freed by the transaction that took them are never written.
            if free < self.file_pages {
                self.set(free)?;
            } else if free > self.last_page || !self.beyond.insert(free) {
                return damage(free, "has two places, or none");
            }
        }
        self.free_pages += count;
        Ok(())
    }

    /// Checks that all pages which the file lacks are free.
    pub(super) fn check_end(&self) -> Result<(), Damage> {
        let lacking = self
            .last_page
            .saturating_add(1)
            .saturating_sub(self.file_pages);
        if lacking > self.beyond.len() as u64 {
            return damage(self.last_page, "file ends before this page");
        }
        Ok(())
    }

    fn set(&mut self, page: u64) -> Result<(), Damage> {
        if page < META_PAGES || page > self.last_page {
            return damage(page, "no such page");
        }
        let (word, bit) = ((page / 64) as usize, 1 << (page % 64));
        if self.taken[word] & bit != 0 {
            return damage(page, "has two places");
        }
        self.taken[word] |= bit;
        Ok(())
    }
}

fn damage<T>(page: u64, reason: &'static str) -> Result<T, Damage> {
    Err(Damage::Page { page, reason })
}
