//! Subscribers that wander from member to member, each time going on where they were.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ferrod_proto::etcdserverpb::{
    WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
    watch_request::RequestUnion,
};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::check::watch::{Heard, Subscription};
use crate::wire::Wire;

/// How many wander.
const COUNT: usize = 4;

/// The longest stay with one member, in milliseconds.
const STAY_MAX: u64 = 1500;

/// Subscribers under way.
pub(super) struct Subscribers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Subscription>,
}

impl Subscribers {
    pub(super) fn start(endpoints: &[String], seed: u64) -> Subscribers {
        let stop = Arc::new(AtomicBool::new(false));
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tasks = JoinSet::new();
        for number in 0..COUNT {
            let subscriber = Subscriber {
                endpoints: endpoints.to_vec(),
                rng: rng.fork(),
                stop: stop.clone(),
                next: 1,
                subscription: Subscription {
                    name: format!("subscriber {number}"),
                    key: "k".into(),
                    range_end: "l".into(),
                    no_put: false,
                    no_delete: number == 2,
                    prev_kv: number % 2 == 1,
                    heard: Vec::new(),
                },
            };
            tasks.spawn(subscriber.wander());
        }
        Subscribers { stop, tasks }
    }

    /// What each was told.
    pub(super) async fn stop(mut self) -> anyhow::Result<Vec<Subscription>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(subscription) = self.tasks.join_next().await {
            all.push(subscription?);
        }
        Ok(all)
    }
}

struct Subscriber {
    endpoints: Vec<String>,
    rng: fastrand::Rng,
    stop: Arc<AtomicBool>,
    /// The first revision that was not heard of yet.
    next: i64,
    subscription: Subscription,
}

impl Subscriber {
    async fn wander(mut self) -> Subscription {
        while !self.stop.load(Ordering::Relaxed) {
            let at = self.rng.usize(0..self.endpoints.len());
            let stay = Duration::from_millis(self.rng.u64(100..STAY_MAX));
            let endpoint = self.endpoints[at].clone();
            // A member that does not answer, or breaks off, is left for another; so is one that serves well.
            let _over = tokio::time::timeout(stay, self.visit(&endpoint)).await;
            self.subscription.heard.push(Heard::Disconnected);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.subscription
    }

    async fn visit(&mut self, endpoint: &str) -> anyhow::Result<()> {
        let wire = Wire::connect(endpoint).await?;
        let (requests, mut stream) = self.watch(&wire).await?;
        while let Some(response) = stream.message().await? {
            self.hear(response);
            if self.rng.u8(0..20) == 0 {
                let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
                requests.send(request(ask)).await?;
            }
        }
        Ok(())
    }

    async fn watch(
        &self,
        wire: &Wire,
    ) -> anyhow::Result<(Sender<WatchRequest>, Streaming<WatchResponse>)> {
        let (requests, queue) = channel(4);
        let create = WatchCreateRequest {
            key: self.subscription.key.clone(),
            range_end: self.subscription.range_end.clone(),
            start_revision: self.next,
            prev_kv: self.subscription.prev_kv,
            filters: if self.subscription.no_delete {
                vec![ferrod_proto::etcdserverpb::watch_create_request::FilterType::Nodelete.into()]
            } else {
                Vec::new()
            },
            ..Default::default()
        };
        requests
            .send(request(RequestUnion::CreateRequest(create)))
            .await?;
        let mut call = Request::new(ReceiverStream::new(queue));
        call.metadata_mut()
            .insert("hasleader", "true".parse().expect("a word"));
        Ok((requests, wire.watch().watch(call).await?.into_inner()))
    }

    fn hear(&mut self, response: WatchResponse) {
        let revision = response.header.map_or(0, |header| header.revision);
        let heard = if response.created {
            Heard::Created {
                start: self.next,
                revision,
            }
        } else if response.canceled {
            return;
        } else if response.events.is_empty() {
            self.next = self.next.max(revision + 1);
            Heard::Progress(revision)
        } else {
            let last = response.events.iter().filter_map(|event| event.kv.as_ref());
            let last = last.map(|row| row.mod_revision).max().unwrap_or(0);
            self.next = last + 1;
            Heard::Events {
                revision,
                events: response.events,
            }
        };
        self.subscription.heard.push(heard);
    }
}

fn request(ask: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(ask),
    }
}
