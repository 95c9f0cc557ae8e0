//! A multi-version key space: revisions, transactions, historical ranges, compaction, hashes.
