//! The group member. It is assigned partitions of the lead topic, but fetches nothing.
//!
//! Rule: the assignment counter is raised before librdkafka or the caller hears of a change. A partition is given back
//! only after `released`.

use super::client::ClientKind;
use super::kafka_error::{KafkaError, last_error, text};
use super::member::MemberClient;
use super::partitions::Partitions;
use super::queue::{Event, Queue};
use super::shared::{COMMON, Shared};
use crate::error::{Failure, Result};
use crate::log::{Group, Membership};
use crate::record::Partition;
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A member is evicted after this time without a heartbeat (`session.timeout.ms`). A restart after a crash is faster.
const MEMBER: &[(&str, &str)] = &[
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "2000"),
    ("max.poll.interval.ms", "300000"),
];

/// A subscription is to a whole topic.
const ANY_PARTITION: i32 = -1;

/// Time-out of leaving the group.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Revoked partitions. They are given back together, when all of them are released.
struct Revocation {
    list: Partitions,
    held: Vec<Partition>,
}

pub(super) struct KafkaGroup {
    events: Queue,
    revocations: Vec<Revocation>,
    left: bool,
    member: Arc<MemberClient>,
    shared: Arc<Shared>,
}

impl KafkaGroup {
    pub fn join(shared: Arc<Shared>) -> Result<KafkaGroup> {
        let mut place = shared.member();
        if place.is_some() {
            return Err(Failure::Fatal("this process has joined the group already".into()));
        }
        let instance = format!("{}-{}", shared.group, shared.instance);
        let fixed = [
            ("group.id", shared.group.as_str()),
            ("group.instance.id", instance.as_str()),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("allow.auto.create.topics", "false"),
            ("enable.partition.eof", "false"),
        ];
        let defaults = [COMMON, MEMBER].concat();
        let client = shared
            .settings
            .client(ClientKind::Consumer, &defaults, &fixed, RD_KAFKA_EVENT_REBALANCE)?;
        let lead = Partitions::one(&shared.names[0], ANY_PARTITION, 0);
        // SAFETY: the client and the list are live; the list is copied.
        let (code, events) = unsafe {
            (
                rd_kafka_subscribe(client.raw, lead.0),
                rd_kafka_queue_get_consumer(client.raw),
            )
        };
        KafkaError::check(code).map_err(|fault| client.failure("joining the group", &fault))?;
        if events.is_null() {
            return Err(client.failure("joining the group", &last_error()));
        }
        let member = Arc::new(MemberClient { client });
        *place = Some(member.clone());
        drop(place);
        Ok(KafkaGroup {
            events: Queue(events),
            revocations: Vec::new(),
            left: false,
            member,
            shared,
        })
    }

    /// Handles a change of assignment. It raises the counter first.
    fn rebalanced(&mut self, event: &Event) -> Result<Option<Membership>> {
        // SAFETY: the event is live and of this kind. The list belongs to it: it is copied.
        let (code, list) = unsafe {
            let list = rd_kafka_event_topic_partition_list(event.0);
            (
                rd_kafka_event_error(event.0),
                Partitions(rd_kafka_topic_partition_list_copy(list)),
            )
        };
        if !list.elements().is_empty() {
            self.shared.raise();
        }
        let partitions = partitions_of(&list)?;
        if code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(&list)?;
            return Ok((!partitions.is_empty()).then_some(Membership::Assigned(partitions)));
        }
        if partitions.is_empty() {
            self.unassign(&list)?;
            return Ok(None);
        }
        let lost = self.member.is_lost();
        self.revocations.push(Revocation {
            list,
            held: partitions.clone(),
        });
        Ok(Some(match lost {
            true => Membership::Lost(partitions),
            false => Membership::Revoked(partitions),
        }))
    }

    /// Accepts the partitions and pauses them, because the readers fetch, not the member.
    fn assign(&self, list: &Partitions) -> Result<()> {
        let client = &self.member.client;
        // SAFETY: the client and the list are live; the list is copied.
        let done = unsafe {
            KafkaError::taken(rd_kafka_incremental_assign(client.raw, list.0))
                .and_then(|()| KafkaError::check(rd_kafka_pause_partitions(client.raw, list.0)))
        };
        done.map_err(|fault| client.failure("taking partitions", &fault))
    }

    fn unassign(&self, list: &Partitions) -> Result<()> {
        let client = &self.member.client;
        // SAFETY: the client and the list are live; the list is copied.
        let done = unsafe { KafkaError::taken(rd_kafka_incremental_unassign(client.raw, list.0)) };
        done.map_err(|fault| client.failure("giving partitions back", &fault))
    }

    /// Handles an error of the group.
    fn failed(&self, event: &Event) -> Result<()> {
        let client = &self.member.client;
        let Err(fault) = event.check() else { return Ok(()) };
        match fault.code {
            // The next event says that the partitions are lost.
            RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED | RD_KAFKA_RESP_ERR__PARTITION_EOF => Ok(()),
            // Nothing is fetched, so positions don't matter.
            RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET | RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE => Ok(()),
            RD_KAFKA_RESP_ERR__FATAL => self.alive(),
            _ => Err(client.failure("group membership", &fault)),
        }
    }

    /// Fails if the member can't go on, because another process has its instance id.
    fn alive(&self) -> Result<()> {
        let client = &self.member.client;
        let mut why = [0; 512];
        // SAFETY: the client is live, the buffer has the length that is told, and a text that ends with 0.
        unsafe {
            let code = rd_kafka_fatal_error(client.raw, why.as_mut_ptr(), why.len());
            let message = || format!("group membership: {}", text(why.as_ptr()));
            KafkaError::check(code).map_err(|fault| fault.failure(message()))
        }
    }
}

