//! The pool of threads that restore tasks.
//!
//! Rules:
//! - There are a few threads for any number of partitions. A restore has a thread until it ends, or must wait for
//!   something other than records. While it waits, it costs no thread and no reader.
//! - An abandoned restore is dropped before its next question. If a question in progress then changes the store, the
//!   store refuses it once a newer stay has the task.
//! - A panic counts as a result. It ends the instance with a message.

#[cfg(test)]
mod tests;

use super::thread::{panic_text, spawn};
use crate::deploy::view::DeployView;
use crate::error::{Failure, Result};
use crate::instance::command::Claim;
use crate::instance::environment::Environment;
use crate::instance::restore::{Restore, RestoreNext};
use crate::instance::supervisor::SupervisorEvent;
use crate::record::{Offset, Partition, Stay};
use crate::task::Task;
use crate::task::restore::Access;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Number of threads. A restore takes one core and one reader with up to 32 MiB of fetched records. Four of them take
/// 128 MiB, and read as fast as a broker can send to one machine.
const THREADS: usize = 4;

/// Maximum time that a restore waits for records in one poll.
const READ_WAIT: Duration = Duration::from_millis(50);

/// How often a restore reports its progress.
const LOG_EVERY: Duration = Duration::from_millis(100);

/// The pool of threads that restore tasks.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Each job has the time when it is due.
    jobs: Vec<(Instant, Job)>,
    /// Stays that a thread is working on.
    busy: BTreeSet<Stay>,
    /// Busy stays that are not wanted any more.
    abandoned: BTreeSet<Stay>,
    ended: bool,
}

enum Job {
    Begin(Claim),
    GoOn(Box<Work>),
    Cut(Partition, Offset),
}

/// A restore, the access that answers its questions, and when it last reported its progress.
struct Work {
    restore: Restore,
    access: Access,
    logged: Option<Instant>,
}

impl Work {
    fn claim(&self) -> Claim {
        Claim {
            partition: self.restore.partition(),
            stay: self.restore.stay(),
        }
    }
}

impl Job {
    fn stay(&self) -> Option<Stay> {
        match self {
            Job::Begin(claim) => Some(claim.stay),
            Job::GoOn(work) => Some(work.restore.stay()),
            Job::Cut(..) => None,
        }
    }
}

/// What a thread of the pool needs.
struct Thread {
    shared: Arc<Shared>,
    environment: Environment,
    view: Arc<DeployView>,
    events: Sender<SupervisorEvent>,
}

impl Pool {
    /// Starts the threads.
    pub fn start(environment: &Environment, view: &Arc<DeployView>, events: &Sender<SupervisorEvent>) -> Result<Pool> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            more: Condvar::new(),
        });
        let mut threads = vec![];
        for index in 0..THREADS {
            let thread = Thread {
                shared: shared.clone(),
                environment: environment.clone(),
                view: view.clone(),
                events: events.clone(),
            };
            threads.push(spawn(&format!("restore-{index}"), move || thread.run())?);
        }
        Ok(Pool { shared, threads })
    }

    /// Restores a partition.
    pub fn restore(&self, claim: Claim) {
        self.shared.put(Instant::now(), Job::Begin(claim));
    }

    /// Abandons a restore.
    pub fn abandon(&self, claim: Claim) {
        let mut queue = self.shared.queue();
        queue.jobs.retain(|(_, job)| job.stay() != Some(claim.stay));
        if queue.busy.contains(&claim.stay) {
            queue.abandoned.insert(claim.stay);
        }
    }

    /// Truncates a changelog.
    pub fn cut(&self, partition: Partition, before: Offset) {
        self.shared.put(Instant::now(), Job::Cut(partition, before));
    }

    /// Ends the threads, each after its current job.
    pub fn end(&self) {
        let mut queue = self.shared.queue();
        queue.ended = true;
        queue.jobs.clear();
        self.shared.more.notify_all();
    }

    /// Waits until the threads have [ended](Pool::end). Then none of them has the local store open any more. A process
    /// that ended meanwhile would be aborted by RocksDB, whose locks are destroyed at its end.
    pub fn join(self) {
        for thread in self.threads {
            // A panic was reported as the result of its restore.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Each change of the queue is complete, because nothing in it can panic halfway.
        self.queue.lock()
    }

    fn put(&self, due: Instant, job: Job) {
        let mut queue = self.queue();
        if !queue.ended {
            queue.jobs.push((due, job));
            self.more.notify_one();
        }
    }

    /// The next job that is due, or `None` when the pool has ended.
    fn take(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            if queue.ended {
                return None;
            }
            let first = queue.jobs.iter().enumerate().min_by_key(|(_, (due, _))| *due);
            let wait = match first {
                Some((index, (due, _))) => match due.checked_duration_since(Instant::now()) {
                    None | Some(Duration::ZERO) => {
                        let (_, job) = queue.jobs.remove(index);
                        queue.busy.extend(job.stay());
                        return Some(job);
                    }
                    Some(wait) => Some(wait),
                },
                None => None,
            };
            match wait {
                Some(wait) => _ = self.more.wait_for(&mut queue, wait),
                None => self.more.wait(&mut queue),
            }
        }
    }

    /// Notes that a thread has finished with a stay.
    fn leave(&self, stay: Stay) {
        let mut queue = self.queue();
        queue.busy.remove(&stay);
        queue.abandoned.remove(&stay);
    }

    /// Puts work aside until it is due. Returns false if it is not wanted any more.
    fn set_aside(&self, work: Box<Work>, due: Instant) -> bool {
        let mut queue = self.queue();
        let stay = work.restore.stay();
        queue.busy.remove(&stay);
        let wanted = !queue.abandoned.remove(&stay) && !queue.ended;
        if wanted {
            queue.jobs.push((due, Job::GoOn(work)));
            self.more.notify_one();
        }
        wanted
    }

    fn is_wanted(&self, stay: Stay) -> bool {
        let queue = self.queue();
        !queue.abandoned.contains(&stay) && !queue.ended
    }
}

