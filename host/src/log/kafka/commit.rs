//! Runs one transaction from begin to end.
//!
//! Rule: nothing is committed if a delivery has failed or the gate was not passed. The outcome is "aborted" only if the
//! broker has confirmed it and no commit was ever requested. Everything else is "ambiguous".

use super::kafka_error::{KafkaError, last_error};
use super::millis::millis;
use super::open::{Open, TopicError};
use super::partitions::Partitions;
use super::shared::{Shared, TRANSACTION_TIMEOUT_MS};
use crate::log::{End, Outcome, Transaction};
use crate::record::{Offset, Partition, Span, TopicIx};
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::rd_kafka_vtype_t::*;
use rdkafka_sys::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Time-out of producing and draining. librdkafka itself gives up on messages after the transaction's time-out.
const DELIVERY: Duration = Duration::from_millis(TRANSACTION_TIMEOUT_MS + 5_000);

/// Time-out of sending offsets.
const OFFSETS: Duration = Duration::from_millis(TRANSACTION_TIMEOUT_MS);

/// Time-out of commit and abort. If the broker has not answered by then, the outcome is unknown.
const END: Duration = Duration::from_millis(TRANSACTION_TIMEOUT_MS + 10_000);

/// If a commit or abort took longer than this, librdkafka may have sent it more than once.
const SLOW: Duration = Duration::from_secs(5);

/// Delivery reports are served after this many records, because they come in whole batches.
const SERVE_EVERY: usize = 4096;

/// Means that a partition has no slot yet.
const NONE: u32 = u32::MAX;

/// The partitions that a transaction has written to.
type Places = Vec<(TopicIx, Partition)>;

/// Why a transaction can't be committed.
#[derive(Debug, Error)]
enum CommitError {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("topic {topic} has no partition {partition}")]
    NoPartition { topic: String, partition: Partition },
    #[error("producing to {topic}: {why}")]
    NotProduced { topic: String, why: KafkaError },
    #[error("records were not delivered in {} s", DELIVERY.as_secs())]
    LateDelivery,
    #[error("a record was not delivered: {0}")]
    NotDelivered(String),
    #[error("this process is not a member of the group")]
    NotJoined,
    #[error("no group membership: {0}")]
    NoIdentity(KafkaError),
    #[error("this process is not a member of the group at the moment")]
    NotAMemberNow,
    #[error("this process has lost its partitions")]
    Lost,
    #[error("the assignment has changed: the epoch began at {begun}, now it is {now}")]
    Reassigned { begun: u64, now: u64 },
    #[error("sending offsets: {0}")]
    OffsetsRefused(KafkaError),
}

/// A transaction that was run to its end.
pub(super) struct Ended {
    pub outcome: Outcome,
    /// Whether the commit or abort took so long that it may have been sent more than once.
    pub slow: bool,
}

/// Runs the transaction to its end.
pub(super) fn run(open: &mut Open, shared: &Shared, transaction: &Transaction) -> Ended {
    // SAFETY: the client is live; the error is taken over.
    if let Err(fault) = unsafe { KafkaError::taken(rd_kafka_begin_transaction(open.client.raw)) } {
        return Ended {
            outcome: Outcome::Ambiguous(format!("can't begin: {}", fault.text)),
            slow: true,
        };
    }
    let mut places = Places::new();
    let ready = produce(open, shared, transaction, &mut places)
        .and_then(|()| drain(open))
        .and_then(|()| match transaction.offsets.is_empty() {
            // A publisher's transaction has no gate to pass.
            true => Ok(()),
            false => pass(open, shared, transaction),
        });
    let ended = Instant::now();
    let outcome = match ready {
        Ok(()) => commit(open, &places),
        Err(why) => abort(open, &why),
    };
    Ended {
        outcome,
        slow: ended.elapsed() > SLOW,
    }
}

