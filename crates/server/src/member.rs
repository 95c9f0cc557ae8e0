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
mod newcomer;
mod open;
mod places;
mod service;
mod signals;
mod supervisor;
mod upkeep;

use crate::config::Config;
use data_dir::DataDir;
use listeners::Listeners;
use service::Service;
pub use signals::Signal;

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
    let listeners = Listeners::bind(config)?;
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
    let opened = start.open(mark).await?;
    let members_count = opened.members_count().max(first_count);
    announce::server(&opened.engine);
    let mut service = Service::begin(config, opened, listeners, initialized, members_count)?;
    let ended = service.serve().await?;
    service.stop(ended).await?;
    Ok(ended)
}
