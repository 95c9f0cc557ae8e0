//! Strict serializability by the witness of revisions.
//!
//! Every answer carries a revision, so the order is not searched for but given: a write that changed something *is* its
//! revision, everything else saw one. Three things are then to be shown. Each answer is what the model says at that
//! place. Each revision is the work of one operation, or of a lease's end, and each operation makes at most one. And the
//! order does not contradict real time: who was called after another had returned comes after it.
//!
//! Writes whose outcome nobody heard of are found by the values that they alone have written. n log n.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ferrod_proto::etcdserverpb::{RequestOp, TxnRequest, request_op};

use super::{Change, Request, Response, Timeline, Violation, execute};

/// One call of a client.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Who called.
    pub client: u64,
    /// What.
    pub request: Request,
    /// When the client sent it.
    pub called: u64,
    /// When the client had the outcome.
    pub returned: u64,
    /// What it heard.
    pub outcome: Outcome,
}

/// What a client heard of its call.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The answer.
    Answered(Response),
    /// It was not carried out and never will be.
    Refused(Refusal),
    /// A timeout or a broken connection: it may have been carried out, may yet be, or never.
    Unknown,
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The revision asked for is forgotten.
    Compacted,
    /// The revision asked for does not exist yet.
    FutureRevision,
    /// Anything else.
    Other,
}

/// What was judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Operations with an answer.
    pub answered: usize,
    /// Operations that were refused.
    pub refused: usize,
    /// Operations whose outcome nobody knows.
    pub unknown: usize,
    /// Of these, those that were found to have taken place.
    pub found: usize,
}

/// Judges all operations of all clients.
///
/// Values of puts must be unique among all operations.
///
/// # Errors
/// The first promise that was broken: P-KV-01, P-KV-06, P-KV-07, P-KV-08 or P-KV-11.
pub fn check(timeline: &Timeline, operations: &[Operation]) -> Result<Summary, Violation> {
    let mut witness = Witness {
        timeline,
        operations,
        owners: BTreeMap::new(),
        places: Vec::new(),
    };
    let mut summary = Summary::default();
    let values = values(timeline);
    for (number, operation) in operations.iter().enumerate() {
        match &operation.outcome {
            Outcome::Answered(response) => {
                summary.answered += 1;
                witness.answered(number, response)?;
            }
            Outcome::Refused(_) => {
                summary.refused += 1;
                if let Some(revision) = found(&values, &operation.request) {
                    return Err(broken(
                        "P-KV-08",
                        operation,
                        &format!("refused, but made revision {revision}"),
                    ));
                }
            }
            Outcome::Unknown => {
                summary.unknown += 1;
                if let Some(revision) = found(&values, &operation.request) {
                    summary.found += 1;
                    witness.carried_out(number, revision)?;
                }
            }
        }
    }
    witness.every_revision_has_an_owner()?;
    witness.real_time()?;
    compactions(operations)?;
    Ok(summary)
}

/// Where an operation stands in the order.
#[derive(Debug, Clone, Copy)]
struct Place {
    number: usize,
    revision: i64,
    /// It made that revision; else it only saw it.
    made: bool,
    /// Nobody heard when it was over.
    open: bool,
    /// It may have seen an old state.
    serializable: bool,
}

struct Witness<'a> {
    timeline: &'a Timeline,
    operations: &'a [Operation],
    /// Who made which revision.
    owners: BTreeMap<i64, usize>,
    places: Vec<Place>,
}