/// The numbers of a list's partitions. The member that leads the group has chosen them, and it may be another program.
fn partitions_of(list: &Partitions) -> Result<Vec<Partition>> {
    let numbers = list.elements().iter().map(|element| element.partition);
    let partitions: std::result::Result<_, _> = numbers.map(Partition::try_from).collect();
    partitions.map_err(|why| Failure::Fatal(format!("group membership: {why}")))
}

impl Group for KafkaGroup {
    fn poll(&mut self, wait: Duration) -> Result<Option<Membership>> {
        if self.left {
            return Err(Failure::Fatal("this process has left the group".into()));
        }
        let deadline = Instant::now() + wait;
        loop {
            self.member.client.serve();
            self.member.client.alarm()?;
            self.alive()?;
            let Some(event) = self.events.poll(deadline.saturating_duration_since(Instant::now())) else {
                return Ok(None);
            };
            match event.kind() {
                RD_KAFKA_EVENT_REBALANCE => {
                    if let Some(membership) = self.rebalanced(&event)? {
                        return Ok(Some(membership));
                    }
                }
                RD_KAFKA_EVENT_ERROR => self.failed(&event)?,
                // A record that was fetched before the pause took effect.
                _ => {}
            }
        }
    }

    fn released(&mut self, partitions: &[Partition]) -> Result<()> {
        for revocation in &mut self.revocations {
            revocation.held.retain(|partition| !partitions.contains(partition));
        }
        while let Some(at) = self
            .revocations
            .iter()
            .position(|revocation| revocation.held.is_empty())
        {
            let revocation = self.revocations.remove(at);
            self.unassign(&revocation.list)?;
        }
        Ok(())
    }

    fn leave(&mut self) {
        if std::mem::replace(&mut self.left, true) {
            return;
        }
        self.shared.raise();
        // This comes first, so that no gate uses the member any more.
        *self.shared.member() = None;
        for revocation in std::mem::take(&mut self.revocations) {
            // Errors don't matter here: what follows ends the assignment anyway.
            let _ = self.unassign(&revocation.list);
        }
        // A static member does not tell the group when it is closed, because it is expected back. So it unsubscribes
        // first, and is closed when it has no member id any more.
        // SAFETY: the client is live.
        unsafe { rd_kafka_unsubscribe(self.member.client.raw) };
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        while Instant::now() < deadline && self.member.identity().is_some_and(|identity| identity.is_member()) {
            let Some(event) = self.events.poll(Duration::from_millis(20)) else {
                continue;
            };
            if event.kind() == RD_KAFKA_EVENT_REBALANCE && self.rebalanced(&event).is_ok() {
                for revocation in std::mem::take(&mut self.revocations) {
                    let _ = self.unassign(&revocation.list);
                }
            }
        }
        // SAFETY: the client is live; it serves what is left and ends the membership.
        unsafe { rd_kafka_consumer_close(self.member.client.raw) };
    }
}

impl Drop for KafkaGroup {
    fn drop(&mut self) {
        self.leave();
    }
}
