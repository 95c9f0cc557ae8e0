//! What etcd's tools and members ask for at the peer port over plain HTTP.

use anyhow::{Context, Result, ensure};
use ferrod_proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseTimeToLiveRequest,
    StatusRequest,
};
use ferrod_proto::leasepb::{LeaseInternalRequest, LeaseInternalResponse};
use prost::Message;

use crate::member::Setup;
use crate::pages::{ask, get, post};
use crate::wire::Wire;

/// A lease of this test.
const LEASE: i64 = 4711;
/// Long enough to outlive the test.
const TTL: i64 = 600;

/// Asks leader and follower for everything.
///
/// # Errors
/// When an answer is another than etcd's.
pub(super) async fn answer(leader: &Setup, follower: &Setup) -> Result<()> {
    say_who_is_there(follower).await?;
    promote(leader, follower).await?;
    renew(leader, follower).await?;
    tell_what_is_left(leader, follower).await
}

async fn say_who_is_there(member: &Setup) -> Result<()> {
    let url = member.peer_url();
    let cluster = Wire::connect(&member.endpoint())
        .await?
        .maintenance()
        .status(StatusRequest {})
        .await?
        .into_inner()
        .header
        .context("no header")?
        .cluster_id;
    let page = get(&url, "/downgrade/enabled").await?;
    page.is(200, "false")?;
    let header = format!("x-etcd-cluster-id: {cluster:x}");
    ensure!(page.head.contains(&header), "{}", page.head);
    let page = ask(&url, "PUT", "/downgrade/enabled", b"").await?;
    page.is(405, "Method Not Allowed\n")?;
    let page = get(&url, "/raft/probing").await?;
    let health: serde_json::Value = serde_json::from_slice(&page.body)?;
    let now = health["Now"].as_str().unwrap_or_default();
    ensure!(
        page.status == 200 && health["OK"] == true && now.contains('T'),
        "{page:?}"
    );
    get(&url, "/raft/none")
        .await?
        .is(404, "404 page not found\n")
}

async fn promote(leader: &Setup, follower: &Setup) -> Result<()> {
    let wire = Wire::connect(&follower.endpoint()).await?;
    let status = wire.maintenance().status(StatusRequest {}).await?;
    let voter = status.into_inner().header.context("no header")?.member_id;
    for member in [leader, follower] {
        let url = member.peer_url();
        let page = post(&url, "/members/promote/1", b"").await?;
        page.is(404, "membership: ID not found\n")?;
        let page = post(&url, "/members/promote/0x1", b"").await?;
        page.is(404, "member 0x1 not found in cluster\n")?;
        let page = post(&url, &format!("/members/promote/{voter}"), b"").await?;
        page.is(412, "membership: can only promote a learner member\n")?;
        let page = get(&url, "/members/promote/1").await?;
        page.is(405, "Method Not Allowed\n")?;
        ensure!(page.head.contains("allow: post"), "{}", page.head);
    }
    Ok(())
}

async fn renew(leader: &Setup, follower: &Setup) -> Result<()> {
    let grant = LeaseGrantRequest {
        id: LEASE,
        ttl: TTL,
    };
    let wire = Wire::connect(&follower.endpoint()).await?;
    wire.lease().lease_grant(grant).await?;
    let url = leader.peer_url();
    let request = |id| LeaseKeepAliveRequest { id }.encode_to_vec();
    let page = post(&url, "/leases", &request(LEASE)).await?;
    ensure!(page.status == 200, "{page:?}");
    ensure!(
        page.head.contains("content-type: application/protobuf"),
        "{}",
        page.head
    );
    let renewed = LeaseKeepAliveResponse::decode(&page.body[..])?;
    ensure!((renewed.id, renewed.ttl) == (LEASE, TTL), "{renewed:?}");
    let page = post(&url, "/leases", &request(1)).await?;
    page.is(404, "lease not found\n")?;
    let page = post(&follower.peer_url(), "/leases", &request(LEASE)).await?;
    page.is(400, "not a primary lessor\n")?;
    let page = post(&url, "/leases", b"\xff\xff\xff").await?;
    page.is(400, "error unmarshalling request\n")?;
    let page = post(&url, "/leases", &vec![0; (64 << 10) + 1]).await?;
    page.is(413, "request body too large\n")?;
    let page = get(&url, "/leases").await?;
    page.is(405, "Method not allowed\n")?;
    ensure!(!page.head.contains("allow:"), "{}", page.head);
    Ok(())
}

async fn tell_what_is_left(leader: &Setup, follower: &Setup) -> Result<()> {
    let request = |id| {
        let wanted = LeaseTimeToLiveRequest { id, keys: true };
        let request = LeaseInternalRequest {
            lease_time_to_live_request: Some(wanted),
        };
        request.encode_to_vec()
    };
    let (url, path) = (leader.peer_url(), "/leases/internal");
    let page = post(&url, path, &request(LEASE)).await?;
    ensure!(page.status == 200, "{page:?}");
    let found = LeaseInternalResponse::decode(&page.body[..])?;
    let found = found.lease_time_to_live_response.context("no answer")?;
    ensure!(
        found.id == LEASE && found.granted_ttl == TTL && (1..=TTL).contains(&found.ttl),
        "{found:?}"
    );
    let page = post(&url, path, &request(1)).await?;
    page.is(404, "lease not found\n")?;
    let page = post(&follower.peer_url(), path, &request(LEASE)).await?;
    page.is(500, "not a primary lessor\n")
}
