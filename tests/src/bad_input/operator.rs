//! What is wrong on the command line and around the process.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Ended, Ground, block_on, check_kept, put};
use crate::clock::poll;
use crate::wire::Wire;

/// How long a process that cannot work may take to say so.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs a command that must end by itself.
pub(crate) fn ends(command: &mut Command) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let ended =
        block_on(async { Ok(poll(LIMIT, async || child.try_wait().ok().flatten()).await) })?;
    if ended.is_none() {
        child.kill()?;
        let output = child.wait_with_output()?;
        anyhow::bail!("it runs on; it said {}", text(&output));
    }
    Ok(child.wait_with_output()?)
}

/// What a process said on both ways.
pub(super) fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Checks that a process ended in failure and named `reason`.
pub(crate) fn refuses(output: &Output, reasons: &[&str]) -> Result<()> {
    let text = text(output);
    ensure!(
        !output.status.success(),
        "it ended with {}: {text}",
        output.status
    );
    ensure!(
        !text.contains("panicked at"),
        "a panic is no clear error: {text}"
    );
    let lower = text.to_lowercase();
    ensure!(
        reasons
            .iter()
            .any(|reason| lower.contains(&reason.to_lowercase())),
        "none of {reasons:?} is in {text}"
    );
    Ok(())
}

pub(super) fn unknown_flags(ground: &Ground) -> Result<Ended> {
    for flag in [
        "--no-such-flag",
        "-no-such-flag=1",
        "--experimental-no-such-flag",
    ] {
        let output = ends(ground.setup()?.command().arg(flag))?;
        refuses(&output, &["no-such-flag"])?;
        ensure!(output.status.code() == Some(2), "{flag}: {}", output.status);
    }
    let output = ends(ground.setup()?.command().arg("leftover"))?;
    refuses(&output, &["leftover"])?;
    Ok(Ended::Passed)
}

pub(super) fn bad_values(ground: &Ground) -> Result<Ended> {
    for flag in [
        "--election-timeout=soon",
        "--quota-backend-bytes=much",
        "--listen-client-urls=nowhere",
        "--initial-cluster-state=maybe",
        "--heartbeat-interval=5000",
        "--config-file=/nowhere/at/all.yaml",
    ] {
        let output = ends(ground.setup()?.command().arg(flag))?;
        let (name, value) = flag[2..].split_once('=').context("a flag has a value")?;
        refuses(&output, &[name, value])?;
    }
    Ok(Ended::Passed)
}

pub(super) fn port_in_use(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    let _taken = std::net::TcpListener::bind(("127.0.0.1", setup.client_port()))?;
    let output = ends(&mut setup.command())?;
    refuses(&output, &["in use"])?;
    ensure!(
        text(&output).contains(&setup.client_port().to_string()),
        "the port is not named"
    );
    Ok(Ended::Passed)
}

pub(super) fn two_on_one_directory(ground: &Ground) -> Result<Ended> {
    let setup = ground.setup()?;
    let mut member = setup.start()?;
    block_on(async {
        let wire = Wire::connect(&setup.endpoint()).await?;
        Ok(put(&wire, 0).await?)
    })?;
    // Other ports, the same data.
    let other = crate::member::Setup::new(&ground.binary, &ground.path().join("other"))?
        .flag(format!("--data-dir={}", setup.data_dir().display()));
    let output = ends(&mut other.command())?;
    refuses(&output, &["lock", "in use", "another"])?;
    block_on(check_kept(&mut member, 1))?;
    Ok(Ended::Passed)
}
