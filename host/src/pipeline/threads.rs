//! A worker's thread: it drives the worker's loop with the machine's clock.

use super::control::board::Board;
use super::control::carrier::Carrier;
use super::health::Tasks;
use crate::config::Config;
use crate::error::{Failure, Result};
use crate::record::{Millis, Partition};
use crate::task::shadow::{Player, Trial};
use crate::task::{Orders, Task};
use crate::worker::{Now, Worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A worker without records waits for them so long; replies and orders wait as long.
const WAIT: Duration = Duration::from_millis(10);

/// The control topic is waited for so long; what tasks need is looked at as often.
const CONTROL_WAIT: Duration = Duration::from_millis(50);

/// How often statuses are told.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// What lasts, such as a broker that is away, is said so often.
pub const SAY_EVERY: Duration = Duration::from_secs(10);

/// What a worker is told.
pub enum Command {
    /// A task is restored and ours, since this assignment counter.
    Open(Box<Task>, u64),
    /// Partitions of others have changed hands.
    Reassigned(u64),
    /// Finish with these tasks.
    Close(Vec<Partition>, u64),
    /// These tasks are lost already.
    Lose(Vec<Partition>, u64),
    /// Which versions its tasks take.
    Order(Arc<Orders>),
    /// All tasks are closed: end.
    End,
}

/// What the supervisor is told.
pub enum Event {
    /// Tasks are closed.
    Closed(Vec<Partition>),
    /// A task is restored, or can't be; the flag says whether that is wanted no more.
    Restored(Partition, Arc<AtomicBool>, Result<Box<Task>>),
    /// The changelog may be cut.
    Truncate(Partition, i64),
    /// A worker can't go on.
    Failed(Failure),
}

/// How often ends of partitions are proved: four times within the shortest `idle_after`.
pub fn proofs(config: &Config) -> Duration {
    let shortest = config
        .inputs
        .iter()
        .map(|input| input.idle_after)
        .min()
        .unwrap_or(Duration::from_secs(1));
    (shortest / 4).max(Duration::from_millis(10))
}

/// Starts the thread.
pub fn spawn(
    index: usize,
    mut worker: Worker,
    commands: Receiver<Command>,
    events: Sender<Event>,
    tasks: Tasks,
) -> Result<JoinHandle<()>> {
    let thread = move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drive(&mut worker, &commands, &events, &tasks)
        }));
        let failed = match result {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure,
            // An invariant is broken: nothing more is committed; a restart recovers from the log.
            Err(panic) => Failure::Fatal(format!("worker {index} panicked: {}", panic_text(panic.as_ref()))),
        };
        let _ = events.send(Event::Failed(failed));
    };
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(thread)
        .map_err(|e| Failure::Fatal(format!("no thread for worker {index}: {e}")))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

fn drive(worker: &mut Worker, commands: &Receiver<Command>, events: &Sender<Event>, tasks: &Tasks) -> Result<()> {
    let start = Instant::now();
    let mut told = Duration::ZERO;
    let mut said: Option<Duration> = None;
    loop {
        loop {
            let command = if worker.is_empty() {
                match commands.recv_timeout(WAIT) {
                    Err(RecvTimeoutError::Timeout) => break,
                    other => other.ok(),
                }
            } else {
                match commands.try_recv() {
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    other => other.ok(),
                }
            };
            match command {
                Some(Command::Open(task, assignment)) => worker.open(*task, assignment)?,
                Some(Command::Reassigned(assignment)) => worker.reassigned(assignment),
                Some(Command::Close(partitions, assignment)) => worker.close(&partitions, assignment),
                Some(Command::Lose(partitions, assignment)) => worker.lose(&partitions, assignment),
                Some(Command::Order(orders)) => worker.order(orders),
                // The supervisor is gone: so is the instance.
                Some(Command::End) | None => return Ok(()),
            }
        }
        let now = Now {
            mono: start.elapsed(),
            wall: wall(),
        };
        match worker.turn(now, WAIT) {
            Ok(_) => {}
            // The broker is away, say: nothing is lost, the same turn goes through later.
            Err(Failure::Retry(why)) => {
                if said.is_none_or(|at| now.mono - at >= SAY_EVERY) {
                    said = Some(now.mono);
                    tracing::warn!(%why, "a call to the log failed: it is made again");
                }
                std::thread::sleep(STATUS_EVERY);
            }
            Err(other) => return Err(other),
        }
        let closed = worker.take_closed();
        if !closed.is_empty() {
            closed.iter().for_each(|partition| tasks.gone(*partition));
            let _ = events.send(Event::Closed(closed));
        }
        for (partition, before) in worker.take_truncations() {
            let _ = events.send(Event::Truncate(partition, before));
        }
        if now.mono - told >= STATUS_EVERY {
            told = now.mono;
            worker.status().into_iter().for_each(|status| tasks.runs(status));
            for (partition, read) in worker.restoring() {
                tasks.restores(partition, read, None, || true);
            }
        }
    }
}

/// Starts the thread that reads and writes the control topic, until it is told to stop.
pub fn carry(
    mut carrier: Carrier,
    board: Arc<Board>,
    commands: Vec<Sender<Command>>,
    events: Sender<Event>,
    tasks: Tasks,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    let thread = move || {
        let start = Instant::now();
        let mut said: Option<Instant> = None;
        while !stop.load(Ordering::Acquire) {
            let now = Now {
                mono: start.elapsed(),
                wall: wall(),
            };
            match carrier.step(now, CONTROL_WAIT, &tasks.running(), &board.wanted()) {
                Ok(changed) => {
                    if changed {
                        // The workers first: a task that the board lets open comes behind this.
                        for worker in &commands {
                            let _ = worker.send(Command::Order(carrier.orders().clone()));
                        }
                    }
                    board.tell(&carrier);
                }
                Err(Failure::Retry(why)) => {
                    if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
                        said = Some(Instant::now());
                        tracing::warn!(%why, "the control topic can't be read or written");
                    }
                    std::thread::sleep(STATUS_EVERY);
                }
                Err(other) => {
                    let _ = events.send(Event::Failed(other));
                    return;
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("control".into())
        .spawn(thread)
        .map_err(|e| Failure::Fatal(format!("no thread for the control topic: {e}")))
}

/// Starts the thread that plays a shadow, until that is over. It runs when the others leave it time.
pub fn play(trial: Arc<Trial>) -> std::io::Result<()> {
    let thread = move || {
        stand_back();
        let mut player = Player::new(trial.clone());
        while !trial.is_over() {
            let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| player.play()));
            match played {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(WAIT),
                Err(panic) => {
                    let why = format!("ended by a bug of Pelton's: {}", panic_text(panic.as_ref()));
                    tracing::error!(why, "the shadow");
                    trial.fail(&why);
                    player = Player::new(trial.clone());
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("shadow".into())
        .spawn(thread)
        .map(drop)
}

/// The calling thread gets what time the others leave.
fn stand_back() {
    #[cfg(target_os = "linux")]
    // SAFETY: plain numbers. On Linux this sets the priority of the calling thread alone; a refusal leaves it as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 19);
    }
}

/// Milliseconds since 1970.
pub fn wall() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as Millis)
}
