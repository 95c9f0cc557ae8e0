//! Automation of the ferrod workspace: `cargo xtask help` lists the commands.

mod codegen;

use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace");
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        Some("codegen") => codegen::run(root, args.iter().any(|a| a == "--check")),
        other => bail!("unknown command {other:?}; known: codegen"),
    }
}
