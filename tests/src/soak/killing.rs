//! kill -9 in the middle of a commit.
//!
//! Rule: it counts when the log shows that it fell there: records of the epoch were written, and aborted afterwards. A process
//! writes the records of an epoch when it commits it, and not before. To find such a moment, the process is made to stand still
//! again and again, for as long as it takes to look.

use super::PARTITIONS;
use super::feed::Feed;
use super::instance::Instance;
use super::pipeline::Pipeline;
use crate::rig::Rig;
use anyhow::{Result, bail, ensure};
use pelton_demo::traffic::Random;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::{Duration, Instant};

/// Kills until one has come before the commit was asked for.
const TRIES: usize = 5;

/// A slice of traffic takes longer than this.
const WAIT: Duration = Duration::from_millis(500);

/// A commit that was asked for is through within this, mostly.
const ASKED: Duration = Duration::from_millis(100);

/// Between two looks, at most: a commit takes some milliseconds.
const PAUSE: u64 = 10_000;

/// Kills the second instance in the middle of a commit; starts it again. Returns how often it was killed.
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
        // Waits for the transaction that was open: whoever comes instead ends it.
        if pipeline.rig.aborted(&pipeline.output, &from)? > 0 {
            return Ok(kills);
        }
    }
    bail!("of {TRIES} kills in the middle of a commit none came before that was asked for")
}

/// The output's log, as it is written, and as far as it is decided.
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

    /// Lets it stand still at a moment when a transaction of its is open whose records are in the log. False: there was none within a
    /// while, and it runs.
    fn stops_in_a_commit(&self, instance: &Instance<'_>, its: &[i32], random: &mut Random) -> Result<bool> {
        let begun = Instant::now();
        while begun.elapsed() < WAIT {
            std::thread::sleep(Duration::from_micros(random.below(PAUSE)));
            instance.freeze(true);
            for &partition in its {
                // A commit that was asked for goes on without the process.
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
        // In this order: what is written meanwhile is not seen as open.
        let written = end(&self.written)?.1;
        Ok(end(&self.decided)?.1 < written)
    }
}
