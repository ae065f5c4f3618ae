//! Kills a process in the middle of a commit.
//!
//! Rule: a kill counts only if the log proves it: records of the epoch were written, and were aborted afterwards. A
//! process writes the records of an epoch only when it commits that epoch. To find such a moment, the process is frozen
//! again and again, just long enough to look.

use super::feed::Feed;
use super::instance::Instance;
use super::options::PARTITIONS;
use super::pipeline::Pipeline;
use crate::rig::Rig;
use anyhow::{Result, bail, ensure};
use pelton_demo::traffic::Random;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::{Duration, Instant};

/// The most kills until one has come before the commit was requested.
const TRIES: usize = 5;

/// A slice of traffic takes longer than this.
const WAIT: Duration = Duration::from_millis(500);

/// A requested commit is usually complete within this time.
const ASKED: Duration = Duration::from_millis(100);

/// The longest pause between two looks, in microseconds. A commit takes some milliseconds.
const PAUSE: u64 = 10_000;

/// Kills the second instance in the middle of a commit, and starts it again. Returns how often it was killed.
pub fn in_a_commit(
    pipeline: &Pipeline<'_>,
    [other, instance]: &mut [Instance<'_>; 2],
    feed: &mut Feed<'_>,
    random: &mut Random,
) -> Result<usize> {
    let log = Log::new(pipeline)?;
    for kills in 1..=TRIES {
        let mut its = vec![];
        for task in 0..PARTITIONS {
            if instance.opened(task)? > other.opened(task)? {
                its.push(task);
            }
        }
        let from = pipeline.rig.ends(&pipeline.output)?;
        loop {
            ensure!(
                !feed.is_through(),
                "there is no traffic left for a kill in the middle of a commit: take more money events"
            );
            feed.more();
            if log.stops_in_a_commit(instance, &its, random)? {
                break;
            }
        }
        instance.kill();
        instance.again()?;
        // Waits for the transaction that was open. The new process ends it.
        if pipeline.rig.aborted(&pipeline.output, &from)? > 0 {
            return Ok(kills);
        }
    }
    bail!("of {TRIES} kills in the middle of a commit none came before that was asked for")
}

/// The log of the output: how far it is written, and how far it is decided.
struct Log<'p> {
    topic: &'p str,
    written: BaseConsumer,
    decided: BaseConsumer,
}

impl<'p> Log<'p> {
    fn new(pipeline: &'p Pipeline<'p>) -> Result<Log<'p>> {
        let client = |isolation: &str| -> Result<BaseConsumer> {
            let mut config = pipeline.rig.client();
            config.set("group.id", Rig::unique("soak-log"));
            Ok(config.set("isolation.level", isolation).create()?)
        };
        Ok(Log {
            topic: &pipeline.output,
            written: client("read_uncommitted")?,
            decided: client("read_committed")?,
        })
    }

    /// Freezes the process at a moment when it has an open transaction with records in the log. Returns false if there
    /// was no such moment for a while; then the process runs on.
    fn stops_in_a_commit(&self, instance: &Instance<'_>, its: &[i32], random: &mut Random) -> Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < WAIT {
            std::thread::sleep(Duration::from_micros(random.below(PAUSE)));
            instance.freeze(true);
            for &partition in its {
                // A commit that was already requested completes without the process.
                let mut open = self.is_open(partition)?;
                if open {
                    std::thread::sleep(ASKED);
                    open = self.is_open(partition)?;
                }
                if open {
                    return Ok(true);
                }
            }
            instance.freeze(false);
        }
        Ok(false)
    }

    fn is_open(&self, partition: i32) -> Result<bool> {
        const TIMEOUT: Duration = Duration::from_secs(30);
        let end = |client: &BaseConsumer| client.fetch_watermarks(self.topic, partition, TIMEOUT);
        // In this order, so that what is written meanwhile does not look open.
        let written = end(&self.written)?.1;
        Ok(end(&self.decided)?.1 < written)
    }
}
