//! Large ranges in pieces.

use ferrod_proto::etcdserverpb::{RangeRequest, RangeResponse, RangeStreamResponse};
use http::uri::PathAndQuery;
use tonic::Streaming;
use tonic_prost::ProstCodec;

use crate::method::Method;
use crate::{Client, Error};

const RANGE_STREAM: Method<RangeRequest, RangeStreamResponse> =
    Method::once("/etcdserverpb.KV/RangeStream");

/// The pieces of one range, in key order.
///
/// Header, `more` and `count` come with the last piece.
pub struct RangeStream {
    responses: Streaming<RangeStreamResponse>,
}

impl RangeStream {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// What broke the stream. Earlier pieces stay valid.
    pub async fn next(&mut self) -> Result<Option<RangeResponse>, Error> {
        let response = self.responses.message().await?;
        Ok(response.map(|response| response.range_response.unwrap_or_default()))
    }

    /// All remaining pieces, put together as [`Client::range`] would have returned them.
    ///
    /// # Errors
    /// What broke the stream.
    pub async fn merge(mut self) -> Result<RangeResponse, Error> {
        let mut whole = RangeResponse::default();
        while let Some(piece) = self.next().await? {
            whole.kvs.extend(piece.kvs);
            whole.header = piece.header.or(whole.header);
            whole.more = piece.more;
            whole.count = piece.count;
        }
        Ok(whole)
    }
}

impl Client {
    /// Reads a range in pieces, all at one revision. The call timeout does not apply.
    ///
    /// # Errors
    /// What refused the request before the first piece.
    pub async fn range_stream(&self, request: RangeRequest) -> Result<RangeStream, Error> {
        self.check_size(&request)?;
        self.renew_token(0).await?;
        let open = |channel| {
            let request = self.request(request.clone(), None);
            let grpc = self.grpc(channel);
            async move {
                let path = PathAndQuery::from_static(RANGE_STREAM.path);
                let codec = ProstCodec::<RangeRequest, RangeStreamResponse>::default();
                Ok(grpc
                    .await?
                    .server_streaming(request, path, codec)
                    .await?
                    .into_inner())
            }
        };
        let responses = self.attempts(RANGE_STREAM.repeat, &mut None, open).await?;
        Ok(RangeStream { responses })
    }
}
