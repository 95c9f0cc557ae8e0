//! `member`.

use std::ffi::OsString;

use super::get::is_serializable;
use super::text;
use crate::Error;
use crate::cli::{MemberAdd, MemberList, MemberUpdate, Plain};
use crate::go::{self, Base};
use crate::print::{Added, MemberDone};
use crate::session::{Session, Timeout};
use crate::syntax::peer_url;

pub(super) async fn add(args: MemberAdd, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let words: Vec<String> = args.words.iter().map(text).collect();
    let name = match words.as_slice() {
        [] => return Err(Error::bad_arguments("member name not provided")),
        [name] => name.clone(),
        words => return Err(Error::BadArguments(too_many(words))),
    };
    let peer_urls = given(args.peer_urls)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let urls = peer_url::parse_list(&peer_urls).map_err(Error::Failed)?;
    let answer = client.member_add(urls, args.learner).await?;
    let added = Added {
        name,
        peer_urls,
        learner: args.learner,
        answer,
    };
    session.show(&added, &style)
}

/// Who forgets the flag before a URL gives it as an argument.
fn too_many(words: &[String]) -> String {
    let urls = words.iter().filter(|word| {
        let head = word.get(..4).unwrap_or_default();
        head.eq_ignore_ascii_case("http")
    });
    let hints = urls.map(|url| format!(", did you mean --peer-urls={url}"));
    "too many arguments".to_owned() + &hints.collect::<String>()
}

fn given(peer_urls: String) -> Result<String, Error> {
    if peer_urls.is_empty() {
        return Err(Error::bad_arguments("member peer urls not provided"));
    }
    Ok(peer_urls)
}

pub(super) async fn remove(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let id = member_id(&args.words)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.member_remove(id).await?;
    session.show(&MemberDone::removed(id, answer), &style)
}

pub(super) async fn update(args: MemberUpdate, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let id = member_id(&args.words)?;
    let peer_urls = given(args.peer_urls)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let urls = peer_url::parse_list(&peer_urls).map_err(Error::Failed)?;
    let answer = client.member_update(id, urls).await?;
    session.show(&MemberDone::updated(id, answer), &style)
}

pub(super) async fn promote(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let id = member_id(&args.words)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.member_promote(id).await?;
    session.show(&MemberDone::promoted(id, answer), &style)
}

fn member_id(words: &[OsString]) -> Result<u64, Error> {
    let [word] = words else {
        return Err(Error::bad_arguments("member ID is not provided"));
    };
    go::parse_uint(&text(word), Base::Sixteen).map_err(|cause| {
        Error::BadArguments(format!("bad member ID arg ({cause}), expecting ID in Hex"))
    })
}

pub(super) async fn list(args: MemberList, session: &mut Session<'_, '_>) -> Result<(), Error> {
    // etcdctl complains about the value of another flag here; the one that is wrong is more use.
    let linearizable = !is_serializable(&args.consistency)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.member_list(linearizable).await?;
    session.show(&answer, &style)
}
