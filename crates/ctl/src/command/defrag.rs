//! `defrag`.

use tokio::time::Instant;

use super::endpoint::endpoints;
use crate::Error;
use crate::cli::Defrag;
use crate::go;
use crate::session::Session;

/// Asks the member behind each endpoint in turn.
pub(super) async fn run(args: Defrag, session: &mut Session<'_, '_>) -> Result<(), Error> {
    if args.data_dir.is_some() {
        let reason = "--data-dir is not available in this version";
        return Err(Error::Unsupported(reason.into()));
    }
    let settings = session.settings(&[])?;
    let mut failed = false;
    for endpoint in endpoints(&settings, args.cluster).await? {
        let client = settings.client_of(&endpoint).await?;
        let begin = Instant::now();
        let outcome = client.defragment().await;
        let took = go::format_duration(begin.elapsed());
        match outcome {
            Ok(_) => session.terminal.say(format_args!(
                "Finished defragmenting etcd member[{endpoint}]. took {took}"
            ))?,
            Err(error) => {
                failed = true;
                session.terminal.complain(format_args!(
                    "Failed to defragment etcd member[{endpoint}]. took {took}. ({error})\n"
                ))?;
            }
        }
    }
    if failed { Err(Error::Reported) } else { Ok(()) }
}
