//! Plain gRPC to one member by the generated stubs, without retries, so that a test sees what the server said.

use std::time::Duration;

use anyhow::{Context, Result};
use ferrod_proto::etcdserverpb::{
    cluster_client::ClusterClient, kv_client::KvClient, lease_client::LeaseClient,
    maintenance_client::MaintenanceClient, watch_client::WatchClient,
};
use ferrod_proto::health::health_client::HealthClient;
use tonic::transport::{Channel, Endpoint};

/// One connection to one member.
#[derive(Debug, Clone)]
pub struct Wire {
    channel: Channel,
}

impl Wire {
    /// Connects to `endpoint`, such as `http://127.0.0.1:2379`.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn connect(endpoint: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(endpoint.to_owned())?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true)
            .connect()
            .await
            .with_context(|| format!("connect to {endpoint}"))?;
        Ok(Self { channel })
    }

    /// The connection itself, for calls that no stub knows.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Stub of the KV service.
    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    /// Stub of the watch service.
    pub fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    /// Stub of the lease service.
    pub fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel())
    }

    /// Stub of the maintenance service.
    pub fn maintenance(&self) -> MaintenanceClient<Channel> {
        MaintenanceClient::new(self.channel())
    }

    /// Stub of the cluster service.
    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel())
    }

    /// Stub of the health service.
    pub fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel())
    }
}
