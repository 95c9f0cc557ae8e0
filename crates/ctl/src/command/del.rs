//! `del`.

use std::time::Duration;

use ferrod_client::KeyRange;
use ferrod_client::proto::DeleteRangeRequest;

use super::bytes;
use super::get::one_of;
use crate::Error;
use crate::cli::Del;
use crate::go;
use crate::session::{Session, Timeout};

/// Time to think over the deletion of a range that was not asked for with a flag.
const SECOND_THOUGHTS: Duration = Duration::from_secs(2);

pub(super) async fn run(args: Del, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let warn = args.words.len() == 2 && !args.range && !args.prefix && !args.from_key;
    let request = request(args)?;
    if warn {
        let (low, high) = (go::quote(&request.key), go::quote(&request.range_end));
        session.terminal.complain(format_args!(
            "Warning: Keys between {low} and {high} will be deleted. Please interrupt the command \
             within next 2 seconds to cancel. You can provide `--range` flag to avoid the delay.\n"
        ))?;
        tokio::time::sleep(SECOND_THOUGHTS).await;
    }
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.delete_range(request).await?;
    session.show(&answer, &style)
}

/// The request that the arguments describe.
pub(super) fn request(args: Del) -> Result<DeleteRangeRequest, Error> {
    let count = args.words.len();
    let mut words = args.words.into_iter().map(bytes);
    let (Some(key), true) = (words.next(), count <= 2) else {
        let needs = "del command needs one argument as key and an optional argument as range_end";
        return Err(Error::bad_arguments(needs));
    };
    one_of(args.prefix, "--prefix", args.from_key, "--from-key")?;
    let keys = match words.next() {
        Some(_) if args.prefix || args.from_key => {
            return Err(Error::bad_arguments(
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
            ));
        }
        Some(range_end) => KeyRange::between(key, range_end),
        None if args.prefix => KeyRange::prefix(key),
        None if args.from_key => KeyRange::from_key(key),
        None => KeyRange::single(key),
    };
    let (key, range_end) = keys.into_parts();
    Ok(DeleteRangeRequest {
        key,
        range_end,
        prev_kv: args.prev_kv,
    })
}
