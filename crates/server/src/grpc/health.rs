//! The standard health service. It knows one service, the empty name, which serves whenever it answers.

use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use ferrod_proto::health::health_check_response::ServingStatus;
use ferrod_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use http::Response;
use tonic::Status;

use super::dispatch::Caller;
use super::pieces::Pieces;
use super::reply::{self, FramePoll, ReplyBody};

fn state(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status as i32,
    }
}

pub(super) async fn check(
    _caller: Caller,
    request: HealthCheckRequest,
) -> Result<HealthCheckResponse, Status> {
    if request.service.is_empty() {
        Ok(state(ServingStatus::Serving))
    } else {
        Err(Status::not_found("unknown service"))
    }
}

pub(super) async fn list(
    _caller: Caller,
    _request: HealthListRequest,
) -> Result<HealthListResponse, Status> {
    let statuses = HashMap::from([(String::new(), state(ServingStatus::Serving))]);
    Ok(HealthListResponse { statuses })
}

/// The status does not change for as long as the member serves, so the stream says it once and stays open.
pub(super) fn watch(request: HealthCheckRequest) -> Result<Response<ReplyBody>, Status> {
    let status = if request.service.is_empty() {
        ServingStatus::Serving
    } else {
        ServingStatus::ServiceUnknown
    };
    Ok(reply::stream(Box::pin(Once(Some(reply::encode_frame(
        &state(status),
    ))))))
}

struct Once(Option<Bytes>);

impl FramePoll for Once {
    fn poll_frames(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Pieces, Status>>> {
        self.0
            .take()
            .map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame.into()))))
    }
}
