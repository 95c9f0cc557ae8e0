//! The calls that clients may make.

/// Who sends how many messages in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcKind {
    /// One message each.
    Unary,
    /// One from the client, many from the server.
    ServerStream,
    /// Many each.
    BidiStream,
}

impl RpcKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            RpcKind::Unary => "unary",
            RpcKind::ServerStream => "server_stream",
            RpcKind::BidiStream => "bidi_stream",
        }
    }
}

macro_rules! rpcs {
    ($(($variant:ident, $service:literal, $method:literal, $kind:ident),)+) => {
        /// A call that clients may make.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are those of the methods")]
        pub enum Rpc {
            $($variant,)+
        }

        impl Rpc {
            /// Every call.
            pub const ALL: &[Rpc] = &[$(Rpc::$variant,)+];

            /// The service with its package.
            #[must_use]
            pub fn service(self) -> &'static str {
                match self {
                    $(Rpc::$variant => $service,)+
                }
            }

            /// The method.
            #[must_use]
            pub fn method(self) -> &'static str {
                match self {
                    $(Rpc::$variant => $method,)+
                }
            }

            /// Who sends how many messages.
            #[must_use]
            pub fn kind(self) -> RpcKind {
                match self {
                    $(Rpc::$variant => RpcKind::$kind,)+
                }
            }

            /// The call of a request's path, such as `/etcdserverpb.KV/Range`.
            #[must_use]
            pub fn from_path(path: &str) -> Option<Rpc> {
                match path {
                    $(concat!("/", $service, "/", $method) => Some(Rpc::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

rpcs! {
    (Range, "etcdserverpb.KV", "Range", Unary),
    (Put, "etcdserverpb.KV", "Put", Unary),
    (DeleteRange, "etcdserverpb.KV", "DeleteRange", Unary),
    (Txn, "etcdserverpb.KV", "Txn", Unary),
    (Compact, "etcdserverpb.KV", "Compact", Unary),
    (RangeStream, "etcdserverpb.KV", "RangeStream", ServerStream),
    (Watch, "etcdserverpb.Watch", "Watch", BidiStream),
    (LeaseGrant, "etcdserverpb.Lease", "LeaseGrant", Unary),
    (LeaseRevoke, "etcdserverpb.Lease", "LeaseRevoke", Unary),
    (LeaseTimeToLive, "etcdserverpb.Lease", "LeaseTimeToLive", Unary),
    (LeaseLeases, "etcdserverpb.Lease", "LeaseLeases", Unary),
    (LeaseKeepAlive, "etcdserverpb.Lease", "LeaseKeepAlive", BidiStream),
    (MemberAdd, "etcdserverpb.Cluster", "MemberAdd", Unary),
    (MemberRemove, "etcdserverpb.Cluster", "MemberRemove", Unary),
    (MemberUpdate, "etcdserverpb.Cluster", "MemberUpdate", Unary),
    (MemberList, "etcdserverpb.Cluster", "MemberList", Unary),
    (MemberPromote, "etcdserverpb.Cluster", "MemberPromote", Unary),
    (AuthEnable, "etcdserverpb.Auth", "AuthEnable", Unary),
    (AuthDisable, "etcdserverpb.Auth", "AuthDisable", Unary),
    (AuthStatus, "etcdserverpb.Auth", "AuthStatus", Unary),
    (Authenticate, "etcdserverpb.Auth", "Authenticate", Unary),
    (UserAdd, "etcdserverpb.Auth", "UserAdd", Unary),
    (UserGet, "etcdserverpb.Auth", "UserGet", Unary),
    (UserList, "etcdserverpb.Auth", "UserList", Unary),
    (UserDelete, "etcdserverpb.Auth", "UserDelete", Unary),
    (UserChangePassword, "etcdserverpb.Auth", "UserChangePassword", Unary),
    (UserGrantRole, "etcdserverpb.Auth", "UserGrantRole", Unary),
    (UserRevokeRole, "etcdserverpb.Auth", "UserRevokeRole", Unary),
    (RoleAdd, "etcdserverpb.Auth", "RoleAdd", Unary),
    (RoleGet, "etcdserverpb.Auth", "RoleGet", Unary),
    (RoleList, "etcdserverpb.Auth", "RoleList", Unary),
    (RoleDelete, "etcdserverpb.Auth", "RoleDelete", Unary),
    (RoleGrantPermission, "etcdserverpb.Auth", "RoleGrantPermission", Unary),
    (RoleRevokePermission, "etcdserverpb.Auth", "RoleRevokePermission", Unary),
    (Alarm, "etcdserverpb.Maintenance", "Alarm", Unary),
    (Status, "etcdserverpb.Maintenance", "Status", Unary),
    (Defragment, "etcdserverpb.Maintenance", "Defragment", Unary),
    (Hash, "etcdserverpb.Maintenance", "Hash", Unary),
    (HashKv, "etcdserverpb.Maintenance", "HashKV", Unary),
    (MoveLeader, "etcdserverpb.Maintenance", "MoveLeader", Unary),
    (Downgrade, "etcdserverpb.Maintenance", "Downgrade", Unary),
    (Snapshot, "etcdserverpb.Maintenance", "Snapshot", ServerStream),
    (HealthCheck, "grpc.health.v1.Health", "Check", Unary),
    (HealthList, "grpc.health.v1.Health", "List", Unary),
    (HealthWatch, "grpc.health.v1.Health", "Watch", ServerStream),
    (Lock, "v3lockpb.Lock", "Lock", Unary),
    (Unlock, "v3lockpb.Lock", "Unlock", Unary),
    (ElectionCampaign, "v3electionpb.Election", "Campaign", Unary),
    (ElectionProclaim, "v3electionpb.Election", "Proclaim", Unary),
    (ElectionLeader, "v3electionpb.Election", "Leader", Unary),
    (ElectionResign, "v3electionpb.Election", "Resign", Unary),
    (ElectionObserve, "v3electionpb.Election", "Observe", ServerStream),
}

impl Rpc {
    /// Whether its series are there from the start. Those of the lock and election services come
    /// with their first use.
    pub(super) fn is_preset(self) -> bool {
        !self.service().starts_with("v3")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_back_to_their_calls() {
        for &rpc in Rpc::ALL {
            let path = format!("/{}/{}", rpc.service(), rpc.method());
            assert_eq!(Rpc::from_path(&path), Some(rpc));
        }
        for path in [
            "",
            "/",
            "/etcdserverpb.KV",
            "/etcdserverpb.KV/range",
            "/x/Range",
        ] {
            assert_eq!(Rpc::from_path(path), None);
        }
    }
}
