//! A transactional producer: a thread that owns librdkafka's handle and runs one transaction after another.
//!
//! Rule: an arena goes back to the caller only when librdkafka has no pointer into it: every delivery is reported, or
//! the handle is destroyed. After any doubt, the next transaction gets a new handle, so that a late request of the old
//! one can't end it. Without KIP-890, a broker can't tell them apart.

use super::client::{Client, ClientKind};
use super::commit;
use super::kafka_error::KafkaError;
use super::millis::millis;
use super::open::Open;
use super::shared::{COMMON, Shared, TRANSACTION_TIMEOUT_MS};
use crate::error::{Failure, Result};
use crate::log::{Outcome, Producer, Transaction};
use rdkafka_sys::rd_kafka_resp_err_t::*;
use rdkafka_sys::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Maximum number of undelivered messages in librdkafka. A larger transaction waits in between.
const IN_FLIGHT: &str = "1000000";

const PRODUCER: &[(&str, &str)] = &[
    ("queue.buffering.max.messages", IN_FLIGHT),
    // Values are not copied, so the arena bounds the memory.
    ("queue.buffering.max.kbytes", "1048576"),
    // Batches of 16 KB cost four times the CPU.
    ("batch.size", "1000000"),
    ("batch.num.messages", "10000"),
    // Draining ends it early. With a shorter one, librdkafka polls without pause for the last millisecond of each.
    ("linger.ms", "200"),
    ("compression.codec", "lz4"),
];

/// Time-out of `init_transactions`. It is longer than aborting what a dead producer left open can take.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time-out of the reports for purged messages, which are available at once.
const PURGED: Duration = Duration::from_secs(5);

/// Time-out of one attempt of `init_transactions`.
const INIT_TRY: Duration = Duration::from_secs(5);

const PANICKED: &str = "the thread that commits has panicked";

/// Requests to the thread.
enum Job {
    Commit(Transaction),
    Renew(Sender<Result<()>>),
}

pub(super) struct KafkaProducer {
    /// `None` once it is shutting down.
    jobs: Option<Sender<Job>>,
    done: Receiver<(Transaction, Outcome)>,
    in_flight: bool,
    /// Whether its transactions pass the gate. A publisher's don't.
    gated: bool,
    thread: Option<JoinHandle<()>>,
}

impl KafkaProducer {
    pub fn open(shared: Arc<Shared>, transactional_id: &str, gated: bool) -> Result<KafkaProducer> {
        let (jobs, todo) = channel();
        let (results, done) = channel();
        let mut thread = Thread {
            shared,
            id: transactional_id.to_string(),
            open: None,
            suspect: false,
        };
        let started = std::thread::Builder::new()
            .name(format!("commit-{transactional_id}"))
            .spawn(move || thread.run(todo, results))
            .map_err(|error| Failure::Fatal(format!("a thread for the producer can't be started: {error}")))?;
        let mut producer = KafkaProducer {
            jobs: Some(jobs),
            done,
            in_flight: false,
            gated,
            thread: Some(started),
        };
        producer.renew()?;
        Ok(producer)
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().expect("only drop takes it");
        jobs.send(job).map_err(|_| panicked())
    }
}

/// The thread ends before its channel is closed only by a panic.
fn panicked() -> Failure {
    Failure::Fatal(format!("{PANICKED}: start the process again; nothing is lost"))
}

impl Producer for KafkaProducer {
    fn submit(&mut self, transaction: Transaction) {
        assert!(!self.in_flight, "one transaction is in flight already");
        assert_eq!(
            self.gated,
            !transaction.offsets.is_empty(),
            "a transaction without offsets fences nothing"
        );
        self.in_flight = true;
        // If the thread has panicked, the outcome says so.
        let _ = self.send(Job::Commit(transaction));
    }

    fn outcome(&mut self, wait: Duration) -> Option<(Transaction, Outcome)> {
        if !self.in_flight {
            return None;
        }
        let done = match wait.is_zero() {
            true => self.done.try_recv().map_err(|none| none == TryRecvError::Disconnected),
            false => (self.done.recv_timeout(wait)).map_err(|none| none == RecvTimeoutError::Disconnected),
        };
        let done = match done {
            Ok(done) => Some(done),
            Err(true) => Some((Transaction::default(), Outcome::Ambiguous(PANICKED.into()))),
            Err(false) => None,
        };
        self.in_flight = done.is_none();
        done
    }

