//! Reads assigned partitions in batches, each from an explicit offset, without joining the group.
//!
//! Rule: a partition's records arrive once each, in offset order, from the assigned offset on, whatever is paused,
//! moved or reconnected. For that, `next` is counted here; librdkafka's own position is not trusted. An end is reported
//! only on evidence that is younger than `proofs`, or than `proofs` and [`ANSWER`] if it is the answer to a question.
//!
//! In librdkafka, every partition has its own queue, which is forwarded to the queue that is read here. A pause stops
//! the forwarding: fetched records stay in the partition's queue, and fetching stops when that is full.

use super::client::Client;
use super::copy;
use super::kafka_error::{KafkaError, last_error};
use super::millis::millis;
use super::partitions::Partitions;
use super::queue::{Event, Queue, Topic};
use super::shared::{QUERY_TIMEOUT, Shared};
use super::slot::AssignedPartition;
use crate::error::{Failure, Result};
use crate::log::{Arrival, Reader};
use crate::record::{Offset, Partition, TopicIx};
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Maximum number of records taken in one call: 16 KB of pointers. More would gain nothing.
const BATCH: usize = 2000;

/// A poll waits at most this long while something is expected that does not wake up the queue.
const SLICE: Duration = Duration::from_millis(5);

/// How much longer than `proofs` an answer may take. Its question waits for the fetch before it on the connection (100
/// ms), twice at worst. An older answer proves nothing about now.
const ANSWER: Duration = Duration::from_millis(300);

/// A pending question about the ends of partitions.
struct EndsQuery {
    asked: Instant,
    answers: Queue,
}

pub(super) struct KafkaReader {
    /// A number that librdkafka gives is looked up here first, so a negative one goes no further.
    slots: HashMap<(TopicIx, Partition), AssignedPartition>,
    own: Queue,
    question: Option<EndsQuery>,
    /// Handles of all topics that were assigned so far. They keep the pointers in messages valid as names.
    topics: Vec<(Topic, TopicIx)>,
    batch: Box<[*mut rd_kafka_message_t]>,
    proofs: Duration,
    /// When the next question is due.
    due: Instant,
    /// When the queue was last seen empty. What is found now has come since.
    drained: Option<Instant>,
    shared: Arc<Shared>,
    client: Client,
}

// SAFETY: the batch's pointers are filled and emptied within one call of `poll`; all else is Send.
unsafe impl Send for KafkaReader {}

impl KafkaReader {
    pub fn new(shared: Arc<Shared>, client: Client, proofs: Duration) -> KafkaReader {
        KafkaReader {
            slots: HashMap::new(),
            own: Queue::new(&client),
            question: None,
            topics: Vec::new(),
            batch: vec![std::ptr::null_mut(); BATCH].into_boxed_slice(),
            proofs,
            due: Instant::now(),
            drained: None,
            shared,
            client,
        }
    }

    /// The topic of a message.
    fn index(&mut self, raw: *mut rd_kafka_topic_t) -> Option<TopicIx> {
        let at = self.topics.iter().position(|(topic, _)| topic.0 == raw)?;
        self.topics.swap(0, at);
        Some(self.topics[0].1)
    }

    /// Fills the batch from index `from` on. Returns how many messages it then has.
    fn take(&mut self, wait: Duration, from: usize, most: usize) -> usize {
        let room = &mut self.batch[from..most];
        // SAFETY: the queue is live, and the buffer has room for as many pointers as are told.
        let count = unsafe { rd_kafka_consume_batch_queue(self.own.0, millis(wait), room.as_mut_ptr(), room.len()) };
        from + count.max(0) as usize
    }

    /// Takes available messages. If there are none, waits for one and then takes all. (librdkafka waits for a full
    /// batch, so it is asked for a single message first.)
    fn fetch(&mut self, wait: Duration) -> usize {
        let mut count = self.take(Duration::ZERO, 0, BATCH);
        if count == 0 && !wait.is_zero() {
            count = self.take(wait, 0, 1);
            if count == 1 {
                count = self.take(Duration::ZERO, 1, BATCH);
            }
        }
        count
    }

