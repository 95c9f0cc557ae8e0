//! Automation of the ferrod workspace: `cargo xtask help` lists the commands.

fn main() {}
