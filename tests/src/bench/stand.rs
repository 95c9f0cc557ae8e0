//! One server under measurement, with the data that a scenario wants.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{CompactionRequest, RangeRequest};

use super::load::{Crowd, Running, closed_loop, finish};
use super::meter::Meter;
use super::requests::{Fill, PREFIX};
use crate::member::{Member, Setup};
use crate::wire::Wire;

/// How large and how long a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Length of a window in seconds.
    pub(crate) seconds: f64,
    /// Factor on the numbers of keys.
    pub(crate) scale: f64,
}

impl Size {
    /// `keys` keys at full scale.
    pub(crate) fn keys(&self, keys: u64) -> u64 {
        ((keys as f64 * self.scale) as u64).max(1_000)
    }

    /// Seconds before a window opens.
    pub(crate) fn warm(&self) -> f64 {
        (self.seconds / 5.0).min(2.0)
    }
}

/// A server that runs on data of its own until the stand is dropped.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) size: Size,
    member: Option<Member>,
    setup: Setup,
    folder: PathBuf,
}

impl Stand {
    /// Starts `binary` on a fresh data directory in `folder`.
    pub(crate) fn start(binary: &Path, folder: &Path, size: Size) -> Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder).context("remove the last run")?;
        }
        // Everything else at its default; the default quota is too small for some scenarios of minutes.
        let setup = Setup::new(binary, folder)?.flag("--quota-backend-bytes=8589934592");
        let member = Some(setup.start()?);
        Ok(Self {
            size,
            member,
            setup,
            folder: folder.to_owned(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.setup.client_port()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.member.as_ref().map_or(0, Member::pid)
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) async fn wire(&self) -> Result<Wire> {
        Wire::connect(&self.setup.endpoint()).await
    }

    /// Stops the server and starts it again on the same data.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(member) = self.member.take() {
            member.stop()?;
        }
        Ok(())
    }

    /// Starts the server again after [`Stand::stop`].
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.member = Some(self.setup.start()?);
        Ok(())
    }

    /// Puts `keys` keys with values of `value_len` bytes.
    pub(crate) async fn fill(&self, keys: u64, value_len: usize) -> Result<()> {
        const CONNECTIONS: u64 = 8;
        let meter = Meter::new();
        let crowd = Crowd {
            callers: 16,
            connections: CONNECTIONS as usize,
        };
        let running = closed_loop(self.port(), crowd, &meter, |connection| {
            let connection = connection as u64;
            Fill {
                next: keys * connection / CONNECTIONS,
                end: keys * (connection + 1) / CONNECTIONS,
                rng: fastrand::Rng::with_seed(connection),
                value_len,
            }
        })
        .await?;
        finish(running).await?;
        let count = self.count().await?;
        ensure!(count == keys, "{count} keys are there after putting {keys}");
        Ok(())
    }

    async fn count(&self) -> Result<u64> {
        let request = RangeRequest {
            key: PREFIX.into(),
            range_end: super::requests::PREFIX_END.into(),
            count_only: true,
            ..Default::default()
        };
        let answer = self.wire().await?.kv().range(request).await?;
        Ok(answer.into_inner().count.try_into()?)
    }

    /// Starts compacting everything but the newest revision every `every`.
    pub(crate) async fn compact_every(&self, every: Duration, meter: &Meter) -> Result<Running> {
        let (wire, meter) = (self.wire().await?, meter.clone());
        let mut running = Running::new();
        running.spawn_local(async move {
            while !meter.is_stopped() {
                tokio::time::sleep(every).await;
                let probe = RangeRequest {
                    key: "/".into(),
                    ..Default::default()
                };
                let answer = wire.kv().range(probe).await?.into_inner();
                let revision = answer.header.context("an answer has a header")?.revision;
                let request = CompactionRequest {
                    revision,
                    physical: false,
                };
                wire.kv().compact(request).await?;
            }
            Ok(())
        });
        Ok(running)
    }

    /// Bytes on disk without the log.
    pub(crate) fn file_size(&self) -> Result<u64> {
        crate::usage::disk_use(&self.setup.data_dir(), "wal")
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.member = None;
        // What is left is only in the way of the next run, which removes it.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
