//! Calls of clients: on their way, at a member, and back.

use std::time::Duration;

use ferrod_env::Clock;
use ferrod_lease::LeaseId;
use ferrod_mvcc::Error as MvccError;
use ferrod_node::{DropReason, LogIndex, ProposalId, ReadFailure};
use ferrod_proto::ApiError;
use ferrod_proto::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use ferrod_proto::mvccpb::KeyValue;
use ferrod_store::Answer;
use prost::Message;

use super::heal::QUESTION;
use super::members::LESSOR_READ;
use super::{Event, Judged, World};
use crate::check::history::{Operation, Outcome, Refusal};
use crate::check::lease::LeaseEvent;
use crate::check::{Request, Response, Violation};
use crate::sim::lessor::Clearing;
use crate::sim::process::{Process, Waiter};
use crate::sim::workload::{self, Ask};

/// A call that its client still waits for.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) client: usize,
    pub(super) host: u64,
    pub(super) ask: Ask,
    pub(super) sent: Duration,
    /// It has reached the member, whose death the client would notice.
    arrived: bool,
}

/// What a client hears.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Heard(Outcome),
    /// The lease lives for so many seconds.
    Renewed(i64),
}

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// One reply in so many is lost with its connection.
const LOST_ONE_IN: u64 = 100;

impl World {
    /// A client asks a member for something.
    pub(super) fn call(&mut self, client: usize, host: u64, ask: Ask) {
        let number = self.next_call;
        self.next_call += 1;
        self.trace.note(self.now, [11, client as u64, number], || {
            format!("client {client} asks {host} (call {number}): {ask:?}")
        });
        let call = Call {
            client,
            host,
            ask,
            sent: self.now,
            arrived: false,
        };
        if let Some(lease) = call.ask.revoked_lease() {
            let sent = self.now.as_nanos() as u64;
            self.leases.note(lease, LeaseEvent::Revoking { sent });
        }
        self.calls.insert(number, call);
        let at = self.draw_in(Duration::from_micros(30)..Duration::from_millis(2));
        self.plan_at(at, Event::Arrive(number));
        self.plan_at(self.now + PATIENCE, Event::GiveUp(number));
    }

