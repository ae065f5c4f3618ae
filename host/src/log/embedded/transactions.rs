//! The transaction coordinator: ids, epochs, fencing, time-outs, markers.
//!
//! Rule: an id has at most one open transaction. Taking an id again raises its epoch: a producer with an older epoch is
//! fenced, and its open transaction is aborted. One decision covers all partitions and the group's offsets, even if
//! their markers are written later.

use super::client::ClientNo;
use super::partition::{NewRecord, ProducerNo, TxnEnding};
use super::state::ClusterState;
use super::topic::TopicNo;
use super::txn::{GroupOffset, Hold, Marker, Markers, Open, Place, TxnError, TxnProducer};
use crate::record::{Offset, Partition};
use std::time::Duration;

impl ClusterState {
    /// Takes a transactional id: writes its outstanding markers, aborts its open transaction, and fences its producer.
    pub fn take_id(&mut self, id: &str, timeout: Duration) -> Hold {
        let no = match self.ids.get(id) {
            Some(no) => *no,
            None => {
                let no = self.producers.len() as ProducerNo;
                self.producers.push(TxnProducer {
                    id: id.to_owned(),
                    epoch: 0,
                    timeout,
                    open: None,
                });
                self.ids.insert(id.to_owned(), no);
                no
            }
        };
        self.settle_all(no);
        self.decide(no, TxnEnding::Abort, Markers::AtOnce);
        let producer = &mut self.producers[no as usize];
        producer.timeout = timeout;
        producer.epoch += 1;
        Hold {
            producer: no,
            epoch: producer.epoch,
        }
    }

    /// Opens a transaction.
    pub fn begin(&mut self, hold: Hold) -> Result<(), TxnError> {
        self.check_epoch(hold)?;
        // A real coordinator refuses a new transaction until the markers of the last one are written.
        self.settle_all(hold.producer);
        let now = self.clock.now();
        let TxnProducer { open, timeout, .. } = &mut self.producers[hold.producer as usize];
        let deadline = now.saturating_add(*timeout);
        assert!(open.is_none(), "a transaction is open");
        *open = Some(Open {
            deadline,
            partitions: Vec::new(),
            offsets: Vec::new(),
        });
        Ok(())
    }

    /// Appends a record to the open transaction.
    pub fn write(
        &mut self,
        hold: Hold,
        topic: TopicNo,
        partition: Partition,
        record: NewRecord<'_>,
    ) -> Result<Offset, TxnError> {
        let open = self.open(hold)?;
        if !open.partitions.contains(&(topic, partition)) {
            open.partitions.push((topic, partition));
        }
        Ok(self.append(topic, partition, record, Some(hold.producer))?)
    }

    /// Adds the group's offsets to the open transaction, if the client is a member of the current generation.
    pub fn send_offsets(&mut self, hold: Hold, client: ClientNo, offsets: Vec<GroupOffset>) -> Result<(), TxnError> {
        self.check_member(client)?;
        self.open(hold)?.offsets.extend(offsets);
        Ok(())
    }

    /// Ends the open transaction.
    pub fn end(&mut self, hold: Hold, ending: TxnEnding, markers: Markers) -> Result<(), TxnError> {
        self.open(hold)?;
        self.decide(hold.producer, ending, markers);
        Ok(())
    }

    /// Whether an open transaction or an unwritten marker holds back the offset of this partition.
    pub fn offset_pending(&self, group: &str, topic: &str, partition: Partition) -> bool {
        let open = self
            .producers
            .iter()
            .filter_map(|producer| producer.open.as_ref())
            .flat_map(|open| &open.offsets);
        let decided = self.markers.iter().flat_map(|marker| match &marker.place {
            Place::Offsets(offsets) => offsets.as_slice(),
            Place::Partition(..) => &[],
        });
        open.chain(decided)
            .any(|o| o.partition == partition && o.topic == topic && o.group == group)
    }

    /// Writes one of the outstanding markers.
    pub fn settle(&mut self, index: usize) {
        let Marker {
            producer,
            ending,
            place,
        } = self.markers.remove(index);
        match place {
            Place::Partition(topic, partition) => {
                self.topics[topic].partitions[partition.index()].end_transaction(producer, ending);
            }
            Place::Offsets(offsets) if ending == TxnEnding::Commit => {
                for GroupOffset {
                    group,
                    topic,
                    partition,
                    offset,
                } in offsets
                {
                    // Offsets of a topic that was deleted in the meantime are dropped.
                    if self.names.contains_key(&topic) {
                        self.groups
                            .entry(group)
                            .or_default()
                            .offsets
                            .insert((topic, partition), offset);
                    }
                }
            }
            Place::Offsets(_) => {}
        }
    }

    /// Aborts transactions that have been open for longer than their time-out, and fences their producers. Returns
    /// whether there were any.
    pub fn expire_transactions(&mut self, now: Duration) -> bool {
        let mut expired = false;
        for no in 0..self.producers.len() {
            if self.producers[no]
                .open
                .as_ref()
                .is_some_and(|open| open.deadline <= now)
            {
                self.producers[no].epoch += 1;
                self.decide(no as ProducerNo, TxnEnding::Abort, Markers::AtOnce);
                expired = true;
            }
        }
        expired
    }

    /// When each open transaction times out.
    pub fn transaction_deadlines(&self) -> impl Iterator<Item = Duration> {
        self.producers
            .iter()
            .filter_map(|producer| producer.open.as_ref().map(|open| open.deadline))
    }

    fn check_epoch(&self, hold: Hold) -> Result<(), TxnError> {
        let Hold { producer, epoch } = hold;
        let TxnProducer { id, epoch: current, .. } = &self.producers[producer as usize];
        match epoch == *current {
            true => Ok(()),
            false => Err(TxnError::Fenced {
                id: id.clone(),
                current: *current,
                epoch,
            }),
        }
    }

    fn open(&mut self, hold: Hold) -> Result<&mut Open, TxnError> {
        self.check_epoch(hold)?;
        self.producers[hold.producer as usize]
            .open
            .as_mut()
            .ok_or(TxnError::NotOpen)
    }

    /// Decides the open transaction, if there is one.
    fn decide(&mut self, no: ProducerNo, ending: TxnEnding, markers: Markers) {
        if let Some(open) = self.producers[no as usize].open.take() {
            let marker = |place| Marker {
                producer: no,
                ending,
                place,
            };
            self.markers.push(marker(Place::Offsets(open.offsets)));
            self.markers
                .extend(open.partitions.into_iter().map(|(t, p)| marker(Place::Partition(t, p))));
            if markers == Markers::AtOnce {
                self.settle_all(no);
            }
        }
    }

    /// Writes all outstanding markers of a producer.
    fn settle_all(&mut self, no: ProducerNo) {
        while let Some(index) = self.markers.iter().position(|marker| marker.producer == no) {
            self.settle(index);
        }
    }
}