    /// Delivers the first `count` messages of the batch. If there is an error among them, it is returned at the end,
    /// because the other messages don't come again.
    fn hand_over(&mut self, count: usize, fresh: bool, arrivals: &mut Vec<Arrival>) -> Result<()> {
        let mut result = Ok(());
        let mut at = 0;
        while at < count {
            // SAFETY: consume has put live messages into 0..count; they are destroyed behind this call.
            let first = unsafe { &*self.batch[at] };
            if first.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                let failed = self.hand_over_one(first, fresh, arrivals);
                result = result.and(failed);
                at += 1;
                continue;
            }
            let same = |message: &&*mut rd_kafka_message_t| {
                // SAFETY: as above.
                let message = unsafe { &***message };
                let place = (message.rkt, message.partition);
                message.err == RD_KAFKA_RESP_ERR_NO_ERROR && place == (first.rkt, first.partition)
            };
            let length = self.batch[at..count].iter().take_while(same).count();
            self.run(at, at + length, arrivals);
            at += length;
        }
        result
    }

    /// Delivers consecutive records of one partition.
    fn run(&mut self, from: usize, to: usize, arrivals: &mut Vec<Arrival>) {
        // SAFETY: live messages, see `hand_over`.
        let (raw, partition) = unsafe { ((*self.batch[from]).rkt, Partition((*self.batch[from]).partition)) };
        let Some(topic) = self.index(raw) else { return };
        let Some(slot) = self.slots.get_mut(&(topic, partition)) else {
            return;
        };
        // SAFETY: as above; `next` leaves out what arrived before (librdkafka's positions are not exact in all versions).
        let stale = |message: &&*mut rd_kafka_message_t| unsafe { Offset((***message).offset) < slot.next };
        let skipped = self.batch[from..to].iter().take_while(stale).count();
        let run = &self.batch[from + skipped..to];
        let Some(&last) = run.last() else { return };
        // SAFETY: as above.
        slot.next = Offset(unsafe { (*last).offset }).next();
        slot.settled = true;
        slot.ended = None;
        // SAFETY: as above: all of them are live.
        arrivals.push(Arrival::Records(unsafe { copy::chunk(topic, partition, run) }));
    }

    /// Handles a message that is not a record.
    fn hand_over_one(&mut self, message: &rd_kafka_message_t, fresh: bool, arrivals: &mut Vec<Arrival>) -> Result<()> {
        let (partition, offset) = (Partition(message.partition), Offset(message.offset));
        let topic = self.index(message.rkt);
        let slot = topic.and_then(|topic| self.slots.get_mut(&(topic, partition)));
        let (Some(topic), Some(slot)) = (topic, slot) else {
            return match message.rkt.is_null() {
                true => Err(self.client.failure("reading", &KafkaError::of(message.err))),
                false => Ok(()), // from a partition that was unassigned in the meantime
            };
        };
        match message.err {
            RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                slot.settled = true;
                slot.next = slot.next.max(offset);
                slot.ended = Some(slot.next);
                match fresh {
                    true => arrivals.push(Arrival::End {
                        topic,
                        partition,
                        offset: slot.next,
                    }),
                    false => self.due = Instant::now(),
                }
                Ok(())
            }
            RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
            | RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE
            | RD_KAFKA_RESP_ERR__LOG_TRUNCATION => {
                slot.settled = true;
                slot.out = true;
                Ok(())
            }
            code => {
                let fault = KafkaError::of(code);
                let name = &self.shared.topics[usize::from(topic)];
                Err(self.client.failure(&format!("reading {name} [{partition}]"), &fault))
            }
        }
    }

    /// Forwards again the queues whose forwarding a late stop may have ended. What they hold comes along.
    fn forward_again(&mut self) {
        for slot in self.slots.values().filter(|slot| !slot.settled && !slot.held) {
            // SAFETY: both queues are live.
            unsafe { rd_kafka_queue_forward(slot.queue.0, self.own.0) };
            self.drained = None;
        }
    }

    /// Reports the bounds of partitions whose position is not in the log.
    fn report_out_of_range(&mut self, arrivals: &mut Vec<Arrival>) -> Result<()> {
        for (&(topic, partition), slot) in self.slots.iter_mut().filter(|(_, slot)| slot.out) {
            let (start, end) = self.shared.bounds(&self.client, topic, partition)?;
            slot.out = false;
            arrivals.push(Arrival::OutOfRange {
                topic,
                partition,
                start,
                end,
            });
        }
        Ok(())
    }

    /// Asks for the ends of the partitions that were read to their end, and takes answers.
    fn prove(&mut self, arrivals: &mut Vec<Arrival>) {
        if let Some(question) = self.question.take() {
            match question.answers.poll(Duration::ZERO) {
                Some(answer) if question.asked.elapsed() <= self.proofs + ANSWER => self.answered(&answer, arrivals),
                Some(_) => self.due = Instant::now(),
                None => self.question = Some(question),
            }
            return;
        }
        let now = Instant::now();
        if now < self.due || self.slots.values().all(|slot| slot.ended.is_none()) {
            return;
        }
        let mut ends = Partitions::new(self.slots.len());
        for ((topic, partition), _) in self.slots.iter().filter(|(_, slot)| slot.ended.is_some()) {
            let latest = rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST as i32;
            ends.add(&self.shared.names[usize::from(*topic)], partition.0, latest as i64);
        }
        let answers = Queue::new(&self.client);
        // SAFETY: the client, the list and the queue are live; librdkafka copies the list and the options, and keeps the
        // queue alive until it has answered.
        unsafe {
            let options =
                rd_kafka_AdminOptions_new(self.client.raw, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS);
            let committed = rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
            // An isolation level is always valid here, so there is no error.
            let _ = KafkaError::taken(rd_kafka_AdminOptions_set_isolation_level(options, committed));
            let mut why = [0; 64];
            rd_kafka_AdminOptions_set_request_timeout(options, millis(QUERY_TIMEOUT), why.as_mut_ptr(), why.len());
            rd_kafka_ListOffsets(self.client.raw, ends.0, options, answers.0);
            rd_kafka_AdminOptions_destroy(options);
        }
        self.question = Some(EndsQuery { asked: now, answers });
        self.due = now + self.proofs;
    }

    /// If the log ends where a partition was read to, that is the proof. If not, records are on their way.
    fn answered(&mut self, answer: &Event, arrivals: &mut Vec<Arrival>) {
        if answer.check().is_err() {
            return;
        }
        // SAFETY: the result and all that it names live as long as the event; null for another kind of event.
        unsafe {
            let result = rd_kafka_event_ListOffsets_result(answer.0);
            if result.is_null() {
                return;
            }
            let mut count = 0;
            let infos = rd_kafka_ListOffsets_result_infos(result, &mut count);
            for at in 0..count {
                let end = &*rd_kafka_ListOffsetsResultInfo_topic_partition(*infos.add(at));
                let name = CStr::from_ptr(end.topic);
                let Some(topic) = self.shared.names.iter().position(|known| known.as_c_str() == name) else {
                    continue;
                };
                let place = (TopicIx::at(topic), Partition(end.partition));
                let ended = self.slots.get(&place).and_then(|slot| slot.ended);
                if let (RD_KAFKA_RESP_ERR_NO_ERROR, Some(offset)) = (end.err, ended)
                    && end.offset <= offset.0
                {
                    arrivals.push(Arrival::End {
                        topic: place.0,
                        partition: place.1,
                        offset,
                    });
                }
            }
        }
    }
}