    pub(super) fn arrive(&mut self, number: u64) -> Judged {
        let Some(call) = self.calls.get_mut(&number) else {
            return Ok(());
        };
        let id = call.host;
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_serving()) else {
            self.send_reply(number, Reply::Heard(Outcome::Refused(Refusal::Other)));
            return Ok(());
        };
        if host.paused_until > self.now {
            let until = host.paused_until;
            self.plan_at(until, Event::Arrive(number));
            return Ok(());
        }
        call.arrived = true;
        match call.ask.clone() {
            Ask::KeepAlive(_) => self.ask_index(id, number),
            Ask::Do(Request::Range(range)) if range.serializable => self.read(id, number, &range),
            Ask::Do(Request::Range(_)) if self.reads_alone(id) => self.serve_read(id, number),
            Ask::Do(Request::Range(_)) => self.ask_index(id, number),
            Ask::Do(request) => self.propose(id, number, &request),
        }
        self.listen(id)
    }

    fn reads_alone(&mut self, id: u64) -> bool {
        self.running(id)
            .is_some_and(|process| process.executor.handle().reads_alone())
    }

    fn propose(&mut self, id: u64, number: u64, request: &Request) {
        let now = self.now;
        let Some(process) = self.running(id) else {
            return;
        };
        let name = process.new_request();
        process.waiters.insert(name, Waiter::Call(number));
        let payload = workload::encode(name, workload::to_log(request));
        let offered = process.executor.handle().propose(ProposalId(name), payload);
        if offered.is_err() {
            self.send_reply(number, Reply::Heard(Outcome::Refused(Refusal::Other)));
        }
        self.wake_node(id, now);
    }

    /// An entry was applied here, and perhaps somebody waits for its answer.
    pub(super) fn answered(&mut self, id: u64, request: u64, answer: Result<Answer, ApiError>) {
        let waiter = self
            .running(id)
            .and_then(|process| process.waiters.remove(&request));
        let number = match waiter {
            Some(Waiter::Call(number)) => number,
            Some(Waiter::Renewal(number, ttl, clearing)) => {
                return self.record_cleared(id, number, ttl, &clearing, answer.is_ok());
            }
            Some(Waiter::Nobody) | None => return,
        };
        let outcome = match answer {
            Ok(answer) => match response(answer) {
                Some(response) => Outcome::Answered(response),
                None => Outcome::Unknown,
            },
            Err(error) => Outcome::Refused(refusal(error)),
        };
        self.send_reply(number, Reply::Heard(outcome));
    }

    /// The member says that a proposal is not in the log and never will be.
    pub(super) fn dropped(&mut self, id: u64, request: u64, reason: DropReason) -> Judged {
        if let Some(index) = self.truth.index_of(request) {
            let text = format!("{id} dropped {request:x} ({reason}), which is at {index}");
            return Err(Violation::new("P-KV-08", text));
        }
        let waiter = self
            .running(id)
            .and_then(|process| process.waiters.remove(&request));
        if let Some(Waiter::Call(number) | Waiter::Renewal(number, ..)) = waiter {
            self.send_reply(number, Reply::Heard(Outcome::Refused(Refusal::Other)));
        }
        Ok(())
    }

    /// Reads learned how far they must see; and the state may have got there.
    pub(super) fn read_indexes(
        &mut self,
        id: u64,
        answers: Vec<(u64, Result<LogIndex, ReadFailure>)>,
    ) {
        for (number, result) in answers {
            match (result, self.running(id)) {
                (Ok(index), Some(process)) => process.reads.push((index, number)),
                (Err(_), _) if number & QUESTION != 0 => self.answer_question(number, false),
                (Err(_), _) if number != LESSOR_READ => {
                    self.send_reply(number, Reply::Heard(Outcome::Refused(Refusal::Other)));
                }
                _ => {}
            }
        }
        let Some(process) = self.running(id) else {
            return;
        };
        let applied = process.views.load().applied_index();
        let (ready, waiting) = std::mem::take(&mut process.reads)
            .into_iter()
            .partition(|(index, _)| index.0 <= applied);
        process.reads = waiting;
        let ready: Vec<(LogIndex, u64)> = ready;
        for (_, number) in ready {
            if number == LESSOR_READ {
                self.expire_leases(id);
                self.record_leases(id);
            } else if number & QUESTION != 0 {
                self.answer_question(number, true);
            } else {
                self.serve_read(id, number);
            }
        }
    }

    fn serve_read(&mut self, id: u64, number: u64) {
        match self.calls.get(&number).map(|call| call.ask.clone()) {
            Some(Ask::KeepAlive(lease)) => self.renew(id, number, lease),
            Some(Ask::Do(Request::Range(range))) => self.read(id, number, &range),
            _ => {}
        }
    }

    /// Renews a lease; what was recorded of it is cleared through the log before the client hears of it.
    fn renew(&mut self, id: u64, number: u64, lease: i64) {
        let (now, local) = (self.now, self.hosts[&id].clock.now());
        let lessor = self.running(id).map(|process| process.lessor.clone());
        let renewed = lessor.and_then(|lessor| lessor.renew(LeaseId(lease), local));
        let (ttl, clearing) = match renewed {
            Some((ttl, Some(clearing))) => (ttl, clearing),
            Some((ttl, None)) => return self.send_reply(number, Reply::Renewed(ttl)),
            None => {
                return self.send_reply(number, Reply::Heard(Outcome::Refused(Refusal::Other)));
            }
        };
        let full = [(clearing.lease, 0)];
        let waiter = Waiter::Renewal(number, ttl, clearing);
        self.offer_records(id, clearing.term, full, waiter);
        self.wake_node(id, now);
    }

    fn record_cleared(&mut self, id: u64, number: u64, ttl: i64, clearing: &Clearing, ok: bool) {
        let reply = if ok {
            Reply::Renewed(ttl)
        } else {
            Reply::Heard(Outcome::Refused(Refusal::Other))
        };
        if let Some(process) = self.running(id).filter(|_| ok) {
            process.lessor.cleared(clearing);
        }
        self.send_reply(number, reply);
    }

    fn read(&mut self, id: u64, number: u64, range: &RangeRequest) {
        let Some(process) = self.running(id) else {
            return;
        };
        let outcome = read(process, range);
        self.send_reply(number, Reply::Heard(outcome));
    }

    /// Sends a reply on its way; some are lost with their connection.
    fn send_reply(&mut self, number: u64, reply: Reply) {
        let lost = self.rng.u64(0..LOST_ONE_IN) == 0;
        let reply = if lost {
            Reply::Heard(Outcome::Unknown)
        } else {
            reply
        };
        self.next_reply += 1;
        self.replies.insert(self.next_reply, reply);
        let at = self.draw_in(Duration::from_micros(30)..Duration::from_millis(2));
        self.plan_at(at, Event::Reply(number, self.next_reply));
    }

    pub(super) fn reply(&mut self, number: u64, reply: usize) -> Judged {
        if let Some(reply) = self.replies.remove(&reply) {
            self.conclude(number, reply);
        }
        Ok(())
    }

    pub(super) fn give_up(&mut self, number: u64) -> Judged {
        self.conclude(number, Reply::Heard(Outcome::Unknown));
        Ok(())
    }

    /// A member died: whoever waits there learns that the connection broke.
    pub(super) fn hang_up(&mut self, id: u64) {
        let waiting: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.host == id && call.arrived)
            .map(|(number, _)| *number)
            .collect();
        for number in waiting {
            self.send_reply(number, Reply::Heard(Outcome::Unknown));
        }
    }

    /// The client has its outcome.
    fn conclude(&mut self, number: u64, reply: Reply) {
        let Some(call) = self.calls.remove(&number) else {
            return;
        };
        let (sent, heard) = (call.sent.as_nanos() as u64, self.now.as_nanos() as u64);
        self.trace.note(self.now, [12, number, 0], || {
            format!("client {} hears (call {number}): {reply:?}", call.client)
        });
        let renewed = match (&call.ask, &reply) {
            (Ask::KeepAlive(lease), Reply::Renewed(ttl)) => Some((*lease, *ttl)),
            (
                Ask::Do(Request::LeaseGrant(_)),
                Reply::Heard(Outcome::Answered(Response::LeaseGrant(granted))),
            ) => Some((granted.id, granted.ttl)),
            _ => None,
        };
        if let Some((lease, ttl)) = renewed {
            self.counts.renewals += 1;
            let ttl = u64::try_from(ttl).unwrap_or(0) * 1_000_000_000;
            self.leases
                .note(lease, LeaseEvent::Renewed { sent, heard, ttl });
        }
        let client = call.client;
        let succeeded = !matches!(
            reply,
            Reply::Heard(Outcome::Unknown | Outcome::Refused(Refusal::Other))
        );
        self.clients[client].concluded(&call.ask, succeeded, self.now);
        if let (Ask::Do(request), Reply::Heard(outcome)) = (call.ask, reply) {
            self.operations.push(Operation {
                client: client as u64,
                request,
                called: sent,
                returned: heard,
                outcome,
            });
        }
        let at = self.draw_around(self.plan.think);
        self.plan_at(at, Event::Think(client));
    }
}