impl Witness<'_> {
    fn answered(&mut self, number: usize, response: &Response) -> Result<(), Violation> {
        let operation = &self.operations[number];
        let (revision, response) = response.clone().split();
        if revision > self.timeline.last() || revision < 1 {
            let text = format!("answered at revision {revision}, which does not exist");
            return Err(broken("P-KV-04", operation, &text));
        }
        // It changed something if carrying it out before that revision gives just that.
        let (expected, changes) = execute(self.timeline, revision - 1, &operation.request);
        // The end of a lease is answered alike whether there were keys to delete: it counts as having seen its revision.
        let may_make = !matches!(operation.request, Request::LeaseRevoke(_));
        let made = may_make
            && !changes.is_empty()
            && expected == response
            && same_changes(&changes, self.timeline.changes(revision));
        let expected = if made {
            expected
        } else {
            let (expected, changes) = execute(self.timeline, revision, &operation.request);
            if !changes.is_empty() {
                let text = format!(
                    "should have made revision {revision}, which is {:?}",
                    self.timeline.changes(revision)
                );
                return Err(broken("P-KV-01", operation, &text));
            }
            expected
        };
        if expected != response {
            let text = format!("at revision {revision} the answer is {expected:?}");
            let promise = if is_serializable(&operation.request) {
                "P-KV-06"
            } else {
                "P-KV-01"
            };
            return Err(broken(promise, operation, &text));
        }
        if made {
            self.own(number, revision)?;
        }
        let serializable = is_serializable(&operation.request);
        self.places.push(Place {
            number,
            revision,
            made,
            open: false,
            serializable,
        });
        Ok(())
    }

    fn carried_out(&mut self, number: usize, revision: i64) -> Result<(), Violation> {
        let operation = &self.operations[number];
        let (_, changes) = execute(self.timeline, revision - 1, &operation.request);
        if !same_changes(&changes, self.timeline.changes(revision)) {
            let text = format!(
                "at revision {revision} it makes {changes:?}, not {:?}",
                self.timeline.changes(revision)
            );
            return Err(broken("P-KV-02", operation, &text));
        }
        self.own(number, revision)?;
        self.places.push(Place {
            number,
            revision,
            made: true,
            open: true,
            serializable: false,
        });
        Ok(())
    }

    fn own(&mut self, number: usize, revision: i64) -> Result<(), Violation> {
        match self.owners.insert(revision, number) {
            None => Ok(()),
            Some(other) => {
                let text = format!(
                    "made revision {revision}, as did {:?}",
                    self.operations[other]
                );
                Err(broken("P-KV-01", &self.operations[number], &text))
            }
        }
    }

    /// What is not the work of a known operation is a deletion: by the end of a lease, or by somebody who never heard.
    fn every_revision_has_an_owner(&self) -> Result<(), Violation> {
        for revision in 2..=self.timeline.last() {
            let changes = self.timeline.changes(revision);
            let puts = changes.iter().any(|change| change.row.is_some());
            if puts && !self.owners.contains_key(&revision) {
                let text = format!("nobody made revision {revision}: {changes:?}");
                return Err(Violation::new("P-KV-08", text));
            }
        }
        Ok(())
    }

    /// Whoever was called after another had returned comes after it; and nobody sees what was not asked for yet.
    fn real_time(&self) -> Result<(), Violation> {
        let mut returned: Vec<&Place> = self.places.iter().filter(|place| !place.open).collect();
        returned.sort_by_key(|place| self.operations[place.number].returned);
        let mut called: Vec<&Place> = self.places.iter().collect();
        called.sort_by_key(|place| self.operations[place.number].called);
        let mut returned = returned.into_iter().peekable();
        let mut newest: Option<&Place> = None;
        for place in called {
            let operation = &self.operations[place.number];
            while let Some(done) =
                returned.next_if(|done| self.operations[done.number].returned < operation.called)
            {
                if newest.is_none_or(|newest| newest.revision < done.revision) {
                    newest = Some(done);
                }
            }
            let Some(newest) = newest else { continue };
            let behind = if place.made {
                place.revision <= newest.revision
            } else {
                place.revision < newest.revision
            };
            if behind && !place.serializable {
                let text = format!(
                    "is at revision {}, but before it was called {} was seen by {:?}",
                    place.revision, newest.revision, self.operations[newest.number]
                );
                return Err(broken("P-KV-01", operation, &text));
            }
        }
        self.no_future()
    }

    fn no_future(&self) -> Result<(), Violation> {
        let makers: BTreeMap<i64, usize> = self.owners.clone();
        let mut latest = (0, 0);
        let mut called_by: Vec<(i64, u64, usize)> = Vec::new();
        for (revision, number) in makers {
            latest = latest.max((self.operations[number].called, number));
            called_by.push((revision, latest.0, latest.1));
        }
        for place in &self.places {
            let before = called_by.partition_point(|(revision, ..)| *revision <= place.revision);
            let Some((_, called, maker)) = called_by[..before].last() else {
                continue;
            };
            let operation = &self.operations[place.number];
            if !place.open && *called > operation.returned {
                let text = format!(
                    "saw what was only asked for later: {:?}",
                    self.operations[*maker]
                );
                return Err(broken("P-KV-01", operation, &text));
            }
        }
        Ok(())
    }
}

/// Old revisions can be read until a compaction, and never after it was answered.
fn compactions(operations: &[Operation]) -> Result<(), Violation> {
    let asked: Vec<(&Operation, i64)> = operations
        .iter()
        .filter_map(|operation| match &operation.request {
            Request::Compaction(r) if !matches!(operation.outcome, Outcome::Refused(_)) => {
                Some((operation, r.revision))
            }
            _ => None,
        })
        .collect();
    for operation in operations {
        let Request::Range(range) = &operation.request else {
            continue;
        };
        match operation.outcome {
            Outcome::Answered(_) if range.revision > 0 && !range.serializable => {
                let gone = asked.iter().find(|(compaction, revision)| {
                    *revision > range.revision
                        && matches!(compaction.outcome, Outcome::Answered(_))
                        && compaction.returned < operation.called
                });
                if let Some((compaction, _)) = gone {
                    let text = format!("answered after {compaction:?}");
                    return Err(broken("P-KV-11", operation, &text));
                }
            }
            Outcome::Refused(Refusal::Compacted) => {
                let possible = asked.iter().any(|(compaction, revision)| {
                    *revision > range.revision && compaction.called < operation.returned
                });
                if !possible {
                    return Err(broken("P-KV-07", operation, "nobody compacted that"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Which revision wrote which value.
fn values(timeline: &Timeline) -> HashMap<Bytes, i64> {
    let mut values = HashMap::new();
    for revision in 2..=timeline.last() {
        for change in timeline.changes(revision) {
            if let Some(row) = &change.row {
                values.insert(row.value.clone(), revision);
            }
        }
    }
    values
}

/// The revision that a request made, by a value that it alone writes.
fn found(values: &HashMap<Bytes, i64>, request: &Request) -> Option<i64> {
    match request {
        Request::Put(put) => values.get(&put.value).copied(),
        Request::Txn(txn) => found_in_txn(values, txn),
        _ => None,
    }
}

fn found_in_txn(values: &HashMap<Bytes, i64>, txn: &TxnRequest) -> Option<i64> {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.find_map(|RequestOp { request }| match request {
        Some(request_op::Request::RequestPut(put)) => values.get(&put.value).copied(),
        Some(request_op::Request::RequestTxn(txn)) => found_in_txn(values, txn),
        _ => None,
    })
}

fn same_changes(left: &[Change], right: &[Change]) -> bool {
    left == right
}

fn is_serializable(request: &Request) -> bool {
    matches!(request, Request::Range(range) if range.serializable)
}

fn broken(promise: &'static str, operation: &Operation, text: &str) -> Violation {
    Violation::new(promise, format!("{operation:?}: {text}"))
}

#[cfg(test)]
mod tests;
