//! Append-only log of checksummed records in preallocated segments, with group commit.
