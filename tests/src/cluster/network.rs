//! A bridge and a namespace for each member, on this machine only.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// A network of members; dropping it takes it down.
#[derive(Debug)]
pub(super) struct Network {
    bridge: String,
    subnet: u32,
    count: usize,
}

/// Whether namespaces can be made here; the error says what is missing.
pub(super) fn can_make() -> Result<()> {
    let name = format!("frt{}", std::process::id());
    ip(&["netns", "add", &name]).context("network namespaces cannot be made here")?;
    ip(&["netns", "del", &name])
}

impl Network {
    /// A bridge with a namespace for each of `count` members. Addresses are of the range that is set aside for
    /// measurements between networks, which nobody routes.
    pub(super) fn make(count: usize) -> Result<Network> {
        let process = std::process::id();
        let network = Network {
            bridge: format!("frb{process}"),
            subnet: process % 250,
            count,
        };
        network.clean();
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> Result<()> {
        let bridge = self.bridge.as_str();
        ip(&["link", "add", bridge, "type", "bridge"])?;
        ip(&[
            "addr",
            "add",
            &format!("{}/24", self.own_address()),
            "dev",
            bridge,
        ])?;
        ip(&["link", "set", bridge, "up"])?;
        for member in 0..self.count {
            let (space, outer) = (self.namespace(member), self.cable(member));
            ip(&["netns", "add", &space])?;
            ip(&[
                "link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &space,
            ])?;
            ip(&["link", "set", &outer, "master", bridge, "up"])?;
            let address = format!("{}/24", self.address(member));
            ip(&["-n", &space, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    pub(super) fn namespace(&self, member: usize) -> String {
        format!("{}-{member}", self.bridge)
    }

    pub(super) fn address(&self, member: usize) -> String {
        format!("198.18.{}.{}", self.subnet, member + 11)
    }

    /// The address of this program, which all members reach.
    pub(super) fn own_address(&self) -> String {
        format!("198.18.{}.1", self.subnet)
    }

    fn cable(&self, member: usize) -> String {
        format!("{}c{member}", self.bridge)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Nothing reaches the member or leaves it, from nobody and to nobody.
    pub(super) fn unplug(&self, member: usize) -> Result<()> {
        ip(&["link", "set", &self.cable(member), "down"])
    }

    pub(super) fn plug(&self, member: usize) -> Result<()> {
        ip(&["link", "set", &self.cable(member), "up"])
    }

    /// What `from` sends to `to` is lost; the other way is as it was.
    pub(super) fn lose(&self, from: usize, to: usize) -> Result<()> {
        let (space, address) = (self.namespace(from), self.address(to));
        ip(&["-n", &space, "route", "add", "blackhole", &address])
    }

    pub(super) fn find(&self, from: usize, to: usize) -> Result<()> {
        let (space, address) = (self.namespace(from), self.address(to));
        ip(&["-n", &space, "route", "del", "blackhole", &address])
    }

    fn clean(&self) {
        // What is not there cannot be removed, which is fine.
        for member in 0..self.count {
            let _ = ip(&["link", "del", &self.cable(member)]);
            let _ = ip(&["netns", "del", &self.namespace(member)]);
        }
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.clean();
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("`ip` of iproute2 is needed")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", arguments.join(" "), reason.trim());
    }
    Ok(())
}
