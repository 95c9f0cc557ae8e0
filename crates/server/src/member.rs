//! The life of a member: open what is on disk, join the log, serve, and stop.

mod alone;
mod announce;
mod data_dir;
mod deaths;
mod discovery;
mod election;
mod heal;
mod join;
mod listeners;
mod open;
mod places;
mod signals;
mod supervisor;
mod upkeep;

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::{Config, Gate};
use crate::divergence;
use crate::mailbox::Mailbox;
use crate::serve::Runtimes;
use crate::watching::Watching;
use crate::worker::Worker;
use data_dir::DataDir;
use listeners::{Doors, Listeners};
use open::Opened;
pub use signals::Signal;
use signals::Signals;

/// Why a member could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be carried out here.
    #[error("{0}")]
    Start(String),
    /// Something that the member needs was refused by the system.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system, or a part of the member, said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The member cannot go on: what it holds may be damaged, or can no longer be made durable.
    #[error("{0}")]
    Fatal(String),
}

impl Error {
    pub(crate) fn system(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::System {
            doing: doing.into(),
            source: source.into(),
        }
    }
}

/// Why a member ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A signal asked for it.
    Signal(Signal),
    /// The cluster goes on without it, for good.
    Removed,
}

/// Runs a member until a signal asks it to stop, its cluster removes it, or something fails.
///
/// # Errors
/// Whatever keeps it from starting, and whatever it must not go on with.
pub fn run(config: &Config) -> Result<Ended, Error> {
    #[cfg(feature = "failpoints")]
    crate::failpoints::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::system("start the runtime", source))?;
    runtime.block_on(live(config))
}

async fn live(config: &Config) -> Result<Ended, Error> {
    let runtimes_count = std::thread::available_parallelism().map_or(1, usize::from);
    announce::listeners(config);
    let mut listeners = Listeners::bind(config)?;
    let mark = heal::mark(config)?;
    let initialized = mark.is_some() || data_dir::is_initialized(config)?;
    let discovered = match initialized {
        true => None,
        false => discovery::complete(config).await?,
    };
    let config = discovered.as_ref().unwrap_or(config);
    announce::start(config, runtimes_count, initialized);
    let new = match initialized {
        true => None,
        false => Some(join::identify(config).await?),
    };
    let first_count = new.as_ref().map_or(0, |new| new.first.len());
    // Held until the end.
    let dir = DataDir::claim(config, mark.is_some())?;
    let start = heal::Start {
        config,
        runtimes: runtimes_count,
        new,
        dir: &dir,
        listeners: &listeners,
    };
    let mut opened = start.open(mark).await?;
    let members_count = opened.members_count().max(first_count);
    announce::server(&opened.engine);
    let inboxes = opened.take_inboxes();
    let (stop, stopping) = watch::channel(false);
    let runtimes = start_runtimes(&opened, &stopping)?;
    let fatal = opened.fatal();
    let mut fatal = std::pin::pin!(fatal);
    let removed = opened.removed();
    let mut removed = std::pin::pin!(removed);
    let mut upkeep = upkeep::start(&opened.engine, config, inboxes, initialized);
    let peers = opened.talk(listeners.take_peer())?;
    upkeep.spawn(election::hasten_first(
        opened.engine.clone(),
        config.raft.clone(),
        members_count,
    ));

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

    let engine = opened.engine.clone();
    // A suspect member serves nobody, but says why.
    if engine.suspicion.reason().is_some() {
        doors.open_for_clients();
    }
    let coming_up = async {
        if engine.suspicion.reason().is_some() {
            heal::heal(&engine, config).await?;
        }
        announce::publish(&engine, config).await;
        Ok::<(), Error>(())
    };
    tokio::select! {
        up = coming_up => up?,
        () = &mut removed => {
            say_removed(config);
            return Ok(Ended::Removed);
        }
        fatal = &mut fatal => return Err(fatal),
        failed = doors.failed() => return Err(failed),
    }
    let is_checked = config.gates.is_enabled(Gate::InitialCorruptCheck);
    if initialized && is_checked {
        let check = divergence::check_before_serving(&engine);
        check.await.map_err(Error::Start)?;
    }
    let version = {
        let engine = opened.engine.clone();
        tokio::spawn(async move { announce::set_cluster_version(&engine).await })
    };
    doors.open_for_clients();
    let mut signals = Signals::new()?;
    tracing::info!("ready to serve client requests");
    announce::invite(config);
    supervisor::ready();

    let ended = tokio::select! {
        signal = signals.next() => Ended::Signal(signal),
        () = &mut removed => Ended::Removed,
        fatal = &mut fatal => return Err(fatal),
        failed = doors.failed() => return Err(failed),
    };
    match ended {
        Ended::Signal(signal) => {
            tracing::info!(signal = signal.word(), "received signal; shutting down");
        }
        Ended::Removed => say_removed(config),
    }
    config.closing_note("closing etcd server").emit();
    // Nobody listens if all runtimes have ended.
    let _ended = stop.send(true);
    version.abort();
    drop(upkeep);
    stop_runtimes(runtimes).await;
    opened.close(peers)?;
    deaths::note_end(&config.member_dir());
    config.closing_note("closed etcd server").emit();
    Ok(ended)
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