/// Hands all records to librdkafka. Values stay in the arena.
fn produce(
    open: &mut Open,
    shared: &Shared,
    transaction: &Transaction,
    places: &mut Places,
) -> Result<(), CommitError> {
    let deadline = Instant::now() + DELIVERY;
    let mut slots: Vec<Vec<u32>> = vec![Vec::new(); shared.topics.len()];
    begin_reports(open);
    let mut message = Message::new();
    for (count, record) in transaction.records.iter().enumerate() {
        let of_topic = &mut slots[usize::from(record.topic)];
        if of_topic.is_empty() {
            open.topic(shared, record.topic, OFFSETS)?;
            of_topic.resize(open.topics[&record.topic].1.max(0) as usize, NONE);
        }
        let topic = of_topic.get_mut(record.partition.index());
        let slot = topic.ok_or_else(|| no_partition(shared, record.topic, record.partition))?;
        if *slot == NONE {
            *slot = places.len() as u32;
            places.push((record.topic, record.partition));
            // SAFETY: this is the thread that polls, and it does not poll while the reference lives.
            unsafe { open.client.deliveries() }.next.push(Offset::ZERO);
            message.topic(open.topics[&record.topic].0.0);
        } else if count == 0 || transaction.records[count - 1].topic != record.topic {
            message.topic(open.topics[&record.topic].0.0);
        }
        message.fill(transaction, record, *slot);
        while let Err(fault) = message.send(open.client.raw) {
            if fault.code != RD_KAFKA_RESP_ERR__QUEUE_FULL || Instant::now() > deadline {
                return Err(CommitError::NotProduced {
                    topic: shared.topics[usize::from(record.topic)].clone(),
                    why: fault,
                });
            }
            // SAFETY: the client is live. Waits for a delivery.
            unsafe { rd_kafka_poll(open.client.raw, 10) };
            failed(open)?;
        }
        if count % SERVE_EVERY == SERVE_EVERY - 1 {
            open.client.serve();
            failed(open)?;
        }
    }
    Ok(())
}

/// The arguments of `rd_kafka_produceva` for one message, filled in again for each record.
struct Message {
    parts: [rd_kafka_vu_t; 8],
}

/// Indexes of the parts.
const TOPIC: usize = 0;
const PARTITION: usize = 1;
const VALUE: usize = 2;
const KEY: usize = 3;
const TIMESTAMP: usize = 4;
const SLOT: usize = 5;
// 6 is for the flags, which stay 0.
/// The last part, which is left out of messages without headers.
const HEADERS: usize = 7;

impl Message {
    fn new() -> Message {
        let part = |vtype| rd_kafka_vu_t {
            vtype,
            u: rd_kafka_vu_s__bindgen_ty_1 { _pad: [0; 64] },
        };
        Message {
            parts: [
                part(RD_KAFKA_VTYPE_RKT),
                part(RD_KAFKA_VTYPE_PARTITION),
                part(RD_KAFKA_VTYPE_VALUE),
                part(RD_KAFKA_VTYPE_KEY),
                part(RD_KAFKA_VTYPE_TIMESTAMP),
                part(RD_KAFKA_VTYPE_OPAQUE),
                part(RD_KAFKA_VTYPE_MSGFLAGS), // 0: the value is not copied, the key always is
                part(RD_KAFKA_VTYPE_HEADERS),
            ],
        }
    }

    fn topic(&mut self, topic: *mut rd_kafka_topic_t) {
        self.parts[TOPIC].u.rkt = topic;
    }

    fn fill(&mut self, transaction: &Transaction, record: &crate::log::Outgoing, slot: u32) {
        let bytes = |span: &Option<Span>| {
            let (ptr, size) = match span {
                Some(span) => (span.of(&transaction.bytes).as_ptr(), span.len as usize),
                None => (ptr::null(), 0),
            };
            rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 {
                ptr: ptr as *mut c_void,
                size,
            }
        };
        self.parts[PARTITION].u.i32_ = record.partition.0;
        self.parts[VALUE].u.mem = bytes(&record.value);
        self.parts[KEY].u.mem = bytes(&record.key);
        // Librdkafka takes 0 for "now", which would not be a function of the input. The first millisecond of 1970 is
        // written as 1.
        self.parts[TIMESTAMP].u.i64_ = if record.timestamp == 0 { 1 } else { record.timestamp };
        self.parts[SLOT].u.ptr = slot as usize as *mut c_void;
        self.parts[HEADERS].u.headers = ptr::null_mut();
        if record.headers.is_empty() {
            return;
        }
        let headers = &transaction.headers[record.headers.start as usize..record.headers.end as usize];
        // SAFETY: new headers are ours until a message takes them over (`send`); names and values are copied.
        unsafe {
            let list = rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                let (name, value) = (name.of(&transaction.bytes), value.of(&transaction.bytes));
                let (name_size, value_size) = (name.len() as isize, value.len() as isize);
                // It fails only for read-only headers, and these are not read-only.
                rd_kafka_header_add(list, name.as_ptr().cast(), name_size, value.as_ptr().cast(), value_size);
            }
            self.parts[HEADERS].u.headers = list;
        }
    }

    /// Enqueues the message. After an error, it can be sent again.
    #[inline]
    fn send(&mut self, client: *mut rd_kafka_t) -> Result<(), KafkaError> {
        // SAFETY: the part was written as this member of the union, last in `fill`.
        let headers = !unsafe { self.parts[HEADERS].u.headers }.is_null();
        let count = if headers { HEADERS + 1 } else { HEADERS };
        // SAFETY: the client and the topic are live; values point into the transaction's arena, which outlives every
        // delivery (see `producer`); headers are librdkafka's if it succeeds.
        unsafe { KafkaError::taken(rd_kafka_produceva(client, self.parts.as_ptr(), count)) }?;
        self.parts[HEADERS].u.headers = ptr::null_mut();
        Ok(())
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: headers that no message took over are ours.
        unsafe {
            let headers = self.parts[HEADERS].u.headers;
            if !headers.is_null() {
                rd_kafka_headers_destroy(headers);
            }
        }
    }
}

