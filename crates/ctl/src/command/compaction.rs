//! `compaction`.

use ferrod_client::proto::CompactionRequest;

use super::text;
use crate::Error;
use crate::cli::Compaction;
use crate::go::{self, Base};
use crate::session::{Session, Timeout};

pub(super) async fn run(args: Compaction, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let [word] = args.words.as_slice() else {
        return Err(Error::bad_arguments("compaction command needs 1 argument"));
    };
    let revision = go::parse_int(&text(word), Base::Ten).map_err(Error::Failed)?;
    let (client, _) = session.client(Timeout::FlagOrEnvironment).await?;
    client
        .compact(CompactionRequest {
            revision,
            physical: args.physical,
        })
        .await?;
    Ok(session
        .terminal
        .say(format_args!("compacted revision {revision}"))?)
}
