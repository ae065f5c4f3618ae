//! The transactional producer of the embedded log.
//!
//! Rule: it takes the same steps as a real commit: produce, gate, offsets, end. A failure before the end aborts, and
//! any doubt is reported as a doubt.

use super::Embedded;
use super::client::ClientNo;
use super::fate::{CallKind, Fate, Truth};
use super::partition::{NewRecord, TxnEnding};
use super::state::ClusterState;
use super::topic::TopicNo;
use super::txn::{GroupOffset, Hold, Markers, MemberError, TxnError};
use crate::error::{Failure, Result};
use crate::log::{End, Outcome, Producer, Topics, Transaction};
use std::time::Duration;

/// The `transaction.timeout.ms` of Pelton's producers.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct EmbeddedProducer {
    cluster: Embedded,
    topics: Topics,
    client: ClientNo,
    id: String,
    hold: Hold,
    submitted: Option<Submitted>,
    /// Whether it needs a living group member. A publisher does not.
    gated: bool,
    /// Whether the last outcome is in doubt, so that it must be renewed first.
    broken: bool,
}

/// A transaction that was submitted and whose outcome was not returned yet.
struct Submitted {
    transaction: Transaction,
    fate: Fate,
    /// How many more polls return nothing.
    polls: u32,
    /// For each partition, the offset after the last record.
    ends: Vec<End>,
    outcome: Option<Outcome>,
}

impl EmbeddedProducer {
    pub fn new(cluster: Embedded, topics: Topics, client: ClientNo, id: &str, gated: bool) -> Result<EmbeddedProducer> {
        let hold = cluster.change(|state| init(state, client, id))?;
        Ok(EmbeddedProducer {
            cluster,
            topics,
            client,
            id: id.to_owned(),
            hold,
            submitted: None,
            gated,
            broken: false,
        })
    }

    /// Does everything up to the point where the hook may delay it.
    fn start(&self, state: &mut ClusterState, submitted: &mut Submitted) -> std::result::Result<(), Outcome> {
        state
            .alive(self.client)
            .map_err(|failure| Outcome::Ambiguous(failure.to_string()))?;
        if self.broken {
            return Err(Outcome::Ambiguous(
                "the last transaction is in doubt: renew the producer first".to_owned(),
            ));
        }
        state
            .begin(self.hold)
            .map_err(|why| Outcome::Ambiguous(why.to_string()))?;
        self.produce(state, submitted).map_err(|why| self.abort(state, why))?;
        match submitted.fate.gate_early {
            true => self
                .gate(state, &submitted.transaction)
                .map_err(|why| self.abort(state, why)),
            false => Ok(()),
        }
    }

    fn produce(&self, state: &mut ClusterState, submitted: &mut Submitted) -> std::result::Result<(), TxnError> {
        let Submitted { transaction, ends, .. } = submitted;
        let numbers = self.numbers(state, transaction)?;
        let bytes = &transaction.bytes;
        let mut headers = Vec::new();
        for record in &transaction.records {
            let range = record.headers.start as usize..record.headers.end as usize;
            headers.clear();
            headers.extend(
                transaction.headers[range]
                    .iter()
                    .map(|(name, value)| (name.of(bytes), value.of(bytes))),
            );
            // `numbers` has the topics of all records.
            let topic = numbers[usize::from(record.topic)].unwrap_or_default();
            let appended = NewRecord {
                key: record.key.map(|key| key.of(bytes)),
                value: record.value.map(|value| value.of(bytes)),
                timestamp: record.timestamp,
                headers: &headers,
            };
            let after = state.write(self.hold, topic, record.partition, appended)?.next();
            let is_of = |end: &&mut End| (end.topic, end.partition) == (record.topic, record.partition);
            match ends.iter_mut().find(is_of) {
                Some(end) => end.offset = after,
                None => ends.push(End {
                    topic: record.topic,
                    partition: record.partition,
                    offset: after,
                }),
            }
        }
        Ok(())
    }

    /// The cluster's indexes of the topics that the transaction writes to.
    fn numbers(
        &self,
        state: &ClusterState,
        transaction: &Transaction,
    ) -> std::result::Result<Vec<Option<TopicNo>>, TxnError> {
        let mut numbers = vec![None; self.topics.len()];
        for record in &transaction.records {
            let number = &mut numbers[usize::from(record.topic)];
            if number.is_none() {
                let name = &self.topics[usize::from(record.topic)];
                *number = Some(state.topic(name)?);
            }
        }
        Ok(numbers)
    }

