//! Speeds, printed: `cargo test --release -p ferrod-mvcc measure -- --ignored --nocapture`.