    fn renew(&mut self) -> Result<()> {
        let (answer, answered) = channel();
        self.send(Job::Renew(answer))?;
        answered.recv().unwrap_or_else(|_| Err(panicked()))
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // If the thread has panicked, the outcome has said so.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Thread {
    shared: Arc<Shared>,
    id: String,
    open: Option<Open>,
    /// Whether a request of the last transaction may still be on its way.
    suspect: bool,
}

impl Thread {
    fn run(&mut self, jobs: Receiver<Job>, results: Sender<(Transaction, Outcome)>) {
        for job in jobs {
            match job {
                Job::Commit(transaction) => {
                    let outcome = self.commit(&transaction);
                    if results.send((transaction, outcome)).is_err() {
                        return;
                    }
                }
                Job::Renew(answer) => {
                    // If nobody waits for the answer, it does not matter.
                    let _ = answer.send(self.renew());
                }
            }
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> Outcome {
        if self.suspect && self.open.is_some() {
            // Nothing of this transaction has begun yet.
            if let Err(failure) = self.renew() {
                return Outcome::Ambiguous(format!("no new producer: {failure}"));
            }
        }
        let Some(open) = &mut self.open else {
            return Outcome::Ambiguous("the producer must be renewed first".into());
        };
        let before = open.client.troubles();
        let commit::Ended { outcome, slow } = commit::run(open, &self.shared, transaction);
        open.client.serve();
        self.suspect = slow || open.client.troubles() != before;
        if let Outcome::Ambiguous(_) = outcome {
            self.discard();
        }
        outcome
    }

    /// Gives up the handle. It is emptied first, because a process once ended with a corrupted heap right after a
    /// fenced handle was destroyed with messages in transit. Afterwards nothing points into the arena.
    fn discard(&mut self) {
        let Some(open) = self.open.take() else { return };
        // SAFETY: the client is live. Reports of what is purged are served by the flush; what it leaves is the destroy's.
        unsafe {
            rd_kafka_purge(open.client.raw, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            rd_kafka_flush(open.client.raw, millis(PURGED));
        }
    }

    fn renew(&mut self) -> Result<()> {
        self.discard();
        let timeout = TRANSACTION_TIMEOUT_MS.to_string();
        let defaults = [COMMON, PRODUCER, &[("transaction.timeout.ms", timeout.as_str())]].concat();
        let fixed = [
            ("transactional.id", self.id.as_str()),
            ("enable.idempotence", "true"),
            ("delivery.report.only.error", "false"),
        ];
        let handle = || self.shared.settings.client(ClientKind::Producer, &defaults, &fixed, 0);
        let mut client = handle()?;
        let deadline = Instant::now() + INIT_TIMEOUT;
        connect(&client);
        loop {
            // SAFETY: the client is live; the error is taken over.
            let done = unsafe { KafkaError::taken(rd_kafka_init_transactions(client.raw, millis(INIT_TRY))) };
            let Err(fault) = done else { break };
            let failure = client.failure(&format!("producer {}", self.id), &fault);
            if matches!(failure, Failure::Fatal(_)) || Instant::now() >= deadline {
                return Err(failure);
            }
            match failure {
                // Another process with this id has begun at the same time. The group decides which of them stays.
                Failure::Fenced(_) => client = handle()?,
                _ if fault.again => {}
                failure => return Err(failure),
            }
        }
        self.suspect = false;
        self.open = Some(Open {
            topics: HashMap::new(),
            client,
        });
        Ok(())
    }
}

/// Waits until a broker is connected, or until the time-out. Without a connection, librdkafka would look for the
/// transaction coordinator only after 500 ms, at every start and renewal.
fn connect(client: &Client) {
    let mut metadata = std::ptr::null();
    // SAFETY: the client is live; what comes back is ours until it is destroyed. A failure is told by what comes next.
    unsafe {
        let code = rd_kafka_metadata(client.raw, 0, std::ptr::null_mut(), &mut metadata, millis(INIT_TRY));
        if code == RD_KAFKA_RESP_ERR_NO_ERROR {
            rd_kafka_metadata_destroy(metadata);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What remains of a producer whose thread has panicked in a commit.
    #[test]
    fn a_panic_in_the_thread_is_an_outcome_that_nobody_knows_and_then_the_end() {
        let (jobs, _) = channel();
        let (_, done) = channel();
        let mut producer = KafkaProducer {
            jobs: Some(jobs),
            done,
            in_flight: false,
            gated: false,
            thread: None,
        };
        for wait in [Duration::ZERO, Duration::from_secs(60)] {
            producer.submit(Transaction::default());
            let (_, outcome) = producer.outcome(wait).expect("at once");
            assert_eq!(outcome, Outcome::Ambiguous(PANICKED.into()));
            assert!(producer.outcome(wait).is_none(), "it ends once");
        }
        assert!(matches!(producer.renew(), Err(Failure::Fatal(why)) if why.contains("panicked")));
    }
}