impl Reader for KafkaReader {
    fn assign(&mut self, topic: TopicIx, partition: Partition, from: Offset) -> Result<()> {
        assert!(from >= Offset::ZERO, "positions are numbers: {from}");
        self.unassign(topic, partition)?;
        let name = &self.shared.names[usize::from(topic)];
        if !self.topics.iter().any(|(_, known)| *known == topic) {
            self.topics.push((
                Topic::new(&self.client, &self.shared.topics[usize::from(topic)], true)?,
                topic,
            ));
        }
        // SAFETY: the client is live, the name ends with 0; the queue is ours.
        let raw = unsafe { rd_kafka_queue_get_partition(self.client.raw, name.as_ptr(), partition.0) };
        if raw.is_null() {
            return Err(self.client.failure("assigning", &last_error()));
        }
        let queue = Queue(raw);
        // It is forwarded before it is assigned. Otherwise its first records would go to the client's own queue.
        // SAFETY: both queues are live. The client and the list are, too, and the list is copied.
        let assigned = unsafe {
            rd_kafka_queue_forward(queue.0, self.own.0);
            KafkaError::taken(rd_kafka_incremental_assign(
                self.client.raw,
                Partitions::one(name, partition.0, from.0).0,
            ))
        };
        assigned.map_err(|fault| self.client.failure("assigning", &fault))?;
        let slot = AssignedPartition {
            queue,
            next: from,
            held: false,
            settled: false,
            ended: None,
            out: false,
        };
        self.slots.insert((topic, partition), slot);
        Ok(())
    }

    fn unassign(&mut self, topic: TopicIx, partition: Partition) -> Result<()> {
        if self.slots.remove(&(topic, partition)).is_none() {
            return Ok(());
        }
        let list = Partitions::one(&self.shared.names[usize::from(topic)], partition.0, 0);
        // SAFETY: the client and the list are live. It returns when the partition's version is raised: librdkafka drops
        // what it fetched for an older one.
        let gone = unsafe { KafkaError::taken(rd_kafka_incremental_unassign(self.client.raw, list.0)) };
        gone.map_err(|fault| self.client.failure("unassigning", &fault))
    }

    fn pause(&mut self, topic: TopicIx, partition: Partition, paused: bool) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&(topic, partition)) else {
            return Err(Failure::Fatal(format!(
                "partition {partition} is not assigned, so it can't be paused"
            )));
        };
        if slot.held != paused {
            slot.held = paused;
            let to = if paused { std::ptr::null_mut() } else { self.own.0 };
            // SAFETY: the queues are live; null takes the forwarding back.
            unsafe { rd_kafka_queue_forward(slot.queue.0, to) };
            // What waited in the partition's queue may be old.
            self.drained = None;
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration, arrivals: &mut Vec<Arrival>) -> Result<()> {
        self.client.serve();
        self.client.alarm()?;
        self.forward_again();
        let sliced = self.question.is_some() || self.slots.values().any(|slot| !slot.settled);
        let fresh = self.drained.is_some_and(|seen| seen.elapsed() <= self.proofs);
        let looked = Instant::now();
        let count = self.fetch(if sliced { wait.min(SLICE) } else { wait });
        if count < BATCH {
            self.drained = Some(looked);
        }
        let result = self.hand_over(count, fresh, arrivals);
        for message in &self.batch[..count] {
            // SAFETY: ours since `fetch`, copied by now, and not used afterwards.
            unsafe { rd_kafka_message_destroy(*message) };
        }
        result?;
        self.prove(arrivals);
        self.report_out_of_range(arrivals)
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        // SAFETY: the client is live; null takes all partitions away, so that none is fetched while it is destroyed.
        unsafe { rd_kafka_assign(self.client.raw, std::ptr::null()) };
    }
}
