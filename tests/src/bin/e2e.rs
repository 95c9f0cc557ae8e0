//! The end-to-end suites as a program; `cargo xtask e2e` builds and runs it.

fn main() {}
