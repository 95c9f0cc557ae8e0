//! temporary
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use std::convert::Infallible;
#[derive(Clone)]
pub(crate) struct Pages;
impl Pages {
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let _: Option<Infallible> = None;
        match request.uri().path() {
            "/health" => Response::new(Full::from("{\"health\":\"true\",\"reason\":\"\"}")),
            "/version" => Response::new(Full::from(
                "{\"etcdserver\":\"3.7.1\",\"etcdcluster\":\"3.7.0\"}",
            )),
            _ => {
                let mut r = Response::new(Full::from("404 page not found\n"));
                *r.status_mut() = http::StatusCode::NOT_FOUND;
                r
            }
        }
    }
}
