//! `cargo xtask codegen`: Rust from `proto/`, compiled by protox, so that no protoc is needed; the result is committed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Files that declare what ferrod serves or stores; their imports come along.
const ROOTS: [&str; 7] = [
    "etcd/api/etcdserverpb/raft_internal.proto",
    "etcd/api/etcdserverpb/rpc.proto",
    "etcd/api/leasepb/lease.proto",
    "etcd/api/v3electionpb/v3election.proto",
    "etcd/api/v3lockpb/v3lock.proto",
    "ferrod/peer/v1/peer.proto",
    "grpc/health/v1/health.proto",
];

/// Writes the generated modules, or with `check` compares them with what is committed.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    let committed = root.join("crates/proto/src/generated");
    let fresh = root.join("target/codegen");
    std::fs::create_dir_all(&fresh)?;
    generate(&root.join("proto"), &fresh)?;
    for file in rust_files(&fresh)? {
        let name = file.file_name().context("generated file has a name")?;
        let want = std::fs::read_to_string(&file)?;
        let target = committed.join(name);
        if check {
            let have = std::fs::read_to_string(&target).unwrap_or_default();
            ensure!(
                have == want,
                "{} is stale: run `cargo xtask codegen`",
                target.display()
            );
        } else {
            std::fs::create_dir_all(&committed)?;
            std::fs::write(&target, want)?;
        }
    }
    Ok(())
}

fn generate(proto: &Path, out: &Path) -> Result<()> {
    let descriptors = protox::compile(ROOTS, [proto]).context("compile proto/")?;
    // `Bytes` lets a request share the buffer it was received in, from the socket to the log and the key space.
    tonic_prost_build::configure()
        .bytes(".")
        .build_transport(false)
        .out_dir(out)
        .compile_fds(descriptors)
        .context("generate Rust")
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "rs"));
    files.sort();
    Ok(files)
}
