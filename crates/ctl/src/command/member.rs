//! `member`.

use super::get::is_serializable;
use crate::Error;
use crate::cli::MemberList;
use crate::session::{Session, Timeout};

pub(super) async fn list(args: MemberList, session: &mut Session<'_, '_>) -> Result<(), Error> {
    // etcdctl complains about the value of another flag here; the one that is wrong is more use.
    let linearizable = !is_serializable(&args.consistency)?;
    let (client, style) = session.client(Timeout::Flag).await?;
    let answer = client.member_list(linearizable).await?;
    session.show(&answer, &style)
}
