//! `lease`.

use std::ffi::OsString;

use super::text;
use crate::Error;
use crate::cli::{LeaseKeepAlive, LeaseTimeToLive, Plain};
use crate::go::{self, Base};
use crate::print::{Format, Revoked, TimeToLive};
use crate::session::{Session, Timeout};

pub(super) async fn grant(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let [word] = args.words.as_slice() else {
        return Err(Error::bad_arguments(
            "lease grant command needs TTL argument",
        ));
    };
    let ttl = go::parse_int(&text(word), Base::Ten)
        .map_err(|cause| Error::BadArguments(format!("bad TTL ({cause})")))?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client
        .lease_grant(ttl, 0)
        .await
        .map_err(|error| Error::Failed(format!("failed to grant lease ({error})")))?;
    session.show(&answer, &style)
}

pub(super) async fn revoke(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let id = lease_id(&args.words, "lease revoke command needs 1 argument")?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client
        .lease_revoke(id)
        .await
        .map_err(|error| Error::Failed(format!("failed to revoke lease ({error})")))?;
    session.show(&Revoked { id, answer }, &style)
}

pub(super) async fn time_to_live(
    args: LeaseTimeToLive,
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    let id = lease_id(
        &args.words,
        "lease timetolive command needs lease ID as argument",
    )?;
    let (client, style) = session.client(Timeout::Never).await?;
    let answer = client
        .lease_time_to_live(id, args.keys)
        .await
        .map_err(Error::Connection)?;
    session.show(
        &TimeToLive {
            with_keys: args.keys,
            answer,
        },
        &style,
    )
}

pub(super) async fn list(session: &mut Session<'_, '_>) -> Result<(), Error> {
    let (client, style) = session.client(Timeout::Never).await?;
    let answer = client.lease_list().await.map_err(Error::Connection)?;
    session.show(&answer, &style)
}

pub(super) async fn keep_alive(
    args: LeaseKeepAlive,
    session: &mut Session<'_, '_>,
) -> Result<(), Error> {
    let id = lease_id(
        &args.words,
        "lease keep-alive command needs lease ID as argument",
    )?;
    let (client, style) = session.client(Timeout::Never).await?;
    let mut keep_alive = client.keep_alive(id);
    if args.once {
        let answer = keep_alive.once().await.map_err(Error::Connection)?;
        return session.show(&answer, &style);
    }
    while let Some(answer) = keep_alive.next().await.map_err(Error::Connection)? {
        session.show(&answer, &style)?;
    }
    if style.format == Format::Simple {
        session
            .terminal
            .say(format_args!("lease {id:016x} expired or revoked."))?;
    }
    Ok(())
}

/// The only argument, in hexadecimal.
fn lease_id(words: &[OsString], needs: &str) -> Result<i64, Error> {
    let [word] = words else {
        return Err(Error::bad_arguments(needs));
    };
    go::parse_int(&text(word), Base::Sixteen).map_err(|cause| {
        Error::BadArguments(format!("bad lease ID arg ({cause}), expecting ID in Hex"))
    })
}
