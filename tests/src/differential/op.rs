//! One step of a client.

use ferrod_proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest,
    RangeRequest, TxnRequest, WatchCreateRequest,
};

/// Something asked of both servers.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Range(RangeRequest),
    RangeStream(RangeRequest),
    Put(PutRequest),
    Delete(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactionRequest),
    Grant(LeaseGrantRequest),
    /// Grants a lease with an ID that the server chooses, renews it, looks at it and revokes it.
    GrantAny(i64),
    Revoke(i64),
    KeepAlive(i64),
    TimeToLive {
        lease: i64,
        keys: bool,
    },
    Leases,
    /// Waits until a lease has run out.
    Expire(i64),
    HashKv(i64),
    Status,
    Members {
        linearizable: bool,
    },
    Alarm(AlarmRequest),
    Defragment,
    Health(String),
    Watch {
        stream: usize,
        create: WatchCreateRequest,
    },
    Unwatch {
        stream: usize,
        id: i64,
    },
    Progress {
        stream: usize,
    },
    /// Bytes that are not what the method takes, or a method that does not exist.
    Raw {
        path: &'static str,
        body: Vec<u8>,
    },
    /// Stops both servers and starts them again; with `kill` the one under test does not see it coming.
    Restart {
        kill: bool,
    },
}
