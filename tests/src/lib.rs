//! Whole members and clusters: end to end, differential and crash tests.
