//! Telling the cluster and the log that this member is there.

use std::sync::Arc;
use std::time::Duration;

use ferrod_node::Role;
use ferrod_proto::etcdserverpb::internal_raft_request::Request;
use ferrod_proto::membershippb::{
    Attributes, ClusterMemberAttrSetRequest, ClusterVersionSetRequest,
};

use super::open::texts;
use crate::config::{Config, GoDuration, StartFacts};
use crate::engine::Engine;
use crate::logging::Note;
use crate::mailbox::Mailbox;
use crate::version::{ETCD_MINOR_VERSION, ETCD_VERSION};

const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Says where the member is about to listen, and gives advice about flags.
pub(super) fn listeners(config: &Config) {
    config.advice().into_iter().for_each(Note::emit);
    config.peer_listeners_note().emit();
    config
        .client_listeners_notes()
        .into_iter()
        .for_each(Note::emit);
}

/// Says how the member starts.
pub(super) fn start(config: &Config, runtimes: usize, member_initialized: bool) {
    let facts = StartFacts {
        member_initialized,
        cpus_used: runtimes,
        cpus_available: runtimes,
    };
    config.start_note(facts).emit();
    config.quota_notes().into_iter().for_each(Note::emit);
}

/// Says which member of which cluster it is, now that what is on disk is read.
pub(super) fn server(engine: &Engine) {
    let version = &engine.cluster.load().version;
    let cluster = version.is_some().then(|| engine.cluster_id.to_string());
    let decided = version.as_deref().map(|version| {
        let patch = version.rfind('.').unwrap_or(version.len());
        version[..patch].to_owned()
    });
    tracing::info!(
        "local-member-id" = %engine.member,
        "local-server-version" = ETCD_VERSION,
        "cluster-id" = cluster,
        "cluster-version" = decided.unwrap_or_else(|| "to_be_decided".to_owned()),
        "starting etcd server"
    );
}

/// Tells a person who has just started a member how to talk to it.
pub(super) fn invite(config: &Config) {
    let endpoints = texts(&config.advertise_client_urls).join(",");
    tracing::info!(
        "try" = %format!("ferroctl --endpoints={endpoints} put greeting hello"),
        "talk to this member with ferroctl, etcdctl or any other client of etcd"
    );
}

/// Publishes this member's name and client URLs through the log. Returns when that is applied, however long it takes.
pub(super) async fn publish(engine: &Arc<Engine>, config: &Config) {
    let attributes = Attributes {
        name: config.name.clone(),
        client_urls: texts(&config.advertise_client_urls),
    };
    let request = ClusterMemberAttrSetRequest {
        member_id: engine.member.0,
        member_attributes: Some(attributes.clone()),
    };
    let mailbox = Arc::new(Mailbox::default());
    loop {
        let request = Request::ClusterMemberAttrSet(request.clone());
        match engine.propose(request, &mailbox, None).await {
            Ok(_) => break,
            Err(error) => {
                tracing::debug!(%error, "failed to publish local member to cluster through raft")
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    tracing::info!(
        "local-member-id" = %engine.member,
        "local-member-attributes" = %format!("{{Name:{} ClientURLs:{:?}}}", attributes.name, attributes.client_urls),
        "cluster-id" = %engine.cluster_id,
        "publish-timeout" = %GoDuration::from(engine.limits.request_timeout),
        "published local member to cluster through raft"
    );
}

/// Sets the cluster's version if it has none and this member leads.
pub(super) async fn set_cluster_version(engine: &Arc<Engine>) {
    let version = format!("{ETCD_MINOR_VERSION}.0");
    let mailbox = Arc::new(Mailbox::default());
    while engine.cluster.load().version.as_ref() != Some(&version) {
        if engine.node.status().soft.role == Role::Leader {
            let request = Request::ClusterVersionSet(ClusterVersionSetRequest {
                ver: version.clone(),
            });
            if engine.propose(request, &mailbox, None).await.is_ok() {
                tracing::info!(
                    "cluster-id" = %engine.cluster_id,
                    "local-member-id" = %engine.member,
                    "cluster-version" = ETCD_MINOR_VERSION,
                    "set initial cluster version"
                );
                continue;
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
