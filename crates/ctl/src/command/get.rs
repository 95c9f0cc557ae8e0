//! `get`.

use ferrod_client::KeyRange;
use ferrod_client::proto::RangeRequest;
use ferrod_client::proto::range_request::{SortOrder, SortTarget};

use super::bytes;
use crate::Error;
use crate::cli::Get;
use crate::print::Format;
use crate::session::{Session, Timeout};

pub(super) async fn run(args: Get, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let (count_only, value_only, stream) = (args.count_only, args.print_value_only, args.stream);
    let request = request(args)?;
    let (client, mut style) = session.client(Timeout::Flag).await?;
    let answer = if stream {
        streamed(&client, request, session).await?
    } else {
        client.range(request).await?
    };
    if count_only && style.format != Format::Fields {
        return Err(Error::bad_arguments(
            "--count-only is only for `--write-out=fields`",
        ));
    }
    if value_only && style.format != Format::Simple {
        return Err(Error::bad_arguments(
            "print-value-only is only for `--write-out=simple`",
        ));
    }
    style.value_only = value_only;
    session.show(&answer, &style)
}

/// A stream has no limit of its own, so the command's limit goes around it.
async fn streamed(
    client: &ferrod_client::Client,
    request: RangeRequest,
    session: &Session<'_, '_>,
) -> Result<ferrod_client::proto::RangeResponse, Error> {
    let whole = async { client.range_stream(request).await?.merge().await };
    match tokio::time::timeout(session.flags.command_timeout, whole).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(ferrod_client::Error::DeadlineExceeded { last: None }.into()),
    }
}

/// The request that the arguments describe.
pub(super) fn request(args: Get) -> Result<RangeRequest, Error> {
    let keys = keys(&args)?;
    let (sort_order, sort_target) = sorting(&args)?;
    check_revisions("CreateRev", args.min_create_rev, args.max_create_rev)?;
    check_revisions("ModRev", args.min_mod_rev, args.max_mod_rev)?;
    let (key, range_end) = keys.into_parts();
    Ok(RangeRequest {
        key,
        range_end,
        limit: args.limit,
        revision: args.rev.max(0),
        sort_order: sort_order.into(),
        sort_target: sort_target.into(),
        serializable: is_serializable(&args.consistency)?,
        keys_only: args.keys_only,
        count_only: args.count_only,
        min_mod_revision: args.min_mod_rev.max(0),
        max_mod_revision: args.max_mod_rev.max(0),
        min_create_revision: args.min_create_rev.max(0),
        max_create_revision: args.max_create_rev.max(0),
    })
}

/// Checks what excludes what, in etcdctl's order, and takes the keys. Surplus arguments are ignored.
fn keys(args: &Get) -> Result<KeyRange, Error> {
    let mut words = args.words.iter().cloned();
    let Some(key) = words.next().map(bytes) else {
        let needs = "get command needs one argument as key and an optional argument as range_end";
        return Err(Error::bad_arguments(needs));
    };
    one_of(args.prefix, "--prefix", args.from_key, "--from-key")?;
    one_of(
        args.keys_only,
        "--keys-only",
        args.count_only,
        "--count-only",
    )?;
    is_serializable(&args.consistency)?;
    let range_end = words.next().map(bytes);
    match range_end {
        Some(_) if args.prefix || args.from_key => Err(Error::bad_arguments(
            "too many arguments, only accept one argument when `--prefix` or `--from-key` is set",
        )),
        Some(range_end) => Ok(KeyRange::between(key, range_end)),
        None if args.prefix => Ok(KeyRange::prefix(key)),
        None if args.from_key => Ok(KeyRange::from_key(key)),
        None => Ok(KeyRange::single(key)),
    }
}

/// Refuses two flags that exclude each other.
pub(super) fn one_of(a: bool, a_name: &str, b: bool, b_name: &str) -> Result<(), Error> {
    if a && b {
        let reason = "cannot be set at the same time, choose one";
        return Err(Error::BadArguments(format!(
            "`{a_name}` and `{b_name}` {reason}"
        )));
    }
    Ok(())
}

pub(super) fn is_serializable(consistency: &str) -> Result<bool, Error> {
    match consistency {
        "s" => Ok(true),
        "l" => Ok(false),
        _ => Err(Error::Unsupported(format!(
            "unknown consistency flag \"{consistency}\""
        ))),
    }
}

fn sorting(args: &Get) -> Result<(SortOrder, SortTarget), Error> {
    let order = match args.order.to_uppercase().as_str() {
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        "" => SortOrder::None,
        _ => return Err(Error::Unsupported(format!("bad sort order {}", args.order))),
    };
    let target = match args.sort_by.to_uppercase().as_str() {
        "CREATE" => SortTarget::Create,
        "KEY" | "" => SortTarget::Key,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => {
            return Err(Error::Unsupported(format!(
                "bad sort target {}",
                args.sort_by
            )));
        }
    };
    // Keys ascend anyway, and unsorted reads are the cheaper ones.
    match (order, target) {
        (SortOrder::Ascend, SortTarget::Key) => Ok((SortOrder::None, target)),
        _ => Ok((order, target)),
    }
}

fn check_revisions(name: &str, min: i64, max: i64) -> Result<(), Error> {
    if max > 0 && min > max {
        return Err(Error::Unsupported(format!(
            "getMin{name}(={min}) > getMax{name}(={max})"
        )));
    }
    Ok(())
}
