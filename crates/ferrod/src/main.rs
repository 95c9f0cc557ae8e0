//! The ferrod server.

fn main() {}