fn no_partition(shared: &Shared, topic: TopicIx, partition: Partition) -> CommitError {
    CommitError::NoPartition {
        topic: shared.topics[usize::from(topic)].clone(),
        partition,
    }
}

/// Waits until every record is delivered.
fn drain(open: &mut Open) -> Result<(), CommitError> {
    let deadline = Instant::now() + DELIVERY;
    loop {
        // Serves delivery reports while it waits, and sends messages that linger. It returns early only when all are
        // delivered.
        // SAFETY: the client is live.
        let code = unsafe { rd_kafka_flush(open.client.raw, 100) };
        failed(open)?;
        match code {
            RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
            _ if Instant::now() < deadline => {}
            _ => return Err(CommitError::LateDelivery),
        }
    }
}

fn begin_reports(open: &mut Open) {
    // SAFETY: this is the thread that polls, and it does not poll while the reference lives.
    let deliveries = unsafe { open.client.deliveries() };
    deliveries.next.clear();
    deliveries.failed = None;
}

/// Fails if any delivery has failed.
fn failed(open: &mut Open) -> Result<(), CommitError> {
    // SAFETY: this is the thread that polls, and it does not poll while the reference lives.
    match &unsafe { open.client.deliveries() }.failed {
        Some(why) => Err(CommitError::NotDelivered(why.to_string())),
        None => Ok(()),
    }
}

/// Passes the gate, and sends the offsets. The member is read before the counter, so that they can't both be from
/// before a change of assignment.
fn pass(open: &mut Open, shared: &Shared, transaction: &Transaction) -> Result<(), CommitError> {
    let member = shared.member().clone().ok_or(CommitError::NotJoined)?;
    let identity = member.identity().ok_or_else(|| CommitError::NoIdentity(last_error()))?;
    if !identity.is_member() {
        return Err(CommitError::NotAMemberNow);
    }
    if member.is_lost() {
        return Err(CommitError::Lost);
    }
    let now = shared.assignment.load(Ordering::SeqCst);
    if now != transaction.assignment {
        return Err(CommitError::Reassigned {
            begun: transaction.assignment,
            now,
        });
    }
    let mut offsets = Partitions::new(transaction.offsets.len());
    for input in &transaction.offsets {
        offsets.add(
            &shared.names[usize::from(input.topic)],
            input.partition.0,
            input.offset.0,
        );
    }
    // SAFETY: all three are live; the error is taken over.
    let sent = unsafe {
        let client = open.client.raw;
        KafkaError::taken(rd_kafka_send_offsets_to_transaction(
            client,
            offsets.0,
            identity.0,
            millis(OFFSETS),
        ))
    };
    sent.map_err(CommitError::OffsetsRefused)
}

fn commit(open: &mut Open, places: &Places) -> Outcome {
    // SAFETY: the client is live; the error is taken over.
    if let Err(fault) = unsafe { KafkaError::taken(rd_kafka_commit_transaction(open.client.raw, millis(END))) } {
        return Outcome::Ambiguous(format!("commit: {}", fault.text));
    }
    // SAFETY: this is the thread that polls, and it does not poll while the reference lives.
    let next: &[Offset] = &unsafe { open.client.deliveries() }.next;
    let ends = places.iter().zip(next).map(|(&(topic, partition), &offset)| End {
        topic,
        partition,
        offset,
    });
    Outcome::Committed(ends.collect())
}

/// No commit was requested, so if the broker confirms the abort, nothing was committed.
fn abort(open: &mut Open, why: &CommitError) -> Outcome {
    if let Some(fatal) = open.fatal() {
        return Outcome::Ambiguous(format!("{why}; {fatal}"));
    }
    // SAFETY: the client is live; the error is taken over.
    if let Err(fault) = unsafe { KafkaError::taken(rd_kafka_abort_transaction(open.client.raw, millis(END))) } {
        return Outcome::Ambiguous(format!("{why}; abort: {}", fault.text));
    }
    // The abort has waited until every message has a report, which the flush serves.
    // SAFETY: the client is live.
    match unsafe { rd_kafka_flush(open.client.raw, millis(OFFSETS)) } {
        RD_KAFKA_RESP_ERR_NO_ERROR => Outcome::Aborted(why.to_string()),
        _ => Outcome::Ambiguous(format!(
            "{why}; messages of the aborted transaction are still in flight"
        )),
    }
}