impl Thread {
    fn run(self) {
        while let Some(job) = self.shared.take() {
            let (claim, worked) = match job {
                Job::Cut(partition, before) => {
                    self.cut(partition, before);
                    continue;
                }
                Job::Begin(claim) => (claim, catch_unwind(AssertUnwindSafe(|| self.work(self.begin(claim))))),
                Job::GoOn(work) => (work.claim(), catch_unwind(AssertUnwindSafe(|| self.work(work)))),
            };
            let Claim { partition, stay } = claim;
            match worked {
                Ok(Left::Later(work, wait)) => {
                    if !self.shared.set_aside(work, Instant::now() + wait) {
                        self.view.forget(partition);
                    }
                }
                Ok(Left::Abandoned) => {
                    self.shared.leave(stay);
                    self.view.forget(partition);
                }
                Ok(Left::Done(task)) => self.done(claim, task),
                Err(panic) => {
                    let why = panic_text(panic.as_ref());
                    let why = format!("the restore of task {partition} panicked: {why}");
                    self.done(claim, Err(Failure::Fatal(why)));
                }
            }
        }
    }

    fn begin(&self, claim: Claim) -> Box<Work> {
        let (restore, access) = self.environment.restore(claim);
        Box::new(Work {
            restore,
            access,
            logged: None,
        })
    }

    fn done(&self, claim: Claim, task: Result<Box<Task>>) {
        self.shared.leave(claim.stay);
        let _ = self.events.send(SupervisorEvent::Restored(claim, task));
    }

    /// Works on a restore until it ends or must wait.
    fn work(&self, mut work: Box<Work>) -> Left {
        let claim = work.claim();
        loop {
            if !self.shared.is_wanted(claim.stay) {
                return Left::Abandoned;
            }
            let next = work.restore.step(&self.view);
            if work.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
                work.logged = Some(Instant::now());
                let (read, why) = work.restore.progress();
                let restores = SupervisorEvent::Restores(claim, read, why.map(str::to_owned));
                let _ = self.events.send(restores);
            }
            match next {
                RestoreNext::Ask(question) => {
                    let answer = work.access.ask(question, READ_WAIT);
                    work.restore.answer(answer);
                }
                RestoreNext::Wait(wait) => {
                    work.access.rest();
                    return Left::Later(work, wait);
                }
                RestoreNext::Done(task) => return Left::Done(task),
            }
        }
    }

    fn cut(&self, partition: Partition, before: Offset) {
        let changelog = self.environment.layout.changelog;
        let cut = catch_unwind(AssertUnwindSafe(|| {
            self.environment.log.truncate(changelog, partition, before)
        }));
        match cut {
            Ok(Ok(())) => {}
            // The next round of the sweep requests it again.
            Ok(Err(why)) => {
                tracing::warn!(task = partition.0, %why, "the beginning of the changelog could not be deleted")
            }
            Err(panic) => {
                let why = format!(
                    "a cut of the changelog of task {partition} panicked: {}",
                    panic_text(panic.as_ref())
                );
                let _ = self.events.send(SupervisorEvent::Failed(Failure::Fatal(why)));
            }
        }
    }
}

/// Why a thread stopped working on a restore.
enum Left {
    /// It continues after this time.
    Later(Box<Work>, Duration),
    /// It is not wanted any more.
    Abandoned,
    Done(Result<Box<Task>>),
}
