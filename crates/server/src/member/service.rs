//! A member whose log runs: it joins the others, serves clients, and stops.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::listeners::{Doors, Listeners};
use super::open::Opened;
use super::signals::Signals;
use super::upkeep;
use super::{Ended, Error, announce, deaths, election, heal, newcomer, supervisor};
use crate::config::{Config, Gate};
use crate::divergence;
use crate::mailbox::Mailbox;
use crate::peer::PeerThread;
use crate::serve::Runtimes;
use crate::watching::Watching;
use crate::worker::Worker;

/// A member whose log runs.
pub(super) struct Service<'m> {
    config: &'m Config,
    doors: Doors<'m>,
    ends: Ends,
    peers: PeerThread,
    /// What the member does beside serving, until it stops.
    upkeep: JoinSet<()>,
    runtimes: Arc<Runtimes>,
    stop: watch::Sender<bool>,
    opened: Opened,
    /// There were data before this start.
    had_data: bool,
}

impl<'m> Service<'m> {
    /// Starts to talk to the other members. Clients find metrics at most.
    ///
    /// # Errors
    /// If the system has no threads to give.
    pub(super) fn begin(
        config: &'m Config,
        mut opened: Opened,
        mut listeners: Listeners,
        had_data: bool,
        members_count: usize,
    ) -> Result<Service<'m>, Error> {
        // First: from here on a signal ends the member in good order.
        let ends = Ends::of(&opened)?;
        let inboxes = opened.take_inboxes();
        let (stop, stopping) = watch::channel(false);
        let runtimes = start_runtimes(&opened, &stopping)?;
        let mut upkeep = upkeep::start(&opened.engine, config, inboxes, had_data);
        let peers = opened.talk(listeners.take_peer())?;
        let hasten =
            election::hasten_first(opened.engine.clone(), config.raft.clone(), members_count);
        upkeep.spawn(hasten);
        let mut doors = Doors::new(
            config,
            listeners,
            &opened.engine,
            runtimes.clone(),
            stopping,
        );
        doors.open_for_metrics();
        config
            .serving_note(&opened.engine.member.to_string())
            .emit();
        Ok(Service {
            config,
            doors,
            ends,
            peers,
            upkeep,
            runtimes,
            stop,
            opened,
            had_data,
        })
    }

    /// Serves clients as soon as the member is fit for it; returns why it is to stop.
    ///
    /// # Errors
    /// What it cannot go on with.
    pub(super) async fn serve(&mut self) -> Result<Ended, Error> {
        let engine = self.opened.engine.clone();
        // A suspect member serves nobody, but says why.
        if engine.suspicion.reason().is_some() {
            self.doors.open_for_clients();
        }
        tokio::select! {
            up = come_up(&self.opened, self.config, self.had_data) => up?,
            ended = self.ends.first(&mut self.doors) => return ended,
        }
        self.upkeep
            .spawn(async move { announce::set_cluster_version(&engine).await });
        self.doors.open_for_clients();
        tracing::info!("ready to serve client requests");
        announce::invite(self.config);
        supervisor::ready();
        self.ends.first(&mut self.doors).await
    }

    /// Answers what was asked, hands over, and writes everything.
    ///
    /// # Errors
    /// What the log or the backend failed with.
    pub(super) async fn stop(self, ended: Ended) -> Result<(), Error> {
        let config = self.config;
        match ended {
            Ended::Signal(signal) => {
                tracing::info!(signal = signal.word(), "received signal; shutting down");
            }
            Ended::Removed => say_removed(config),
        }
        config.closing_note("closing etcd server").emit();
        // Nobody listens if all runtimes have ended.
        let _ended = self.stop.send(true);
        drop(self.upkeep);
        stop_runtimes(self.runtimes).await;
        self.opened.close(self.peers)?;
        deaths::note_end(&config.member_dir());
        config.closing_note("closed etcd server").emit();
        Ok(())
    }
}

/// Gets as far as clients may come: healed, known to the others by name, and compared with them if that is wanted.
async fn come_up(opened: &Opened, config: &Config, had_data: bool) -> Result<(), Error> {
    let engine = &opened.engine;
    if engine.suspicion.reason().is_some() {
        heal::heal(engine, config).await?;
    }
    newcomer::introduce(engine, opened.newcomer(), &config.member_dir()).await?;
    announce::publish(engine, config).await;
    if had_data && config.gates.is_enabled(Gate::InitialCorruptCheck) {
        let check = divergence::check_before_serving(engine);
        check.await.map_err(Error::Start)?;
    }
    Ok(())
}

/// What may end a member whose log runs.
struct Ends {
    signals: Signals,
    removed: Pin<Box<dyn Future<Output = ()>>>,
    fatal: Pin<Box<dyn Future<Output = Error>>>,
}

impl Ends {
    fn of(opened: &Opened) -> Result<Ends, Error> {
        Ok(Ends {
            signals: Signals::new()?,
            removed: Box::pin(opened.removed()),
            fatal: Box::pin(opened.fatal()),
        })
    }

    async fn first(&mut self, doors: &mut Doors<'_>) -> Result<Ended, Error> {
        tokio::select! {
            signal = self.signals.next() => Ok(Ended::Signal(signal)),
            () = &mut self.removed => Ok(Ended::Removed),
            fatal = &mut self.fatal => Err(fatal),
            failed = doors.failed() => Err(failed),
        }
    }
}

fn say_removed(config: &Config) {
    tracing::warn!(
        error = "the member has been permanently removed from the cluster",
        "server error"
    );
    tracing::warn!(
        "data-dir" = %config.data_dir.display(),
        "data-dir used by this member must be removed"
    );
}

fn start_runtimes(
    opened: &Opened,
    stopping: &watch::Receiver<bool>,
) -> Result<Arc<Runtimes>, Error> {
    let worker = |mailbox: &Arc<Mailbox>| {
        let watching = Watching::new(opened.engine.views.clone(), mailbox.clone());
        Arc::new(Worker::new(
            opened.engine.clone(),
            mailbox.clone(),
            watching,
        ))
    };
    let workers = opened.mailboxes.iter().map(worker).collect();
    let runtimes = Runtimes::start(workers, stopping);
    runtimes
        .map(Arc::new)
        .map_err(|source| Error::system("start the runtimes", source))
}

/// Waits for the runtimes without holding up this one, on which their last answers may depend.
async fn stop_runtimes(runtimes: Arc<Runtimes>) {
    // A thread that panicked has said so.
    let _ = tokio::task::spawn_blocking(move || runtimes.join()).await;
}
