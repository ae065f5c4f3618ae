//! Writes the traffic into the topics, in slices.
//!
//! Rule: the log contains the traffic's records in their order. So generating the same traffic again tells what is in
//! the log.

use super::pipeline::Pipeline;
use crate::rig::Record;
use anyhow::Result;
use pelton_demo::traffic::{Made, Parameters, Stream, Traffic};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

/// How many tenths of a slice each swap gets, because some swaps are refused. The next constant is the same for each
/// kill, which may need several tries.
const SWAP: usize = 12;
const KILL: usize = 30;

/// A thread that writes.
pub struct Feed<'s> {
    parameters: Parameters,
    /// The money events of a slice.
    slice: u64,
    /// The money events ordered so far.
    ordered: u64,
    more: SyncSender<u64>,
    thread: ScopedJoinHandle<'s, Result<Made>>,
}

impl<'s> Feed<'s> {
    /// Starts the thread. Nothing is written yet.
    pub fn start<'e>(
        scope: &'s Scope<'s, 'e>,
        pipeline: &'e Pipeline<'e>,
        parameters: Parameters,
        (swaps, kills): (usize, usize),
    ) -> Feed<'s> {
        let slices = (swaps * SWAP + kills * KILL) as u64 + 10;
        let slice = (parameters.money * 10).div_ceil(slices).max(1);
        let (more, orders) = sync_channel(1);
        let traffic = Traffic::new(parameters.clone());
        let thread = scope.spawn(move || write(pipeline, traffic, &orders));
        Feed {
            parameters,
            slice,
            ordered: 0,
            more,
            thread,
        }
    }

    /// Lets the next slice be written, and returns its range of event times. Waits while the last slice but one is not
    /// written.
    pub fn more(&mut self) -> Range<i64> {
        let Parameters { start, span, money, .. } = self.parameters;
        let time = |ordered: u64| start + (span as f64 * (ordered.min(money) as f64 / money as f64)) as i64;
        let before = self.ordered;
        self.ordered += self.slice;
        // If the thread has ended, it says why at the end.
        let _ = self.more.send(self.ordered);
        time(before)..time(self.ordered)
    }

    /// Whether only the records of the end are left.
    pub fn is_through(&self) -> bool {
        self.ordered >= self.parameters.money
    }

    /// Writes the rest.
    pub fn end(self) -> Result<Made> {
        drop(self.more);
        self.thread.join().expect("no panic")
    }
}

fn write(pipeline: &Pipeline<'_>, mut traffic: Traffic, orders: &Receiver<u64>) -> Result<Made> {
    /// The number of records generated at a time.
    const AT_ONCE: usize = 50_000;
    let writer = pipeline.rig.writer()?;
    loop {
        let order = orders.recv();
        let until = order.unwrap_or(u64::MAX);
        loop {
            let mut topics: [Vec<Record>; Stream::ALL.len()] = Default::default();
            let mut count = 0;
            while count < AT_ONCE && traffic.made().money < until {
                let Some(item) = traffic.next() else { break };
                let record = Record::new(item.key, item.value)
                    .at(item.partition.0)
                    .time(item.timestamp);
                topics[item.stream as usize].push(record);
                count += 1;
            }
            if count == 0 {
                break;
            }
            for (topic, records) in pipeline.inputs.iter().zip(&topics) {
                writer.put(topic, records)?;
            }
        }
        if order.is_err() {
            writer.settle()?;
            return Ok(traffic.made());
        }
    }
}
