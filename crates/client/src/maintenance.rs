//! The state of single members. Most of these make sense only with one endpoint.

use ferrod_proto::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, HashKvRequest,
    HashKvResponse, HashRequest, HashResponse, MoveLeaderRequest, MoveLeaderResponse,
    StatusRequest, StatusResponse, alarm_request::AlarmAction,
};

use crate::method::Method;
use crate::{Client, Error};

const ALARM: Method<AlarmRequest, AlarmResponse> =
    Method::repeatable("/etcdserverpb.Maintenance/Alarm");
const STATUS: Method<StatusRequest, StatusResponse> =
    Method::repeatable("/etcdserverpb.Maintenance/Status");
const HASH: Method<HashRequest, HashResponse> =
    Method::repeatable("/etcdserverpb.Maintenance/Hash");
const HASH_KV: Method<HashKvRequest, HashKvResponse> =
    Method::repeatable("/etcdserverpb.Maintenance/HashKV");
const DEFRAGMENT: Method<DefragmentRequest, DefragmentResponse> =
    Method::once("/etcdserverpb.Maintenance/Defragment");

const MOVE_LEADER: Method<MoveLeaderRequest, MoveLeaderResponse> =
    Method::once("/etcdserverpb.Maintenance/MoveLeader");

/// The state of single members: of whichever answers, so use a client with one endpoint.
impl Client {
    /// Version, sizes, leader and raft progress of the answering member.
    pub async fn status(&self) -> Result<StatusResponse, Error> {
        self.unary(STATUS, StatusRequest {}).await
    }

    /// Digest of the whole backend of the answering member.
    pub async fn hash(&self) -> Result<HashResponse, Error> {
        self.unary(HASH, HashRequest {}).await
    }

    /// Digest of the key space up to a revision; 0 means the current one.
    pub async fn hash_kv(&self, revision: i64) -> Result<HashKvResponse, Error> {
        self.unary(HASH_KV, HashKvRequest { revision }).await
    }

    /// Compacts the storage of the answering member.
    pub async fn defragment(&self) -> Result<DefragmentResponse, Error> {
        self.unary(DEFRAGMENT, DefragmentRequest {}).await
    }

    /// Hands leadership to another voter; only the leader does it.
    pub async fn move_leader(&self, target_id: u64) -> Result<MoveLeaderResponse, Error> {
        self.unary(MOVE_LEADER, MoveLeaderRequest { target_id })
            .await
    }

    /// Lists, raises or clears alarms.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, Error> {
        self.unary(ALARM, request).await
    }

    /// All alarms of the cluster.
    pub async fn alarm_list(&self) -> Result<AlarmResponse, Error> {
        self.alarm(AlarmRequest {
            action: AlarmAction::Get.into(),
            ..Default::default()
        })
        .await
    }

    /// Clears one alarm.
    pub async fn alarm_disarm(&self, alarm: AlarmMember) -> Result<AlarmResponse, Error> {
        let AlarmMember { member_id, alarm } = alarm;
        self.alarm(AlarmRequest {
            action: AlarmAction::Deactivate.into(),
            member_id,
            alarm,
        })
        .await
    }
}
