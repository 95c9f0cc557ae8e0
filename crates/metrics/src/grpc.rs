//! `grpc_server_*`.

use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use crate::buckets;
use crate::registrar::Registrar;

mod rpc;

pub use rpc::{Rpc, RpcKind};

/// How a call ended, by gRPC's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are gRPC's")]
pub enum GrpcCode {
    Ok,
    Canceled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl GrpcCode {
    /// Every code, in the order of its number.
    pub const ALL: [GrpcCode; 17] = [
        GrpcCode::Ok,
        GrpcCode::Canceled,
        GrpcCode::Unknown,
        GrpcCode::InvalidArgument,
        GrpcCode::DeadlineExceeded,
        GrpcCode::NotFound,
        GrpcCode::AlreadyExists,
        GrpcCode::PermissionDenied,
        GrpcCode::ResourceExhausted,
        GrpcCode::FailedPrecondition,
        GrpcCode::Aborted,
        GrpcCode::OutOfRange,
        GrpcCode::Unimplemented,
        GrpcCode::Internal,
        GrpcCode::Unavailable,
        GrpcCode::DataLoss,
        GrpcCode::Unauthenticated,
    ];

    /// The code of this number; a number that does not exist is `Unknown`.
    #[must_use]
    pub fn from_number(number: i32) -> GrpcCode {
        usize::try_from(number)
            .ok()
            .and_then(|number| GrpcCode::ALL.get(number).copied())
            .unwrap_or(GrpcCode::Unknown)
    }

    fn name(self) -> String {
        match self {
            GrpcCode::Ok => "OK".to_owned(),
            // The variants are named like the labels.
            other => format!("{other:?}"),
        }
    }
}

/// Calls of clients: `grpc_server_*`.
#[derive(Debug)]
pub struct Grpc {
    families: Families,
    methods: [OnceLock<Arc<Method>>; Rpc::ALL.len()],
}

#[derive(Debug)]
struct Families {
    started: IntCounterVec,
    handled: IntCounterVec,
    received: IntCounterVec,
    sent: IntCounterVec,
    seconds: Option<HistogramVec>,
}

impl Grpc {
    pub(crate) fn new(r: &Registrar<'_>, extensive: bool) -> Grpc {
        const METHOD: [&str; 3] = ["grpc_type", "grpc_service", "grpc_method"];
        const RESULT: [&str; 4] = ["grpc_type", "grpc_service", "grpc_method", "grpc_code"];
        let grpc = Grpc {
            families: Families {
                started: r.counters("grpc_server_started_total", "Calls that began.", &METHOD),
                handled: r.counters("grpc_server_handled_total", "Calls that ended.", &RESULT),
                received: r.counters(
                    "grpc_server_msg_received_total",
                    "Messages that came from clients.",
                    &METHOD,
                ),
                sent: r.counters(
                    "grpc_server_msg_sent_total",
                    "Messages that went to clients.",
                    &METHOD,
                ),
                seconds: extensive.then(|| {
                    r.histograms(
                        "grpc_server_handling_seconds",
                        "How long calls took.",
                        &METHOD,
                        buckets::grpc(),
                    )
                }),
            },
            methods: std::array::from_fn(|_| OnceLock::new()),
        };
        for rpc in Rpc::ALL.iter().filter(|rpc| rpc.is_preset()) {
            grpc.method(*rpc);
        }
        grpc
    }

    /// The handles of a method.
    pub fn method(&self, rpc: Rpc) -> &Arc<Method> {
        self.methods[rpc as usize].get_or_init(|| Arc::new(Method::new(&self.families, rpc)))
    }
}

/// The handles of one method.
#[derive(Debug)]
pub struct Method {
    started: IntCounter,
    handled: [IntCounter; GrpcCode::ALL.len()],
    /// Messages that came from clients.
    pub received: IntCounter,
    /// Messages that went to clients.
    pub sent: IntCounter,
    seconds: Option<Histogram>,
}

impl Method {
    fn new(families: &Families, rpc: Rpc) -> Method {
        let labels = [rpc.kind().name(), rpc.service(), rpc.method()];
        let [kind, service, method] = labels;
        Method {
            started: families.started.with_label_values(&labels),
            handled: GrpcCode::ALL.map(|code| {
                let labels = [kind, service, method, &code.name()];
                families.handled.with_label_values(&labels)
            }),
            received: families.received.with_label_values(&labels),
            sent: families.sent.with_label_values(&labels),
            seconds: families
                .seconds
                .as_ref()
                .map(|family| family.with_label_values(&labels)),
        }
    }

    /// Counts a call that begins.
    pub fn begin(self: &Arc<Method>) -> Call {
        self.started.inc();
        Call {
            method: self.clone(),
            ended: false,
        }
    }

    /// Whether the duration of calls is wanted.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.seconds.is_some()
    }
}

/// A call that has begun. It is counted as ended exactly once: what began without ending would look
/// like a stream that is still open, for ever.
#[derive(Debug)]
pub struct Call {
    method: Arc<Method>,
    ended: bool,
}

impl Call {
    /// The handles of its method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Counts it as ended. `seconds` matters only if [`Method::is_timed`].
    pub fn end(mut self, code: GrpcCode, seconds: f64) {
        self.ended = true;
        self.method.handled[code as usize].inc();
        if let Some(histogram) = &self.method.seconds {
            histogram.observe(seconds);
        }
    }
}

impl Drop for Call {
    /// A call that is dropped was given up by its client.
    fn drop(&mut self) {
        if !self.ended {
            self.method.handled[GrpcCode::Canceled as usize].inc();
        }
    }
}