fn read(process: &mut Process, range: &RangeRequest) -> Outcome {
    let view = process.views.load();
    let query = ferrod_store::query(range).expect("the workload asks for nothing odd");
    let mut kvs = Vec::new();
    let found = process.reader.range(&view, &query, &mut |row| {
        let encoded = bytes::Bytes::copy_from_slice(row.encoded);
        let mut kv = KeyValue::decode(encoded).expect("a row is a key-value");
        if range.keys_only {
            kv.value.clear();
        }
        kvs.push(kv);
    });
    match found {
        Ok(found) => Outcome::Answered(Response::Range(RangeResponse {
            header: Some(ResponseHeader {
                revision: found.revision,
                ..ResponseHeader::default()
            }),
            kvs,
            more: found.more,
            count: found.count,
        })),
        Err(MvccError::Compacted) => Outcome::Refused(Refusal::Compacted),
        Err(MvccError::Future) => Outcome::Refused(Refusal::FutureRevision),
        Err(error) => panic!("a read failed: {error}"),
    }
}

fn response(answer: Answer) -> Option<Response> {
    Some(match answer {
        Answer::Put(r) => Response::Put(r),
        Answer::DeleteRange(r) => Response::DeleteRange(r),
        Answer::Txn(r) => Response::Txn(r),
        Answer::Compaction(r) => Response::Compaction(r),
        Answer::LeaseGrant(r) => Response::LeaseGrant(r),
        Answer::LeaseRevoke(r) => Response::LeaseRevoke(r),
        Answer::LeaseCheckpoint(_) | Answer::Alarm(_) | Answer::Stored => return None,
    })
}

fn refusal(error: ApiError) -> Refusal {
    match error {
        ApiError::Compacted => Refusal::Compacted,
        ApiError::FutureRevision => Refusal::FutureRevision,
        _ => Refusal::Other,
    }
}
