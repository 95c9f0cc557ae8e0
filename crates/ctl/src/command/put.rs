//! `put`.

use ferrod_client::proto::PutRequest;

use super::bytes;
use crate::Error;
use crate::cli::Put;
use crate::go::{self, Base};
use crate::session::{Session, Timeout};

pub(super) async fn run(args: Put, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let from_input = args.words.len() == 1 && !args.ignore_value;
    let input = if from_input {
        session.terminal.read_all()?
    } else {
        Vec::new()
    };
    let request = request(args, input)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.put_request(request).await?;
    session.show(&answer, &style)
}

/// The request that the arguments describe. `input` is the value if none is given; empty input counts as none.
pub(super) fn request(args: Put, input: Vec<u8>) -> Result<PutRequest, Error> {
    let mut words = args.words.into_iter();
    let needs = "put command needs 1 argument and input from stdin or 2 arguments";
    let key = words
        .next()
        .map(bytes)
        .ok_or_else(|| Error::bad_arguments(needs))?;
    let value = words.next();
    if args.ignore_value && value.is_some() {
        let reason = "put command needs only 1 argument when 'ignore-value' is set";
        return Err(Error::bad_arguments(reason));
    }
    let value = match value {
        Some(value) => bytes(value),
        None if args.ignore_value => bytes::Bytes::new(),
        None if input.is_empty() => return Err(Error::bad_arguments(needs)),
        None => input.into(),
    };
    let lease = go::parse_int(&args.lease, Base::Sixteen).map_err(|cause| {
        Error::BadArguments(format!("bad lease ID ({cause}), expecting ID in Hex"))
    })?;
    let Put {
        prev_kv,
        ignore_value,
        ignore_lease,
        ..
    } = args;
    Ok(PutRequest {
        key,
        value,
        lease,
        prev_kv,
        ignore_value,
        ignore_lease,
    })
}
