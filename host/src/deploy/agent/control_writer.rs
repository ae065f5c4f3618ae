//! Writes an agent's records to the control topic, one transaction at a time.
//!
//! Rule: if it is unknown how a transaction ended, the producer is renewed before the next one. Then everything that
//! is on the topic counts as written, because the transaction may be there. The caller submits the next one only when
//! it has read all that was written.

use crate::deploy::reader::ControlReader;
use crate::error::{Failure, Result};
use crate::log::{Log, Outcome, Producer, Transaction};
use crate::record::Offset;
use std::time::Duration;

/// The writing half of an agent.
pub struct ControlWriter {
    /// `None` before the first transaction.
    producer: Option<Box<dyn Producer>>,
    in_flight: bool,
    /// Whether it is unknown how the last transaction ended.
    in_doubt: bool,
    written: Offset,
}

impl ControlWriter {
    /// One that has written nothing yet.
    pub fn new() -> ControlWriter {
        ControlWriter {
            producer: None,
            in_flight: false,
            in_doubt: false,
            written: Offset::ZERO,
        }
    }

    /// Whether a transaction was submitted whose end is not known yet.
    pub fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// The position after the last record that it has written.
    pub fn written(&self) -> Offset {
        self.written
    }

    /// Looks how the last transaction ended. Returns whether the next one may follow.
    pub fn settle(&mut self, reader: &ControlReader) -> Result<bool> {
        let Some(producer) = &mut self.producer else {
            return Ok(true);
        };
        if self.in_flight {
            let Some((_, outcome)) = producer.outcome(Duration::ZERO) else {
                return Ok(false);
            };
            self.in_flight = false;
            match outcome {
                Outcome::Committed(ends) => {
                    self.written = ends.iter().map(|end| end.offset).max().unwrap_or(self.written);
                }
                Outcome::Aborted(why) => tracing::warn!(
                    why,
                    "a transaction on the control topic was aborted; writing its records again"
                ),
                Outcome::Ambiguous(_) => self.in_doubt = true,
            }
        }
        if self.in_doubt {
            match producer.renew() {
                Ok(()) => {}
                Err(Failure::Retry(_)) => return Ok(false),
                Err(other) => return Err(other),
            }
            self.in_doubt = false;
            self.written = reader.end()?;
        }
        Ok(true)
    }

    /// Submits a transaction, under this transactional id. Does nothing if no broker can be reached: the records are
    /// due again in the next round.
    pub fn submit(&mut self, log: &dyn Log, id: &str, transaction: Transaction) -> Result<()> {
        let producer = match &mut self.producer {
            Some(producer) => producer,
            None => match log.publisher(id) {
                Ok(producer) => self.producer.insert(producer),
                Err(Failure::Retry(why)) => {
                    tracing::warn!(why, "can't write to the control topic yet; trying again");
                    return Ok(());
                }
                Err(other) => return Err(other),
            },
        };
        producer.submit(transaction);
        self.in_flight = true;
        Ok(())
    }
}
