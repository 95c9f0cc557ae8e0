//! The ferrod command line client.

fn main() {}