    /// Checks that the member is alive and its assignment is the one that the epoch began with, and sends the offsets.
    fn gate(&self, state: &mut ClusterState, transaction: &Transaction) -> std::result::Result<(), TxnError> {
        if !self.gated {
            return Ok(());
        }
        let client = &state.clients[self.client];
        if client.member.is_none() {
            return Err(TxnError::NoMember(MemberError::NotJoined {
                instance: client.instance.clone(),
                group: client.group.clone(),
            }));
        }
        if client.assignment != transaction.assignment {
            return Err(TxnError::Reassigned);
        }
        let group = client.group.clone();
        let offsets = transaction.offsets.iter().map(|input| GroupOffset {
            group: group.clone(),
            topic: self.topics[usize::from(input.topic)].clone(),
            partition: input.partition,
            offset: input.offset,
        });
        state.send_offsets(self.hold, self.client, offsets.collect())
    }

    /// Aborts before the end was requested. That is certain, unless another producer has taken the id.
    fn abort(&self, state: &mut ClusterState, why: TxnError) -> Outcome {
        match state.end(self.hold, TxnEnding::Abort, Markers::AtOnce) {
            Ok(()) => Outcome::Aborted(why.to_string()),
            Err(fenced) => Outcome::Ambiguous(fenced.to_string()),
        }
    }

    /// Makes the truth happen.
    fn finish(&self, state: &mut ClusterState, submitted: &mut Submitted) -> Outcome {
        let Fate {
            truth,
            doubt,
            gate_early,
            markers_late,
            ..
        } = submitted.fate;
        if let Err(failure) = state.alive(self.client) {
            return Outcome::Ambiguous(failure.to_string());
        }
        if !gate_early && let Err(why) = self.gate(state, &submitted.transaction) {
            return self.abort(state, why);
        }
        if truth == Truth::Dangle {
            return Outcome::Ambiguous("the producer died in the middle".to_owned());
        }
        let ending = match truth {
            Truth::Commit => TxnEnding::Commit,
            Truth::Abort | Truth::Dangle => TxnEnding::Abort,
        };
        let markers = match markers_late {
            true => Markers::Later,
            false => Markers::AtOnce,
        };
        match state.end(self.hold, ending, markers) {
            Err(fenced) => Outcome::Ambiguous(fenced.to_string()),
            Ok(()) if doubt => Outcome::Ambiguous("no answer to the end of the transaction".to_owned()),
            Ok(()) if ending == TxnEnding::Commit => Outcome::Committed(std::mem::take(&mut submitted.ends)),
            Ok(()) => Outcome::Aborted("the cluster has refused the transaction".to_owned()),
        }
    }
}

impl Producer for EmbeddedProducer {
    fn submit(&mut self, transaction: Transaction) {
        assert!(self.submitted.is_none(), "a transaction is in flight");
        assert_eq!(
            self.gated,
            !transaction.offsets.is_empty(),
            "without offsets nothing is fenced"
        );
        let cluster = self.cluster.clone();
        let submitted = cluster.change(|state| {
            let fate = state.fate(&self.id, CallKind::Submit);
            let mut submitted = Submitted {
                transaction,
                fate,
                polls: fate.polls,
                ends: Vec::new(),
                outcome: None,
            };
            submitted.outcome = match self.start(state, &mut submitted) {
                Err(outcome) => Some(outcome),
                Ok(()) if fate.polls == 0 => Some(self.finish(state, &mut submitted)),
                Ok(()) => None,
            };
            submitted
        });
        self.submitted = Some(submitted);
    }

    fn outcome(&mut self, _wait: Duration) -> Option<(Transaction, Outcome)> {
        let mut submitted = self.submitted.take()?;
        if submitted.polls > 0 {
            submitted.polls -= 1;
            self.submitted = Some(submitted);
            return None;
        }
        let outcome = match submitted.outcome.take() {
            Some(outcome) => outcome,
            None => self.cluster.clone().change(|state| self.finish(state, &mut submitted)),
        };
        self.broken |= matches!(outcome, Outcome::Ambiguous(_));
        Some((submitted.transaction, outcome))
    }

    fn renew(&mut self) -> Result<()> {
        let cluster = self.cluster.clone();
        self.hold = cluster.change(|state| init(state, self.client, &self.id))?;
        (self.submitted, self.broken) = (None, false);
        Ok(())
    }
}

/// Takes the transactional id, as `init_transactions` does.
fn init(state: &mut ClusterState, client: ClientNo, id: &str) -> Result<Hold> {
    state.alive(client)?;
    let fate = state.fate(id, CallKind::Init);
    let unanswered = || Failure::Retry(format!("no answer to the init of transactional id {id}"));
    if fate.truth != Truth::Commit {
        return Err(unanswered());
    }
    let taken = state.take_id(id, TRANSACTION_TIMEOUT);
    if fate.doubt { Err(unanswered()) } else { Ok(taken) }
}
