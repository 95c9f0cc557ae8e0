//! `move-leader`.

use super::text;
use crate::Error;
use crate::cli::Plain;
use crate::go::{self, Base};
use crate::print::LeaderMoved;
use crate::session::Session;

/// Looks for the leader among the endpoints, and has it hand over.
pub(super) async fn run(args: Plain, session: &mut Session<'_, '_>) -> Result<(), Error> {
    let [word] = args.words.as_slice() else {
        return Err(Error::bad_arguments("move-leader command needs 1 argument"));
    };
    let target = go::parse_uint(&text(word), Base::Sixteen).map_err(Error::BadArguments)?;
    let settings = session.settings(&[])?;
    for endpoint in &settings.endpoints {
        let client = settings.client_of(endpoint).await?;
        let status = client.status().await?;
        let asked = status.header.map_or(0, |header| header.member_id);
        if status.leader == asked {
            let answer = client.move_leader(target).await?;
            let moved = LeaderMoved {
                from: asked,
                to: target,
                answer,
            };
            return session.show(&moved, &settings.style);
        }
    }
    let endpoints = go::list(&settings.endpoints);
    Err(Error::BadArguments(format!(
        "no leader endpoint given at {endpoints}"
    )))
}
